"""Files and key value stores: real boto3 against a running endpoint, other writers included."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import quotas
from emulator.deploy.key_values import (
    StoreClient,
    batches_of,
    compare,
    dump_pairs,
    find_store,
    import_pairs,
    read_pairs,
    sync,
)
from emulator.deploy.sdk import AwsTarget, is_loopback, with_user_info
from emulator.errors import ConfigError
from emulator.rules.key_value_store import StoreRules, StoreUpdate, apply_update, contents_of
from tests.aws.endpoint import Endpoint, Options, running_endpoint

_numbers = itertools.count(1)
pairs = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=130)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A running endpoint; new stores take a moment until they are READY."""
    options = Options(store_rules=StoreRules(provisioning_ms=200))
    with running_endpoint(tmp_path_factory.mktemp("stores") / "stores.sqlite3", options) as running:
        yield running


@pytest.fixture
def target(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> AwsTarget:
    """The endpoint as a user names it: without user-info, and with no credentials anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    return AwsTarget(f"http://127.0.0.1:{endpoint.port}")


@pytest.fixture
def store(endpoint: Endpoint, target: AwsTarget) -> Iterator[StoreClient]:
    """A store that no other test uses."""
    name = f"synced-{next(_numbers)}"
    endpoint.new_store(name)
    found = find_store(target, name)
    yield found
    found.data.close()


def test_only_differences_travel(store: StoreClient) -> None:
    """120 new keys are three writes, two changes one, nothing none."""
    wanted = {f"key-{number}": "value" for number in range(120)}

    first = sync(store, wanted)
    again = sync(store, wanted)
    changed = sync(store, {**wanted, "key-1": "wörld", "new": ""})

    assert (first.added, first.calls, first.unchanged) == (120, 3, 0)
    assert (again.calls, again.unchanged) == (0, 120)
    assert (changed.added, changed.changed, changed.calls, changed.unchanged) == (1, 1, 1, 119)
    assert store.pairs() == {**wanted, "key-1": "wörld", "new": ""}


def test_what_the_file_does_not_name_stays_unless_told(store: StoreClient) -> None:
    """And is named either way."""
    sync(store, {"kept": "1", "old": "2"})

    said = sync(store, {"kept": "1"})
    gone = sync(store, {"kept": "1"}, delete=True)

    assert (said.unlisted, said.deleted) == (("old",), 0)
    assert (gone.unlisted, gone.deleted) == ((), 1)
    assert store.pairs() == {"kept": "1"}


def test_a_concurrent_writer_neither_loses_nor_is_lost(
    target: AwsTarget, store: StoreClient
) -> None:
    """Conflicts are met and overcome; both writers' keys are there at the end."""
    wanted = {f"mine-{number}": "x" * 40 for number in range(400)}
    sync(store, {"mine-1": "before", "theirs-old": "1"})
    other = find_store(target, store.name)
    thief = find_store(target, store.name)
    end = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not end.wait(0.02):
            key = f"theirs-{len(written)}"
            other.write(StoreUpdate(puts=((key, "1"),)), other.etag())
            written.append(key)

    # Between the first look and the first write there is always a write of somebody else.
    steals = iter(range(1))

    def progress(doing: str, done: int, of: int) -> None:
        if doing == "reading" and done == of and next(steals, None) is not None:
            thief.write(StoreUpdate(puts=(("mine-1", "stolen"),)), thief.etag())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        result = sync(store, wanted, delete=True, progress=progress)
    finally:
        end.set()
        writer.join(30)
    there = store.pairs()

    assert result.conflicts > 0
    assert result.passes > 1
    assert {key: there[key] for key in wanted} == wanted
    assert "theirs-old" not in there
    assert set(written) <= set(there)
    for one in (other, thief):
        one.data.close()


def test_a_writer_that_never_stops_is_said(store: StoreClient, target: AwsTarget) -> None:
    """With what to do; the store keeps what was there."""
    other = find_store(target, store.name)
    count = itertools.count()

    def interfere(_: float) -> None:
        """Whoever waits finds that another was faster."""

    class Racer(StoreClient):
        def etag(self) -> str:
            """An ETag that is stale as soon as it is known."""
            etag = super().etag()
            other.data.put_key(
                KvsARN=self.arn, Key="theirs", Value=str(next(count)), IfMatch=other.etag()
            )
            return etag

    racer = Racer(store.data, store.arn, store.name, interfere, random.Random(1))
    with pytest.raises(ConfigError, match=r"another writer at each of 12 tries.*one writer write"):
        sync(racer, {"mine": "1"})

    assert set(store.pairs()) == {"theirs"}
    other.data.close()


def test_a_new_store_is_made_from_a_file_and_back(target: AwsTarget, tmp_path: Path) -> None:
    """Import waits until it is READY; the export is the same file."""
    wanted = {f"k{number}": "ä" * 100 for number in range(70)}
    text = dump_pairs(wanted)
    (tmp_path / "pairs.json").write_text(text, encoding="utf-8")

    made, result = import_pairs(
        target, f"new-{next(_numbers)}", read_pairs(tmp_path / "pairs.json")
    )

    assert result.added == 70
    assert dump_pairs(made.pairs()) == text
    with pytest.raises(ConfigError, match="already"):
        import_pairs(target, made.name, wanted)
    made.data.close()


def test_a_full_store_makes_room_before_it_grows(store: StoreClient) -> None:
    """Deletions and shrinking come first, so no step on the way exceeds 5 MB."""
    value = "v" * 1_000
    before = {f"old-{number:05}": value for number in range(200)}
    after = {f"new-{number:05}": value for number in range(200)}
    difference = compare(after, before)
    contents = contents_of(before)
    limit = contents.total_size_bytes

    for batch in batches_of(difference, difference.unlisted):
        contents = apply_update(contents, batch)
        assert contents.total_size_bytes <= limit

    assert contents.items == after


def test_what_cannot_fit_is_refused_before_the_first_write(store: StoreClient) -> None:
    """With what the unlisted keys take."""
    sync(store, {"old": "x" * 1_000})
    wanted = {f"key-{number:04}": "v" * 1_016 for number in range(5 * 1_024)}

    with pytest.raises(ConfigError, match=r"5,242,880.*1 key\(s\).*--delete"):
        sync(store, wanted)

    assert list(store.pairs()) == ["old"]


@settings(max_examples=40)
@given(wanted=pairs, actual=pairs, delete=st.booleans(), max_bytes=st.integers(100, 5_000))
def test_batches_say_the_whole_difference_within_quotas(
    wanted: dict[str, str], actual: dict[str, str], delete: bool, max_bytes: int
) -> None:
    """Whatever differs: each key once, at most 50 keys and so many bytes a batch."""
    difference = compare(wanted, actual)
    deletes = difference.unlisted if delete else ()
    batches = batches_of(difference, deletes, max_bytes=max_bytes)
    contents = contents_of(actual)
    for batch in batches:
        entries = len(batch.puts) + len(batch.deletes)
        shape = {
            "Puts": [{"Key": key, "Value": value} for key, value in batch.puts],
            "Deletes": [{"Key": key} for key in batch.deletes],
        }
        assert 0 < entries <= quotas.STORE_UPDATE_MAX_KEYS
        assert entries == 1 or len(json.dumps(shape)) <= max_bytes
        contents = apply_update(contents, batch)

    assert contents.items == (wanted if delete else {**actual, **wanted})
    assert all(batches)


@settings(max_examples=40)
@given(pairs)
def test_a_file_says_what_was_written_to_it(items: dict[str, str]) -> None:
    """`{"data": […]}`, in the order of keys."""
    text = dump_pairs(items)

    data = json.loads(text)["data"]
    assert {one["key"]: one["value"] for one in data} == items
    assert [one["key"] for one in data] == sorted(items)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", 'list named "data"'),
        ("{", "not UTF-8 JSON"),
        ('{"data": [{"key": "a", "value": 1}]}', "must be strings"),
        ('{"data": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}', "twice"),
        ('{"data": [{"key": "a", "value": "' + "x" * 1_025 + '"}]}', "value"),
    ],
)
def test_a_bad_file_is_refused(text: str, said: str, tmp_path: Path) -> None:
    """With its name and how to write it."""
    (tmp_path / "pairs.json").write_text(text)

    with pytest.raises(ConfigError, match=said) as refused:
        read_pairs(tmp_path / "pairs.json")
    assert "pairs.json" in str(refused.value)
    with pytest.raises(ConfigError, match=r"There is no .*missing\.json"):
        read_pairs(tmp_path / "missing.json")


def test_a_store_that_is_not_there_is_said(target: AwsTarget) -> None:
    """Where it was looked for, and how to make it."""
    with pytest.raises(ConfigError, match=r"no key value store 'nowhere' at .*kvs import"):
        find_store(target, "nowhere")


@pytest.mark.parametrize(
    ("url", "local", "fit"),
    [
        ("http://127.0.0.1:4566", True, "http://local@127.0.0.1:4566"),
        ("http://local@127.0.0.1:4566", True, "http://local@127.0.0.1:4566"),
        ("http://localhost:4566/kvs", True, "http://local@localhost:4566/kvs"),
        ("http://[::1]:4566", True, "http://local@[::1]:4566"),
        ("https://aws.example.com", False, "https://aws.example.com"),
        ("", False, ""),
    ],
)
def test_local_endpoints_get_user_info(url: str, local: bool, fit: str) -> None:
    """Others stay as they are said."""
    assert is_loopback(url) is local
    assert (with_user_info(url) if local else url) == fit
    assert AwsTarget(url, {}).url() == fit
    assert AwsTarget("", {"AWS_ENDPOINT_URL": url}).url() == fit
    ignored = {"AWS_ENDPOINT_URL": url, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert AwsTarget("", ignored).url() == ""
