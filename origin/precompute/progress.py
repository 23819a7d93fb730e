"""What the terminal shows while answers are generated."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from origin.precompute.push import Tally

# In a log, a line every few seconds shows life and does not fill it.
_LINE_EVERY_S = 3.0


class Progress:
    """One line that moves on a terminal; a line every few seconds anywhere else."""

    def __init__(
        self, stream: TextIO, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._monotonic_s = monotonic_s
        self._is_terminal = stream.isatty()
        self._began_s = monotonic_s()
        self._said_s = self._began_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self._monotonic_s() - self._began_s

    def problem(self, message: str) -> None:
        """Show what went wrong on a line of its own, which stays."""
        self._clear()
        print(message, file=self._stream, flush=True)

    def tick(self, tally: Tally) -> None:
        """Show how far it is."""
        line = (
            f"{tally.users_done}/{tally.users} users · {tally.stored} stored · "
            f"{tally.refused} refused · {tally.failed} failed · {self.elapsed_s:.1f} s"
        )
        if self._is_terminal:
            print(f"\r\x1b[K{line}", end="", file=self._stream, flush=True)
        elif self._monotonic_s() - self._said_s >= _LINE_EVERY_S:
            self._said_s = self._monotonic_s()
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the terminal with the line cleared, for what comes after it."""
        self._clear()

    def _clear(self) -> None:
        if self._is_terminal:
            print("\r\x1b[K", end="", file=self._stream, flush=True)


def summarize(tally: Tally, *, elapsed_s: float, was_interrupted: bool) -> str:
    """The closing lines."""
    lines = [
        f"stored {tally.stored} answers for {tally.users_done} of {tally.users} users · "
        f"{tally.refused} refused · {tally.failed} failed · "
        f"{tally.input_tokens:,} tokens in, {tally.output_tokens:,} out · {elapsed_s:.1f} s"
    ]
    left = tally.users - tally.users_done
    if was_interrupted and left:
        lines.append(
            f"interrupted: {left} users were not reached; what is stored stays stored and serves"
        )
    elif tally.gave_up and left:
        lines.append(f"gave up: {left} users were not reached")
    return "\n".join(lines)
