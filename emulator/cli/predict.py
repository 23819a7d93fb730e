"""`localpop predict`: what the latency model expects, before anybody asks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from emulator.app.settings import Overrides, current_settings
from emulator.errors import ConfigError
from emulator.network.places import parse_place
from emulator.network.predict import (
    PathKind,
    Prediction,
    Workload,
    predict,
    predictions_document,
)
from emulator.project.local import LocalSettings

_FIGURES = (
    ("lambda-share", "SHARE", "share of fallbacks that pass through Lambda@Edge (0)"),
    ("new-connection-share", "SHARE", "share of requests on a new viewer connection (0)"),
    ("cold-start-share", "SHARE", "share of Lambda@Edge invocations that start cold (0)"),
    ("origin-ms", "MS", "the origin's own time before it asks the model (10)"),
    ("handler-ms", "MS", "the Lambda@Edge handler's own computing (2)"),
    ("api-calls", "N", "KeyValueStore API calls of one Lambda@Edge invocation (1)"),
    ("first-token-ms", "MS", "the model's time to first token (600)"),
    ("tokens-per-s", "N", "its rate (75)"),
    ("answer-tokens", "N", "tokens of an answer (300)"),
)


def add_commands(commands: Any) -> None:
    """Add `predict` to the command's own commands."""
    predicted = commands.add_parser(
        "predict", help="the first byte that the latency model expects, per path and place"
    )
    predicted.add_argument(
        "--places", metavar="A,B,...", help="where viewers are (localpop.toml's place)"
    )
    predicted.add_argument("--origin", metavar="ID", help="the origin of fallbacks (the first one)")
    for name, shown, told in _FIGURES:
        predicted.add_argument(f"--{name}", metavar=shown, type=float, help=told)
    predicted.add_argument("--json", action="store_true", help="the same as JSON")
    predicted.add_argument("--out", metavar="FILE", type=Path, help="write the JSON to a file")
    predicted.set_defaults(act=run_predict)


def run_predict(arguments: argparse.Namespace) -> int:
    """Print or write the predictions.

    Raises:
        ConfigError: A place or an origin that is not known, or a file that cannot be written.
    """
    settings = current_settings(Overrides())
    named = arguments.places.split(",") if arguments.places else [str(settings.place)]
    places = [parse_place(name) for name in named]
    workload = _workload(settings, arguments)
    found = [
        predict(settings.latency, place, path, workload) for path in PathKind for place in places
    ]
    document = predictions_document(found)
    if arguments.out is not None:
        try:
            arguments.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{arguments.out} cannot be written: {error.strerror}.") from None
    if arguments.json:
        print(json.dumps(document, indent=2))
    elif arguments.out is None:
        _print(found, workload)
    return 0


def _workload(settings: LocalSettings, arguments: argparse.Namespace) -> Workload:
    names = list(settings.origins)
    name = arguments.origin or (names[0] if names else None)
    if name is not None and name not in settings.origins:
        raise ConfigError(
            f"No origin is called {name!r}.",
            mend=f"Known: {', '.join(names)}." if names else "Add one under [origins].",
        )
    values: dict[str, Any] = {}
    if name is not None:
        origin = settings.origins[name]
        values |= {"origin_region": origin.region, "front": origin.front}
    for flag, _, _ in _FIGURES:
        key = flag.replace("-", "_")
        value = getattr(arguments, key)
        if value is not None:
            if value < 0 or (key.endswith("_share") and value > 1):
                raise ConfigError(f"--{flag} is {value:g}, which cannot be.", mend="Mend it.")
            values[key] = int(value) if key == "answer_tokens" else value
    return Workload(**values)


def _print(found: list[Prediction], workload: Workload) -> None:
    print(
        f"{'path':<18} {'place':<12} {'p50':>8} {'p95':>8} {'p99':>8}  first byte, ms; mean by leg"
    )
    for one in found:
        legs = ", ".join(f"{name} {ms:.4g}" for name, ms in one.mean_by_leg_ms.items())
        print(
            f"{one.path:<18} {one.place:<12} {one.p50_ms:>8.1f} {one.p95_ms:>8.1f} "
            f"{one.p99_ms:>8.1f}  {legs}"
        )
    print(
        f"simulated; origin in {workload.origin_region} ({workload.front}), model "
        f"{workload.first_token_ms:g} ms to first token, {workload.tokens_per_s:g} tokens/s"
    )
