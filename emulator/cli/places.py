"""`localpop places`: where viewers can be, how far that is, and a map of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from emulator.cli.world_map import world_map_svg
from emulator.errors import ConfigError
from emulator.network.distance import (
    nearest_regional_edge_cache,
    pop_to_region_rtt_ms,
    serving_place,
)
from emulator.network.places import parse_place, points_of_presence, regions
from emulator.network.settings import ACCESS_LINKS

_BAR_COLUMNS = 24


def add_commands(commands: Any) -> None:
    """Add `places` to the command's own commands."""
    places = commands.add_parser(
        "places", help="points of presence, access types, and round trips to a Region"
    )
    places.add_argument("--region", default="us-east-1", help="the origin's Region (us-east-1)")
    places.add_argument(
        "--sort", choices=["region", "cache", "code"], default="code", help="order of the rows"
    )
    places.add_argument("--json", action="store_true", help="the same as JSON")
    places.add_argument("--map", metavar="FILE.svg", type=Path, help="draw them as a picture")
    places.set_defaults(act=show_places)


def show_places(arguments: argparse.Namespace) -> int:
    """Print, or draw, every point of presence with its simulated median round trips.

    Raises:
        ConfigError: There is no such Region, or the picture cannot be written.
    """
    region: str = arguments.region
    if region not in regions():
        raise ConfigError(
            f"No Region is called {region!r}.", mend=f"Known: {', '.join(regions())}."
        )
    if arguments.map is not None:
        return _draw(arguments.map, region)
    rows = [_row(code, region) for code in points_of_presence()]
    key = {"region": "to_region_ms", "cache": "to_cache_ms", "code": "code"}[arguments.sort]
    if arguments.sort != "code":
        rows.sort(key=lambda row: row[key])
    if arguments.json:
        print(json.dumps({"region": region, "points_of_presence": rows}, indent=2))
        return 0
    _print(rows, region)
    return 0


def _row(code: str, region: str) -> dict[str, Any]:
    pop = points_of_presence()[code]
    cache = nearest_regional_edge_cache(code)
    return {
        "code": code,
        "city": pop.city,
        "country": pop.country,
        "latitude": pop.latitude,
        "longitude": pop.longitude,
        "regional_edge_cache": cache,
        "to_cache_ms": round(pop_to_region_rtt_ms(code, cache), 1),
        "to_region_ms": round(pop_to_region_rtt_ms(code, region), 1),
        "next": serving_place(parse_place(code), {code}).pop.code,
    }


def _print(rows: list[dict[str, Any]], region: str) -> None:
    longest_ms = max(row["to_region_ms"] for row in rows)
    print(
        f"{'code':<5} {'city':<14} {'cc':<3} {'next':<5} {'regional edge cache':<20} "
        f"{'to it':>7}  {region:>14}"
    )
    for row in rows:
        bar = "█" * max(1, round(_BAR_COLUMNS * row["to_region_ms"] / longest_ms))
        print(
            f"{row['code']:<5} {row['city']:<14} {row['country']:<3} {row['next']:<5} "
            f"{row['regional_edge_cache']:<20} {row['to_cache_ms']:>4.0f} ms  "
            f"{row['to_region_ms']:>11.0f} ms  {bar}"
        )
    links = ", ".join(f"{access} {link.rtt_ms:g} ms" for access, link in ACCESS_LINKS.items())
    print(f"\naccess types, round trip to the point of presence: {links}")
    print("next: who serves these viewers when their own point of presence is down")
    print("median round trips, simulated (measured between Regions, modelled to the cities)")


def _draw(file: Path, region: str) -> int:
    if file.suffix.lower() != ".svg":
        raise ConfigError(
            f"{file} does not end in .svg, the one kind of picture we draw.",
            mend=f"Write --map {file.with_suffix('.svg')}; every browser shows it.",
        )
    try:
        file.write_text(world_map_svg(region), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}.", mend="Choose another path."
        ) from None
    print(f"{file}: {len(points_of_presence())} points of presence, and their ways to {region}")
    return 0
