"""A map of the points of presence, with the ways to one Region: `localpop places --map FILE.svg`.

Drawn from our own tables alone. The coasts in land.csv are coarse outlines made for this map, good
for dots two degrees apart and for nothing else. Projection: Robinson's, by his published table.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from xml.sax.saxutils import escape

from emulator.network.distance import nearest_regional_edge_cache, pop_to_region_rtt_ms
from emulator.network.places import REGIONAL_EDGE_CACHE_REGIONS, points_of_presence, regions
from emulator.values.places import PointOfPresence, Region

_WIDTH: Final = 1_600
_HEIGHT: Final = 812
_MARGIN: Final = 40
_TOP: Final = 96
_NORTH, _SOUTH = 80.0, -57.0
_DOT_STEP_DEG: Final = 1.8

# Robinson's table: for each five degrees of latitude the length of its parallel, and its height.
_PARALLELS: Final = (
    (1.0, 0.0), (0.9986, 0.062), (0.9954, 0.124), (0.99, 0.186), (0.9822, 0.248),
    (0.973, 0.31), (0.96, 0.372), (0.9427, 0.434), (0.9216, 0.4958), (0.8962, 0.5571),
    (0.8679, 0.6176), (0.835, 0.6769), (0.7986, 0.7346), (0.7597, 0.7903), (0.7186, 0.8435),
    (0.6732, 0.8936), (0.6213, 0.9394), (0.5722, 0.9761), (0.5322, 1.0),
)  # fmt: skip

_Outline = list[tuple[float, float]]

_INK: Final = "#0b1020"
_SEA_EDGE: Final = "#1c2540"
_LAND: Final = "#34405f"
_TEXT: Final = "#e8ecf6"
_FAINT: Final = "#8d99b8"
_RAMP: Final = ((0.0, (64, 224, 178)), (90.0, (250, 204, 92)), (190.0, (251, 113, 92)),
                (330.0, (214, 74, 160)))  # fmt: skip
"""Round trip to colour: green is a metro away, magenta the other side of the world."""


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def world_map_svg(region: str) -> str:
    """Every point of presence, every regional edge cache, and the ways to a Region, as SVG.

    Args:
        region: The origin's Region; one that `regions()` knows.
    """
    home = regions()[region]
    rtts_ms = {code: pop_to_region_rtt_ms(code, region) for code in points_of_presence()}
    # Near ones are drawn last: their short ways would else lie under the long ones.
    far_first = sorted(points_of_presence().values(), key=lambda pop: -rtts_ms[pop.code])
    parts = [
        *_frame(region, rtts_ms),
        *_graticule(),
        *_land(),
        '<g clip-path="url(#map)">',
        *(_way(pop, home, rtts_ms[pop.code]) for pop in far_first),
        "</g>",
        *(_cache(regions()[name]) for name in REGIONAL_EDGE_CACHE_REGIONS),
        *(_dot(pop, rtts_ms[pop.code]) for pop in far_first),
        _home(home),
        *_labels(home, far_first, rtts_ms),
        *_legend(),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="ui-sans-serif, system-ui, '
        "'Segoe UI', Helvetica, Arial, sans-serif\">\n" + "\n".join(parts) + "\n</svg>\n"
    )


# --- Projection -----------------------------------------------------------------------------------


def _robinson(latitude: float) -> tuple[float, float]:
    """A parallel's length and height, both as shares; interpolated."""
    at = min(abs(latitude) / 5, len(_PARALLELS) - 1.001)
    low = int(at)
    share = at - low
    (length_a, height_a), (length_b, height_b) = _PARALLELS[low : low + 2]
    length = length_a + share * (length_b - length_a)
    height = height_a + share * (height_b - height_a)
    return length, math.copysign(height, latitude)


_TOP_HEIGHT: Final = _robinson(_NORTH)[1]
_BOTTOM_HEIGHT: Final = _robinson(_SOUTH)[1]
_HALF_WIDTH: Final = (_WIDTH - 2 * _MARGIN) / 2
# Robinson's map is 0.5072 as high as it is wide; cut at both ends.
_HALF_HEIGHT: Final = 0.5072 * _HALF_WIDTH
_BOTTOM: Final = _TOP + _HALF_HEIGHT * (_TOP_HEIGHT - _BOTTOM_HEIGHT)


def _xy(longitude: float, latitude: float) -> tuple[float, float]:
    length, height = _robinson(latitude)
    x = _WIDTH / 2 + _HALF_WIDTH * length * longitude / 180
    return x, _TOP + _HALF_HEIGHT * (_TOP_HEIGHT - height)


def _path(points: Iterable[tuple[float, float]]) -> str:
    """SVG path data through places; broken where it leaves the map at its side."""
    data, last_longitude = [], None
    for longitude, latitude in points:
        x, y = _xy(longitude, latitude)
        jumps = last_longitude is None or abs(longitude - last_longitude) > 180
        data.append(f"{'M' if jumps else 'L'}{x:.1f} {y:.1f}")
        last_longitude = longitude
    return "".join(data)


def _great_circle(
    a: PointOfPresence | Region, b: PointOfPresence | Region
) -> Iterator[tuple[float, float]]:
    """Places along the shortest way, longitude and latitude."""
    start, end = _vector(a), _vector(b)
    dot = sum(one * other for one, other in zip(start, end, strict=True))
    angle = math.acos(max(-1.0, min(1.0, dot)))
    steps = max(2, int(math.degrees(angle) / 1.5))
    for step in range(steps + 1):
        share = step / steps
        if angle < 1e-6:
            yield a.longitude, a.latitude
            return
        weight_a = math.sin((1 - share) * angle) / math.sin(angle)
        weight_b = math.sin(share * angle) / math.sin(angle)
        x, y, z = (weight_a * one + weight_b * two for one, two in zip(start, end, strict=True))
        yield math.degrees(math.atan2(y, x)), math.degrees(math.asin(max(-1.0, min(1.0, z))))


def _vector(place: PointOfPresence | Region) -> tuple[float, float, float]:
    latitude, longitude = math.radians(place.latitude), math.radians(place.longitude)
    flat = math.cos(latitude)
    return flat * math.cos(longitude), flat * math.sin(longitude), math.sin(latitude)


# --- Layers ---------------------------------------------------------------------------------------


def _frame(region: str, rtts_ms: dict[str, float]) -> Iterator[str]:
    ordered = sorted(rtts_ms.values())
    median_ms = ordered[len(ordered) // 2]
    yield (
        '<defs><radialGradient id="glow"><stop offset="0" stop-color="#fff" stop-opacity=".55"/>'
        '<stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient>'
        '<radialGradient id="night" cx=".5" cy=".42" r=".75">'
        f'<stop offset="0" stop-color="#131b33"/><stop offset="1" stop-color="{_INK}"/>'
        "</radialGradient>"
        # Ways over a pole leave the map at its top or bottom.
        f'<clipPath id="map"><rect y="{_TOP - 8}" width="{_WIDTH}" '
        f'height="{_BOTTOM - _TOP + 16:.0f}"/></clipPath>'
        "</defs>"
    )
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="url(#night)"/>'
    yield (
        f'<text x="{_MARGIN}" y="46" fill="{_TEXT}" font-size="26" font-weight="650" '
        f'letter-spacing="-.3">Every point of presence, and its way to {escape(region)}</text>'
    )
    yield (
        f'<text x="{_MARGIN}" y="72" fill="{_FAINT}" font-size="15">{len(rtts_ms)} points of '
        f"presence, median round trip {median_ms:.0f} ms, farthest {ordered[-1]:.0f} ms. "
        "Simulated: measured between Regions, modelled to the cities.</text>"
    )


def _graticule() -> Iterator[str]:
    lines = []
    for longitude in range(-180, 181, 30):
        latitudes = range(int(_SOUTH), int(_NORTH) + 1)
        lines.append(_path((longitude, latitude) for latitude in latitudes))
    for latitude in range(-30, 61, 30):
        lines.append(_path((longitude, latitude) for longitude in range(-180, 181, 180)))
    yield f'<path d="{"".join(lines)}" fill="none" stroke="{_SEA_EDGE}" stroke-width="1"/>'


def _land() -> Iterator[str]:
    """Dots at even distances wherever there is land."""
    land: list[_Outline] = []
    water: list[_Outline] = []
    for row in csv.DictReader(
        files("emulator.cli").joinpath("land.csv").read_text(encoding="utf-8").splitlines()
    ):
        numbers = [float(number) for number in row["outline"].split()]
        outline = list(zip(numbers[::2], numbers[1::2], strict=True))
        (water if row["is_water"] == "yes" else land).append(outline)
    dots: list[str] = []
    latitude, is_odd = _SOUTH, False
    while latitude < _NORTH:
        length, _ = _robinson(latitude)
        step = _DOT_STEP_DEG / length
        longitude = -180 + (step / 2 if is_odd else 0)
        while longitude < 180:
            here = (longitude, latitude)
            if any(_inside(here, one) for one in land) and not any(
                _inside(here, one) for one in water
            ):
                x, y = _xy(longitude, latitude)
                dots.append(f"M{x:.0f} {y:.0f}h0")
            longitude += step
        latitude, is_odd = latitude + _DOT_STEP_DEG * 0.9, not is_odd
    # A line of no length with round ends is a dot, and a tenth as long to write as a circle.
    yield (f'<path d="{"".join(dots)}" stroke="{_LAND}" stroke-width="5" stroke-linecap="round"/>')


def _inside(point: tuple[float, float], outline: _Outline) -> bool:
    """Whether a ray from the point crosses the outline an odd number of times."""
    x, y = point
    inside = False
    for (x_a, y_a), (x_b, y_b) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if (y_a > y) != (y_b > y) and x < (x_b - x_a) * (y - y_a) / (y_b - y_a) + x_a:
            inside = not inside
    return inside


def _way(pop: PointOfPresence, home: Region, rtt_ms: float) -> str:
    return (
        f'<path d="{_path(_great_circle(pop, home))}" fill="none" stroke="{_colour(rtt_ms)}" '
        f'stroke-width="1.6" stroke-opacity=".5" stroke-linecap="round"/>'
    )


def _cache(region: Region) -> str:
    x, y = _xy(region.longitude, region.latitude)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10.5" fill="none" stroke="{_TEXT}" '
        f'stroke-opacity=".75" stroke-width="1.4"><title>regional edge cache '
        f"{escape(region.name)}</title></circle>"
    )


def _home(home: Region) -> str:
    x, y = _xy(home.longitude, home.latitude)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="34" fill="url(#glow)"/>'
        f'<path d="M{x:.1f} {y - 8:.1f}l8 8-8 8-8-8z" fill="#fff" fill-opacity=".92"/>'
    )


def _dot(pop: PointOfPresence, rtt_ms: float) -> str:
    x, y = _xy(pop.longitude, pop.latitude)
    cache = nearest_regional_edge_cache(pop.code)
    told = f"{pop.code} {pop.city}: {rtt_ms:.0f} ms; regional edge cache {cache}"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.6" fill="{_colour(rtt_ms)}" stroke="{_INK}" '
        f'stroke-width="1.2"><title>{escape(told)}</title></circle>'
    )


def _labels(home: Region, pops: list[PointOfPresence], rtts_ms: dict[str, float]) -> Iterator[str]:
    """A code and its round trip beside each dot, where there is room; else the tooltip has them."""
    taken = [_around(*_xy(pop.longitude, pop.latitude), 5) for pop in pops]
    x, y = _xy(home.longitude, home.latitude)
    taken.append(_around(x, y, 13))
    for pop in pops:
        x, y = _xy(pop.longitude, pop.latitude)
        text = f"{pop.code} {rtts_ms[pop.code]:.0f}"
        width = 7.4 * len(text)
        for dx, dy, anchor in (
            (9, 4, "start"), (-9, 4, "end"), (0, -10, "middle"), (0, 19, "middle"),
            (8, -8, "start"), (-8, -8, "end"), (8, 16, "start"), (-8, 16, "end"),
            (14, -20, "start"), (-14, -20, "end"), (14, 28, "start"), (-14, 28, "end"),
        ):  # fmt: skip
            shift = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            left, bottom = x + dx - shift, y + dy + 2
            box = _Box(left, bottom - 12, left + width, bottom)
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                yield (
                    f'<text x="{x + dx:.1f}" y="{y + dy:.1f}" text-anchor="{anchor}" '
                    f'font-size="12" fill="{_TEXT}" stroke="{_INK}" stroke-width="3" '
                    f'paint-order="stroke" stroke-linejoin="round"><tspan font-weight="650">'
                    f'{pop.code}</tspan> <tspan fill="{_colour(rtts_ms[pop.code])}">'
                    f"{rtts_ms[pop.code]:.0f}</tspan></text>"
                )
                break


def _around(x: float, y: float, reach: float) -> _Box:
    return _Box(x - reach, y - reach, x + reach, y + reach)


def _legend() -> Iterator[str]:
    y = _HEIGHT - 34
    longest_ms = _RAMP[-1][0]
    stops = "".join(
        f'<stop offset="{ms / longest_ms:.3f}" stop-color="rgb{colour}"/>' for ms, colour in _RAMP
    )
    yield f'<defs><linearGradient id="ramp">{stops}</linearGradient></defs>'
    yield f'<rect x="{_MARGIN}" y="{y - 8}" width="260" height="8" rx="4" fill="url(#ramp)"/>'
    for ms in (0, 100, 200, 300):
        x = _MARGIN + 260 * ms / longest_ms
        yield f'<text x="{x:.0f}" y="{y + 16}" fill="{_FAINT}" font-size="12">{ms}</text>'
    yield (
        f'<text x="{_MARGIN + 272}" y="{y + 1}" fill="{_FAINT}" font-size="13">'
        "ms round trip, point of presence to the Region</text>"
    )
    x = _MARGIN + 610
    yield (
        f'<circle cx="{x}" cy="{y - 4}" r="8" fill="none" stroke="{_TEXT}" stroke-opacity=".75" '
        f'stroke-width="1.4"/><text x="{x + 16}" y="{y + 1}" fill="{_FAINT}" font-size="13">'
        "regional edge cache</text>"
    )
    x += 170
    yield (
        f'<path d="M{x} {y - 11}l7 7-7 7-7-7z" fill="#fff"/><text x="{x + 14}" y="{y + 1}" '
        f'fill="{_FAINT}" font-size="13">the origin\'s Region</text>'
    )
    yield (
        f'<text x="{_WIDTH - _MARGIN}" y="{y + 1}" fill="{_FAINT}" font-size="13" '
        'text-anchor="end">localpop places --map</text>'
    )


def _colour(rtt_ms: float) -> str:
    """The ramp's colour of a round trip."""
    for (from_ms, from_colour), (to_ms, to_colour) in itertools.pairwise(_RAMP):
        if rtt_ms <= to_ms:
            share = (rtt_ms - from_ms) / (to_ms - from_ms)
            mixed = (
                round(a + share * (b - a)) for a, b in zip(from_colour, to_colour, strict=True)
            )
            return "#" + "".join(f"{channel:02x}" for channel in mixed)
    return "#" + "".join(f"{channel:02x}" for channel in _RAMP[-1][1])
