"""`python -m origin.followup`: learn what is asked next, and say what that would bring."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from origin.actions import TASKS
from origin.followup.click_log import make_lines
from origin.followup.evaluation import evaluate, format_evaluation
from origin.followup.transitions import (
    DEFAULT_PRIOR_WEIGHT,
    TransitionsError,
    dump_transitions,
    learn,
    parse_transitions,
)
from origin.followup.wishes import MODEL_FILE
from origin.model import DEFAULT_MODEL_ID
from origin.prices import PriceError, load_prices
from origin.request_log import RequestLog, RequestLogError, read_log_file
from origin.tasks import Trigger, tasks_for

# What one answer reads and writes, as facts about this backend's prompts.
_INPUT_TOKENS, _OUTPUT_TOKENS = 400, 180


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "make-log":
            return _make_log(options)
        log = read_log_file(options.log)
        if not any(log.visits()):
            raise RequestLogError(f"{options.log}: no request for an answer in it")
        if options.command == "train":
            return _train(options, log)
        return _evaluate(options, log)
    except (RequestLogError, TransitionsError, PriceError, OSError) as error:
        print(f"origin.followup: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m origin.followup",
        description="Predict the next question from a log of requests (JSON lines, or CloudFront's "
        "access log). Exit code: 0, or 2 when something cannot be read.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="learn the transitions of a log")
    training.add_argument("--log", type=Path, required=True)
    training.add_argument("--out", type=Path, default=MODEL_FILE, help="default: %(default)s")
    training.add_argument(
        "--prior-weight",
        type=_positive,
        default=DEFAULT_PRIOR_WEIGHT,
        metavar="K",
        help="how many observations the prior is worth (default: %(default)s)",
    )
    judging = commands.add_parser("evaluate", help="hit rate and waste of a model on a log")
    judging.add_argument("--log", type=Path, required=True)
    judging.add_argument("--model", type=Path, default=MODEL_FILE, help="default: %(default)s")
    judging.add_argument(
        "--probability", type=_probability, default=0.25, metavar="P", help="default: %(default)s"
    )
    judging.add_argument(
        "--all-actions",
        action="store_true",
        help="predict those, too, that are made at login and so are there already",
    )
    making = commands.add_parser("make-log", help="write a click log with known probabilities")
    making.add_argument("--sessions", type=_at_least_one, default=5000, help="default: %(default)s")
    making.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    making.add_argument("--out", type=Path, required=True)
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text}: above 0 expected")
    return number


def _probability(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text}: above 0 and at most 1 expected")
    return number


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: at least 1 expected")
    return number


def _make_log(options: argparse.Namespace) -> int:
    lines = list(make_lines(options.sessions, options.seed))
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {len(lines)} requests of {options.sessions} sessions to {options.out}")
    return 0


def _train(options: argparse.Namespace, log: RequestLog) -> int:
    model = learn(log.sessions(), prior_weight=options.prior_weight)
    options.out.write_text(dump_transitions(model), encoding="utf-8")
    if log.unreadable:
        print(f"{log.unreadable} lines could not be read", file=sys.stderr)
    steps = sum(sum(row.values()) for row in model.counts.values())
    print(f"learned {steps} steps between {len(model.counts)} actions into {options.out}")
    return 0


def _evaluate(options: argparse.Namespace, log: RequestLog) -> int:
    model = parse_transitions(options.model.read_text(encoding="utf-8"))
    found = evaluate(
        log,
        model,
        at_least=options.probability,
        predictable=None if options.all_actions else tasks_for(TASKS, Trigger.FOLLOW_UP),
    )
    prices = load_prices(DEFAULT_MODEL_ID)
    print(format_evaluation(found, usd_each=prices.usd(_INPUT_TOKENS, _OUTPUT_TOKENS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
