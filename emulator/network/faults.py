"""Faults that are made on purpose: which request meets which. Pure; the edge acts on them.

A `Fault` says what happens (its effect), to which requests (place, path, Region, origin, share of
requests) and when (a window counted from the moment the fault was planned). A `FaultPlan` holds the
faults of a running emulator; the edge asks it once per request, the stores and the KeyValueStore
API on their own behalf. Chance is seeded: the same requests in the same order meet the same faults,
and planning a fault changes no draw of the latency model.

    origin-down            the origin refuses connections
    origin-slow            each answer of the origin takes `ms` longer
    packet-loss            the viewer's access link loses `loss` of its packets
    kvs-throttled          the KeyValueStore data API answers ThrottlingException
    lambda-exhausted       the Region has no concurrency left: 503 LambdaLimitExceeded
    propagation-stalled    writes to key value stores do not arrive at the place
    pop-down               the point of presence answers nobody; viewers go to the next one
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from emulator.errors import ConfigError
from emulator.network.distance import serving_place
from emulator.network.places import points_of_presence, regions
from emulator.rules.path_pattern import matches as path_matches
from emulator.values.places import Access, ViewerPlace


class Effect(StrEnum):
    """What a fault does."""

    ORIGIN_DOWN = "origin-down"
    ORIGIN_SLOW = "origin-slow"
    PACKET_LOSS = "packet-loss"
    KVS_THROTTLED = "kvs-throttled"
    LAMBDA_EXHAUSTED = "lambda-exhausted"
    PROPAGATION_STALLED = "propagation-stalled"
    POP_DOWN = "pop-down"


_ORIGIN: Final = frozenset({"place", "path", "region", "origin", "share"})
_MATCHERS: Final[dict[Effect, frozenset[str]]] = {
    Effect.ORIGIN_DOWN: _ORIGIN,
    Effect.ORIGIN_SLOW: _ORIGIN | {"ms"},
    Effect.PACKET_LOSS: frozenset({"place", "path", "share", "loss"}),
    Effect.KVS_THROTTLED: frozenset({"region", "share"}),
    Effect.LAMBDA_EXHAUSTED: frozenset({"place", "path", "region", "share"}),
    Effect.PROPAGATION_STALLED: frozenset({"place"}),
    Effect.POP_DOWN: frozenset({"place"}),
}
"""What each effect can be narrowed by; anything else would be said and never heard."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Empty matchers match everything.

    Args:
        effect: What it does.
        place: A point of presence, an access type, or both: `NRT`, `4g`, `NRT/4g`.
        path: A path pattern, as CloudFront's: `/answers/*`.
        region: The origin's Region; for `lambda-exhausted` the function's, for `kvs-throttled` the
            caller's.
        origin: The origin's id in the template.
        share: The share of matching requests that meet it, 0 to 1.
        ms: `origin-slow`: how much longer.
        loss: `packet-loss`: the share of packets that get lost, each way.
        after_s: When it begins, seconds after it was planned.
        for_s: How long it lasts, seconds; 0: until it is cleared.
    """

    effect: Effect
    place: str = ""
    path: str = ""
    region: str = ""
    origin: str = ""
    share: float = 1.0
    ms: float = 0.0
    loss: float = 0.0
    after_s: float = 0.0
    for_s: float = 0.0

    def covers_place(self, place: ViewerPlace) -> bool:
        """Whether a viewer's place is meant; its own metro counts, whoever serves it."""
        if not self.place:
            return True
        code, access = _split_place(self.place)
        return (not code or code == place.home.code) and (not access or access == place.access)

    def covers_path(self, path: str) -> bool:
        """Whether a path is meant."""
        return not self.path or path_matches(self.path, path)

    def __str__(self) -> str:
        """In the words of the command line: `origin-slow --region us-east-1 --ms 500`."""
        said = [
            f"--{one.name.removesuffix('_s')} {_shown(getattr(self, one.name))}"
            for one in fields(self)[1:]
            if getattr(self, one.name) != one.default
        ]
        return " ".join([str(self.effect), *said])


@dataclass(frozen=True, slots=True)
class ActiveFaults:
    """What one request meets.

    Args:
        faults: Those that cover its place and path now, their share drawn.
    """

    faults: tuple[Fault, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.faults)

    def origin_down(self, origin_id: str, region: str) -> Fault | None:
        """The fault that keeps this origin from answering."""
        return next(iter(self._at_origin(Effect.ORIGIN_DOWN, origin_id, region)), None)

    def origin_slow_ms(self, origin_id: str, region: str) -> float:
        """How much longer this origin takes."""
        return sum(one.ms for one in self._at_origin(Effect.ORIGIN_SLOW, origin_id, region))

    @property
    def loss_share(self) -> float:
        """The share of packets that the viewer's access link loses."""
        kept = 1.0
        for one in self.faults:
            if one.effect is Effect.PACKET_LOSS:
                kept *= 1 - one.loss
        return 1 - kept

    def lambda_exhausted(self, region: str) -> bool:
        """Whether a Region has no concurrency left for this request's functions."""
        return any(
            one.effect is Effect.LAMBDA_EXHAUSTED and one.region in ("", region)
            for one in self.faults
        )

    def _at_origin(self, effect: Effect, origin_id: str, region: str) -> Iterable[Fault]:
        for one in self.faults:
            if (
                one.effect is effect
                and one.region in ("", region)
                and one.origin in ("", origin_id)
            ):
                yield one


NO_FAULTS: Final = ActiveFaults()


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault with its number and its window, by the clock.

    Args:
        number: Its name in lists; never given twice.
        fault: What was planned.
        from_ms: When it begins.
        until_ms: When it ends; infinite when it is to be cleared.
    """

    number: int
    fault: Fault
    from_ms: float
    until_ms: float

    def is_active(self, now_ms: float) -> bool:
        """Whether it holds now."""
        return self.from_ms <= now_ms < self.until_ms


@dataclass(slots=True)
class FaultPlan:
    """The faults of a running emulator.

    Args:
        seed: Fixes who meets them.
        planned: In the order planned.
    """

    seed: int = 1
    planned: tuple[PlannedFault, ...] = ()
    _count: int = 0
    _chances: dict[str, random.Random] = field(default_factory=dict)

    def add(self, fault: Fault, now_ms: float) -> PlannedFault:
        """Plan a fault; its window is counted from now."""
        self._count += 1
        from_ms = now_ms + 1_000 * fault.after_s
        until_ms = from_ms + 1_000 * fault.for_s if fault.for_s else float("inf")
        planned = PlannedFault(self._count, fault, from_ms, until_ms)
        self.planned = (*self.planned, planned)
        return planned

    def clear(self, number: int | None = None) -> int:
        """Take one fault back, or all of them; returns how many there were."""
        kept = tuple(one for one in self.planned if number is not None and one.number != number)
        gone = len(self.planned) - len(kept)
        self.planned = kept
        return gone

    def forget_past(self, now_ms: float) -> None:
        """Drop the faults whose time is over."""
        self.planned = tuple(one for one in self.planned if now_ms < one.until_ms)

    # --- What the edge asks -----------------------------------------------------------------------

    def serving(self, place: ViewerPlace, now_ms: float) -> ViewerPlace:
        """Where a viewer is served now: the next point of presence when its own is down."""
        down = {
            _split_place(one.fault.place)[0]
            for one in self.planned
            if one.fault.effect is Effect.POP_DOWN and one.is_active(now_ms)
        }
        return serving_place(place, down) if down else place

    def for_request(
        self, place: ViewerPlace, path: str, number: int, now_ms: float
    ) -> ActiveFaults:
        """What a request meets.

        Args:
            place: Where its viewer is.
            path: Its path, as the viewer sent it.
            number: How many requests came from this place before (`RequestLatency.number`).
            now_ms: The clock, as in `add`.
        """
        if not self.planned:
            return NO_FAULTS
        met = tuple(
            one.fault
            for one in self.planned
            if one.is_active(now_ms)
            and one.fault.covers_place(place)
            and one.fault.covers_path(path)
            and self._drawn(one, f"{place}:{number}")
        )
        return ActiveFaults(met) if met else NO_FAULTS

    def kvs_throttled(self, region: str, now_ms: float) -> bool:
        """Whether a call of the KeyValueStore data API is throttled.

        Args:
            region: Where the caller is; empty when it is no Lambda@Edge function.
            now_ms: The clock, as in `add`.
        """
        for one in self.planned:
            fault = one.fault
            if (
                fault.effect is Effect.KVS_THROTTLED
                and one.is_active(now_ms)
                and fault.region in ("", region)
                and self._chance(f"kvs:{one.number}").random() < fault.share
            ):
                return True
        return False

    def stalled_since_ms(self, pop_code: str, now_ms: float) -> float | None:
        """Since when a point of presence takes no new version of any key value store.

        Args:
            pop_code: The point of presence.
            now_ms: The clock, as in `add`.

        Returns:
            By the same clock; None while versions arrive as ever.
        """
        return min(
            (
                one.from_ms
                for one in self.planned
                if one.fault.effect is Effect.PROPAGATION_STALLED
                and one.is_active(now_ms)
                and _split_place(one.fault.place)[0] in ("", pop_code)
            ),
            default=None,
        )

    # --- Chance -----------------------------------------------------------------------------------

    def _drawn(self, planned: PlannedFault, request: str) -> bool:
        share = planned.fault.share
        if share >= 1:
            return True
        return random.Random(f"{self.seed}:fault:{planned.number}:{request}").random() < share

    def _chance(self, name: str) -> random.Random:
        chance = self._chances.get(name)
        if chance is None:
            chance = self._chances[name] = random.Random(f"{self.seed}:fault:{name}")
        return chance


# --- In and out -----------------------------------------------------------------------------------


def parse_fault(table: Mapping[str, Any], shown: str = "fault", *, where: str = "") -> Fault:
    """A fault from JSON or TOML, such as `{"effect": "origin-slow", "ms": 500}`.

    Args:
        table: Keys are the fields of Fault.
        shown: What it is called in errors.
        where: The file, for errors.

    Raises:
        ConfigError: An unknown key or value, or a key that its effect does not know.
    """
    known = {one.name: one.default for one in fields(Fault)}
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{shown} has no key {key!r} (known: {', '.join(known)}).",
                where=where,
                mend="Mend the name.",
            )
    effect = table.get("effect")
    if effect not in list(Effect):
        raise ConfigError(
            f"{shown}.effect is {effect!r} (known: {', '.join(Effect)}).",
            where=where,
            mend="Use one of them.",
        )
    values = {
        key: _value(f"{shown}.{key}", value, known[key], where)
        for key, value in table.items()
        if key != "effect"
    }
    fault = Fault(Effect(effect), **values)
    _check(fault, set(values), shown, where)
    return fault


def parse_faults(value: Any, *, where: str = "") -> tuple[Fault, ...]:
    """The faults from `[[faults]]`: they hold from the start, unless `after_s` says later.

    Raises:
        ConfigError: A bad entry; names it.
    """
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise ConfigError(
            "faults must be a list of tables.",
            where=where,
            mend='Write [[faults]], then effect = "origin-down" and so on.',
        )
    return tuple(parse_fault(one, f"faults[{at}]", where=where) for at, one in enumerate(value))


def dump_fault(planned: PlannedFault, now_ms: float) -> dict[str, Any]:
    """A planned fault as JSON: its number, what was said, and how long it still holds."""
    said = {
        one.name: getattr(planned.fault, one.name)
        for one in fields(Fault)
        if getattr(planned.fault, one.name) != one.default
    }
    left_ms = planned.until_ms - now_ms
    return {
        "number": planned.number,
        **said,
        "active": planned.is_active(now_ms),
        "ends_in_s": None if left_ms == float("inf") else max(0.0, round(left_ms / 1_000, 3)),
    }


def _value(shown: str, value: Any, default: Any, where: str) -> Any:
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        wanted = "text"
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and 0 <= value < float("inf"):
            return float(value)
        wanted = "a number, 0 or more"
    raise ConfigError(
        f"{shown} is {value!r}, but must be {wanted}.", where=where, mend="Mend the value."
    )


def _check(fault: Fault, said: set[str], shown: str, where: str) -> None:
    deaf = said - _MATCHERS[fault.effect] - {"after_s", "for_s"}
    if deaf:
        raise ConfigError(
            f"{shown}: {fault.effect} cannot be narrowed by {', '.join(sorted(deaf))} "
            f"(but by: {', '.join(sorted(_MATCHERS[fault.effect]))}).",
            where=where,
            mend="Take it out.",
        )
    for name in ("share", "loss"):
        if getattr(fault, name) > 1:
            raise ConfigError(
                f"{shown}.{name} is {getattr(fault, name):g}, but must be 0 to 1.",
                where=where,
                mend="5 % is 0.05.",
            )
    _require(fault.effect is not Effect.ORIGIN_SLOW or fault.ms > 0, "ms", shown, where)
    _require(fault.effect is not Effect.PACKET_LOSS or fault.loss > 0, "loss", shown, where)
    _require(fault.effect is not Effect.POP_DOWN or bool(fault.place), "place", shown, where)
    if fault.region:
        _known(fault.region, list(regions()), "Region", f"{shown}.region", where)
    if fault.place:
        _check_place(fault, shown, where)


def _check_place(fault: Fault, shown: str, where: str) -> None:
    code, access = _split_place(fault.place)
    if code:
        _known(code, list(points_of_presence()), "point of presence", f"{shown}.place", where)
    if access:
        _known(access, list(Access), "access type", f"{shown}.place", where)
        if fault.effect in (Effect.POP_DOWN, Effect.PROPAGATION_STALLED):
            raise ConfigError(
                f"{shown}.place is {fault.place!r}, but {fault.effect} knows no access types.",
                where=where,
                mend=f"Write {code or 'NRT'!r}.",
            )


def _require(is_fine: bool, key: str, shown: str, where: str) -> None:
    if not is_fine:
        raise ConfigError(f"{shown} needs {key}.", where=where, mend=f"Add {key}.")


def _known(value: str, known: Sequence[str], what: str, shown: str, where: str) -> None:
    if value not in known:
        raise ConfigError(
            f"{shown}: no {what} is called {value!r}.",
            where=where,
            mend=f"Known: {', '.join(known)}.",
        )


def _split_place(text: str) -> tuple[str, str]:
    """Code and access type of `NRT`, `4g` or `NRT/4g`; empty where it is silent."""
    first, slash, access = text.strip().partition("/")
    if not slash and first.lower() in list(Access):
        return "", first.lower()
    return first.upper(), access.lower()


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
