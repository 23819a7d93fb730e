"""The history of load runs: one SQLite file, with every good answer's times.

A run's exact times are kept, packed, for as long as they may be part of a baseline; after that
only its summary stays. Runs are compared with runs of the same load only: same server, same
profile, same rate, same mix (`fingerprint`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtests.errors import BadInputError
from loadtests.samples import FALLBACKS, HITS, DeliveryPath, Recording, Sample
from loadtests.statistics import percentile

DEFAULT_HISTORY = Path(".localpop/load-history.sqlite")
BASELINE_DAYS = 7.0
BASELINE_RUNS = 50
"""At most so many runs, the newest, make a baseline; more only take longer."""

_SAME_LOAD = (
    "host",
    "run_time_s",
    "warmup_s",
    "rate_per_s",
    "arrivals",
    "fallback_share",
    "stream_share",
    "phases",
    "place_weights",
    "path_weights",
    "action_weights",
    "new_connection_share",
    "questions",
    "closed_loop",
    "think_s",
)
_FIGURES = (
    "requests",
    "errors",
    "hit_share",
    "hit_p50_ms",
    "hit_p95_ms",
    "fallback_p50_ms",
    "fallback_p95_ms",
    "severity",
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, started_s REAL NOT NULL, load TEXT NOT NULL, facts TEXT NOT NULL,
  requests INTEGER NOT NULL, errors INTEGER NOT NULL, hit_share REAL NOT NULL,
  hit_p50_ms REAL, hit_p95_ms REAL, fallback_p50_ms REAL, fallback_p95_ms REAL,
  severity TEXT NOT NULL, in_baseline INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_load ON runs (load, started_s);
CREATE TABLE IF NOT EXISTS cells (
  run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, path TEXT NOT NULL,
  place TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL,
  whole_ms BLOB NOT NULL, first_token_ms BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS cells_by_run ON cells (run);
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One path at one place in one run.

    Attributes:
        path: The way.
        place: Where the viewers were.
        requests: All requests.
        errors: Those that failed.
        whole_ms: Every good answer's time, in ascending order.
        first_token_ms: Every good answer's first token, in ascending order.
    """

    path: DeliveryPath
    place: str
    requests: int
    errors: int
    whole_ms: Sequence[float]
    first_token_ms: Sequence[float]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the history.

    Attributes:
        id: Its number.
        started_s: When it began, epoch seconds.
        facts: What was meant to happen.
        requests: Counted requests.
        errors: Those that failed.
        hit_share: The share that the edge answered.
        hit_p50_ms: Their median; None without any.
        hit_p95_ms: Their p95.
        fallback_p50_ms: The fallbacks' median.
        fallback_p95_ms: The fallbacks' p95.
        severity: What the comparison with its baseline said: `-`, `SEV-3`, `SEV-2`, `SEV-1`, `void`
            or `first`, when there was nothing to compare with.
        in_baseline: Whether later runs are compared with it.
    """

    id: int
    started_s: float
    facts: Mapping[str, Any]
    requests: int
    errors: int
    hit_share: float
    hit_p50_ms: float | None
    hit_p95_ms: float | None
    fallback_p50_ms: float | None
    fallback_p95_ms: float | None
    severity: str
    in_baseline: bool


def counted(recording: Recording) -> list[Sample]:
    """A recording's samples without its warm-up."""
    warmup_s = float(recording.run.get("warmup_s", 0.0))
    return [sample for sample in recording.samples if sample.intended_s >= warmup_s]


def cells_of(samples: Sequence[Sample]) -> list[Cell]:
    """Samples by path and place.

    An error that has no path of its own (no answer at all, a 503 of CloudFront's) is in a cell of
    `DeliveryPath.ERROR`: nobody can tell which way it would have come.
    """
    groups: dict[tuple[DeliveryPath, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.path, sample.place), []).append(sample)
    return [
        Cell(
            path=path,
            place=place,
            requests=len(group),
            errors=sum(not sample.is_good for sample in group),
            whole_ms=sorted(sample.total_ms for sample in group if sample.is_good),
            first_token_ms=sorted(
                sample.first_token_ms
                for sample in group
                if sample.is_good and sample.first_token_ms is not None
            ),
        )
        for (path, place), group in groups.items()
    ]


def fingerprint(facts: Mapping[str, Any]) -> str:
    """A name for a load: two runs with the same one can be compared."""
    same = json.dumps({name: facts.get(name) for name in _SAME_LOAD}, sort_keys=True)
    return hashlib.sha256(same.encode()).hexdigest()[:16]


class History:
    """Load runs in a SQLite file.

    Args:
        file: It is made when it is missing, and its folder too.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with self._connect() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.DatabaseError) as error:
            raise BadInputError(f"--history: {file} cannot be used ({error}).") from error

    def add(self, recording: Recording, severity: str, *, in_baseline: bool) -> int:
        """Keep a run; returns its number."""
        samples = counted(recording)
        facts = recording.run
        hits = sorted(one.total_ms for one in samples if one.is_good and one.path in HITS)
        falls = sorted(one.total_ms for one in samples if one.is_good and one.path in FALLBACKS)
        row = (
            _epoch_s(facts),
            fingerprint(facts),
            json.dumps(dict(facts)),
            len(samples),
            sum(not one.is_good for one in samples),
            len(hits) / len(samples) if samples else 0.0,
            *_two(hits),
            *_two(falls),
            severity,
            int(in_baseline),
        )
        with self._connect() as connection:
            cursor = connection.execute(
                f"INSERT INTO runs (started_s, load, facts, {', '.join(_FIGURES)}, in_baseline)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            number = cursor.lastrowid
            assert number is not None
            connection.executemany(
                "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        number,
                        cell.path.value,
                        cell.place,
                        cell.requests,
                        cell.errors,
                        _pack(cell.whole_ms),
                        _pack(cell.first_token_ms),
                    )
                    for cell in cells_of(samples)
                ],
            )
            # Twice the window, so that a clock that was wrong for a while loses nothing.
            connection.execute(
                "DELETE FROM cells WHERE run IN (SELECT id FROM runs WHERE started_s < ?)",
                (time.time() - 2 * BASELINE_DAYS * 86_400,),
            )
        return number

    def baseline(self, facts: Mapping[str, Any], days: float = BASELINE_DAYS) -> list[list[Cell]]:
        """The cells of each run of the same load in the days before this one began."""
        before_s = _epoch_s(facts)
        with self._connect() as connection:
            numbers = [
                row[0]
                for row in connection.execute(
                    "SELECT id FROM runs WHERE load = ? AND in_baseline AND started_s < ? AND"
                    " started_s >= ? ORDER BY started_s DESC LIMIT ?",
                    (fingerprint(facts), before_s, before_s - days * 86_400, BASELINE_RUNS),
                )
            ]
            return [cells for number in numbers if (cells := _cells(connection, number))]

    def runs(self, count: int) -> list[PastRun]:
        """The newest runs, newest first."""
        with self._connect() as connection:
            rows = connection.execute(
                f"SELECT id, started_s, facts, {', '.join(_FIGURES)}, in_baseline FROM runs"
                " ORDER BY started_s DESC, id DESC LIMIT ?",
                (count,),
            ).fetchall()
        return [_past_run(row) for row in rows]

    def accept(self, number: int, *, in_baseline: bool = True) -> None:
        """Make a run part of the baseline, or take it out.

        Raises:
            BadInputError: There is no such run.
        """
        with self._connect() as connection:
            changed = connection.execute(
                "UPDATE runs SET in_baseline = ? WHERE id = ?", (int(in_baseline), number)
            ).rowcount
        if not changed:
            raise BadInputError(f"There is no run {number} in {self._file}.")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._file, timeout=30)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _past_run(row: tuple[Any, ...]) -> PastRun:
    number, started_s, facts, *figures, in_baseline = row
    values = dict(zip(_FIGURES, figures, strict=True))
    return PastRun(number, started_s, json.loads(facts), in_baseline=bool(in_baseline), **values)


def _cells(connection: sqlite3.Connection, number: int) -> list[Cell]:
    rows = connection.execute(
        "SELECT path, place, requests, errors, whole_ms, first_token_ms FROM cells WHERE run = ?",
        (number,),
    )
    return [
        Cell(DeliveryPath(row[0]), row[1], row[2], row[3], _unpack(row[4]), _unpack(row[5]))
        for row in rows
    ]


def _epoch_s(facts: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(facts["started"])).timestamp()
    except (KeyError, ValueError) as error:
        raise BadInputError("The samples do not say when the run started.") from error


def _two(ordered: Sequence[float]) -> tuple[float | None, float | None]:
    return (percentile(ordered, 0.5), percentile(ordered, 0.95)) if ordered else (None, None)


def _pack(values: Sequence[float]) -> bytes:
    return zlib.compress(array("d", values).tobytes())


def _unpack(data: bytes) -> Sequence[float]:
    values = array("d")
    values.frombytes(zlib.decompress(data))
    return values
