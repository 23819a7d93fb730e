"""The dashboard's pages, server-rendered, without a build step."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from string import Template
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from emulator.values.function_logs import FunctionLogLine
from emulator.values.trace import Stage, Trace

_LIST_LENGTH: Final = 100
_LINES: Final = 1_000


class TraceSource(Protocol):
    """What the dashboard reads: the edge."""

    def trace(self, trace_id: str) -> Trace | None:
        """One trace."""
        ...

    def latest_traces(self, count: int) -> list[Trace]:
        """The newest traces, newest first."""
        ...


class LogSource(Protocol):
    """What functions wrote."""

    def lines(
        self, *, after: int, count: int, function: str = ""
    ) -> Sequence[tuple[int, FunctionLogLine]]:
        """Numbered lines, oldest first: the newest `count` of those behind `after`."""
        ...


def create_dashboard(source: TraceSource, logs: LogSource) -> Starlette:
    """The dashboard over one edge's traces, and over what its functions wrote."""
    page = Template(files("emulator.dashboard").joinpath("page.html").read_text(encoding="utf-8"))

    def show(title: str, body: str, *, refresh: bool) -> HTMLResponse:
        head = '<meta http-equiv="refresh" content="2">' if refresh else ""
        return HTMLResponse(page.substitute(title=html.escape(title), head=head, body=body))

    async def index(request: Request) -> Response:
        return show("Latest requests", _list(source.latest_traces(_LIST_LENGTH)), refresh=True)

    async def index_json(request: Request) -> Response:
        try:
            count = int(request.query_params.get("count", _LIST_LENGTH))
        except ValueError:
            return JSONResponse({"error": "count must be a whole number"}, 400)
        return JSONResponse([asdict(trace) for trace in source.latest_traces(count)])

    async def logs_json(request: Request) -> Response:
        query = request.query_params
        try:
            after, count = int(query.get("after", 0)), int(query.get("count", _LINES))
        except ValueError:
            return JSONResponse({"error": "after and count must be whole numbers"}, 400)
        lines = logs.lines(after=after, count=count, function=query.get("function", ""))
        return JSONResponse([{"number": number, **asdict(line)} for number, line in lines])

    async def one(request: Request) -> Response:
        trace_id = request.path_params["trace_id"]
        trace = source.trace(trace_id)
        if trace is None:
            return HTMLResponse(f"no trace {html.escape(trace_id)}", 404)
        return show(f"Trace {trace.id}", _detail(trace), refresh=False)

    async def one_json(request: Request) -> Response:
        trace_id = request.path_params["trace_id"]
        trace = source.trace(trace_id)
        if trace is None:
            mend = "The latest 10,000 are kept; X-Localpop-Trace of a response begins with its id."
            return JSONResponse({"error": f"no trace {trace_id}", "mend": mend}, 404)
        return JSONResponse(asdict(trace))

    return Starlette(
        routes=[
            Route("/", index),
            Route("/traces.json", index_json),
            Route("/logs.json", logs_json),
            Route("/traces/{trace_id}.json", one_json),
            Route("/traces/{trace_id}", one),
        ]
    )


def _list(traces: Sequence[Trace]) -> str:
    if not traces:
        return '<p class="empty">No request yet. Try <code>curl -i localhost:8080</code></p>'
    head = (
        "<tr><th>time</th><th>viewer</th><th>edge server</th><th>request</th><th>status</th>"
        "<th>X-Cache</th><th class=n>simulated ms</th><th class=n>overhead ms</th>"
        "<th class=n>late ms</th></tr>"
    )
    return f"<table>{head}{''.join(_row(trace) for trace in traces)}</table>"


def _row(trace: Trace) -> str:
    at = datetime.fromtimestamp(trace.started_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    request = html.escape(f"{trace.method} {trace.target}"[:80])
    late = f"{trace.late_ms:.2f}" if trace.late_ms >= 0.005 else ""
    return (
        f'<tr class="{_tone(trace)}"><td>{at}</td><td>{trace.place}</td><td>{trace.pop}</td>'
        f'<td><a href="/traces/{trace.id}">{request}</a></td><td>{trace.status}</td>'
        f"<td>{html.escape(trace.x_cache)}</td><td class=n>{trace.simulated_ms:.2f}</td>"
        f"<td class=n>{trace.overhead_ms:.2f}</td><td class=n>{late}</td></tr>"
    )


def _tone(trace: Trace) -> str:
    if trace.status >= 400:
        return "error"
    return "hit" if "Generated" in trace.x_cache or "Hit" in trace.x_cache else "miss"


def _detail(trace: Trace) -> str:
    facts = (
        ("request", f"{trace.method} {trace.target}"),
        ("viewer", f"{trace.place}, served by {trace.pop}"),
        ("answer", f"{trace.status}, X-Cache: {trace.x_cache} from cloudfront"),
        ("X-Amz-Cf-Id", trace.request_id),
        ("first byte", f"{trace.simulated_ms:.2f} ms simulated"),
        ("overhead", f"{trace.overhead_ms:.2f} ms of the emulator's own work"),
        ("late", f"{trace.late_ms:.2f} ms"),
        ("whole answer", f"{trace.total_ms:.2f} ms, {trace.body_bytes} bytes"),
    )
    lines = "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)
    failure = f'<p class="failure">{html.escape(trace.failure)}</p>' if trace.failure else ""
    logs = (
        f"<h2>Function log</h2><pre>{html.escape(chr(10).join(trace.logs))}</pre>"
        if trace.logs
        else ""
    )
    return f"<dl>{lines}</dl>{failure}<h2>Stages</h2>{_stages(trace)}{logs}"


def _stages(trace: Trace) -> str:
    """A waterfall: each bar begins where the one before it ended, in simulated time."""
    whole = max(trace.simulated_ms, 0.001)
    rows, start = [], 0.0
    for stage in trace.stages:
        rows.append(_stage(stage, start, whole))
        start += stage.simulated_ms
    return (
        "<table class=stages><tr><th>stage</th><th>outcome</th><th class=n>simulated ms</th>"
        f"<th class=n>real ms</th><th class=bar></th></tr>{''.join(rows)}</table>"
    )


def _stage(stage: Stage, start_ms: float, whole_ms: float) -> str:
    left, width = 100 * start_ms / whole_ms, max(0.4, 100 * stage.simulated_ms / whole_ms)
    return (
        f"<tr><td>{html.escape(stage.name)}</td><td>{html.escape(stage.detail)}</td>"
        f"<td class=n>{stage.simulated_ms:.2f}</td><td class=n>{stage.real_ms:.2f}</td>"
        f'<td class=bar><i style="margin-left:{left:.2f}%;width:{width:.2f}%"></i></td></tr>'
    )
