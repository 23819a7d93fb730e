"""Hot reload: a saved file is in use before the next request, or says why it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from emulator.clock import Clock

_LOOK_EVERY_MS: Final = 250.0

Stamps = dict[Path, tuple[int, int]]


def stamps(files: Iterable[Path]) -> Stamps:
    """Modification time and size of each file that is there."""
    found: Stamps = {}
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


async def watch(
    files: Callable[[], Iterable[Path]], changed: Callable[[], Awaitable[None]], clock: Clock
) -> None:
    """Call `changed` whenever one of the files has changed; runs until it is cancelled.

    Args:
        files: What to look at now; asked again after every change.
        changed: Takes the change in.
        clock: Where the time between two looks comes from.
    """
    before = stamps(files())
    while True:
        await clock.sleep_ms(_LOOK_EVERY_MS)
        now = stamps(before)
        if now != before:
            await changed()
            before = stamps(files())
