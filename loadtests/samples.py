"""Samples: one exact record per request, and how response headers tell the paths apart.

A samples file is JSON Lines: first `{"run": {...}}` (what was meant to happen), then one object per
request, and at the end `{"end": {...}}` (missing when the run was killed).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from loadtests.errors import BadInputError


class DeliveryPath(StrEnum):
    """The way an answer came to its viewer."""

    EDGE_FUNCTION = "edge-function"
    EDGE_LAMBDA = "edge-lambda"
    CACHE = "cache"
    FALLBACK_STREAMED = "fallback-streamed"
    FALLBACK_BUFFERED = "fallback-buffered"
    ERROR = "error"

    @property
    def label(self) -> str:
        """The path in words, for people."""
        return _LABELS[self]


_LABELS = {
    DeliveryPath.EDGE_FUNCTION: "Edge hit, CloudFront Function",
    DeliveryPath.EDGE_LAMBDA: "Edge hit, Lambda@Edge",
    DeliveryPath.CACHE: "Cache hit",
    DeliveryPath.FALLBACK_STREAMED: "Fallback, streamed",
    DeliveryPath.FALLBACK_BUFFERED: "Fallback, buffered",
    DeliveryPath.ERROR: "Error",
}

HITS = (DeliveryPath.EDGE_FUNCTION, DeliveryPath.EDGE_LAMBDA, DeliveryPath.CACHE)
"""Answered at the edge: the origin was not asked."""

FALLBACKS = (DeliveryPath.FALLBACK_STREAMED, DeliveryPath.FALLBACK_BUFFERED)
"""Answered by the origin while the viewer waited."""

PARTS = (
    "connection",
    "viewer",
    "network",
    "function",
    "store",
    "cache",
    "gateway",
    "origin",
    "model",
    "fault",
    "other",
)
"""What `Sample.parts_ms` may name, from the viewer inwards: setting up connections; the viewer's
round trip; AWS's own network; edge functions; the key value store; caches; API Gateway; waiting for
the origin; the model behind it; faults made on purpose; the rest."""

TIMED_OUT = "no whole answer in"
"""How the error of a request that its viewer gave up begins."""

# X-Cache as public captures of real CloudFront responses show it. "Error from cloudfront",
# "Redirect from cloudfront" and the like are missing on purpose: they are no answer.
_HIT_BY_X_CACHE = {
    "functiongeneratedresponse from cloudfront": DeliveryPath.EDGE_FUNCTION,
    "lambdageneratedresponse from cloudfront": DeliveryPath.EDGE_LAMBDA,
    "hit from cloudfront": DeliveryPath.CACHE,
    "refreshhit from cloudfront": DeliveryPath.CACHE,
}
_MISS = "miss from cloudfront"


def classify(status: int, x_cache: str | None, content_type: str | None) -> DeliveryPath:
    """Tell which way a response came, by its status and two of its headers.

    A status of 400 or more is an error whoever made it (a CloudFront Function's own 403 keeps
    `FunctionGeneratedResponse`). So is a response without a known `X-Cache`: it did not come
    through CloudFront, and would spoil whichever path it was put in.
    """
    if status < 200 or status >= 400:
        return DeliveryPath.ERROR
    cache = (x_cache or "").strip().lower()
    if cache == _MISS:
        streamed = is_event_stream(content_type)
        return DeliveryPath.FALLBACK_STREAMED if streamed else DeliveryPath.FALLBACK_BUFFERED
    return _HIT_BY_X_CACHE.get(cache, DeliveryPath.ERROR)


def is_event_stream(content_type: str | None) -> bool:
    """Whether a content type is that of server-sent events."""
    return (content_type or "").split(";")[0].strip().lower() == "text/event-stream"


@dataclass(frozen=True, slots=True)
class ServerTrace:
    """What the emulator says of a response in `X-Localpop-Trace`; absent on real CloudFront."""

    trace_id: str | None = None
    simulated_ms: float | None = None
    overhead_ms: float | None = None
    late_ms: float | None = None
    parts_ms: Mapping[str, float] | None = None


def parse_trace(header: str | None) -> ServerTrace:
    """Read `<id>; place=NRT/fibre; simulated_ms=7.41; …; parts=viewer:7.10,function:0.31`.

    Unknown fields are passed over and unreadable numbers count as absent: a load test must not
    end because a server says more, or less, than it used to.
    """
    if not header:
        return ServerTrace()
    trace_id, *pairs = (part.strip() for part in header.split(";"))
    values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return ServerTrace(
        trace_id=trace_id or None,
        simulated_ms=_milliseconds(values.get("simulated_ms")),
        overhead_ms=_milliseconds(values.get("overhead_ms")),
        late_ms=_milliseconds(values.get("late_ms")),
        parts_ms=_parts(values.get("parts")),
    )


def parse_server_timing(header: str | None) -> Mapping[str, float]:
    """The durations of a `Server-Timing` header (W3C "Server Timing"), such as `model;dur=612`.

    CloudFront writes entries of its own (`cdn-…`) where a response headers policy wants it; those
    are left out, for they are not parts of one sum.
    """
    found = {}
    for entry in (header or "").split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            ms = _milliseconds(value.strip().strip('"')) if key.strip().lower() == "dur" else None
            if name and ms is not None and not name.startswith("cdn-"):
                found[name] = ms
    return found


def is_expired(expires: str | None, date: str | None, *, now_s: float) -> bool | None:
    """Whether an answer was past its time when it was served.

    Args:
        expires: The response's `X-Answer-Expires`, an HTTP date.
        date: Its `Date`, so that the server's own clock decides where it is told.
        now_s: This machine's time in epoch seconds, for a response without one.

    Returns:
        None when the answer does not say when it expires, or says it unreadably.
    """
    expires_s = _http_date_s(expires)
    if expires_s is None:
        return None
    served_s = _http_date_s(date)
    return expires_s < (math.floor(now_s) if served_s is None else served_s)


def join_parts(trace: ServerTrace, timing: Mapping[str, float]) -> Mapping[str, float] | None:
    """Where a response's milliseconds to the first byte went; they add up to `simulated_ms`.

    What the servers behind the edge say of themselves in `Server-Timing` is taken out of the part
    that waited for them: `store` out of `function`, `model` out of `origin`.
    """
    if trace.parts_ms is None:
        return None
    parts = dict(trace.parts_ms)
    for name, within in (("store", "function"), ("model", "origin")):
        inner_ms = min(timing.get(name, 0.0), parts.get(within, 0.0))
        if inner_ms > 0:
            parts[within] -= inner_ms
            parts[name] = parts.get(name, 0.0) + inner_ms
    return parts


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    Every `_ms` that the load generator measured counts from the *intended* start, so waiting in
    a lagging generator or behind a frozen server is part of it.

    Attributes:
        intended_s: When the request was meant to start, seconds after the start of the run.
        lag_ms: By how much the generator started it too late.
        place: Where the viewer is, as `NRT/fibre`.
        path: Which way the answer came.
        target: The URL's path that was asked for.
        status: HTTP status; 0 when there was no response.
        error: What went wrong, or None. A stream that broke off keeps its path and has an error.
        ttfb_ms: Until the response's headers were here; None when they never came.
        first_token_ms: Until the first piece of text was here: the first event of a stream, else
            the whole answer, because half a JSON document cannot be read.
        total_ms: Until the answer was whole, or until the request was given up.
        bytes: Length of the body.
        simulated_ms: The emulator's simulated time to first byte.
        overhead_ms: The emulator's own work until the first byte.
        late_ms: By how much the emulator's first byte missed the simulated time.
        trace_id: The emulator's name for this request.
        parts_ms: What the simulated time to first byte was spent on, by component (`PARTS`); adds
            up to `simulated_ms`. None on real CloudFront.
        worker: Which process of a run in several asked; 0 with one.
        is_new_connection: Whether the viewer came on a connection of their own, as a profile's
            `new-connection-share` asks for.
        viewer: Whose question it was; empty in files of older runs.
        is_stale: Whether the answer was past its own `X-Answer-Expires`; None when it does not
            say when it expires.
    """

    intended_s: float
    lag_ms: float
    place: str
    path: DeliveryPath
    target: str
    status: int
    error: str | None
    ttfb_ms: float | None
    first_token_ms: float | None
    total_ms: float
    bytes: int
    simulated_ms: float | None = None
    overhead_ms: float | None = None
    late_ms: float | None = None
    trace_id: str | None = None
    parts_ms: Mapping[str, float] | None = None
    worker: int = 0
    is_new_connection: bool = False
    viewer: str = ""
    is_stale: bool | None = None

    @property
    def is_timeout(self) -> bool:
        """Whether nobody answered in time: the viewer gave up, or CloudFront did (504)."""
        return self.status == 504 or (self.error or "").startswith(TIMED_OUT)

    @property
    def is_good(self) -> bool:
        """Whether the viewer got a whole answer."""
        return self.error is None and self.path is not DeliveryPath.ERROR


@dataclass(frozen=True, slots=True)
class Recording:
    """A samples file in memory: the run's own facts, its samples, and how it ended."""

    run: Mapping[str, Any]
    samples: tuple[Sample, ...]
    end: Mapping[str, Any]


class SampleWriter:
    """Appends to a samples file, a line at a time, so that others can read along."""

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("w", encoding="utf-8", buffering=1)
        self._write({"run": dict(run)})

    def add(self, sample: Sample) -> None:
        """Append one sample."""
        self.add_line(sample_line(sample))

    def add_line(self, line: str) -> None:
        """Append one sample as `sample_line` made it, perhaps in another process."""
        self._file.write(line + "\n")

    def close(self, end: Mapping[str, Any]) -> None:
        """Append how the run ended, and close the file. A second call does nothing."""
        if not self._file.closed:
            self._write({"end": dict(end)})
            self._file.close()

    def _write(self, record: Mapping[str, Any]) -> None:
        self._file.write(_line(record) + "\n")


def sample_line(sample: Sample) -> str:
    """One sample as a line of a samples file."""
    return _line({name: _short(value) for name, value in asdict(sample).items()})


def read_recording(path: Path) -> Recording:
    """Read a samples file.

    Raises:
        BadInputError: It cannot be read, or a line of it is not what `SampleWriter` writes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: the samples file cannot be read ({error}).") from error
    run: Mapping[str, Any] = {}
    end: Mapping[str, Any] = {}
    samples = []
    for number, record in enumerate(_records(path, text.splitlines()), start=1):
        if "run" in record:
            run = record["run"]
        elif "end" in record:
            end = record["end"]
        else:
            samples.append(_sample(path, number, record))
    return Recording(run, tuple(samples), end)


def parse_sample(record: Mapping[str, Any]) -> Sample:
    """Turn one line's object back into a Sample.

    Raises:
        ValueError: A field is missing, unknown, or out of its range.
        TypeError: A field has the wrong type.
    """
    unknown = record.keys() - _FIELDS
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    return Sample(**{**record, "path": DeliveryPath(record.get("path", ""))})


_FIELDS = {field.name for field in fields(Sample)}


def _records(path: Path, lines: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise BadInputError(f"{path}, line {number}: not JSON ({error}).") from error
        if not isinstance(record, dict):
            raise BadInputError(f"{path}, line {number}: expected an object, found {line[:40]!r}.")
        yield record


def _sample(path: Path, number: int, record: Mapping[str, Any]) -> Sample:
    try:
        return parse_sample(record)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"{path}, line {number}: not a sample ({error}). "
            "Give a file that a load run wrote with --samples."
        ) from error


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


def _parts(text: str | None) -> Mapping[str, float] | None:
    pairs = (pair.partition(":") for pair in (text or "").split(",") if pair)
    parts = {name: ms for name, _, value in pairs if (ms := _milliseconds(value)) is not None}
    return parts or None


def _http_date_s(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None


def _milliseconds(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    # NaN and infinities would poison every percentile they came near.
    return value if value is not None and abs(value) < 1e12 else None


def _short(value: Any) -> Any:
    # A microsecond is finer than any clock here can tell, and a tenth of the bytes.
    if isinstance(value, Mapping):
        return {name: _short(inner) for name, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value
