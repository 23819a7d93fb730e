"""What works behind the viewers' back: events, queues, and what they set in motion.

One object that the endpoint, the deployment of templates and the end of localpop share.
"""

from __future__ import annotations

from emulator.aws.call import Service
from emulator.aws.events.api import EventsApi, EventsSettings
from emulator.aws.in_process import InProcess
from emulator.aws.sqs.api import SqsApi
from emulator.clock import Clock
from emulator.stores.account import Account
from emulator.stores.queues import Queues


class Background:
    """EventBridge and SQS, joined to the other services. Call `start`, and `close` at the end.

    Args:
        account: Where what the API makes is kept.
        clock: Counts time-outs, spaces retries.
        in_process: The services; these are added to it.
        settings: What a person may set.
    """

    def __init__(
        self,
        account: Account,
        clock: Clock,
        in_process: InProcess,
        settings: EventsSettings | None = None,
    ) -> None:
        self.sqs = SqsApi(Queues(clock), account)
        self.events = EventsApi(account, clock, in_process, settings)
        in_process.add("sqs", self.sqs.call)
        in_process.add("events", self.events.call)

    def services(self) -> dict[str, Service]:
        """The services for the endpoint, by signing name."""
        return {"sqs": self.sqs, "events": self.events}

    async def start(self) -> None:
        """Go on where the last run ended; the template's resources are there by now."""
        await self.sqs.forget_kept()
        await self.events.start()

    async def close(self) -> None:
        """End in order: nothing that was accepted is lost."""
        await self.events.close()
        await self.sqs.keep_messages()

    async def reset(self) -> None:
        """Forget queues; the account forgets the rest."""
        self.sqs.queues.clear()
