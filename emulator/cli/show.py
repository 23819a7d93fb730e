"""What commands print."""

from __future__ import annotations

from typing import Final

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
