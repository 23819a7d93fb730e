"""Sending answers to their one writer: messages on the FIFO queue, many in a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from origin.precompute.messages import MESSAGE_GROUP, Put, dump_message

# Amazon SQS API Reference "SendMessageBatch": at most 10 messages.
_MAX_ENTRIES = 10
# And a quota on all of them together, of which this is a safe part.
_MAX_BATCH_BYTES = 200_000
_ATTEMPTS = 5


class QueueError(Exception):
    """Messages did not reach the queue; the message says why."""


@dataclass(frozen=True, slots=True)
class AnswerQueue:
    """The queue of writes.

    Attributes:
        client: boto3's `sqs`.
        url: The queue.
        sleep: Waits that many seconds.
    """

    client: Any
    url: str
    sleep: Callable[[float], object] = time.sleep

    def put(self, puts: Sequence[Put]) -> None:
        """Send messages, and those again which the queue did not take.

        Raises:
            QueueError: Not all of them arrived.
        """
        batch: list[dict[str, str]] = []
        size_bytes = 0
        for put in puts:
            body = dump_message(put)
            body_bytes = len(body.encode())
            if batch and (len(batch) == _MAX_ENTRIES or size_bytes + body_bytes > _MAX_BATCH_BYTES):
                self._send(batch)
                batch, size_bytes = [], 0
            batch.append(
                {
                    "Id": str(len(batch)),
                    "MessageBody": body,
                    "MessageGroupId": MESSAGE_GROUP,
                    "MessageDeduplicationId": f"{put.event_id}-{put.user_id}"[-128:],
                }
            )
            size_bytes += body_bytes
        if batch:
            self._send(batch)

    def _send(self, batch: list[dict[str, str]]) -> None:
        left = batch
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sleep(0.1 * 2**attempt)
            try:
                failed = self.client.send_message_batch(QueueUrl=self.url, Entries=left).get(
                    "Failed", []
                )
            except (BotoCoreError, ClientError) as error:
                raise QueueError(f"no message reached {self.url}: {error}") from error
            if not failed:
                return
            problem = f"{failed[0].get('Code')}: {failed[0].get('Message')}"
            ids = {one["Id"] for one in failed}
            left = [one for one in left if one["Id"] in ids]
            if any(one.get("SenderFault") for one in failed):
                break
        raise QueueError(f"{len(left)} messages did not reach {self.url}: {problem}")
