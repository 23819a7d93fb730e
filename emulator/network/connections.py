"""Which simulated connections to origins are warm: a kept one saves TCP and TLS. Pure.

AWS: "Origin settings", keep-alive timeout, 5 s by default,
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesOrigin.html,
read 2026-11-20. CloudFront speaks HTTP/1.1 to origins, so one connection carries one exchange at a
time: two requests at once need two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class KeptConnections:
    """Connections between a cache and an origin, by when they became idle."""

    _idle_since_ms: dict[Hashable, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, key: Hashable, keepalive_s: float, now_ms: float) -> bool:
        """Take a connection for one exchange; whether it is a warm one.

        The one that became idle last is taken, so the others can grow old. Those that have been
        idle for longer than the keep-alive time-out are closed.

        Args:
            key: From where to where: the asking cache, the origin's address, its Region.
            keepalive_s: The origin's keep-alive time-out.
            now_ms: Simulated or real time; the same clock as in `give_back`.
        """
        idle = self._idle_since_ms[key]
        oldest_ms = now_ms - keepalive_s * 1_000
        idle[:] = [since_ms for since_ms in idle if since_ms >= oldest_ms]
        # An exchange that ends in the simulated future has its connection still in use.
        free = [since_ms for since_ms in idle if since_ms <= now_ms]
        if not free:
            return False
        idle.remove(max(free))
        return True

    def give_back(self, key: Hashable, now_ms: float) -> None:
        """The exchange is over, and its connection idle from now on."""
        self._idle_since_ms[key].append(now_ms)
