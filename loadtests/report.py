"""`report/index.html`: one page that stands alone, no script, no font, no request to anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from loadtests.charts import LogAxis, chart, grid, histogram, marker, ring, scale, span, stacked
from loadtests.comparison import Judgement
from loadtests.cost import Cost, cost_document
from loadtests.cost_page import cost_section
from loadtests.exports import markdown, results_csv, samples_csv
from loadtests.history import counted
from loadtests.judgement_page import (
    judgement_document,
    judgement_sections,
    mean_parts,
    parts_section,
)
from loadtests.over_time import over_time_section
from loadtests.predictions import Comparison, Predictions, compare, comparison_document
from loadtests.samples import FALLBACKS, HITS, DeliveryPath, Recording
from loadtests.summary import (
    Breakdown,
    Row,
    Spread,
    Summary,
    as_document,
    good_values,
    summarize,
)
from loadtests.table import duration, figure, is_marked, notes, times
from loadtests.world_map import map_section

_CSS = Path(__file__).with_name("report.css")

_LANE_PX = 15
_DASH = "–"


def write_report(
    recording: Recording,
    folder: Path,
    predictions: Predictions | None = None,
    judgement: Judgement | None = None,
    cost: Cost | None = None,
) -> tuple[Summary, tuple[Comparison, ...]]:
    """Write the page, `results.json`, the CSV files and `report.md` into a folder."""
    summary = summarize(recording)
    compared = tuple(compare(summary.cells, predictions or {}))
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        **as_document(summary),
        "predictions": comparison_document(compared),
        "parts": mean_parts(counted(recording)),
        "judgement": judgement_document(judgement),
        "cost": cost and cost_document(cost),
    }
    document = json.dumps(figures, indent=2, allow_nan=False)
    (folder / "results.json").write_text(document + "\n", encoding="utf-8")
    text = page(summary, recording, compared, judgement, cost)
    (folder / "index.html").write_text(text, encoding="utf-8")
    (folder / "samples.csv").write_text(samples_csv(recording), encoding="utf-8")
    (folder / "results.csv").write_text(results_csv(summary), encoding="utf-8")
    (folder / "report.md").write_text(markdown(summary, judgement, cost), encoding="utf-8")
    return summary, compared


def page(
    summary: Summary,
    recording: Recording,
    compared: Sequence[Comparison] = (),
    judgement: Judgement | None = None,
    cost: Cost | None = None,
) -> str:
    """The whole page, as HTML."""
    parts = (
        _opening(summary),
        _distributions(summary, recording),
        map_section(counted(recording)),
        _places(summary),
        over_time_section(recording.samples, float(recording.run.get("warmup_s", 0.0))),
        parts_section(counted(recording)),
        _breakdowns(summary),
        judgement_sections(judgement),
        cost_section(cost) if cost else "",
        _table(summary),
        _predictions(compared),
        _facts(summary),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(_title(summary))}</title>\n"
        f"<style>\n{_CSS.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(map(_reachable, filter(None, parts)))
        + "\n</main>\n</body>\n</html>\n"
    )


def _reachable(html: str) -> str:
    """What scrolls can be scrolled by keyboard, too."""
    return html.replace(
        '<div class="scroll">', '<div class="scroll" tabindex="0" role="region" aria-label="table">'
    )


def _title(summary: Summary) -> str:
    headline = summary.headline
    if headline is None:
        return "Load test"
    return f"Load test: the edge is {times(headline.times_faster)} times faster"


def _opening(summary: Summary) -> str:
    generator, run = summary.generator, summary.run
    void = ""
    if generator.void:
        void = (
            f'<p class="void" role="alert">This run is void: {escape(generator.void_reason)}. '
            "Do not use these figures.</p>"
        )
    kind = "Latency is simulated" if _is_simulated(summary) else "Measured"
    if summary.requests == summary.errors:
        kind = "Nothing answered"
    started = str(run.get("started", "")).replace("T", " ").replace("+00:00", " UTC")
    return (
        f'<header>{void}<p class="eyebrow"><span class="badge">{kind}</span>'
        f"{escape(str(run.get('host', '')))} · {escape(started)}</p>"
        f"{_headline(summary)}{_shares(summary)}{_tiles(summary)}</header>"
    )


def _headline(summary: Summary) -> str:
    headline = summary.headline
    if headline is None:
        return (
            "<h1>No comparison</h1><p class='lede'>It takes answers from the edge and from the "
            "fallback; this run has only one of them.</p>"
        )
    hit, fallback = headline.hit, headline.fallback
    first = fallback.first_token_p50_ms
    streamed = f", or {duration(first)} for its first words when streamed" if first else ""
    return (
        f"<h1><em>{times(headline.times_faster)}×</em> faster <small>for {hit.share:.0%} of "
        f"requests</small></h1>"
        f'<p class="lede">{_whom(summary)}: {hit.requests:,} of {summary.requests:,} answers '
        f"came from the edge, in <b>{duration(hit.whole_p50_ms)}</b> at the median. Another "
        f"{fallback.requests:,} fell back to the model and waited "
        f"<b>{duration(fallback.whole_p50_ms)}</b> for the whole answer{streamed}.</p>"
    )


def _whom(summary: Summary) -> str:
    """For whom: how many viewers, at how many places."""
    viewers = summary.run.get("viewers")
    places = {row.place for row in summary.cells if row.place}
    where = f"{len(places)} place{'s' if len(places) != 1 else ''}"
    return f"{viewers:,} viewers at {where}" if isinstance(viewers, int) else f"Viewers at {where}"


def _shares(summary: Summary) -> str:
    parts = [
        (row.requests, row.path.value, f"{row.path.label}: {row.requests} requests")
        for row in summary.paths
    ]
    return f'<div class="share">{chart(stacked(parts, 10), 10, "Shares of the paths")}</div>'


def _tiles(summary: Summary) -> str:
    ratios = summary.headline.times_faster_by_path if summary.headline else {}
    return (
        f'<div class="tiles">{"".join(_tile(row, summary, ratios) for row in summary.paths)}</div>'
    )


def _tile(row: Row, summary: Summary, ratios: Mapping[DeliveryPath, float]) -> str:
    if row.path in ratios:
        remark = f"{times(ratios[row.path])} times faster"
    elif row.path is DeliveryPath.FALLBACK_STREAMED and row.first_token_ms:
        remark = f"first words after {duration(row.first_token_ms.p50)}"
    else:
        remark = "nothing until it is whole" if row.path in FALLBACKS else "not an answer"
    value = duration(row.whole_ms.p50) if row.whole_ms else f"{row.requests}"
    share = row.requests / summary.requests
    return (
        f'<div class="tile {row.path}"><h3>{row.path.label}</h3><b>{value}</b>'
        f'<div class="soft">{remark}<br>{share:.0%} of requests</div></div>'
    )


def _distributions(summary: Summary, recording: Recording) -> str:
    warmup_s = float(recording.run.get("warmup_s", 0.0))
    counted = [sample for sample in recording.samples if sample.intended_s >= warmup_s]
    values = {
        row.path: good_values((s for s in counted if s.path is row.path), "total_ms")
        for row in summary.paths
    }
    axis = LogAxis.around(value for path in values.values() for value in path)
    rows = "".join(
        _distribution(axis, row, row.whole_ms, values[row.path])
        for row in summary.paths
        if row.whole_ms
    )
    if not rows:
        return ""
    return _section(
        "How long viewers waited for the whole answer",
        "Every answer, on a logarithmic axis: each step to the right is ten times as long. Bars "
        "are as high as the fullest one of their row; lines mark p50, p95 and p99 (dashed).",
        rows + _axis_row(axis) + _intervals(summary),
    )


def _intervals(summary: Summary) -> str:
    """The figures of the distributions as a table, with their confidence intervals."""
    body = "".join(
        f"<tr><td>{row.path.label}</td><td>{name}</td><td>{duration(getattr(row.whole_ms, name))}"
        f"</td><td>{_ends(getattr(row.whole_ci95_ms, name))}</td>"
        f"<td>{_ends(getattr(row.whole_bootstrap95_ms, name))}</td></tr>"
        for row in summary.paths
        if row.whole_ms
        for name in ("p50", "p95", "p99")
    )
    return (
        "<details><summary>As a table, with 95 % confidence intervals</summary>"
        '<div class="scroll"><table><thead><tr><th>path</th><th></th><th>whole answer</th>'
        "<th>order statistics</th><th>bootstrap</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _ends(ends: tuple[float | None, float | None]) -> str:
    low, high = ("open" if end is None else duration(end) for end in ends)
    return f"{low} to {high}"


def _distribution(axis: LogAxis, row: Row, whole: Spread, values: Sequence[float]) -> str:
    marks = "".join(
        marker(axis, value, name, f"{name} {duration(value)}")
        for name, value in (("p50", whole.p50), ("p95", whole.p95), ("p99", whole.p99))
    )
    label = f"{row.path.label}: p50 {duration(whole.p50)}, p99 {duration(whole.p99)}"
    picture = chart(histogram(axis, values, row.path.value) + marks, 64, label)
    return _row(
        row.path.label,
        f"{len(values)} answers",
        picture,
        f"<b>{duration(whole.p50)}</b> p50<br>{duration(whole.p95)} p95 · "
        f"{duration(whole.p99)} p99",
    )


def _places(summary: Summary) -> str:
    cells = [row for row in summary.cells if row.whole_ms]
    if not cells:
        return ""
    axis = LogAxis.around(
        value for row in cells if row.whole_ms for value in (_lowest(row), row.whole_ms.p99)
    )
    by_place = {
        place: [row for row in cells if row.place == place]
        for place in sorted({row.place or "" for row in cells})
    }
    paths = [row.path for row in summary.paths if row.whole_ms]
    return _section(
        "Place by place",
        "For viewers at each point of presence, by access type: the dot is the median of the "
        "whole answer, the bar reaches to p95, the thin line to p99.",
        _legend(paths)
        + "".join(_place(axis, place, rows, paths) for place, rows in by_place.items())
        + _axis_row(axis),
    )


def _place(axis: LogAxis, place: str, rows: Sequence[Row], paths: Sequence[DeliveryPath]) -> str:
    height = _LANE_PX * len(paths) + 4
    shapes = [grid(axis)]
    for row in rows:
        if row.whole_ms:
            y = _LANE_PX * (paths.index(row.path) + 0.5) + 2
            shapes.append(_lane(axis, row, row.whole_ms, y))
    name, _, access = place.partition("/")
    return _row(
        name, escape(access), chart("".join(shapes), height, f"Latency at {place}"), _gap(rows)
    )


def _lane(axis: LogAxis, row: Row, whole: Spread, y: float) -> str:
    few = ", few answers" if row.few else ""
    title = (
        f"{row.path.label} at {row.place}: p50 {duration(whole.p50)}, p95 {duration(whole.p95)}, "
        f"p99 {duration(whole.p99)}, {row.requests} requests{few}"
    )
    lane = span(axis, whole.p50, whole.p95, whole.p99, y, row.path.value, title)
    if row.path is DeliveryPath.FALLBACK_STREAMED and row.first_token_ms:
        first = row.first_token_ms.p50
        lane += ring(axis, first, y, row.path.value, f"first words after {duration(first)}")
    return lane


def _gap(rows: Sequence[Row]) -> str:
    """The best hit's median against the best fallback's."""
    hits = [row.whole_ms.p50 for row in rows if row.path in HITS and row.whole_ms]
    fallbacks = [row.whole_ms.p50 for row in rows if row.path in FALLBACKS and row.whole_ms]
    if not hits or not fallbacks:
        return ""
    hit, fallback = min(hits), min(fallbacks)
    return (
        f"<b>{duration(hit)}</b> against {duration(fallback)}<br>"
        f"{times(fallback / max(hit, 0.001))} times faster"
    )


def _legend(paths: Sequence[DeliveryPath]) -> str:
    items = [f'<li class="{path}"><i></i>{path.label}</li>' for path in paths]
    if DeliveryPath.FALLBACK_STREAMED in paths:
        items.append(
            f'<li class="{DeliveryPath.FALLBACK_STREAMED}"><i class="hollow"></i>'
            "its first words, median</li>"
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


_PARTS = (
    ("part-simulated", "simulated, to the first byte (waiting for the origin is real)"),
    ("part-late", "emulator late"),
    ("part-generator", "load generator and loopback"),
    ("part-body", "rest of the answer"),
)


def _breakdowns(summary: Summary) -> str:
    rows = "".join(_breakdown(row, row.mean) for row in summary.paths if row.mean)
    if not rows:
        return ""
    legend = [*_PARTS, ("part-overhead", "emulator's own work, hidden inside the simulated time")]
    items = "".join(
        f'<li class="{part}"><i class="square"></i>{text}</li>' for part, text in legend
    )
    return _section(
        "Where the milliseconds went",
        "The mean answer of each path, as shares of its whole time. The thin bar below is the "
        "simulated time alone, with the part of it in which the emulator itself was busy: a "
        "first byte leaves when its simulated time is up, so that work costs the viewer nothing "
        "as long as it fits.",
        f'<ul class="legend">{items}</ul>{rows}',
    )


def _breakdown(row: Row, mean: Breakdown) -> str:
    sizes = (mean.simulated_ms, mean.late_ms, mean.generator_ms, mean.body_ms)
    parts = [
        (size, css_class, f"{text}: {duration(size)}")
        for size, (css_class, text) in zip(sizes, _PARTS, strict=True)
    ]
    label = f"{row.path.label}: {duration(mean.simulated_ms)} simulated"
    bars = chart(stacked(parts, 22), 22, label)
    overhead = ""
    if row.overhead_ms:
        busy = min(row.overhead_ms.p50, mean.simulated_ms)
        share = mean.simulated_ms / (sum(sizes) or 1)
        inside = [
            (busy, "part-overhead", f"emulator's own work, median: {duration(busy)}"),
            (mean.simulated_ms - busy, "part-rest", "the rest of the simulated time"),
        ]
        thin = chart(stacked(inside, 6), 6, f"{duration(busy)} of it the emulator's own work")
        bars += f'<div style="width:{100 * share:.2f}%;margin-top:3px">{thin}</div>'
        overhead = f"<br>{duration(row.overhead_ms.p50)} emulator's own work"
    return _row(
        row.path.label,
        f"{duration(sum(sizes))} on average",
        f'<div class="bars">{bars}</div>',
        f"<b>{duration(mean.simulated_ms)}</b> simulated{overhead}",
    )


def _table(summary: Summary) -> str:
    totals = {row.path: row for row in summary.paths}
    body = []
    for path, cells in groupby(summary.cells, key=lambda row: row.path):
        rows = list(cells)
        body.append(
            f'<tr><th class="{path}" colspan="19"><i></i>{path.label}</th></tr>'
            + "".join(_table_row(row, row.place or "", "") for row in rows)
        )
        if len(rows) > 1:
            body.append(_table_row(totals[path], "all places", "total"))
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes(summary))
    groups = ("simulated ms", "first byte ms", "first words ms", "whole answer ms")
    percentiles = '<th class="gap">p50</th><th>p95</th><th>p99</th>'
    return _section(
        "All figures",
        "Simulated times and overhead are the emulator's own account of each response; the others "
        "are measured by the load generator from the moment each request was meant to start.",
        '<div class="scroll"><table><thead><tr><th></th><th colspan="2"></th>'
        + "".join(f'<th colspan="3">{group}</th>' for group in groups)
        + '<th colspan="2">overhead ms</th><th></th></tr>'
        + f"<tr><th>place</th><th>requests</th><th>errors</th>{percentiles * len(groups)}"
        + '<th class="gap">p50</th><th>p99</th><th>late</th></tr></thead>'
        + f"<tbody>{''.join(body)}</tbody></table></div>"
        + f'<ul class="notes">{remarks}</ul>',
    )


def _table_row(row: Row, place: str, css_class: str) -> str:
    spreads = (row.simulated_ms, row.first_byte_ms, row.first_token_ms, row.whole_ms)
    overhead = row.overhead_ms
    cost = _cells((overhead.p50, overhead.p99) if overhead else (None, None))
    mark = "*" if is_marked(row) else ""
    classes = f"{css_class} {'few' if mark else ''}".strip()
    return (
        f'<tr class="{classes}"><td>{escape(place)}{mark}</td><td>{row.requests}</td>'
        f"<td>{row.errors}</td>"
        + "".join(_cells((s.p50, s.p95, s.p99) if s else (None, None, None)) for s in spreads)
        + f"{cost}<td>{row.late if overhead else _DASH}</td></tr>"
    )


def _cells(values: Sequence[float | None]) -> str:
    texts = [_DASH if value is None else figure(value) for value in values]
    return f'<td class="gap">{texts[0]}</td>' + "".join(f"<td>{text}</td>" for text in texts[1:])


def _predictions(compared: Sequence[Comparison]) -> str:
    if not compared:
        return ""
    body = []
    for path, rows in groupby(compared, key=lambda one: one.path):
        body.append(f'<tr><th class="{path}" colspan="6"><i></i>{path.label}</th></tr>')
        body += [_prediction(one) for one in rows]
    return _section(
        "What the latency model expected",
        "First byte, median, in ms. Predicted: computed before the run, from the published tables "
        "and the load's own mix. Measured: what viewers saw. The differences are the handler's and "
        "the model's real time, the load generator, and chance where answers are few (*).",
        '<div class="scroll"><table><thead><tr><th>place</th><th>predicted</th><th>simulated</th>'
        "<th>measured</th><th>difference</th><th></th></tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>",
    )


def _prediction(one: Comparison) -> str:
    simulated = _DASH if one.simulated is None else figure(one.simulated.p50)
    return (
        f'<tr class="{"few" if one.few else ""}"><td>{escape(one.place)}{"*" if one.few else ""}'
        f"</td><td>{figure(one.predicted.p50)}</td><td>{simulated}</td>"
        f"<td>{figure(one.measured.p50)}</td><td>{one.difference_ms:+.1f}</td>"
        f"<td>{one.difference_share:+.0%}</td></tr>"
    )


def _facts(summary: Summary) -> str:
    items = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in _fact_list(summary)
    )
    pairs = items.replace("<dt>", "<div><dt>").replace("</dd>", "</dd></div>")
    return _section(
        "The run",
        f"{_loop(summary)} Percentiles are exact, each one a latency that somebody had; the "
        "warm-up is left out.",
        f"<dl>{pairs}</dl>",
    )


def _loop(summary: Summary) -> str:
    if summary.run.get("closed_loop"):
        return (
            "Closed loop: each viewer waits for an answer before asking again, so while a server "
            "stalls nobody asks, and the percentiles hardly notice."
        )
    return (
        "Open loop: viewers come on a seeded schedule and wait for nobody, so a server that stalls "
        "is seen by everyone who came meanwhile."
    )


def _fact_list(summary: Summary) -> Iterator[tuple[str, str]]:
    run, generator = summary.run, summary.generator
    late = sum(row.late for row in summary.paths)
    yield "server", str(run.get("host", _DASH))
    yield "arrivals", f"{run.get('rate_per_s', _DASH)} per second, {run.get('arrivals', _DASH)}"
    yield (
        "length",
        f"{run.get('run_time_s', _DASH)} s, the first {run.get('warmup_s', 0)} s warm-up",
    )
    yield "seed", str(run.get("seed", _DASH))
    yield "viewers", str(run.get("viewers", _DASH))
    if run.get("profile"):
        yield "profile", str(run["profile"])
    if run.get("closed_loop"):
        yield "closed loop of", str(run["closed_loop"])
    if run.get("workers"):
        yield "load from", f"{run['workers']} process{'es' if run['workers'] != 1 else ''}"
    yield "places", ", ".join(map(str, run.get("places", ())))
    yield "requests counted", f"{summary.requests} ({generator.arrivals} with the warm-up)"
    yield "errors", f"{summary.errors} ({summary.error_share:.2%})"
    yield (
        "generator's own lag",
        f"p50 {figure(generator.lag_p50_ms)}, p99 {figure(generator.lag_p99_ms)}, max "
        f"{figure(generator.lag_max_ms)} ms",
    )
    if _is_simulated(summary):
        yield "first bytes late by over 1 ms", f"{late} of {summary.requests}"
    if summary.headline:
        yield (
            "hit against fallback",
            f"Cliff's delta {summary.headline.cliffs_delta:.3f}, Mann-Whitney p "
            f"{summary.headline.mann_whitney_p:.1g}",
        )
    if generator.unfinished or generator.stopped_early:
        early = "stopped early, " if generator.stopped_early else ""
        yield "end", f"{early}{generator.unfinished} requests given up"


def _is_simulated(summary: Summary) -> bool:
    return any(row.simulated_ms for row in summary.paths)


def _lowest(row: Row) -> float:
    whole = row.whole_ms.p50 if row.whole_ms else 0.001
    return min(whole, row.first_token_ms.p50) if row.first_token_ms else whole


def _axis_row(axis: LogAxis) -> str:
    return f'<div class="row axis"><div></div>{scale(axis)}<div></div></div>'


def _row(heading: str, below: str, picture: str, figures: str) -> str:
    return (
        f'<div class="row"><div><h3>{escape(heading)}</h3><div>{below}</div></div>{picture}'
        f'<div class="figures">{figures}</div></div>'
    )


def _section(heading: str, text: str, content: str) -> str:
    return f"<section><h2>{heading}</h2><p>{text}</p>{content}</section>"
