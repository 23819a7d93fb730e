"""The world with a small picture at each place: how long hits and fallbacks took there.

`world/land.csv` are coarse outlines made for maps like this one, `world/places.csv` the cities of
CloudFront's points of presence by airport code. Plate carrée, stretched a little to the north: who
looks at it wants to find a place, not to measure a way.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from pathlib import Path

from loadtests.charts import LogAxis, chart, grid, peaks
from loadtests.samples import FALLBACKS, HITS, Sample
from loadtests.statistics import percentile
from loadtests.summary import FEW_SAMPLES
from loadtests.table import duration, times

WIDTH, HEIGHT = 1_000, 520
CARD_WIDTH, CARD_HEIGHT = 152, 88
ON_MAP = 14
"""More cards than this do not fit on the map; they then stand below it."""

_FOLDER = Path(__file__).with_name("world")
_WEST, _EAST, _NORTH, _SOUTH = -168.0, 192.0, 78.0, -56.0


@dataclass(frozen=True, slots=True)
class Card:
    """One place's picture: where the place is, and where the middle of its card lies."""

    place: str
    dot: tuple[float, float]
    x: float
    y: float


def map_section(samples: Sequence[Sample]) -> str:
    """The map; empty without good answers."""
    good = [sample for sample in samples if sample.is_good]
    if not good:
        return ""
    by_place: dict[str, list[Sample]] = {}
    for sample in good:
        by_place.setdefault(sample.place, []).append(sample)
    axis = LogAxis.around(sample.total_ms for sample in good)
    cards = arrange(by_place)
    on_map = {card.place: card for card in cards} if len(cards) <= ON_MAP else {}
    west_first = sorted(by_place, key=lambda place: ((_where(place) or (0, 0))[0], place))
    pictures = "".join(
        _picture(place, by_place[place], axis, on_map.get(place)) for place in west_first
    )
    low, high = duration(axis.low_ms), duration(axis.high_ms)
    return (
        '<section id="map"><h2>Around the world</h2>'
        '<p>The whole answer at each place, from the edge (<span class="key hit">left</span>) and '
        'from the fallback (<span class="key fallback">right</span>), on one logarithmic axis '
        f"from {low} to {high}; each hill is as high as its own peak. Below them the medians of "
        f"all hits and of all fallbacks; * means under {FEW_SAMPLES} answers on a side.</p>"
        f'<div class="map{"" if on_map else " crowded"}">{_world(cards, on_map)}'
        f'<div class="cards">{pictures}</div></div></section>'
    )


def arrange(places: Iterable[str]) -> tuple[Card, ...]:
    """A card for each place that we can find, near its dot, pushed apart until none overlap."""
    cards = []
    for place in sorted(places):
        dot = _where(place)
        if dot is not None:
            # Below the dot, or above it in the south, where there is sea.
            away = CARD_HEIGHT * (0.85 if dot[1] < HEIGHT * 0.6 else -0.85)
            cards.append(_inside(Card(place, dot, dot[0], dot[1] + away)))
    for _ in range(400):
        # Both, always: the one may undo what the other did.
        pushed = [_push_off_dots(cards), _push_apart(cards)]
        if not any(pushed):
            break
    return tuple(cards)


def _push_apart(cards: list[Card]) -> bool:
    moved = False
    for i in range(len(cards)):
        for j in range(i):
            one, other = cards[i], cards[j]
            dx, dy = one.x - other.x, one.y - other.y
            over_x, over_y = CARD_WIDTH + 8 - abs(dx), CARD_HEIGHT + 8 - abs(dy)
            if over_x <= 0 or over_y <= 0:
                continue
            moved = True
            # Along the shorter way out, half each; ties by order: the map is always the same.
            step_x, step_y = (over_x / 2 + 0.5, 0.0) if over_x < over_y else (0.0, over_y / 2 + 0.5)
            sign_x, sign_y = (1 if dx >= 0 else -1), (1 if dy >= 0 else -1)
            cards[i] = _inside(replace(one, x=one.x + sign_x * step_x, y=one.y + sign_y * step_y))
            cards[j] = _inside(
                replace(other, x=other.x - sign_x * step_x, y=other.y - sign_y * step_y)
            )
    return moved


def _push_off_dots(cards: list[Card]) -> bool:
    moved = False
    for dot in [card.dot for card in cards]:
        for index, card in enumerate(cards):
            dx, dy = card.x - dot[0], card.y - dot[1]
            over_x, over_y = CARD_WIDTH / 2 + 9 - abs(dx), CARD_HEIGHT / 2 + 9 - abs(dy)
            if over_x > 0 and over_y > 0:
                moved = True
                step_x, step_y = (over_x, 0.0) if over_x < over_y else (0.0, over_y)
                x = card.x + (step_x if dx >= 0 else -step_x)
                cards[index] = _inside(
                    replace(card, x=x, y=card.y + (step_y if dy >= 0 else -step_y))
                )
    return moved


def _inside(card: Card) -> Card:
    return replace(
        card,
        x=min(WIDTH - CARD_WIDTH / 2, max(CARD_WIDTH / 2, card.x)),
        y=min(HEIGHT - CARD_HEIGHT / 2, max(CARD_HEIGHT / 2, card.y)),
    )


def _world(cards: Iterable[Card], on_map: dict[str, Card]) -> str:
    lines = "".join(
        f'<line class="leader" x1="{card.dot[0]:.0f}" y1="{card.dot[1]:.0f}" x2="{card.x:.0f}" '
        f'y2="{card.y:.0f}"/>'
        for card in on_map.values()
    )
    dots = "".join(
        f'<circle class="dot" cx="{card.dot[0]:.0f}" cy="{card.dot[1]:.0f}" r="5">'
        f"<title>{escape(card.place)}, {escape(_cities()[_code(card.place)][0])}</title></circle>"
        for card in cards
    )
    return (
        f'<svg class="world" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="World map of the places">{_land()}{lines}{dots}</svg>'
    )


def _picture(place: str, samples: Sequence[Sample], axis: LogAxis, card: Card | None) -> str:
    hits = sorted(sample.total_ms for sample in samples if sample.path in HITS)
    fallbacks = sorted(sample.total_ms for sample in samples if sample.path in FALLBACKS)
    code, _, access = place.partition("/")
    city = _cities().get(code, (code, 0.0, 0.0))[0]
    medians = [percentile(values, 0.5) for values in (hits, fallbacks) if values]
    ratio = f"{times(medians[1] / max(medians[0], 0.001))}×" if len(medians) == 2 else ""
    few = "*" if min(len(hits), len(fallbacks)) < FEW_SAMPLES else ""
    label = f"{city}, {access}: " + ", ".join(
        f"{name} {duration(percentile(values, 0.5))} in the median of {len(values)}"
        for name, values in (("edge", hits), ("fallback", fallbacks))
        if values
    )
    hills = peaks(axis, hits, "hit", 34) + peaks(axis, fallbacks, "fallback", 34)
    where = ""
    if card is not None:
        left = 100 * (card.x - CARD_WIDTH / 2) / WIDTH
        top = 100 * (card.y - CARD_HEIGHT / 2) / HEIGHT
        where = f' style="left:{left:.2f}%;top:{top:.2f}%"'
    return (
        f'<figure class="card"{where} title="{escape(label)}"><figcaption><b>{escape(code)}</b> '
        f"{escape(access)}{few}<span>{ratio}</span></figcaption>"
        f"{chart(grid(axis) + hills, 34, label)}"
        f'<div class="medians"><span class="hit">{_median(hits)}</span>'
        f'<span class="fallback">{_median(fallbacks)}</span></div></figure>'
    )


def _median(ordered: Sequence[float]) -> str:
    return duration(percentile(ordered, 0.5)) if ordered else "–"


def _code(place: str) -> str:
    return place.partition("/")[0]


def _where(place: str) -> tuple[float, float] | None:
    found = _cities().get(_code(place))
    return _project(found[2], found[1]) if found else None


def _project(longitude: float, latitude: float) -> tuple[float, float]:
    if longitude < _WEST:
        longitude += 360
    return (
        WIDTH * (longitude - _WEST) / (_EAST - _WEST),
        HEIGHT * (_NORTH - latitude) / (_NORTH - _SOUTH),
    )


@cache
def _cities() -> dict[str, tuple[str, float, float]]:
    """City, latitude and longitude by airport code."""
    with (_FOLDER / "places.csv").open(encoding="utf-8") as file:
        return {
            row["code"]: (row["city"], float(row["latitude"]), float(row["longitude"]))
            for row in csv.DictReader(file)
        }


@cache
def _land() -> str:
    with (_FOLDER / "land.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return "".join(
        f'<path class="{"water" if row["is_water"] == "yes" else "land"}" d="M'
        + "L".join(f"{x:.0f} {y:.0f}" for x, y in _points(row["outline"]))
        + 'Z"/>'
        for row in rows
    )


def _points(outline: str) -> Iterator[tuple[float, float]]:
    numbers = [float(word) for word in outline.split()]
    for longitude, latitude in zip(numbers[::2], numbers[1::2], strict=True):
        # No wrapping here: an outline that crosses the edge must not jump across the map.
        yield (
            WIDTH * (longitude - _WEST) / (_EAST - _WEST),
            HEIGHT * (_NORTH - latitude) / (_NORTH - _SOUTH),
        )
