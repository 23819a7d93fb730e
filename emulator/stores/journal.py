"""Small documents that outlive a kill, as lines appended to one file.

What `put` has written is in the operating system's hands when it returns: a killed process loses
none of it, a machine that loses its power may lose the last lines. The file is written anew when
most of its lines are out of date.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from emulator.errors import ConfigError

_STALE_LINES_MAX: Final = 10_000


class Journal:
    """Documents by key. Make it with `open`."""

    def __init__(self, path: Path, entries: dict[str, Mapping[str, Any]]) -> None:
        self._path, self._entries = path, entries
        self._stale = 0
        self._file = -1
        self._rewrite()

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Read what the file holds; a last line that a kill cut off counts as never written.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        entries: dict[str, Mapping[str, Any]] = {}
        try:
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            for line in lines:
                try:
                    key, *document = orjson.loads(line)
                except (orjson.JSONDecodeError, TypeError, ValueError):
                    continue
                entries.pop(key, None)
                if document:
                    entries[key] = document[0]
            return cls(path, entries)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be used: {error.strerror}.",
                mend="Make it writable, or delete it: it holds messages and events under way.",
            ) from None

    def all(self) -> dict[str, Mapping[str, Any]]:
        """Every document, in the order of its last change."""
        return dict(self._entries)

    def put(self, key: str, document: Mapping[str, Any]) -> None:
        """Keep a document."""
        if self._entries.pop(key, None) is not None:
            self._stale += 1
        self._entries[key] = document
        self._append([key, document])

    def drop(self, key: str) -> None:
        """Forget a document."""
        if self._entries.pop(key, None) is not None:
            self._stale += 2
            self._append([key])

    def close(self) -> None:
        """Write it anew, short, and let go of it."""
        if self._file >= 0:
            self._rewrite()
            os.close(self._file)
            self._file = -1

    def _append(self, entry: list[Any]) -> None:
        if self._file < 0:
            return
        os.write(self._file, orjson.dumps(entry) + b"\n")
        if self._stale > _STALE_LINES_MAX and self._stale > 2 * len(self._entries):
            self._rewrite()

    def _rewrite(self) -> None:
        """The same without what is out of date; the old file counts until the new one is whole."""
        fresh = self._path.with_suffix(".new")
        # Messages may hold anything: nobody else's business.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        for key, document in self._entries.items():
            os.write(descriptor, orjson.dumps([key, document]) + b"\n")
        fresh.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._stale = descriptor, 0
