"""Where the candidates of recommendations come from: the stored artifact, or computed at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from origin.dataset import DataSet
from origin.precompute.artifact import parse_value, staleness, store_key
from origin.recommendations import list_candidates, read_candidates
from origin.store import STORE_ARN_VARIABLE

ACTION_ID = "recommendation-candidates"

# What was read is believed for so long; after a failure the store is left alone for so long.
_REMEMBER_S = 60.0
_PAUSE_S = 5.0
_MAX_REMEMBERED = 10_000


class Origin(StrEnum):
    """Where a user's candidates came from."""

    STORED = "stored"
    COMPUTED = "computed"


@dataclass(slots=True)
class CandidateSource:
    """A user's candidates; any thread may ask.

    Attributes:
        data: What they are computed from when there are none in the store.
        client: boto3's `cloudfront-keyvaluestore`; None when there is no store.
        store_arn: The store.
        now_s: Epoch seconds.
        monotonic_s: Seconds for what is remembered.
    """

    data: DataSet
    client: Any = None
    store_arn: str = ""
    now_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic
    _remembered: dict[str, tuple[float, tuple[str, ...], Origin]] = field(default_factory=dict)
    _paused_until_s: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, user_id: str) -> tuple[tuple[str, ...], Origin] | None:
        """What is remembered of a user's candidates, without waiting for anything."""
        found = self._remembered.get(user_id)
        if found is None or found[0] <= self.monotonic_s():
            return None
        return found[1], found[2]

    def fetch(self, user_id: str) -> tuple[tuple[str, ...], Origin]:
        """Read a user's candidates from the store, or compute them; blocks."""
        found = self._stored(user_id)
        origin = Origin.STORED
        if not found:
            found = list_candidates(self.data, self.data.users[user_id])
            origin = Origin.COMPUTED
        with self._lock:
            if len(self._remembered) >= _MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[user_id] = (self.monotonic_s() + _REMEMBER_S, found, origin)
        return found, origin

    def close(self) -> None:
        """Give the connections back."""
        if self.client is not None:
            self.client.close()

    def _stored(self, user_id: str) -> tuple[str, ...]:
        if self.client is None or self.monotonic_s() < self._paused_until_s:
            return ()
        try:
            value = self.client.get_key(KvsARN=self.store_arn, Key=store_key(user_id, ACTION_ID))
            stored = parse_value(value["Value"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                self._paused_until_s = self.monotonic_s() + _PAUSE_S
            return ()
        except BotoCoreError:
            self._paused_until_s = self.monotonic_s() + _PAUSE_S
            return ()
        except ValueError:
            return ()
        is_stale = staleness(stored, now_s=self.now_s()) is not None
        return () if is_stale else read_candidates(stored.answer)


def open_candidates(environment: Mapping[str, str], data: DataSet) -> CandidateSource:
    """The source that the environment names; without a store everything is computed."""
    store_arn = environment.get(STORE_ARN_VARIABLE, "")
    if not store_arn:
        return CandidateSource(data)
    config = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 1})
    try:
        client = boto3.Session().client("cloudfront-keyvaluestore", config=config)
    except (BotoCoreError, ValueError):
        # Nothing is lost but a store that could not have been read.
        return CandidateSource(data)
    return CandidateSource(data, client, store_arn)
