"""Stores whose new versions do not reach a point of presence (fault propagation-stalled)."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.clock import Clock
from emulator.network.faults import Effect, FaultPlan
from emulator.stores.edge_copies import EdgeCopies
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.functions import EdgeLocation
from emulator.values.key_values import StoreSnapshot


@dataclass(slots=True)
class StalledCopies:
    """Edge servers' copies, as a stalled point of presence goes on showing them.

    It shows the newest version that was written before it stalled, also one that with
    `[stores] propagation` was still on its way. When the fault ends, everything arrives.

    Args:
        stores: The account's stores.
        copies: The copies without the fault.
        plan: Says which points of presence are stalled, and since when.
        clock: The plan's.
    """

    stores: KeyValueStores
    copies: EdgeCopies
    plan: FaultPlan
    clock: Clock
    _latest: dict[str, StoreSnapshot] = field(default_factory=dict)
    # Per store, oldest first: versions that were replaced since a fault was planned, and when.
    _replaced: dict[str, list[tuple[float, StoreSnapshot]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for store in self.stores.list_stores():
            self._latest[store.arn] = store.snapshot
        self.stores.subscribe(self._written)

    def copy(self, arn: str, location: EdgeLocation) -> StoreSnapshot:
        """The version of a store that one edge server holds now; memory only.

        Raises:
            ApiError: There is no such store.
        """
        if self.plan.planned:
            since_ms = self.plan.stalled_since_ms(location.name, self.clock.now_ms())
            if since_ms is not None:
                for replaced_ms, snapshot in self._replaced.get(arn, ()):
                    if replaced_ms >= since_ms:
                        return snapshot
        return self.copies.copy(arn, location)

    def _written(self, snapshot: StoreSnapshot) -> None:
        before = self._latest.get(snapshot.arn)
        self._latest[snapshot.arn] = snapshot
        if snapshot.version == 1 or not self._is_planned():
            # Nobody is stalled (or the store is new): nothing older will be asked for.
            self._replaced.pop(snapshot.arn, None)
        elif before is not None:
            now_ms = self.clock.now_ms()
            self._replaced.setdefault(snapshot.arn, []).append((now_ms, before))

    def _is_planned(self) -> bool:
        return any(one.fault.effect is Effect.PROPAGATION_STALLED for one in self.plan.planned)
