"""The report's section on cost: what an answer costs, whether it pays, when to turn back."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from loadtests.charts import chart, stacked
from loadtests.cost import Capacity, Cost, State, Trigger, capacity_line, per_million, usd
from loadtests.samples import HITS

_DASH = "–"
_STATE = {
    State.CLEAR: ("met", "clear"),
    State.PULLED: ("missed", "turn back"),
    State.UNKNOWN: ("unknown", "not known"),
}


def cost_section(cost: Cost) -> str:
    """Bill, break-even, reversal triggers and capacity."""
    assumed = cost.assumptions
    return (
        '<section id="cost"><h2>What it costs</h2>'
        f"<p>At AWS, for a million answers, with prices of {escape(cost.prices.dated)} for "
        f"{escape(cost.prices.region)} without the free tier, and {escape(assumed.model)} at "
        f"{assumed.input_tokens:g} tokens in and {assumed.output_tokens:g} out. Sizes and waiting "
        "times are this run's own.</p>"
        f'<div class="tiles">{"".join(_tiles(cost))}</div>'
        f'<p class="verdict">{_pays(cost)}</p>{_bill(cost)}'
        "<h3>When to turn back</h3>"
        f'<div class="triggers">{"".join(map(_trigger, cost.triggers))}</div>'
        f"{_capacity(cost.capacity) if cost.capacity else ''}</section>"
    )


def cost_lines(cost: Cost) -> Iterator[str]:
    """The same for the terminal, in 100 columns."""
    hits = ", ".join(
        f"{per_million(one.each_usd)} {one.path.label}" for one in cost.paths if one.path in HITS
    )
    yield f"cost of a million answers ({cost.assumptions.model}, prices of {cost.prices.dated}):"
    yield f"  {hits or 'no hits'}"
    yield (
        f"  fallback {per_million(cost.units.fallback)}, made ahead of time "
        f"{per_million(cost.units.precomputed)}; pays from {_uses(cost)} uses of an answer"
    )
    if cost.wasted is not None:
        yield (
            f"  generated {cost.generated:,}, served {cost.served:,}, wasted {cost.wasted:,}"
            f" ({_share(cost.wasted, cost.generated):.0%})"
        )
    for trigger in cost.triggers:
        if trigger.state is State.PULLED:
            yield f"  turn back: {trigger.name}: {trigger.value}"
    if cost.capacity is not None:
        first, _, second = capacity_line(cost.capacity).partition("; ")
        yield f"  capacity: {first};"
        yield f"    {second}"


def _tiles(cost: Cost) -> Iterator[str]:
    units, capacity = cost.units, cost.capacity
    served_by = [one.path for one in cost.paths if one.path in HITS] or [cost.serve]
    for path in served_by:
        is_dear = units.of(path) >= units.fallback
        remark = "dearer than a fallback" if is_dear else "no model, no origin"
        yield _tile(path.value, path.label, per_million(units.of(path)), remark)
    share = units.model / units.fallback if units.fallback else 0.0
    yield _tile(
        "fallback-buffered",
        "A fallback",
        per_million(units.fallback),
        f"{share:.0%} of it for the model",
    )
    where = "key value store" if cost.assumptions.storage == "kvs" else "S3"
    yield _tile(
        "cache",
        "An answer made ahead of time",
        per_million(units.precomputed),
        f"once: {per_million(units.batch)} batch, {per_million(units.storage)} into the {where}",
    )
    if cost.generated is not None and cost.wasted is not None:
        yield _tile(
            "error",
            "Wasted generations",
            f"{_share(cost.wasted, cost.generated):.0%}",
            f"{cost.wasted:,} of {cost.generated:,} were never served",
        )
    elif capacity is not None:
        served = _DASH if cost.served is None else f"{cost.served:,}"
        yield _tile(
            "error",
            "Different answers served",
            served,
            "--generated N tells how many were made in vain",
        )


def _tile(css_class: str, heading: str, value: str, remark: str) -> str:
    return (
        f'<div class="tile {css_class}"><h3>{escape(heading)}</h3><b>{escape(value)}</b>'
        f'<div class="soft">{escape(remark)}</div></div>'
    )


def _pays(cost: Cost) -> str:
    """The break-even, in words."""
    if cost.break_even_uses is None:
        return (
            "Answering ahead of time <b>never pays</b> with these prices: serving a hit costs a "
            "fallback or more."
        )
    rule = (
        f"An answer made ahead of time pays once it is used <b>{_uses(cost)} times</b> on average: "
        "what it costs to make and to store, over what a hit saves "
        f"({cost.serve.label.partition(', ')[2] or cost.serve.label})."
    )
    if cost.uses is None or cost.break_even_hits is None:
        return rule
    pays = cost.uses >= cost.break_even_uses
    verdict = "it pays" if pays else "<b>it does not pay yet</b>"
    return (
        f"{rule} {cost.generated:,} were made, so the break-even is at {cost.break_even_hits:,} "
        f"hits; this run had {cost.hits:,}, {cost.uses:.2g} uses of each: {verdict}."
    )


def _uses(cost: Cost) -> str:
    uses = cost.break_even_uses
    return "no number of" if uses is None else f"{uses:.2f}"


def _bill(cost: Cost) -> str:
    total = cost.run_usd
    bars = [
        (one.total_usd, one.path.value, f"{one.path.label}: {usd(one.total_usd)}")
        for one in cost.paths
    ]
    rows = "".join(
        f"<tr><td>{one.path.label}</td><td>{one.requests:,}</td>"
        f"<td>{per_million(one.each_usd)}</td><td>{usd(one.total_usd)}</td>"
        f"<td>{_share(one.total_usd, total):.0%}</td></tr>"
        for one in cost.paths
    )
    made = ""
    if cost.generated is not None:
        paid = cost.generated * cost.units.precomputed
        made = (
            f"<tr><td>made ahead of time</td><td>{cost.generated:,}</td>"
            f"<td>{per_million(cost.units.precomputed)}</td><td>{usd(paid)}</td><td></td></tr>"
        )
    head = "".join(
        f"<th>{title}</th>" for title in ("", "answers", "a million", "this run", "share")
    )
    return (
        f"<h3>This run's bill: {usd(total)}</h3>"
        f'<div class="share">{chart(stacked(bars, 14), 14, "Shares of the bill, by path")}</div>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}{made}</tbody>'
        "</table></div>"
    )


def _trigger(trigger: Trigger) -> str:
    css_class, word = _STATE[trigger.state]
    lead = "Do: " if trigger.state is State.PULLED else "Then: "
    return (
        f'<div class="trigger {css_class}"><div><b>{escape(trigger.name)}</b> '
        f'<span class="state">{word}</span></div>'
        f'<div class="soft">{escape(trigger.limit)}; this run: {escape(trigger.value)}</div>'
        f"<div>{escape(lead + trigger.action)}</div></div>"
    )


def _capacity(capacity: Capacity) -> str:
    used = min(1.0, capacity.share)
    bar = chart(
        stacked([(used, "edge-function", f"{used:.1%} used"), (1 - used, "part-rest", "free")], 14),
        14,
        f"{capacity.share:.1%} of a store",
    )
    more = f" It takes {capacity.stores} stores." if capacity.stores > 1 else ""
    return (
        f'<h3>Room in the key value store</h3><div class="share">{bar}</div>'
        f'<p class="soft">{escape(capacity_line(capacity))}.{more} Bodies as viewers got them; '
        "a stored value also holds when it was made and when it expires.</p>"
    )


def _share(part: float, whole: float | None) -> float:
    return part / whole if whole else 0.0
