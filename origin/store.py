"""Writing to a CloudFront KeyValueStore: ETags, conflicts, retries, and errors one can act on.

An ETag stands for the whole store: any write by anybody makes every other holder's ETag stale,
even for unrelated keys, and `UpdateKeys` is all or nothing (API Reference "UpdateKeys",
https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_kvs_UpdateKeys.html). So one process
writes through one `StoreWriter`, and what belongs together goes into one `UpdateKeys`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from origin.backoff import Backoff

STORE_ARN_VARIABLE = "ANSWER_STORE_ARN"

# boto3 makes its clients at run time, so there is no type to name.
KeyValueStoreClient: TypeAlias = Any

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"total_max_attempts": 3, "mode": "standard"},
)


class StoreError(Exception):
    """A key value store did not do what was asked; the message says what to mend."""


class StoreUnavailableError(StoreError):
    """No write can succeed: the store is unknown or not ready, or cannot be reached."""


class StoreConflictError(StoreError):
    """Other writers were faster, every time."""


class StoreRefusedError(StoreError):
    """The store refuses this batch: over a quota, or not valid."""


@contextmanager
def open_store(environment: Mapping[str, str]) -> Iterator[tuple[KeyValueStoreClient, str]]:
    """A client for the store that the environment names, and the store's ARN.

    Raises:
        StoreUnavailableError: The ARN is missing, or boto3 cannot make a client.
    """
    store_arn = environment.get(STORE_ARN_VARIABLE, "")
    if not store_arn:
        raise StoreUnavailableError(
            f"{STORE_ARN_VARIABLE} is not set. Set it to the ARN of the key value store, "
            "arn:aws:cloudfront::<account>:key-value-store/<id>, an output of the stack"
        )
    try:
        client = boto3.Session().client("cloudfront-keyvaluestore", config=_CONFIG)
    except (BotoCoreError, ValueError) as error:
        raise StoreUnavailableError(f"no client for the key value store: {error}") from error
    try:
        yield client, store_arn
    finally:
        client.close()


class StoreWriter:
    """The one writer of a store in this process; not to be shared between threads.

    It keeps the ETag that each write returns, so a series of writes without a competitor asks for
    it once.
    """

    def __init__(
        self,
        client: KeyValueStoreClient,
        store_arn: str,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._client = client
        self._store_arn = store_arn
        # Ten tries: a write is a few milliseconds, so this outlasts a crowd of other writers.
        self.backoff = backoff or Backoff(attempts=10, base_s=0.05, cap_s=2.0)
        self._etag: str | None = None
        self.size_bytes = 0
        """What the store holds, keys and values, as it said last."""
        self.conflicts = 0
        """How often another writer was faster, so far."""
        self.connections = 0
        """How often the ETag was asked for: what somebody else wrote may lie in between."""

    def connect(self) -> None:
        """Ask the store for its ETag, and so find out now whether it can be written at all.

        Raises:
            StoreUnavailableError: It cannot.
        """
        try:
            described = self._client.describe_key_value_store(KvsARN=self._store_arn)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailableError(_explain(error, self._store_arn)) from error
        self._etag = described["ETag"]
        self.connections += 1
        self.size_bytes = described["TotalSizeInBytes"]

    def get(self, key: str) -> str | None:
        """The value of one key, straight from the store; None when there is none.

        Raises:
            StoreUnavailableError: The store is not there, not ready, or cannot be reached.
        """
        try:
            value: str = self._client.get_key(KvsARN=self._store_arn, Key=key)["Value"]
        except self._client.exceptions.ResourceNotFoundException:
            return None
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailableError(_explain(error, self._store_arn)) from error
        return value

    @property
    def is_connected(self) -> bool:
        """Whether nobody else can have written since the last answer of the store, unnoticed."""
        return self._etag is not None

    def update(
        self, puts: Mapping[str, str], deletes: Sequence[str] = (), *, fenced: bool = False
    ) -> None:
        """Write all entries, or none: one `UpdateKeys`, tried again when another writer was faster.

        Args:
            puts: Values by key.
            deletes: Keys to delete; one that is not there is no mistake.
            fenced: Only if nobody else has written since the last answer of the store: a conflict
                is not tried again, because the caller has to decide anew what to write.

        Raises:
            StoreConflictError: Another writer was faster at every try.
            StoreRefusedError: The batch is over a quota, or not valid.
            StoreUnavailableError: The store is not there, not ready, or cannot be reached.
        """
        failures = 0
        while True:
            if self._etag is None and not fenced:
                self.connect()
            if self._etag is None:
                raise StoreConflictError(f"{self._store_arn}: its ETag is not known")
            try:
                written = self._client.update_keys(
                    KvsARN=self._store_arn,
                    IfMatch=self._etag,
                    Puts=[{"Key": key, "Value": value} for key, value in puts.items()],
                    **({"Deletes": [{"Key": key} for key in deletes]} if deletes else {}),
                )
            except (BotoCoreError, ClientError) as error:
                # Whatever went wrong, what the ETag stands for is no longer known.
                self._etag = None
                is_conflict = _is_conflict(error)
                self.conflicts += is_conflict
                if not is_conflict and not _is_passing(error):
                    raise _as_store_error(error, self._store_arn) from error
                failures += 1
                if fenced:
                    raise StoreConflictError(_explain(error, self._store_arn)) from error
                if not self.backoff.wait(failures):
                    if not is_conflict:
                        raise _as_store_error(error, self._store_arn) from error
                    raise StoreConflictError(
                        f"{self._store_arn} was changed by another writer at each of {failures} "
                        "tries. Let one writer write, or try again later"
                    ) from error
            else:
                self._etag = written["ETag"]
                self.size_bytes = written["TotalSizeInBytes"]
                return


def _is_conflict(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    # A stale ETag is answered 400 ValidationException, "Pre-Condition failed during update of
    # Key-Value-Store" (seen at AWS, September 2026; the reference does not tell). ConflictException
    # is "not in expected state": worth a fresh look, and the look says if the store is not ready.
    return code == "ConflictException" or (
        code == "ValidationException" and "pre-condition failed" in message.lower()
    )


def _is_passing(error: Exception) -> bool:
    """Whether it is worth trying again: the call was throttled, or the service stumbled.

    The data API's model has no throttling error; these are the names that AWS's services use.
    """
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in {
        "ThrottlingException",
        "TooManyRequestsException",
        "InternalServerException",
        "ServiceUnavailableException",
    }


def _as_store_error(error: Exception, store_arn: str) -> StoreError:
    refusals = {"ServiceQuotaExceededException", "ValidationException"}
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in refusals:
        return StoreRefusedError(_explain(error, store_arn))
    return StoreUnavailableError(_explain(error, store_arn))


def _explain(error: Exception, store_arn: str) -> str:
    if not isinstance(error, ClientError):
        if isinstance(error, HTTPClientError | NoConnectionError):
            return f"cannot reach the key value store: {error}. Is AWS_ENDPOINT_URL right, if set?"
        return f"cannot use the key value store {store_arn}: {error}"
    code = error.response["Error"]["Code"]
    message = error.response["Error"].get("Message") or "no message"
    remedies = {
        "ResourceNotFoundException": f"There is no such store: mend {STORE_ARN_VARIABLE}",
        "ConflictException": "It is being created or was deleted: wait, or name another store",
        "AccessDeniedException": "Allow cloudfront-keyvaluestore:DescribeKeyValueStore and "
        "cloudfront-keyvaluestore:UpdateKeys on it",
        "ServiceQuotaExceededException": "A store holds 5 MB, a value 1 KB, a key 512 bytes",
    }
    remedy = remedies.get(code, "See the message")
    return f"the key value store {store_arn} answered {code}: {message}. {remedy}"
