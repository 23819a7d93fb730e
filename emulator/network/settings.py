"""The latency model's switches, each with its default and where that comes from.

Medians and spreads are those of facts/latency.md (published tables; the section stands beside each
number); docs/latency.md lists every switch with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from emulator.errors import ConfigError
from emulator.network.draws import Shape, Spread
from emulator.network.places import regions
from emulator.values.places import Access


class ApiFront(StrEnum):
    """What stands before the origin's own code, and takes time of its own."""

    NONE = "none"
    HTTP_API = "http-api"
    REST_API = "rest-api"


class ConnectionMode(StrEnum):
    """Which requests pay for a viewer connection."""

    ACTUAL = "actual"
    """The first request on each real connection (from each place it speaks for)."""
    NEW = "new"
    """Every request, as if each came from a viewer of its own."""
    WARM = "warm"
    """None."""


class Handshake(StrEnum):
    """How a viewer connection is set up (section 1)."""

    TCP = "tcp"
    TLS_1_2 = "tls1.2"
    TLS_1_3 = "tls1.3"
    TLS_1_3_RESUMED = "tls1.3-0rtt"
    QUIC = "quic"
    QUIC_RESUMED = "quic-0rtt"


HANDSHAKE_RTTS: Final[Mapping[Handshake, tuple[int, int]]] = MappingProxyType(
    {
        Handshake.TCP: (1, 0),
        Handshake.TLS_1_2: (1, 2),
        Handshake.TLS_1_3: (1, 1),
        Handshake.TLS_1_3_RESUMED: (1, 0),
        Handshake.QUIC: (0, 1),
        Handshake.QUIC_RESUMED: (0, 0),
    }
)
"""Round trips before the request can be sent: of TCP, and of TLS (or of QUIC, which is both)."""


@dataclass(frozen=True, slots=True)
class AccessLink:
    """A viewer's last mile, to a point of presence in its own metro.

    Args:
        rtt_ms: The median round trip.
        spread: How it varies.
        mbit_per_s: What it carries towards the viewer, in 10^6 bits.
        shape: The jitter's shape; None: that of all draws.
    """

    rtt_ms: float
    spread: Spread
    mbit_per_s: float
    shape: Shape | None = None

    @property
    def bytes_per_ms(self) -> float:
        """The same rate, for arithmetic."""
        return self.mbit_per_s * 1e6 / 8 / 1e3


_WIRED: Final = Spread(0.07, floor=0.9)
_MOBILE: Final = Spread(0.35, floor=0.5, spike_share=0.02)

ACCESS_LINKS: Final[Mapping[Access, AccessLink]] = MappingProxyType(
    {
        Access.FIBRE: AccessLink(6.0, _WIRED, 300.0),
        Access.CABLE: AccessLink(16.0, Spread(0.10, floor=0.9), 200.0),
        Access.FIVE_G: AccessLink(25.0, _MOBILE, 100.0),
        Access.FOUR_G: AccessLink(50.0, _MOBILE, 20.0),
        Access.THREE_G: AccessLink(200.0, _MOBILE, 1.6),
        Access.STARLINK: AccessLink(40.0, Spread(0.20, floor=0.7), 100.0),
        Access.GEO: AccessLink(600.0, _WIRED, 25.0),
    }
)
"""Round trips: section 6. Jitter: wired 0.05 to 0.10, mobile 0.35 with 2 % spikes (section 7).

Rates: 3g is Lighthouse's and WebPageTest's "Fast 3G" (1.6 Mbit/s, Lighthouse docs/throttling.md,
read 2026-11-21); the others are round figures of ours (INFERRED), there to be set.
"""


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """The switches of the model; `[latency]` in localpop.toml.

    Args:
        enabled: Off: every simulated time is zero.
        seed: Fixes every draw, per place and request order.
        time_scale: Multiplies every simulated duration; 0.1 makes a run ten times as fast.
        shape: The jitter's shape, where an access link has none of its own.
        access: Each access type's link; `[latency.access.4g]` changes what it names.
        backbone_sigma: Jitter between AWS's places (section 4).
        viewer_connections: Which requests pay for a viewer connection.
        viewer_handshake: How one is set up (section 1).
        dns_ms: Name look-up on a new viewer connection; 0 is a resolver that knows the name.
        body_transfer: Whether bytes take time beyond the first flight.
        cache_lookup_ms: One look into one cache (section 1, UNVERIFIED).
        cff_ms: A CloudFront Function's visible overhead, median (section 8).
        cff_sigma: Its spread.
        cff_cold_share: Share of runs in the sparse-traffic mode (section 8: 0.27 was seen at low
            request rates).
        cff_cold_ms: That mode's median.
        cff_cold_sigma: Its spread.
        kvs_read_ms: One read of a key value store inside a function (section 9, UNVERIFIED).
        kvs_api_region: Where the KeyValueStore data API answers from; AWS publishes no place
            (UNVERIFIED, the global service's control plane lives in us-east-1).
        lambda_warm_ms: Overhead of a warm Lambda@Edge invocation, median (section 8).
        lambda_warm_sigma: Its spread.
        lambda_cold_ms: Overhead of a cold start, median (section 8).
        lambda_cold_sigma: Its spread.
        lambda_idle_min_s: An idle execution environment lives at least this long (UNVERIFIED).
        lambda_idle_max_s: And at most this long.
        lambda_concurrency: Invocations at once in one Region, all functions together.
        lambda_environment_rps: Requests per second that one execution environment takes.
        origin_handshake_rtts: Round trips before the first request on a new origin connection: 2
            for TCP and TLS 1.3, 3 for TLS 1.2, 1 for plain HTTP (section 1).
        http_api_ms: What API Gateway's HTTP API adds, median (section 10, INFERRED).
        rest_api_ms: What its REST API adds (section 10, INFERRED).
        api_sigma: The spread of both.
    """

    enabled: bool = True
    seed: int = 1
    time_scale: float = 1.0
    shape: Shape = Shape.LOGNORMAL
    access: Mapping[Access, AccessLink] = field(default_factory=lambda: ACCESS_LINKS)
    backbone_sigma: float = 0.03
    viewer_connections: ConnectionMode = ConnectionMode.ACTUAL
    viewer_handshake: Handshake = Handshake.TLS_1_3
    dns_ms: float = 0.0
    body_transfer: bool = True
    cache_lookup_ms: float = 0.3
    cff_ms: float = 1.3
    cff_sigma: float = 0.75
    cff_cold_share: float = 0.0
    cff_cold_ms: float = 35.0
    cff_cold_sigma: float = 0.31
    kvs_read_ms: float = 0.1
    kvs_api_region: str = "us-east-1"
    lambda_warm_ms: float = 30.0
    lambda_warm_sigma: float = 0.36
    lambda_cold_ms: float = 330.0
    lambda_cold_sigma: float = 0.25
    lambda_idle_min_s: float = 300.0
    lambda_idle_max_s: float = 900.0
    lambda_concurrency: int = 1_000
    lambda_environment_rps: int = 10
    origin_handshake_rtts: float = 2.0
    http_api_ms: float = 8.0
    rest_api_ms: float = 15.0
    api_sigma: float = 0.4


# --- Reading them ---------------------------------------------------------------------------------

_LINK_KEYS: Final = ("rtt_ms", "mbit_per_s", "shape")
_SPREAD_KEYS: Final = tuple(one.name for one in fields(Spread))
_SHARES: Final = frozenset({"cff_cold_share", "floor", "spike_share"})
_POSITIVE: Final = frozenset({"mbit_per_s", "lambda_concurrency", "lambda_environment_rps"})


def parse_latency(table: Mapping[str, Any], *, where: str = "") -> LatencySettings:
    """The switches from a table such as `[latency]` of localpop.toml.

    Args:
        table: Keys are the fields of LatencySettings; `access` holds a table for each access type.
        where: The file, for errors.

    Raises:
        ConfigError: An unknown key, or a value that cannot be; names the key.
    """
    defaults = LatencySettings()
    known = [one.name for one in fields(LatencySettings)]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise _unknown("latency", key, known, where)
        shown = f"latency.{key}"
        if key == "access":
            values[key] = _links(value, where)
        else:
            values[key] = _checked(shown, key, value, getattr(defaults, key), where)
    settings = replace(defaults, **values)
    if settings.lambda_idle_max_s < settings.lambda_idle_min_s:
        raise ConfigError(
            "latency.lambda_idle_max_s is less than lambda_idle_min_s.",
            where=where,
            mend="Set both.",
        )
    if settings.kvs_api_region not in regions():
        raise ConfigError(
            f"latency.kvs_api_region is {settings.kvs_api_region!r}, "
            "which is no Region we have round trips for.",
            where=where,
            mend=f"Known: {', '.join(regions())}.",
        )
    return settings


def _links(table: Any, where: str) -> Mapping[Access, AccessLink]:
    if not isinstance(table, Mapping):
        raise ConfigError(
            "latency.access must be a table.", where=where, mend="Write [latency.access.4g]."
        )
    links = dict(ACCESS_LINKS)
    for name, entry in table.items():
        if name not in list(Access):
            raise _unknown("latency.access", name, list(Access), where)
        access = Access(name)
        links[access] = _link(f"latency.access.{name}", entry, links[access], where)
    return MappingProxyType(links)


def _link(shown: str, table: Any, link: AccessLink, where: str) -> AccessLink:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{shown} must be a table.", where=where, mend=f"Write [{shown}].")
    own: dict[str, Any] = {}
    spread: dict[str, Any] = {}
    for key, value in table.items():
        if key in _SPREAD_KEYS:
            default = getattr(link.spread, key)
            spread[key] = _checked(f"{shown}.{key}", key, value, default, where)
        elif key in _LINK_KEYS:
            default = Shape.LOGNORMAL if key == "shape" else getattr(link, key)
            own[key] = _checked(f"{shown}.{key}", key, value, default, where)
        else:
            raise _unknown(shown, key, [*_LINK_KEYS, *_SPREAD_KEYS], where)
    return replace(link, spread=replace(link.spread, **spread), **own)


def _checked(shown: str, key: str, value: Any, default: Any, where: str) -> Any:
    """A value of the default's kind, within its bounds."""
    if isinstance(default, StrEnum):
        kind = type(default)
        if value not in list(kind):
            raise ConfigError(
                f"{shown} is {value!r} (known: {', '.join(kind)}).",
                where=where,
                mend="Use one of them.",
            )
        return kind(value)
    expected = type(default)
    accepted = (int, float) if expected is float else (expected,)
    if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
        raise ConfigError(
            f"{shown} is {value!r}, but must be {expected.__name__}.",
            where=where,
            mend="Mend the value.",
        )
    if expected in (int, float) and key != "seed":
        _check_range(shown, key, value, where)
    return float(value) if expected is float else value


def _check_range(shown: str, key: str, value: float, where: str) -> None:
    if key == "floor":
        fine, wanted = 0 <= value < 1, "0 or more and less than 1"
    elif key in _SHARES:
        fine, wanted = 0 <= value <= 1, "a share from 0 to 1"
    elif key in _POSITIVE:
        fine, wanted = 0 < value < float("inf"), "more than 0"
    else:
        fine, wanted = 0 <= value < float("inf"), "0 or more"
    if not fine:
        raise ConfigError(
            f"{shown} is {value}, but must be {wanted}.", where=where, mend="Mend it."
        )


def _unknown(table: str, key: str, known: list[str] | list[Access], where: str) -> ConfigError:
    return ConfigError(
        f"[{table}] has no key {key!r} (known: {', '.join(sorted(known))}).",
        where=where,
        mend="Mend the name, or take the line out.",
    )
