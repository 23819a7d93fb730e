"""Where viewers are that do not say so: one place, or a mix of them by weight.

A mix is drawn from once for each connection: a viewer does not travel between two of its requests.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from emulator.errors import ConfigError
from emulator.network.places import parse_place
from emulator.values.places import ViewerPlace


@dataclass(frozen=True, slots=True)
class PlaceMix:
    """Places with their weights.

    Args:
        weights: At least one; every weight is more than 0.
    """

    weights: tuple[tuple[ViewerPlace, float], ...]

    @classmethod
    def of(cls, place: ViewerPlace) -> Self:
        """One place for everybody."""
        return cls(((place, 1.0),))

    @property
    def places(self) -> tuple[ViewerPlace, ...]:
        """Every place, in the order written."""
        return tuple(place for place, _ in self.weights)

    def choose(self, chance: random.Random) -> ViewerPlace:
        """One place, as often as its weight says; a lone place costs no draw."""
        if len(self.weights) == 1:
            return self.weights[0][0]
        sums = list(itertools.accumulate(weight for _, weight in self.weights))
        at = bisect.bisect_right(sums, chance.random() * sums[-1])
        return self.weights[min(at, len(self.weights) - 1)][0]

    def __str__(self) -> str:
        if len(self.weights) == 1:
            return str(self.weights[0][0])
        return ", ".join(f"{place} x {weight:g}" for place, weight in self.weights)


class Arrivals:
    """Gives each new connection its place; with the same seed always in the same order.

    Args:
        mix: Where they come from.
        seed: Fixes the order.
        name: Tells listeners apart: each draws a row of its own.
    """

    def __init__(self, mix: PlaceMix, seed: int, name: str = "viewer") -> None:
        self.mix = mix
        self._chance = random.Random(f"{seed}:arrivals:{name}")

    def next_place(self) -> ViewerPlace:
        """Where the next connection's viewer is."""
        return self.mix.choose(self._chance)


@dataclass(frozen=True, slots=True)
class ViewerListener:
    """A listener of its own for viewers of one place; `[[viewer.listeners]]` in localpop.toml.

    Args:
        port: Where it listens; 0 for any free port.
        mix: Where its silent viewers are.
    """

    port: int
    mix: PlaceMix


def parse_mix(value: Any, shown: str, *, where: str = "") -> PlaceMix:
    """A mix from `"LHR/fibre"`, or from `{"LHR/fibre" = 3, "NRT/4g" = 1}`.

    Args:
        value: As TOML has it.
        shown: The key, for errors, such as `viewer.place`.
        where: The file, for errors.

    Raises:
        ConfigError: An unknown place, a weight that is none, or nothing at all; names the key.
    """
    if isinstance(value, str):
        return PlaceMix.of(_place(value, shown, where))
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(
            f"{shown} is {value!r}, but must be a place or a table of weights.",
            where=where,
            mend='Write "LHR/fibre", or { "LHR/fibre" = 3, "NRT/4g" = 1 }.',
        )
    weights: dict[ViewerPlace, float] = {}
    for name, weight in value.items():
        place = _place(str(name), shown, where)
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not 0 < weight < float("inf"):
            raise ConfigError(
                f"{shown}: the weight of {name} is {weight!r}, but must be more than 0.",
                where=where,
                mend="Mend the weight, or take the place out.",
            )
        if place in weights:
            raise ConfigError(
                f"{shown} names {place} twice.", where=where, mend="Add the weights up."
            )
        weights[place] = float(weight)
    return PlaceMix(tuple(weights.items()))


def parse_listeners(value: Any, *, where: str = "") -> tuple[ViewerListener, ...]:
    """The listeners from `[[viewer.listeners]]`, each with a port and a place.

    Raises:
        ConfigError: A bad entry, or one port twice; names the entry.
    """
    if not isinstance(value, list):
        raise ConfigError(
            "viewer.listeners must be a list of tables.",
            where=where,
            mend="Write [[viewer.listeners]], then port and place.",
        )
    listeners = tuple(
        _listener(f"viewer.listeners[{at}]", one, where) for at, one in enumerate(value)
    )
    ports = [listener.port for listener in listeners if listener.port]
    for port in ports:
        if ports.count(port) > 1:
            raise ConfigError(
                f"viewer.listeners: port {port} comes twice.", where=where, mend="Choose another."
            )
    return listeners


def _listener(shown: str, table: Any, where: str) -> ViewerListener:
    if not isinstance(table, Mapping) or set(table) != {"port", "place"}:
        raise ConfigError(
            f"{shown} must have a port and a place, and nothing else.",
            where=where,
            mend='Write port = 8081 and place = "NRT/4g".',
        )
    port = table["port"]
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise ConfigError(
            f"{shown}.port is {port!r}, but a port is 0 to 65535.",
            where=where,
            mend="Use 0 for any free port.",
        )
    return ViewerListener(port, parse_mix(table["place"], f"{shown}.place", where=where))


def _place(text: str, shown: str, where: str) -> ViewerPlace:
    try:
        return parse_place(text)
    except ConfigError as error:
        raise ConfigError(f"{shown}: {error.what}", where=where, mend=error.mend) from None
