"""Amazon SQS's queues: read from memory, kept in a journal.

A message is ready, in flight (received, until its visibility time-out) or delayed. A FIFO queue
keeps the order within each message group: while one message of a group is in flight, no other of
that group is handed out. What was received too often moves to the dead-letter queue.

AWS: the Amazon SQS Developer Guide, "Amazon SQS visibility timeout", "FIFO delivery logic",
"Using dead-letter queues in Amazon SQS", read 2026-11-21. One difference: a standard queue hands
out in order and delivers once unless the visibility time-out passes, where AWS promises neither.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import hashlib
import heapq
import itertools
import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.clock import Clock
from emulator.stores.journal import Journal

_KEY: Final = "message "
DEDUPLICATION_MS: Final = 5 * 60 * 1_000
"""DG FIFO-queues-exactly-once-processing: the deduplication interval is 5 minutes."""


@dataclass(slots=True)
class Message:
    """One message in a queue.

    Args:
        number: Grows with each message of an account; orders them.
        id: Its MessageId.
        body: Its text.
        attributes: MessageAttributes, spelled as the API spells them.
        sent_ms: When it was sent, epoch ms.
        group_id: Its message group; empty when it has none.
        deduplication_id: Empty for a standard queue's message.
        system_attributes: Such as AWSTraceHeader.
        source_arn: The queue from which it came here as a dead letter.
        reason: Why it failed last, as far as localpop knows; AWS keeps no such thing.
        function_arn: The Lambda function whose dead letter it is; AWS keeps no such thing.
    """

    number: int
    id: str
    body: str
    attributes: Mapping[str, Any]
    sent_ms: float
    group_id: str = ""
    deduplication_id: str = ""
    system_attributes: Mapping[str, str] = field(default_factory=dict)
    source_arn: str = ""
    reason: str = ""
    function_arn: str = ""
    receive_count: int = 0
    first_received_ms: float = 0.0
    receipt: str = ""
    visible_at_ms: float = 0.0

    @property
    def sequence_number(self) -> str:
        """A FIFO message's SequenceNumber: 20 digits that grow."""
        return f"{self.number + 18_850_000_000_000_000_000:020}"

    @property
    def md5_of_body(self) -> str:
        """As SendMessage and ReceiveMessage report it."""
        return hashlib.md5(self.body.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Group:
    """A message group of a FIFO queue: what waits, in order, and how many are in flight."""

    waiting: list[tuple[int, Message]] = field(default_factory=list)
    in_flight: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known of it."""
        return not self.in_flight and not self.waiting


class Queue:
    """One queue. Make it with `Queues.create`.

    Args:
        name: Its name; `.fifo` at the end makes it a FIFO queue.
        arn: Its ARN.
        attributes: Its attributes, as the API spells them; complete.
        clock: Counts time-outs.
        created_ms: Epoch ms.
    """

    def __init__(
        self, name: str, arn: str, attributes: Mapping[str, str], clock: Clock, created_ms: float
    ) -> None:
        self.name, self.arn, self.attributes = name, arn, dict(attributes)
        self.is_fifo = name.endswith(".fifo")
        self.created_ms = self.modified_ms = created_ms
        self.tags: dict[str, str] = {}
        self.redrive_to: tuple[Queue, int] | None = None
        self._clock = clock
        self._ready: deque[Message] = deque()
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        # Received or delayed: until when, by receipt or number.
        self._timers: list[tuple[float, int, str]] = []
        self._in_flight: dict[str, Message] = {}
        self._delayed: dict[int, Message] = {}
        self._old_receipts: OrderedDict[str, None] = OrderedDict()
        self.keep: Callable[[Queue, Message], None] = lambda queue, message: None
        self.forget: Callable[[Message], None] = lambda message: None
        self._sent: OrderedDict[tuple[str, str], tuple[float, Message]] = OrderedDict()
        self._waiters: set[asyncio.Future[None]] = set()

    # --- looking ----------------------------------------------------------------------------

    def whole(self, name: str) -> int:
        """An attribute that is a number."""
        return int(self.attributes[name])

    def counts(self) -> tuple[int, int, int]:
        """How many messages are ready (or behind one of their group), in flight, delayed."""
        self._return_due()
        waiting = sum(len(group.waiting) for group in self._groups.values())
        return len(self._ready) + waiting, len(self._in_flight), len(self._delayed)

    def messages(self) -> list[Message]:
        """Every message, in order; for who looks on."""
        self._return_due()
        found = [*self._ready, *self._in_flight.values(), *self._delayed.values()]
        found += [message for group in self._groups.values() for _, message in group.waiting]
        return sorted(found, key=lambda message: message.number)

    def is_in_flight(self, message: Message) -> bool:
        """Whether somebody has received a message and may still delete it."""
        return message.receipt in self._in_flight

    def has_ready(self) -> bool:
        """Whether a receiver would get something now."""
        self._return_due()
        return bool(self._ready) or any(
            group.waiting and not group.in_flight for group in self._groups.values()
        )

    # --- sending ----------------------------------------------------------------------------

    def add(self, message: Message, delay_ms: float = 0.0) -> None:
        """Put a message in."""
        self.keep(self, message)
        if delay_ms > 0:
            message.visible_at_ms = self._clock.now_ms() + delay_ms
            self._delayed[message.number] = message
            heapq.heappush(self._timers, (message.visible_at_ms, message.number, ""))
            # A receiver that waits has a nearer time to look again.
            self._wake()
            return
        self._put_back(message)
        self._wake()

    def duplicate(self, deduplication_id: str, group_id: str) -> Message | None:
        """The message sent with this id in the last five minutes, if there is one."""
        now_ms = self._clock.now_ms()
        # In the order in which they were sent, so that each is looked at once.
        while self._sent:
            oldest = next(iter(self._sent))
            if self._sent[oldest][0] > now_ms:
                break
            del self._sent[oldest]
        found = self._sent.get(self._scope(deduplication_id, group_id))
        return found[1] if found else None

    def remember(self, message: Message) -> None:
        """Keep a message's deduplication id for five minutes."""
        key = self._scope(message.deduplication_id, message.group_id)
        self._sent[key] = (self._clock.now_ms() + DEDUPLICATION_MS, message)

    def _scope(self, deduplication_id: str, group_id: str) -> tuple[str, str]:
        by_group = self.attributes.get("DeduplicationScope") == "messageGroup"
        return (group_id if by_group else "", deduplication_id)

    # --- receiving --------------------------------------------------------------------------

    def take(self, most: int, visibility_ms: float) -> list[Message]:
        """Up to so many messages, now in flight; those received too often move away instead."""
        self._return_due()
        taken: list[Message] = []
        for message in self._offered():
            if self._expired(message):
                self.forget(message)
                continue
            if self.redrive_to is not None and message.receive_count >= self.redrive_to[1]:
                self._bury(message)
                continue
            self._hand_out(message, visibility_ms)
            taken.append(message)
            if len(taken) >= most:
                break
        return taken

    def _offered(self) -> Iterator[Message]:
        """What may be received, taken out as it is asked for."""
        while self._ready:
            yield self._ready.popleft()
        for name in list(self._groups):
            group = self._groups[name]
            if group.in_flight:
                continue
            while group.waiting:
                yield group.waiting.pop(0)[1]
            if group.is_idle:
                del self._groups[name]

    def _hand_out(self, message: Message, visibility_ms: float) -> None:
        message.receive_count += 1
        if not message.first_received_ms:
            message.first_received_ms = self._clock.epoch_ms()
        message.receipt = uuid.uuid4().hex + uuid.uuid4().hex
        message.visible_at_ms = self._clock.now_ms() + visibility_ms
        self._in_flight[message.receipt] = message
        heapq.heappush(self._timers, (message.visible_at_ms, message.number, message.receipt))
        if self.is_fifo:
            self._groups.setdefault(message.group_id, _Group()).in_flight += 1
        self.keep(self, message)

    def _expired(self, message: Message) -> bool:
        retention_ms = self.whole("MessageRetentionPeriod") * 1_000
        return self._clock.epoch_ms() - message.sent_ms >= retention_ms

    def _bury(self, message: Message) -> None:
        assert self.redrive_to is not None
        grave = self.redrive_to[0]
        message.source_arn, message.receive_count, message.receipt = self.arn, 0, ""
        message.first_received_ms = 0.0
        grave.add(message)

    async def wait_for_message(self, deadline_ms: float) -> bool:
        """Wait until something is ready; False when the deadline came first."""
        while not self.has_ready():
            now_ms = self._clock.now_ms()
            if now_ms >= deadline_ms:
                return False
            until_ms = min(deadline_ms, self._timers[0][0] if self._timers else deadline_ms)
            woken = asyncio.get_running_loop().create_future()
            self._waiters.add(woken)
            try:
                # A little later than due, so that one look is enough.
                async with asyncio.timeout(max(0.0, until_ms - now_ms) / 1_000 + 0.001):
                    await woken
            except TimeoutError:
                continue
            finally:
                self._waiters.discard(woken)
        return True

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # --- afterwards -------------------------------------------------------------------------

    def delete(self, receipt: str) -> bool:
        """Delete a received message; False when no message ever had this receipt here."""
        self._return_due()
        message = self._in_flight.pop(receipt, None)
        if message is None:
            return self._delete_late(receipt)
        self._left_flight(message)
        self._forget_receipt(receipt)
        self.forget(message)
        return True

    def _delete_late(self, receipt: str) -> bool:
        """Its time-out has passed; AWS still deletes it unless somebody received it again."""
        for message in self._ready:
            if message.receipt == receipt:
                self._ready.remove(message)
                self.forget(message)
                return True
        for group in self._groups.values():
            for entry in group.waiting:
                if entry[1].receipt == receipt:
                    # A FIFO queue refuses a receipt that is out of date.
                    return False
        return receipt in self._old_receipts

    def change_visibility(self, receipt: str, visibility_ms: float) -> bool:
        """Hide a message for so long from now on; False when it is not in flight."""
        self._return_due()
        message = self._in_flight.get(receipt)
        if message is None:
            return False
        message.visible_at_ms = self._clock.now_ms() + visibility_ms
        heapq.heappush(self._timers, (message.visible_at_ms, message.number, receipt))
        self._return_due()
        self._wake()
        return True

    def note_reason(self, message_id: str, reason: str) -> None:
        """Keep why a message failed; it goes with it into the dead-letter queue."""
        for message in self._in_flight.values():
            if message.id == message_id:
                message.reason = reason
                self.keep(self, message)

    def remove(self, message: Message) -> None:
        """Take a message out, wherever it is."""
        self.forget(message)
        if self._in_flight.pop(message.receipt, None) is not None:
            self._left_flight(message)
        self._delayed.pop(message.number, None)
        with contextlib.suppress(ValueError):
            self._ready.remove(message)
        for group in self._groups.values():
            group.waiting = [entry for entry in group.waiting if entry[1] is not message]

    def purge(self) -> None:
        """Delete every message."""
        for message in self.messages():
            self.forget(message)
        self._ready.clear()
        self._groups.clear()
        self._in_flight.clear()
        self._delayed.clear()
        self._timers.clear()

    def _return_due(self) -> None:
        """Messages whose time-out or delay has passed can be received again."""
        now_ms, came_back = self._clock.now_ms(), False
        while self._timers and self._timers[0][0] <= now_ms:
            until_ms, number, receipt = heapq.heappop(self._timers)
            message = self._in_flight.get(receipt) if receipt else self._delayed.get(number)
            # A later time-out, or a delete, has overtaken this timer.
            if message is None or message.visible_at_ms != until_ms:
                continue
            if receipt:
                del self._in_flight[receipt]
                self._left_flight(message)
                self._forget_receipt(receipt)
            else:
                del self._delayed[number]
            self._put_back(message)
            came_back = True
        if came_back:
            self._wake()

    def _left_flight(self, message: Message) -> None:
        group = self._groups.get(message.group_id) if self.is_fifo else None
        if group is None:
            return
        group.in_flight -= 1
        if group.in_flight <= 0 and group.waiting:
            self._wake()
        elif group.in_flight <= 0:
            del self._groups[message.group_id]

    def _put_back(self, message: Message) -> None:
        if self.is_fifo:
            group = self._groups.setdefault(message.group_id, _Group())
            bisect.insort(group.waiting, (message.number, message), key=lambda entry: entry[0])
        else:
            self._ready.append(message)

    def _forget_receipt(self, receipt: str) -> None:
        self._old_receipts[receipt] = None
        if len(self._old_receipts) > 10_000:
            self._old_receipts.popitem(last=False)


class Queues:
    """Every queue of the account.

    Args:
        clock: Counts time-outs and gives dates.
        journal: Keeps messages over a restart and a kill; None: nothing does.
        chance: Where message ids come from.
    """

    def __init__(
        self, clock: Clock, journal: Journal | None = None, chance: random.Random | None = None
    ) -> None:
        self.clock, self._journal = clock, journal
        self._chance = chance or random.Random()
        self._queues: dict[str, Queue] = {}
        self._kept = self._read_kept()
        self._numbers = itertools.count(
            1 + max((message.number for _, message in self._kept), default=0)
        )
        self.on_message: Callable[[Queue], None] = lambda queue: None

    def create(self, name: str, arn: str, attributes: Mapping[str, str]) -> Queue:
        """Make a queue; the messages that were in it when localpop ended are in it again."""
        queue = Queue(name, arn, attributes, self.clock, self.clock.epoch_ms())
        self._queues[name] = queue
        for home, message in self._kept:
            if home == name:
                queue.add(message)
                if message.deduplication_id:
                    queue.remember(message)
        self._kept = [kept for kept in self._kept if kept[0] != name]
        if self._journal is not None:
            queue.keep, queue.forget = self._keep, self._forget
        return queue

    def forget_homeless(self) -> None:
        """Messages of queues that are not there any more are gone with them."""
        for _, message in self._kept:
            self._forget(message)
        self._kept = []

    def _keep(self, queue: Queue, message: Message) -> None:
        assert self._journal is not None
        self._journal.put(f"{_KEY}{message.id}", _dump_message(queue.name, message))

    def _forget(self, message: Message) -> None:
        if self._journal is not None:
            self._journal.drop(f"{_KEY}{message.id}")

    def _read_kept(self) -> list[tuple[str, Message]]:
        if self._journal is None:
            return []
        found = [
            _load_message(shape)
            for key, shape in self._journal.all().items()
            if key.startswith(_KEY)
        ]
        return sorted(found, key=lambda kept: kept[1].number)

    def find(self, name: str) -> Queue | None:
        """A queue by its name, its URL or its ARN."""
        if name.startswith("arn:"):
            return self._queues.get(name.rpartition(":")[2])
        return self._queues.get(name.rstrip("/").rpartition("/")[2])

    def all(self) -> Sequence[Queue]:
        """Every queue, by name."""
        return [self._queues[name] for name in sorted(self._queues)]

    def delete(self, name: str) -> None:
        """Forget a queue and its messages."""
        queue = self._queues.pop(name, None)
        if queue is not None:
            queue.purge()

    def clear(self) -> None:
        """Forget every queue."""
        for name in list(self._queues):
            self.delete(name)

    def new_message(self, body: str, **more: Any) -> Message:
        """A message that no queue has yet."""
        made_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        return Message(
            next(self._numbers),
            made_id,
            body,
            more.pop("attributes", {}),
            self.clock.epoch_ms(),
            **more,
        )

    def again(self, message: Message, without: Collection[str] = ()) -> Message:
        """A new message with what another says, as a dead letter that is sent back.

        Args:
            message: The other.
            without: Attributes that it is not to have.
        """
        kept = {name: one for name, one in message.attributes.items() if name not in without}
        return self.new_message(
            message.body,
            attributes=kept,
            group_id=message.group_id,
            deduplication_id=message.deduplication_id,
            system_attributes=message.system_attributes,
        )

    def sources_of(self, grave: Queue) -> list[Queue]:
        """The queues whose dead letters go to a queue."""
        return [
            queue
            for queue in self.all()
            if queue.redrive_to is not None and queue.redrive_to[0] is grave
        ]


def _dump_message(queue: str, message: Message) -> dict[str, Any]:
    attributes = {
        name: {
            key: part.hex() if isinstance(part, bytes) else part for key, part in attribute.items()
        }
        for name, attribute in message.attributes.items()
    }
    return {
        "queue": queue,
        "number": message.number,
        "id": message.id,
        "body": message.body,
        "attributes": attributes,
        "sent_ms": message.sent_ms,
        "group_id": message.group_id,
        "deduplication_id": message.deduplication_id,
        "system_attributes": dict(message.system_attributes),
        "source_arn": message.source_arn,
        "function_arn": message.function_arn,
        "reason": message.reason,
        "receive_count": message.receive_count,
    }


def _load_message(shape: Mapping[str, Any]) -> tuple[str, Message]:
    """The queue's name, and the message."""
    given = dict(shape)
    given["attributes"] = {
        name: {
            key: bytes.fromhex(part) if key == "BinaryValue" else part
            for key, part in attribute.items()
        }
        for name, attribute in given["attributes"].items()
    }
    return given.pop("queue"), Message(**given)
