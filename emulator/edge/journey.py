"""The two clocks of one request.

**Latency is a deadline, not a sleep.** Every stage adds to one simulated arrival time counted from
the request's arrival, so the emulator's own work fits inside the simulated time; what does not fit
is reported as late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final, TypeAlias

from emulator.clock import Clock
from emulator.values.messages import Request
from emulator.values.places import ViewerPlace
from emulator.values.trace import Component, Stage, Trace


class Journey:
    """Collects what happened to one request, and when its answer is due.

    Args:
        trace_id: 16 hexadecimal digits.
        request_id: X-Amz-Cf-Id.
        request: The viewer's request.
        place: Where the viewer is.
        pop: X-Amz-Cf-Pop.
        arrived_ms: When the request's head was complete, by the clock.
    """

    __slots__ = (
        "_clock",
        "_stages",
        "_waited_ms",
        "arrived_ms",
        "asked_origin_function",
        "body_bytes",
        "closes",
        "component_ms",
        "connect_ms",
        "failover_reason",
        "failure",
        "head_bytes",
        "late_ms",
        "layer",
        "logs",
        "on_end",
        "on_finished",
        "origin_failure",
        "origin_first_byte_ms",
        "origin_host",
        "overhead_ms",
        "place",
        "pop",
        "request",
        "request_id",
        "simulated_ms",
        "started_ms",
        "status",
        "total_ms",
        "trace_id",
        "x_cache",
    )

    def __init__(
        self,
        clock: Clock,
        *,
        trace_id: str,
        request_id: str,
        request: Request,
        place: ViewerPlace,
        pop: str,
        arrived_ms: float,
    ) -> None:
        self._clock = clock
        self._stages: list[tuple[str, float, float, str, str]] = []
        self.component_ms: dict[str, float] = {}
        self._waited_ms = 0.0
        self.trace_id, self.request_id = trace_id, request_id
        self.request, self.place, self.pop = request, place, pop
        self.arrived_ms = arrived_ms
        self.started_ms = clock.epoch_ms()
        self.simulated_ms = 0.0
        self.overhead_ms = 0.0
        self.late_ms = 0.0
        self.total_ms = 0.0
        self.body_bytes = 0
        self.head_bytes = 0
        self.closes = False
        # What access logs and Server-Timing tell beside the stages.
        self.connect_ms = 0.0
        self.layer = ""
        self.origin_host = ""
        self.origin_failure = ""
        self.origin_first_byte_ms: float | None = None
        self.failover_reason = ""
        self.asked_origin_function = False
        self.on_finished: Callable[[], None] | None = None
        self.on_end: Callable[[Journey], None] = _nobody
        self.status = 0
        self.x_cache = ""
        self.failure = ""
        self.logs: tuple[str, ...] = ()

    def takes(
        self,
        name: str,
        simulated_ms: float,
        component: Component,
        *,
        real_ms: float = 0.0,
        detail: str = "",
    ) -> None:
        """A stage that takes this long on AWS; `real_ms` of our own work stood for it."""
        self._add(name, simulated_ms, component, real_ms, detail)

    def waited(self, name: str, real_ms: float, component: Component, *, detail: str = "") -> None:
        """A stage that really took this long elsewhere: it counts on both clocks."""
        self._waited_ms += real_ms
        self._add(name, real_ms, component, real_ms, detail)

    def spent(self, simulated_ms: float, component: Component, *, within: Component) -> None:
        """Some of the time of one component was another's."""
        self.component_ms[within] = self.component_ms.get(within, 0.0) - simulated_ms
        self.component_ms[component] = self.component_ms.get(component, 0.0) + simulated_ms

    def _add(
        self, name: str, simulated_ms: float, component: Component, real_ms: float, detail: str
    ) -> None:
        self.simulated_ms += simulated_ms
        self.component_ms[component] = self.component_ms.get(component, 0.0) + simulated_ms
        self._stages.append((name, simulated_ms, real_ms, detail, component))

    @property
    def deadline_ms(self) -> float:
        """When the response's first byte is due, by the clock."""
        return self.arrived_ms + self.simulated_ms

    def ready(self) -> None:
        """The response's head is made: what has passed beyond waiting was our own work."""
        now_ms = self._clock.now_ms()
        self.overhead_ms = max(0.0, now_ms - self.arrived_ms - self._waited_ms)
        self.late_ms = max(0.0, now_ms - self.deadline_ms)

    def finished(self, body_bytes: int, head_bytes: int = 0) -> None:
        """The last byte has left.

        Args:
            body_bytes: Bytes of body sent.
            head_bytes: Bytes of status line and headers sent.
        """
        self.total_ms = self._clock.now_ms() - self.arrived_ms
        self.body_bytes, self.head_bytes = body_bytes, head_bytes
        if self.on_finished is not None:
            self.on_finished()
        self.on_end(self)

    def trace(self) -> Trace:
        """What happened, as a value."""
        return unpack(self.pack())

    def pack(self) -> PackedTrace:
        """What happened, to be kept by the thousand: see `PackedTrace`."""
        return (
            self.trace_id,
            self.request_id,
            self.started_ms,
            str(self.place),
            self.pop,
            self.request.method,
            self.request.target,
            self.status,
            self.x_cache,
            tuple([(*stage[:4], str(stage[4])) for stage in self._stages]),
            self.simulated_ms,
            self.overhead_ms,
            self.late_ms,
            self.total_ms,
            self.body_bytes,
            self.failure,
            self.logs,
        )


PackedTrace: TypeAlias = tuple[Any, ...]
"""A Trace's fields as texts, numbers and tuples of them, which the garbage collector lets be.

Thousands of finished requests are kept. What hangs on a journey would be walked by every full
collection, and all requests would wait for it: a tenth of a second, as measured.
"""
_STAGES_AT: Final = [one.name for one in fields(Trace)].index("stages")


def unpack(packed: PackedTrace) -> Trace:
    """The Trace, as a value."""
    stages = tuple(
        Stage(name, simulated_ms, real_ms, detail, Component(component))
        for name, simulated_ms, real_ms, detail, component in packed[_STAGES_AT]
    )
    values = [*packed]
    values[_STAGES_AT] = stages
    return Trace(*values)


def _nobody(_journey: Journey) -> None:
    """Who wants to know of the end, until somebody does."""
