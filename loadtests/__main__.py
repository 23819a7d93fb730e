"""`python -m loadtests`: run Locust in a process of its own, then say what it saw.

`--help` and `docs/load-tests.md` tell the rest; exit codes stand in `judge.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from loadtests.arrivals import load_sessions
from loadtests.cost import cost_of
from loadtests.cost_page import cost_lines
from loadtests.errors import BadInputError
from loadtests.history import DEFAULT_HISTORY, History
from loadtests.history_table import history_table
from loadtests.judge import (
    BAD_INPUT,
    BY_SEVERITY,
    FINE,
    INTERRUPTED,
    OBJECTIVE_MISSED,
    TOO_MANY_ERRORS,
    VOID,
    is_void,
    judge_recording,
    tell,
    verdict,
)
from loadtests.locust_process import run_locust
from loadtests.objectives import ObjectiveFile, read_objectives
from loadtests.predictions import Predictions, comparison_table, read_predictions
from loadtests.prices import PRICES, Prices, read_prices
from loadtests.profiles import FOLDER, profile_names, read_profile
from loadtests.repeating import parse_duration, slots
from loadtests.report import write_report
from loadtests.samples import read_recording
from loadtests.settings import OPTIONS, Settings, add_options
from loadtests.table import table
from loadtests.target import check_host, require_listener

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
SAMPLES = "samples.jsonl"
# What Locust itself may say without anything being wrong with the run: it counts failed requests.
_HARMLESS_EXIT_CODES = (0, 1)
_BY_IMPORTANCE = (VOID, TOO_MANY_ERRORS, *BY_SEVERITY.values(), OBJECTIVE_MISSED)
# Void, too many errors, or worse than before: no run to compare others with.
_NOT_NORMAL = (VOID, TOO_MANY_ERRORS, *BY_SEVERITY.values())

_EPILOG = """\
examples:
  python -m loadtests run --host http://127.0.0.1:8080     half a minute of steady load
  python -m loadtests run --profile spike --processes 2    another load, from two processes
  python -m loadtests run --slo health --history           objectives, and the rolling baseline
  python -m loadtests run --every 15m                      again and again, each one compared
  python -m loadtests history                              what they said
  python -m loadtests report report/samples.jsonl          the same figures again, offline

exit codes: 0 fine; 1 too many errors; 2 bad input; 3 void, the generator lagged; 4 an objective of
--slo missed; 11, 12, 13 SEV-1, SEV-2, SEV-3 against the baseline; 130 Ctrl-C

`localpop load` is the same, aimed at the viewers' port that localpop.toml names.
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(words)
    # What a service manager sends is as good as Ctrl-C: Locust must not be left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code: int = options.act(options)
    except BadInputError as error:
        print(f"loadtests: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough.
        sys.stderr.close()
        return FINE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=os.environ.get("LOADTEST_PROG", "python -m loadtests"),
        description="Load tests of answers at the edge.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="run Locust, print the table, write the report")
    run.add_argument("--host", default=os.environ.get("LOADTEST_HOST"), help="the server to test")
    run.add_argument(
        "--time",
        type=float,
        metavar="SECONDS",
        help="length; the profile is stretched or pressed to it (the profile's)",
    )
    run.add_argument(
        "--profile",
        dest="load_profile",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="the same as --load-profile",
    )
    run.add_argument(
        "--every",
        metavar="TIME",
        help="run again and again, such as every 15m; keeps a history (as --history)",
    )
    run.add_argument("--runs", type=int, metavar="N", help="with --every: end after N runs")
    _add_outcome(run)
    add_options(run)
    several = run.add_argument_group("several processes and machines (docs/load-tests.md)")
    several.add_argument("--processes", type=int, metavar="N", help="load from N processes here")
    several.add_argument(
        "--expect-workers",
        type=int,
        metavar="N",
        help="load from N workers that `python -m loadtests worker` starts, here or elsewhere",
    )
    several.add_argument(
        "--master-bind-host", default="127.0.0.1", metavar="ADDRESS", help="for them (127.0.0.1)"
    )
    several.add_argument(
        "--master-bind-port", type=int, default=5557, metavar="PORT", help="for them (5557)"
    )
    run.set_defaults(act=_run)
    worker = commands.add_parser(
        "worker", help="make load for a `run --expect-workers` here or on another machine"
    )
    worker.add_argument("--master-host", default="127.0.0.1", metavar="ADDRESS")
    worker.add_argument("--master-port", type=int, default=5557, metavar="PORT")
    worker.add_argument("--processes", type=int, metavar="N", help="in N processes")
    worker.set_defaults(act=_work)
    history = commands.add_parser("history", help="what past runs said, newest first")
    history.add_argument("--history", type=Path, default=DEFAULT_HISTORY, metavar="FILE")
    history.add_argument("--count", type=int, default=20, metavar="N", help="so many (20)")
    history.add_argument("--json", action="store_true", help="as JSON")
    history.add_argument(
        "--accept",
        type=int,
        metavar="RUN",
        help="make a run part of the baseline although it was a regression: it is the new normal",
    )
    history.add_argument(
        "--exclude", type=int, metavar="RUN", help="take a run out of the baseline"
    )
    history.set_defaults(act=_show_history)
    profiles = commands.add_parser("profiles", help="the load profiles that come with this")
    profiles.set_defaults(act=_list_profiles)
    report = commands.add_parser("report", help="rebuild table and report from a samples file")
    report.add_argument("samples", type=Path, help="what a run wrote, such as report/samples.jsonl")
    _add_outcome(report)
    report.set_defaults(act=_report)
    return parser


def _add_outcome(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder (report)")
    parser.add_argument(
        "--max-error-share",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="exit with 1 when more requests than this share fail (0.01)",
    )
    parser.add_argument(
        "--slo",
        metavar="FILE",
        help="hold the run against the objectives of a TOML file, or of `health`; a missed one is "
        "exit code 4",
    )
    parser.add_argument(
        "--history",
        type=Path,
        nargs="?",
        const=DEFAULT_HISTORY,
        metavar="FILE",
        help="compare with the runs of the last 7 days in this SQLite file "
        f"({DEFAULT_HISTORY}), and keep a new run there",
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="set the run beside what a latency model expects (`localpop predict --out FILE`)",
    )
    cost = parser.add_argument_group("cost (docs/report.md)")
    cost.add_argument(
        "--prices",
        type=Path,
        default=PRICES,
        metavar="FILE",
        help="another price file than loadtests/prices.toml",
    )
    cost.add_argument("--model", metavar="NAME", help="one of its models (the file's)")
    cost.add_argument(
        "--generated",
        type=_count,
        metavar="N",
        help="how many answers were made ahead of time for these viewers; tells how many of them "
        "were made in vain, and whether it paid",
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _report(options: argparse.Namespace) -> int:
    return _conclude(options.samples, options, _predictions(options), is_new=False)


def _predictions(options: argparse.Namespace) -> Predictions | None:
    return read_predictions(options.predictions) if options.predictions else None


def _prices(options: argparse.Namespace) -> Prices:
    prices = read_prices(options.prices)
    return prices.with_model(options.model) if options.model else prices


def _run(options: argparse.Namespace) -> int:
    if options.every is None:
        return _run_once(options, is_first=True)
    every_s = parse_duration(options.every)
    options.history = options.history or DEFAULT_HISTORY
    codes: list[int] = []
    for started_s in slots(every_s):
        time.sleep(max(0.0, started_s - time.monotonic()))
        print(
            f"\n{datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S}  run {len(codes) + 1}",
            flush=True,
        )
        codes.append(_run_once(options, is_first=not codes))
        if codes[-1] in (BAD_INPUT, INTERRUPTED):
            return codes[-1]
        if options.runs and len(codes) >= options.runs:
            break
        print(f"the next run comes {options.every} after this one began; Ctrl-C ends", flush=True)
    return worst_code(codes)


def worst_code(codes: Sequence[int]) -> int:
    """The most important exit code of several runs."""
    order = (*_BY_IMPORTANCE, FINE)
    return min(codes, key=lambda code: order.index(code) if code in order else 0)


def _run_once(options: argparse.Namespace, *, is_first: bool) -> int:
    samples = Path(options.samples) if options.samples else options.out / SAMPLES
    options.samples = str(samples)
    settings = Settings.from_options(options)
    profile = settings.profile
    host = check_host(options.host, settings.allow_remote)
    viewers = len(load_sessions(settings.sessions))
    predictions = _predictions(options)
    _judges(options)
    _prices(options)
    time_s = options.time or profile.seconds
    if time_s <= profile.warmup_s:
        raise BadInputError(f"--time: {time_s:g} s is no longer than the warm-up.")
    if is_first and not options.expect_workers:
        # Later runs of --every measure a server that is gone as what it is: errors.
        require_listener(host)
    print(f"load test: {_load(settings)} for {time_s:g} s, {viewers} viewers ", end="")
    print(f"at {len(settings.places)} places, against {host}", flush=True)
    samples.unlink(missing_ok=True)
    code = run_locust(_locust_command(options, host, time_s), samples, time_s)
    if code not in (*_HARMLESS_EXIT_CODES, VOID):
        return code
    return _conclude(samples, options, predictions, is_new=True)


def _load(settings: Settings) -> str:
    profile = settings.profile
    if settings.closed_loop:
        return f"closed loop of {settings.closed_loop}"
    peak = profile.rate_per_s * profile.peak_times
    rate = f"{profile.rate_per_s:g} requests/s"
    return rate if peak == profile.rate_per_s else f"{profile.name}, {rate}, up to {peak:g},"


def _locust_command(options: argparse.Namespace, host: str, time_s: float) -> list[str]:
    """Locust's own command line, with each of our options as a flag."""
    words = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", host]
    users = str(options.closed_loop or options.processes or options.expect_workers or 1)
    words += ["--headless", "--only-summary", "-u", users, "-r", users]
    words += ["-t", f"{math.ceil(time_s)}s"]
    words += _distribution(options)
    # Without its log set-up Locust's own summary, whose percentiles are rounded, is not printed;
    # warnings and errors still are.
    words += ["--skip-log-setup", "--exit-code-on-error", "0"]
    for option in OPTIONS:
        value = getattr(options, option.attribute)
        if value is not None:
            words += [f"--{option.name}", str(value)]
    return [*words, "--allow-remote"] if options.allow_remote else words


def _distribution(options: argparse.Namespace) -> list[str]:
    """Locust's own flags for several processes or machines."""
    if options.processes and options.expect_workers:
        raise BadInputError("--processes, --expect-workers: give one of them.")
    if options.processes:
        # A port of their own, so that two runs do not meet.
        port = str(_free_port())
        own = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
        return ["--processes", str(options.processes), *own]
    if options.expect_workers:
        bind = ["--master-bind-host", options.master_bind_host]
        bind += ["--master-bind-port", str(options.master_bind_port)]
        return ["--master", "--expect-workers", str(options.expect_workers), *bind]
    return []


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _work(options: argparse.Namespace) -> int:
    """Be a worker of a run elsewhere until it ends."""
    words = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--worker"]
    words += ["--master-host", options.master_host, "--master-port", str(options.master_port)]
    if options.processes:
        words += ["--processes", str(options.processes)]
    process = subprocess.Popen(words)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl-C went to Locust too; it sends what it has and leaves.
        process.wait()
        return INTERRUPTED


def _list_profiles(options: argparse.Namespace) -> int:
    for name in profile_names():
        profile = read_profile(name)
        peak = profile.rate_per_s * profile.peak_times
        print(f"{name:<12} {profile.seconds:>5g} s, up to {peak:>3g}/s  {profile.description}")
    print(f"\nThe files are in {FOLDER}; copy one, and give it to --profile.")
    return 0


def _judges(options: argparse.Namespace) -> tuple[History | None, ObjectiveFile | None]:
    """The history and the objectives; read before a run, so that a mistake costs no run."""
    history = History(options.history) if options.history else None
    return history, read_objectives(options.slo) if options.slo else None


def _conclude(
    samples: Path, options: argparse.Namespace, predictions: Predictions | None, *, is_new: bool
) -> int:
    """Print the table, write the report, judge the run and keep it."""
    recording = read_recording(samples)
    history, slo = _judges(options)
    judgement = judge_recording(recording, history, slo)
    # Without one good answer there is nothing to price, and no hit rate to turn back for.
    is_answered = any(sample.is_good for sample in recording.samples)
    cost = cost_of(recording, _prices(options), options.generated) if is_answered else None
    summary, compared = write_report(recording, options.out, predictions, judgement, cost)
    print(f"\n{table(summary)}\n")
    if compared:
        print(f"{comparison_table(compared)}\n")
    if recording.run.get("closed_loop"):
        print(
            "Closed loop: viewers wait for each other's answers, so a server that freezes hides.\n"
        )
    for line in [*tell(judgement), *(cost_lines(cost) if cost else ())]:
        print(line)
    print(f"\nreport: {options.out / 'index.html'}   figures: {options.out / 'results.json'}")
    found = verdict(summary, recording, judgement, options.max_error_share)
    if history is not None and is_new and summary.requests:
        void = is_void(summary)
        baseline = judgement.baseline
        word = "-" if baseline and baseline.runs else "first"
        if baseline and baseline.severity:
            word = baseline.severity.label
        # A regression stays out of the baseline, or it would soon be the new normal.
        is_normal = not void and found.code not in _NOT_NORMAL
        number = history.add(recording, "void" if void else word, in_baseline=is_normal)
        print(f"history: run {number} in {options.history}")
    for reason in found.reasons:
        print(reason, file=sys.stderr)
    return found.code


# --- history ------------------------------------------------------------------------------------


def _show_history(options: argparse.Namespace) -> int:
    if not options.history.exists():
        raise BadInputError(
            f"--history: there is no {options.history} yet. Make one: "
            "python -m loadtests run --history"
        )
    history = History(options.history)
    if options.accept is not None:
        history.accept(options.accept)
    if options.exclude is not None:
        history.accept(options.exclude, in_baseline=False)
    runs = history.runs(options.count)
    if options.json:
        print(json.dumps([asdict(run) for run in runs], indent=2))
        return FINE
    print(history_table(runs))
    return FINE


if __name__ == "__main__":
    sys.exit(main())
