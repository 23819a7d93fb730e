"""A file of key-value pairs and a key value store: differences, batches, conflicts.

An ETag stands for the whole store: any write by anybody makes every other holder's stale, also for
unrelated keys (facts/kvs.md 2.8). So a sync takes the ETag, then lists the store, compares, and
writes in batches, each under the ETag that the one before returned. A batch that meets a conflict
is written again under a fresh ETag; and because another writer was there, the store is listed and
compared once more at the end. The pass that ends it either had nothing left to write, or wrote
without a conflict, and then nobody else wrote between its first look and its last write.

AWS: "Quotas" (50 keys or 3 MB an UpdateKeys, 5 MB a store), read 2026-11-20; facts/kvs.md 2, 3.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from emulator import quotas
from emulator.deploy.sdk import AwsTarget, Client, aws_errors, error_code, explained
from emulator.errors import ApiError, ConfigError
from emulator.rules.key_value_store import StoreUpdate, contents_of, item_bytes
from emulator.rules.key_value_store_control import import_items
from emulator.wire.key_value_store_control import parse_import_file

_FORM: Final = 'Write it as {"data": [{"key": "…", "value": "…"}]}.'
_TRIES_PER_BATCH: Final = 12
_PASSES: Final = 6
_WAIT_BASE_S: Final = 0.05
_WAIT_CAP_S: Final = 2.0
_READY_POLL_S: Final = 1.0
_READY_POLLS: Final = 180
_EMPTY_PAYLOAD: Final = len('{"Puts": [], "Deletes": []}')

Progress = Callable[[str, int, int], None]
"""Is told what is under way, how many keys are done, and of how many (0: nobody knows)."""


def _silent(doing: str, done: int, of: int) -> None:
    """Nobody listens."""


# --- files ----------------------------------------------------------------------------------------
def read_pairs(file: Path) -> dict[str, str]:
    """The pairs of a file in AWS's form, fit for one store (facts/kvs.md 4.8).

    Raises:
        ConfigError: No such file, not of that form, a key twice, or over a quota.
    """
    try:
        return import_items(parse_import_file(file.read_bytes()))
    except FileNotFoundError:
        raise ConfigError(f"There is no {file}.", mend=_FORM) from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except ApiError as error:
        raise ConfigError(f"{error.message}.", where=str(file), mend=_FORM) from None


def dump_pairs(items: Mapping[str, str]) -> str:
    """The same form, one pair a line in the order of keys, so that versions can be compared."""
    lines = [
        json.dumps({"key": key, "value": items[key]}, ensure_ascii=False) for key in sorted(items)
    ]
    return '{"data": [\n' + ",\n".join(lines) + "\n]}\n"


# --- comparing ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Difference:
    """What sets a store apart from a file.

    Args:
        added: Pairs that the store lacks.
        changed: Pairs whose value is another.
        unlisted: Keys that the file does not name.
        unchanged: How many pairs are the same.
        old_values: The values that are there now, of changed and of unlisted keys.
    """

    added: Mapping[str, str]
    changed: Mapping[str, str]
    unlisted: tuple[str, ...]
    unchanged: int
    old_values: Mapping[str, str]


def compare(wanted: Mapping[str, str], actual: Mapping[str, str]) -> Difference:
    """What a file and a store differ in."""
    added = {key: value for key, value in wanted.items() if key not in actual}
    changed = {
        key: value for key, value in wanted.items() if key in actual and actual[key] != value
    }
    unlisted = tuple(sorted(key for key in actual if key not in wanted))
    old = {key: actual[key] for key in (*changed, *unlisted)}
    return Difference(added, changed, unlisted, len(wanted) - len(added) - len(changed), old)


def batches_of(
    difference: Difference,
    deletes: Iterable[str],
    *,
    max_bytes: int = quotas.STORE_UPDATE_MAX_BYTES,
) -> list[StoreUpdate]:
    """The difference as updates, each within 50 keys and 3 MB.

    What frees space goes first and what takes most goes last: the store's size then falls before it
    rises, and is never larger on the way than before or after.

    Args:
        difference: What to write.
        deletes: Which of the unlisted keys to delete.
        max_bytes: The quota of a payload.
    """
    old = difference.old_values
    entries: list[tuple[int, str, str | None]] = [
        (-item_bytes(key, old[key]), key, None) for key in deletes
    ]
    for key, value in difference.changed.items():
        entries.append((len(value.encode()) - len(old[key].encode()), key, value))
    entries += [(item_bytes(key, value), key, value) for key, value in difference.added.items()]
    found: list[StoreUpdate] = []
    puts: list[tuple[str, str]] = []
    gone: list[str] = []
    payload = _EMPTY_PAYLOAD
    for _, key, text in sorted(entries, key=lambda entry: entry[:2]):
        size = _entry_bytes(key, text)
        full = len(puts) + len(gone) == quotas.STORE_UPDATE_MAX_KEYS
        if (puts or gone) and (full or payload + size > max_bytes):
            found.append(StoreUpdate(tuple(puts), tuple(gone)))
            puts, gone, payload = [], [], _EMPTY_PAYLOAD
        if text is None:
            gone.append(key)
        else:
            puts.append((key, text))
        payload += size
    if puts or gone:
        found.append(StoreUpdate(tuple(puts), tuple(gone)))
    return found


def _entry_bytes(key: str, value: str | None) -> int:
    """What an entry takes of a request; boto3 escapes what is not ASCII (facts/kvs.md 2.4)."""
    entry = {"Key": key} if value is None else {"Key": key, "Value": value}
    return len(json.dumps(entry)) + len(", ")


# --- the store ------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class StoreClient:
    """One key value store, by boto3.

    Args:
        data: The client of the data API.
        arn: The store.
        name: What people call it.
        wait: Waits so many seconds.
        chance: Spreads competing writers.
    """

    data: Client
    arn: str
    name: str
    wait: Callable[[float], object] = time.sleep
    chance: random.Random = field(default_factory=random.Random)

    def etag(self) -> str:
        """The ETag that the next write must name.

        Raises:
            ConfigError: No such store, or no access.
        """
        with aws_errors(f"the store {self.name}"):
            return str(self.data.describe_key_value_store(KvsARN=self.arn)["ETag"])

    def pairs(self, progress: Progress = _silent) -> dict[str, str]:
        """Everything in it.

        Raises:
            ConfigError: It cannot be listed.
        """
        found: dict[str, str] = {}
        with aws_errors(f"the store {self.name}"):
            total = int(self.data.describe_key_value_store(KvsARN=self.arn)["ItemCount"])
            pages = self.data.get_paginator("list_keys").paginate(
                KvsARN=self.arn, MaxResults=quotas.STORE_LIST_PAGE_MAX
            )
            for page in pages:
                found |= {one["Key"]: one["Value"] for one in page["Items"]}
                progress("reading", len(found), max(total, len(found)))
        return found

    def get(self, key: str) -> str | None:
        """One value; None when there is no such key.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            return str(self.data.get_key(KvsARN=self.arn, Key=key)["Value"])
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                # Of the store, too: etag() tells them apart.
                self.etag()
                return None
            raise explained(error, f"the store {self.name}") from error
        except BotoCoreError as error:
            raise explained(error, f"the store {self.name}") from error

    def write(self, update: StoreUpdate, etag: str) -> tuple[str, int]:
        """Write all of it or nothing, however often another writer is faster.

        Returns:
            The new ETag, and how many conflicts there were.

        Raises:
            ConfigError: The store refuses it, or other writers were faster every time.
        """
        for conflicts in range(_TRIES_PER_BATCH):
            try:
                return self._update(update, etag), conflicts
            except ClientError as error:
                if not is_conflict(error):
                    raise explained(error, f"the store {self.name}") from error
            except BotoCoreError as error:
                raise explained(error, f"the store {self.name}") from error
            longest_s = min(_WAIT_CAP_S, _WAIT_BASE_S * 2**conflicts)
            self.wait(self.chance.uniform(0, longest_s))
            etag = self.etag()
        raise ConfigError(
            f"The store {self.name} was changed by another writer at each of {_TRIES_PER_BATCH} "
            "tries.",
            mend="What was written before stays; let one writer write, and run it again.",
        )

    def _update(self, update: StoreUpdate, etag: str) -> str:
        lists: dict[str, Any] = {}
        if update.puts:
            lists["Puts"] = [{"Key": key, "Value": value} for key, value in update.puts]
        if update.deletes:
            lists["Deletes"] = [{"Key": key} for key in update.deletes]
        return str(self.data.update_keys(KvsARN=self.arn, IfMatch=etag, **lists)["ETag"])


def is_conflict(error: Exception) -> bool:
    """Whether another writer was faster.

    Real AWS answers a stale ETag 400 ValidationException with this sentence (facts/kvs.md 2.10).
    """
    message = error.response["Error"].get("Message", "") if isinstance(error, ClientError) else ""
    return error_code(error) == "ValidationException" and "pre-condition failed" in message.lower()


def find_store(target: AwsTarget, named: str) -> StoreClient:
    """A store by its name or its ARN.

    Raises:
        ConfigError: There is none, or it is not READY.
    """
    if named.startswith("arn:"):
        arn, name = named, named
    else:
        try:
            described = target.client("cloudfront").describe_key_value_store(Name=named)
        except ClientError as error:
            if error_code(error) == "EntityNotFound":
                raise ConfigError(
                    f"There is no key value store {named!r} at {target.describe()}.",
                    mend=f"Create it: localpop kvs import FILE --store {named}",
                ) from None
            raise explained(error) from error
        except BotoCoreError as error:
            raise explained(error) from error
        arn, name = described["KeyValueStore"]["ARN"], named
    return StoreClient(target.client("cloudfront-keyvaluestore"), arn, name)


# --- sync -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did.

    Args:
        added: Keys that were new.
        changed: Keys that got another value.
        deleted: Keys that were deleted.
        unlisted: Keys of the store that the file does not name, and that stay.
        unchanged: Pairs that needed nothing.
        calls: How many UpdateKeys succeeded.
        conflicts: How often another writer was faster.
        passes: How often the store was compared.
    """

    added: int = 0
    changed: int = 0
    deleted: int = 0
    unlisted: tuple[str, ...] = ()
    unchanged: int = 0
    calls: int = 0
    conflicts: int = 0
    passes: int = 0


def sync(
    store: StoreClient,
    wanted: Mapping[str, str],
    *,
    delete: bool = False,
    progress: Progress = _silent,
) -> SyncResult:
    """Make a store hold what a file says, with as few writes as the difference needs.

    Args:
        store: The store.
        wanted: The file's pairs.
        delete: Whether keys that the file does not name are deleted: those that were there at the
            first look; what another writer adds meanwhile nobody has decided about, and it stays.
        progress: Who is told.

    Raises:
        ConfigError: The result would not fit, a batch was refused, or others never stopped writing.
    """
    result = SyncResult()
    deletable: frozenset[str] | None = None
    for number in range(_PASSES):
        etag = store.etag()
        actual = store.pairs(progress)
        difference = compare(wanted, actual)
        if deletable is None:
            deletable = frozenset(difference.unlisted) if delete else frozenset()
        gone = [key for key in difference.unlisted if key in deletable]
        kept = tuple(key for key in difference.unlisted if key not in deletable)
        _require_room(wanted, {key: actual[key] for key in kept}, delete=delete)
        result, conflicts = _write(store, etag, difference, gone, result, progress)
        result = replace(result, unlisted=kept, passes=number + 1)
        if not number:
            result = replace(result, unchanged=difference.unchanged)
        if not conflicts:
            return result
    raise ConfigError(
        f"Another writer changed the store {store.name} during each of {_PASSES} passes, so that "
        "nobody can say whether it holds what the file says.",
        mend="Let one writer write, and run it again.",
    )


def _write(
    store: StoreClient,
    etag: str,
    difference: Difference,
    gone: list[str],
    result: SyncResult,
    progress: Progress,
) -> tuple[SyncResult, int]:
    """Write one pass's difference; returns what is done by now, and this pass's conflicts."""
    total = len(difference.added) + len(difference.changed) + len(gone)
    done = conflicts = 0
    for batch in batches_of(difference, gone):
        etag, met = store.write(batch, etag)
        conflicts += met
        done += len(batch.puts) + len(batch.deletes)
        added = sum(key in difference.added for key, _ in batch.puts)
        result = replace(
            result,
            added=result.added + added,
            changed=result.changed + len(batch.puts) - added,
            deleted=result.deleted + len(batch.deletes),
            calls=result.calls + 1,
            conflicts=result.conflicts + met,
        )
        progress("writing", done, total)
    return result, conflicts


def _require_room(wanted: Mapping[str, str], kept: Mapping[str, str], *, delete: bool) -> None:
    """Refuse, before the first write, what cannot fit at the end."""
    total = contents_of(wanted).total_size_bytes + contents_of(kept).total_size_bytes
    if total > quotas.STORE_MAX_BYTES:
        raise ConfigError(
            f"The store would hold {total:,} bytes; CloudFront allows {quotas.STORE_MAX_BYTES:,}. "
            f"{len(kept):,} key(s) that the file does not name take "
            f"{contents_of(kept).total_size_bytes:,} of them.",
            mend="Shorten the file."
            if delete or not kept
            else "Delete them with --delete, or shorten the file.",
        )


# --- import ---------------------------------------------------------------------------------------
def import_pairs(
    target: AwsTarget,
    name: str,
    wanted: Mapping[str, str],
    *,
    comment: str = "",
    progress: Progress = _silent,
    wait: Callable[[float], object] = time.sleep,
) -> tuple[StoreClient, SyncResult]:
    """Make a new store from a file's pairs.

    AWS's own import reads from S3 only (`ImportSource`); this one needs no bucket: the store is
    made empty, and filled as soon as it is READY. Interrupted in between, `sync` does the rest.

    Raises:
        ConfigError: There is such a store already, it does not become READY, or it refuses.
    """
    control = target.client("cloudfront")
    try:
        made = control.create_key_value_store(Name=name, Comment=comment)["KeyValueStore"]
    except ClientError as error:
        if error_code(error) == "EntityAlreadyExists":
            raise ConfigError(
                f"There is a key value store {name!r} already.",
                mend="Change it: localpop kvs sync FILE; or name another with --store.",
            ) from None
        raise explained(error) from error
    except BotoCoreError as error:
        raise explained(error) from error
    for polls in range(_READY_POLLS):
        with aws_errors():
            described = control.describe_key_value_store(Name=name)["KeyValueStore"]
        if described.get("Status", "READY") == "READY":
            break
        progress(f"waiting until {name} is READY, {polls * _READY_POLL_S:.0f} s", 0, 0)
        wait(_READY_POLL_S)
    else:
        raise ConfigError(
            f"The store {name} is not READY after {_READY_POLLS * _READY_POLL_S:.0f} s.",
            mend="Later: localpop kvs sync FILE",
        )
    store = StoreClient(target.client("cloudfront-keyvaluestore"), made["ARN"], name, wait)
    return store, sync(store, wanted, progress=progress)


def changes(difference: Difference, *, delete: bool) -> Iterator[str]:
    """The difference for people: keys and sizes; values may be secrets and are not shown."""
    for key in sorted({*difference.added, *difference.changed, *difference.unlisted}):
        if key in difference.added:
            yield f"+ {key}  {item_bytes(key, difference.added[key]):,} B"
        elif key in difference.changed:
            before = len(difference.old_values[key].encode())
            yield f"~ {key}  value of {before:,} B -> {len(difference.changed[key].encode()):,} B"
        elif delete:
            yield f"- {key}"
        else:
            yield f"  {key}  not in the file, stays"
