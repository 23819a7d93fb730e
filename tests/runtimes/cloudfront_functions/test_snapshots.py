"""Which store frames a worker needs."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.runtimes.cloudfront_functions.frames import Decoder
from emulator.runtimes.cloudfront_functions.snapshots import VERSIONS_KEPT, SnapshotShelf
from tests.runtimes.cloudfront_functions.events import STORE_ARN, STORE_ID, snapshot_of


def _frames(shelf: SnapshotShelf, items: dict[str, str], version: int) -> list[list[Any]]:
    return list(Decoder().feed(b"".join(shelf.frames_for(snapshot_of(items, version)))))


def test_the_first_version_is_sent_whole_and_once() -> None:
    """A version that is there is not sent again."""
    shelf = SnapshotShelf()
    (frame,) = _frames(shelf, {"a": "1"}, 1)

    assert frame[:6] == ["store", STORE_ARN, 1, None, {"a": "1"}, []]
    assert frame[6]["id"] == STORE_ID
    assert _frames(shelf, {"a": "1"}, 1) == []


@pytest.mark.conformance("CFF-54")
def test_the_next_version_is_sent_as_a_difference() -> None:
    """Only what was put or deleted since the newest version goes over."""
    shelf = SnapshotShelf()
    _frames(shelf, {"a": "1", "b": "2", "c": "3"}, 1)
    (frame,) = _frames(shelf, {"a": "1", "b": "new", "d": "4"}, 2)

    assert frame[:6] == ["store", STORE_ARN, 2, 1, {"b": "new", "d": "4"}, ["c"]]


def test_the_version_used_longest_ago_is_forgotten() -> None:
    """A worker keeps a few versions of each store."""
    shelf = SnapshotShelf()
    for version in range(VERSIONS_KEPT):
        _frames(shelf, {"a": str(version)}, version)
    _frames(shelf, {"a": "0"}, 0)
    frames = _frames(shelf, {"a": "x"}, 99)

    assert frames[-1] == ["forget", STORE_ARN, 1]
    assert _frames(shelf, {"a": "0"}, 0) == []
