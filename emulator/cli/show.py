"""What commands print."""

from __future__ import annotations

from typing import Final

from emulator.errors import ConfigError
from emulator.network.distance import nearest_regional_edge_cache, pop_to_region_rtt_ms
from emulator.network.places import points_of_presence, regions
from emulator.values.trace import Trace

_BAR_COLUMNS: Final = 32


def show_trace(trace: Trace) -> int:
    """Print one request's stages, with a bar for each in simulated time."""
    print(f"{trace.method} {trace.target}")
    print(f"  viewer {trace.place}, edge server {trace.pop}, X-Amz-Cf-Id {trace.request_id}")
    print(f"  {trace.status}, X-Cache: {trace.x_cache} from cloudfront")
    if trace.failure:
        print(f"  failed: {trace.failure}")
    print()
    names = [stage.name for stage in trace.stages]
    width = max((len(name) for name in names), default=5)
    print(f"  {'stage':<{width}}  {'simulated':>10}  {'real':>9}")
    start_ms, whole_ms = 0.0, max(trace.simulated_ms, 0.001)
    for stage in trace.stages:
        bar = _bar(start_ms, stage.simulated_ms, whole_ms)
        figures = f"{stage.simulated_ms:>7.2f} ms  {stage.real_ms:>6.2f} ms"
        print(f"  {stage.name:<{width}}  {figures}  {bar}  {stage.detail}".rstrip())
        start_ms += stage.simulated_ms
    print(f"  {'first byte (simulated)':<{width}}  {trace.simulated_ms:>7.2f} ms")
    print(
        f"\n  the emulator's own work {trace.overhead_ms:.2f} ms, late by {trace.late_ms:.2f} ms;"
        f" whole answer {trace.total_ms:.2f} ms, {trace.body_bytes} bytes"
    )
    for line in trace.logs:
        print(f"  | {line}")
    return 0


def _bar(start_ms: float, length_ms: float, whole_ms: float) -> str:
    left = min(_BAR_COLUMNS - 1, int(_BAR_COLUMNS * start_ms / whole_ms))
    width = min(_BAR_COLUMNS - left, max(1, round(_BAR_COLUMNS * length_ms / whole_ms)))
    return (" " * left + "█" * width).ljust(_BAR_COLUMNS)


def show_places(region: str) -> int:
    """Print every point of presence with its simulated median round trips, ms.

    Raises:
        ConfigError: There is no such Region.
    """
    if region not in regions():
        raise ConfigError(
            f"No Region is called {region!r}.", mend=f"Known: {', '.join(regions())}."
        )
    print(f"{'code':<5} {'city':<14} {'cc':<3} {'regional edge cache':<20} {'to it':>7}  {region}")
    for pop in points_of_presence().values():
        cache = nearest_regional_edge_cache(pop.code)
        print(
            f"{pop.code:<5} {pop.city:<14} {pop.country:<3} {cache:<20} "
            f"{pop_to_region_rtt_ms(pop.code, cache):>4.0f} ms "
            f"{pop_to_region_rtt_ms(pop.code, region):>5.0f} ms"
        )
    print("median round trips, simulated (measured between Regions, modelled to the cities)")
    return 0
