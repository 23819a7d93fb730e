"""Objectives: what a run should have reached, written in a TOML file.

    [[objective]]
    name = "first words within a second"
    measure = "first_token_ms"      # see MEASURES; "part:store" is a part of the simulated time
    percentile = 95
    paths = ["hits", "fallback-streamed"]     # all paths, when it is left out
    places = ["NRT/5g"]                       # all places, when it is left out
    per = "path"                    # judge each path (or "place", or "cell"); the worst one counts
    below = 1000                    # or: above = ...

    [regression]                    # the comparison with the baseline, see regression.Thresholds
    p95 = [0.10, 0.25, 0.50]        # rises that are SEV-3, SEV-2, SEV-1

`slo/health.toml` holds the health targets that every run is held against, without consequences;
`--slo FILE` (or `--slo health`) makes missed objectives an exit code.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadtests.errors import BadInputError
from loadtests.regression import Thresholds
from loadtests.samples import FALLBACKS, HITS, PARTS, DeliveryPath, Sample
from loadtests.statistics import percentile

FOLDER = Path(__file__).with_name("slo")
HEALTH = "health"
MIN_SAMPLES = 50
"""Fewer values than this say nothing: the objective is then neither met nor missed."""

_TIMES: Mapping[str, Callable[[Sample], float | None]] = {
    "first_byte_ms": lambda sample: sample.ttfb_ms,
    "first_token_ms": lambda sample: sample.first_token_ms,
    "whole_ms": lambda sample: sample.total_ms,
    "simulated_ms": lambda sample: sample.simulated_ms,
    "overhead_ms": lambda sample: sample.overhead_ms,
    "late_ms": lambda sample: sample.late_ms,
    "lag_ms": lambda sample: sample.lag_ms,
}
_RATES: Mapping[str, Callable[[Sample], bool]] = {
    "hit_rate": lambda sample: sample.is_good and sample.path in HITS,
    "error_rate": lambda sample: not sample.is_good,
    "timeout_rate": lambda sample: sample.is_timeout,
}
_TAIL = "p99_over_p50"
MEASURES = (*_TIMES, *_RATES, _TAIL, *(f"part:{part}" for part in PARTS))

_GROUPS: Mapping[str, tuple[DeliveryPath, ...]] = {
    "hits": HITS,
    "fallbacks": FALLBACKS,
    **{path.value: (path,) for path in DeliveryPath},
}
_PER: Mapping[str, Callable[[Sample], str]] = {
    "run": lambda sample: "",
    "path": lambda sample: sample.path.label,
    "place": lambda sample: sample.place,
    "cell": lambda sample: f"{sample.path.label}, {sample.place}",
}


class Status(StrEnum):
    """Whether an objective was reached."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective.

    Attributes:
        name: In words.
        measure: One of MEASURES.
        below: The value must be below this; None when it must be above something.
        above: The value must be above this.
        percentile: Of a time, 0 to 100.
        paths: Which answers count; empty for all.
        places: Which places count; empty for all.
        per: `run`, `path`, `place` or `cell`: each is judged, the worst one is the result.
    """

    name: str
    measure: str
    below: float | None = None
    above: float | None = None
    percentile: float = 95.0
    paths: tuple[DeliveryPath, ...] = ()
    places: tuple[str, ...] = ()
    per: str = "run"

    @property
    def is_rate(self) -> bool:
        """Whether it is a share of requests."""
        return self.measure in _RATES

    @property
    def limit(self) -> str:
        """What was wanted, such as `p95 < 1,000 ms`."""
        sign, value = ("<", self.below) if self.above is None else (">", self.above)
        return f"{self._figure} {sign} {self.show(value)}"

    def show(self, value: float | None) -> str:
        """A value of this measure, for people."""
        if value is None:
            return "-"
        if self.is_rate:
            return f"{value * 100:.3g} %"
        return f"{value:.3g}" if self.measure == _TAIL else f"{_rounded(value)} ms"

    @property
    def _figure(self) -> str:
        if self.is_rate:
            return self.measure.replace("_", " ")
        return "p99 / p50" if self.measure == _TAIL else f"p{self.percentile:g}"


@dataclass(frozen=True, slots=True)
class ObjectiveResult:
    """What became of an objective.

    Attributes:
        objective: Which.
        status: Met, missed, or unknown for want of samples.
        value: The worst value; None when unknown.
        where: Whose it is: a path, a place, both; empty for the whole run.
        samples: How many requests that stands on.
    """

    objective: Objective
    status: Status
    value: float | None = None
    where: str = ""
    samples: int = 0


@dataclass(frozen=True, slots=True)
class ObjectiveFile:
    """What an objectives file says."""

    objectives: tuple[Objective, ...]
    thresholds: Thresholds = field(default_factory=Thresholds)


def read_objectives(name_or_file: str) -> ObjectiveFile:
    """Read an objectives file, by its path or as `health`.

    Raises:
        BadInputError: It cannot be read, or something in it cannot be; the message names it.
    """
    path = FOLDER / f"{HEALTH}.toml" if name_or_file == HEALTH else Path(name_or_file)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"--slo: {path} cannot be read ({error}).") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"--slo: {path} is not TOML ({error}).") from error
    _nothing_else(str(path), document, {"objective", "regression"})
    tables = document.get("objective", [])
    if not isinstance(tables, list):
        raise BadInputError(f"{path}: write each objective as [[objective]].")
    objectives = tuple(
        _objective(f"{path}, objective {number}", table)
        for number, table in enumerate(tables, start=1)
    )
    thresholds = _thresholds(f"{path}, [regression]", document.get("regression", {}))
    return ObjectiveFile(objectives, thresholds)


def evaluate(objectives: Sequence[Objective], samples: Sequence[Sample]) -> list[ObjectiveResult]:
    """Hold samples, without the warm-up, against objectives."""
    return [_evaluate(objective, samples) for objective in objectives]


def _evaluate(objective: Objective, samples: Sequence[Sample]) -> ObjectiveResult:
    chosen = [
        sample
        for sample in samples
        if (not objective.paths or sample.path in objective.paths)
        and (not objective.places or sample.place in objective.places)
    ]
    groups: dict[str, list[Sample]] = {}
    for sample in chosen:
        groups.setdefault(_PER[objective.per](sample), []).append(sample)
    found = [
        (value, where, count)
        for where, group in groups.items()
        if (measured := _measure(objective, group)) is not None
        for value, count in [measured]
    ]
    if not found:
        return ObjectiveResult(objective, Status.UNKNOWN)
    worst = max(found) if objective.above is None else min(found)
    return ObjectiveResult(objective, _status(objective, worst[0]), *worst)


def _measure(objective: Objective, samples: Sequence[Sample]) -> tuple[float, int] | None:
    """The measure's value, and on how many samples it stands; None when they are too few."""
    if objective.is_rate:
        events = sum(map(_RATES[objective.measure], samples))
        return (events / len(samples), len(samples)) if len(samples) >= MIN_SAMPLES else None
    values = sorted(
        value for value in map(_value_of(objective.measure), samples) if value is not None
    )
    if len(values) < MIN_SAMPLES:
        return None
    if objective.measure == _TAIL:
        return percentile(values, 0.99) / max(percentile(values, 0.5), 0.001), len(values)
    return percentile(values, objective.percentile / 100), len(values)


def _value_of(measure: str) -> Callable[[Sample], float | None]:
    part = measure.removeprefix("part:")
    if part == measure:
        of = _TIMES["whole_ms" if measure == _TAIL else measure]
        return lambda sample: of(sample) if sample.is_good else None
    return lambda sample: sample.parts_ms.get(part) if sample.parts_ms else None


def _status(objective: Objective, value: float) -> Status:
    if objective.below is not None:
        return Status.MET if value < objective.below else Status.MISSED
    assert objective.above is not None
    return Status.MET if value > objective.above else Status.MISSED


def _objective(where: str, table: Any) -> Objective:
    if not isinstance(table, dict):
        raise BadInputError(f"{where}: write it as [[objective]].")
    _nothing_else(where, table, {one.name for one in fields(Objective)})
    measure = table.get("measure")
    if measure not in MEASURES:
        raise BadInputError(f"{where}: measure {measure!r} is not known: {', '.join(MEASURES)}.")
    limits = {
        name: _number(where, name, table[name]) for name in ("below", "above") if name in table
    }
    if len(limits) != 1:
        raise BadInputError(f"{where}: give `below` or `above`, one of them.")
    percent = _number(where, "percentile", table.get("percentile", 95))
    if not 0 < percent <= 100:
        raise BadInputError(f"{where}: percentile {percent:g} is not from 0 to 100.")
    per = table.get("per", "run")
    if per not in _PER:
        raise BadInputError(f"{where}: per {per!r} is not known: {', '.join(_PER)}.")
    unknown = [name for name in table.get("paths", []) if name not in _GROUPS]
    if unknown:
        raise BadInputError(f"{where}: path {unknown[0]!r} is not known: {', '.join(_GROUPS)}.")
    return Objective(
        name=str(table.get("name") or measure),
        measure=measure,
        percentile=percent,
        paths=tuple(path for name in table.get("paths", []) for path in _GROUPS[name]),
        places=tuple(map(str, table.get("places", []))),
        per=per,
        **limits,
    )


def _thresholds(where: str, table: Any) -> Thresholds:
    names = {one.name for one in fields(Thresholds)}
    if not isinstance(table, dict):
        raise BadInputError(f"{where}: expected a table.")
    _nothing_else(where, table, names)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name in ("min_rise_ms", "confidence"):
            values[name] = _number(where, name, value)
            continue
        numbers = [_number(where, name, one) for one in value] if isinstance(value, list) else []
        if len(numbers) != 3 or numbers != sorted(numbers):
            raise BadInputError(f"{where}: {name} needs three rising numbers: SEV-3, SEV-2, SEV-1.")
        values[name] = tuple(numbers)
    if not 0.5 <= values.get("confidence", 0.95) < 1:
        raise BadInputError(f"{where}: confidence is a share from 0.5 to 1.")
    return Thresholds(**values)


def _number(where: str, name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadInputError(f"{where}: {name} is {value!r}, expected a number.")
    return float(value)


def _nothing_else(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in sorted(table.keys() - known):
        raise BadInputError(f"{where}: {key} is not known (known: {', '.join(sorted(known))}).")


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"
