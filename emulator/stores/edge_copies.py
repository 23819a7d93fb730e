"""The versions of key value stores that edge servers hold, each with its own delay.

The API sees a write at once, an edge server when it has arrived there (`rules/propagation.py`).
Older versions are kept for as long as some server still shows them, and not longer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.clock import Clock
from emulator.rules import propagation as rules
from emulator.rules.propagation import Propagation
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.functions import EdgeLocation
from emulator.values.key_values import StoreSnapshot


@dataclass(frozen=True, slots=True)
class _Version:
    snapshot: StoreSnapshot
    written_ms: float


@dataclass(slots=True)
class _History:
    """Versions of one store, oldest first; the first one is everywhere."""

    versions: list[_Version]
    changes: int = 0


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one server shows until `until_ms`, unless something is written before."""

    snapshot: StoreSnapshot
    until_ms: float
    changes: int


@dataclass(slots=True)
class EdgeCopies:
    """Every edge server's copies. It must be made before the first write it shall delay.

    Args:
        stores: The account's stores.
        clock: For the delays.
        propagation: How long a write takes.
        seed: Decides every delay.
    """

    stores: KeyValueStores
    clock: Clock
    propagation: Propagation = Propagation.INSTANT
    seed: int = 0
    _histories: dict[str, _History] = field(default_factory=dict)
    _shown: dict[tuple[str, str, int], _Shown] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.propagation is not Propagation.INSTANT:
            for store in self.stores.list_stores():
                self._histories[store.arn] = _History([_Version(store.snapshot, float("-inf"))])
            self.stores.subscribe(self._written)

    def copy(self, arn: str, location: EdgeLocation) -> StoreSnapshot:
        """The version of a store that one edge server holds now; memory only.

        Args:
            arn: The store.
            location: The server.

        Raises:
            ApiError: There is no such store.
        """
        newest = self.stores.snapshot(arn)
        if self.propagation is Propagation.INSTANT:
            return newest
        history = self._histories[arn]
        if len(history.versions) == 1:
            return newest
        now_ms = self.clock.now_ms()
        key = (arn, location.name, location.server)
        found = self._shown.get(key)
        if found is None or found.changes != history.changes or now_ms >= found.until_ms:
            found = self._look(history, location, now_ms)
            self._shown[key] = found
            self._forget(arn, history, now_ms)
        return found.snapshot

    def versions_kept(self, arn: str) -> int:
        """How many versions of a store are in memory."""
        history = self._histories.get(arn)
        return len(history.versions) if history else 1

    def _written(self, snapshot: StoreSnapshot) -> None:
        now_ms = self.clock.now_ms()
        version = _Version(snapshot, now_ms)
        history = self._histories.get(snapshot.arn)
        if history is None or snapshot.version == 1:
            # A store that was just made: no server can have another version of it.
            first = _Version(snapshot, float("-inf"))
            self._histories[snapshot.arn] = _History([first], history.changes + 1 if history else 0)
            return
        self._forget(snapshot.arn, history, now_ms)
        last = history.versions[-1]
        if last.written_ms > float("-inf") and rules.batch(last.written_ms) == rules.batch(now_ms):
            history.versions[-1] = version
        else:
            history.versions.append(version)
        history.changes += 1

    def _look(self, history: _History, location: EdgeLocation, now_ms: float) -> _Shown:
        arrivals_ms = [
            one.written_ms
            + rules.delay_ms(
                self.propagation,
                self.seed,
                one.snapshot.arn,
                one.snapshot.version,
                location.name,
                location.server,
            )
            for one in history.versions
        ]
        number, until_ms = rules.shown(arrivals_ms, now_ms)
        return _Shown(history.versions[number].snapshot, until_ms, history.changes)

    def _forget(self, arn: str, history: _History, now_ms: float) -> None:
        """Drop every version that no server can show any more."""
        longest_ms = rules.longest_delay_ms(self.propagation)
        everywhere = [
            number
            for number, one in enumerate(history.versions)
            if one.written_ms + longest_ms <= now_ms
        ]
        if everywhere and everywhere[-1] > 0:
            del history.versions[: everywhere[-1]]
            history.changes += 1
            # A copy that was looked up before would keep its old version alive.
            for key in [key for key in self._shown if key[0] == arn]:
                del self._shown[key]
