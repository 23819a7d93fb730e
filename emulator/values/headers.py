"""HTTP headers: order, case and repetition kept; names compared without case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self


class Headers:
    """An immutable list of (name, value) pairs, as on the wire.

    Text is ISO-8859-1 so that any byte survives the way through. Lookups ignore case;
    nothing is ever folded, because functions see every line (facts/lambda-at-edge.md 2.2).
    """

    __slots__ = ("_firsts", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        self._pairs: tuple[tuple[str, str], ...] = (
            tuple(pairs.items()) if isinstance(pairs, Mapping) else tuple(pairs)
        )
        # A request's headers are asked for twenty names and more; most others for none.
        self._firsts: dict[str, str] | None = None

    def get(self, name: str, default: str = "") -> str:
        """The first value of the name, else the default."""
        return self._by_name().get(name.lower(), default)

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of the name, in order."""
        wanted = name.lower()
        if wanted not in self._by_name():
            return ()
        return tuple(value for key, value in self._pairs if key.lower() == wanted)

    def without(self, *names: str) -> Self:
        """The same without these names."""
        gone = {name.lower() for name in names}
        if gone.isdisjoint(self._by_name()):
            return self
        return type(self)(pair for pair in self._pairs if pair[0].lower() not in gone)

    def with_added(self, name: str, value: str) -> Self:
        """A copy with one more line at the end."""
        return type(self)((*self._pairs, (name, value)))

    def with_set(self, name: str, value: str) -> Self:
        """A copy where the name has exactly this value; a present line keeps its place."""
        wanted, lines, placed = name.lower(), [], False
        for pair in self._pairs:
            if pair[0].lower() != wanted:
                lines.append(pair)
            elif not placed:
                lines.append((pair[0], value))
                placed = True
        if not placed:
            lines.append((name, value))
        return type(self)(lines)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The lines, as (name, value)."""
        return self._pairs

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in self._by_name()

    def _by_name(self) -> dict[str, str]:
        """Each name in lower case with its first value."""
        firsts = self._firsts
        if firsts is None:
            firsts = self._firsts = {key.lower(): value for key, value in reversed(self._pairs)}
        return firsts

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"
