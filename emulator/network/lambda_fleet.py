"""Lambda@Edge's execution environments at AWS, as far as they decide about cold starts. Pure.

The sandboxes on this machine are few and live long; AWS has one environment for each invocation
under way, in each Region, and ends those that are idle for some minutes. So whether a request pays
for a cold start is decided here, in simulated time, whatever the sandboxes do.

AWS: "Quotas", Lambda@Edge: 1,000 concurrent executions in a Region, 10 requests per second for each
execution environment (facts/lambda-at-edge.md section 8, read 2026-11-20). How long an idle one
lives is not published (UNVERIFIED: 5 to 15 minutes).
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

from emulator.network.settings import LatencySettings

_SECOND_MS: Final = 1_000.0
_UNDER_WAY: Final = float("inf")


@dataclass(slots=True, eq=False)
class SimulatedEnvironment:
    """One execution environment.

    Args:
        function: The function's ARN or name.
        region: Where it runs.
        lives_idle_ms: How long it lives without an invocation.
        starts_ms: When its latest invocations began.
        free_since_ms: When its latest invocation ended; infinite while one is under way.
    """

    function: str
    region: str
    lives_idle_ms: float
    starts_ms: deque[float]
    free_since_ms: float = _UNDER_WAY

    def is_free(self, now_ms: float) -> bool:
        """Whether it can take an invocation now."""
        if self.free_since_ms > now_ms:
            return False
        starts_ms = self.starts_ms
        return len(starts_ms) < (starts_ms.maxlen or 0) or now_ms - starts_ms[0] >= _SECOND_MS

    def is_gone(self, now_ms: float) -> bool:
        """Whether it has been idle for too long."""
        return now_ms - self.free_since_ms > self.lives_idle_ms


@dataclass(frozen=True, slots=True)
class Invocation:
    """Where an invocation runs.

    Args:
        environment: Its environment; None when the Region's concurrency is used up, which is
            CloudFront's 503 `LambdaLimitExceeded`.
        cold_start: Whether the environment was started for it.
    """

    environment: SimulatedEnvironment | None
    cold_start: bool = False

    @property
    def throttled(self) -> bool:
        """Whether it is refused."""
        return self.environment is None


@dataclass(slots=True)
class LambdaFleet:
    """Every execution environment at AWS.

    Call `begin` when an invocation reaches the Region and `end` when it is over; both in simulated
    time, which may run ahead of the clock and differ between requests.
    """

    settings: LatencySettings = field(default_factory=LatencySettings)
    _environments: dict[tuple[str, str], list[SimulatedEnvironment]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _chances: dict[tuple[str, str], random.Random] = field(default_factory=dict)

    def begin(self, function: str, region: str, now_ms: float) -> Invocation:
        """Find an environment for one invocation, or start one.

        The one used last is preferred, so that the others can grow old (INFERRED).

        Args:
            function: The function's ARN, version included: versions share nothing.
            region: Where it is invoked.
            now_ms: Simulated time.
        """
        key = (function, region)
        alive = [one for one in self._environments[key] if not one.is_gone(now_ms)]
        self._environments[key] = alive
        free = [one for one in alive if one.is_free(now_ms)]
        if free:
            chosen = max(free, key=lambda one: one.free_since_ms)
            chosen.free_since_ms = _UNDER_WAY
            chosen.starts_ms.append(now_ms)
            return Invocation(chosen)
        if self.in_use(region, now_ms) >= self.settings.lambda_concurrency:
            return Invocation(None)
        started = SimulatedEnvironment(
            function,
            region,
            self._lives_idle_ms(key),
            deque([now_ms], maxlen=self.settings.lambda_environment_rps),
        )
        alive.append(started)
        return Invocation(started, cold_start=True)

    def end(self, invocation: Invocation, now_ms: float) -> None:
        """The invocation is over; its environment is idle from now on."""
        if invocation.environment is not None:
            invocation.environment.free_since_ms = now_ms

    def in_use(self, region: str, now_ms: float) -> int:
        """Environments of a Region that can take nothing now: what its concurrency quota counts."""
        return sum(
            not one.is_free(now_ms)
            for (_, where), environments in self._environments.items()
            if where == region
            for one in environments
        )

    def forget(self, function: str) -> None:
        """A new version was deployed: its first requests start cold."""
        for key in [key for key in self._environments if key[0] == function]:
            del self._environments[key]

    def _lives_idle_ms(self, key: tuple[str, str]) -> float:
        chance = self._chances.get(key)
        if chance is None:
            chance = self._chances[key] = random.Random(f"{self.settings.seed}:fleet:{key}")
        settings = self.settings
        return 1_000 * chance.uniform(settings.lambda_idle_min_s, settings.lambda_idle_max_s)
