"""What the terminal shows."""

from __future__ import annotations

import io

from origin.precompute.progress import Progress, summarize
from origin.precompute.push import Tally


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def test_a_terminal_has_one_line_that_moves() -> None:
    """Each tick overwrites the last one; a problem keeps a line of its own."""
    stream = Terminal()
    progress = Progress(stream, monotonic_s=iter([0.0, 1.0, 2.0]).__next__)

    progress.tick(Tally(users=5, users_done=1, stored=3))
    progress.problem("user-002: too large")
    progress.tick(Tally(users=5, users_done=2, stored=5, refused=1))
    progress.close()

    assert stream.getvalue() == (
        "\r\x1b[K1/5 users · 3 stored · 0 refused · 0 failed · 1.0 s"
        "\r\x1b[Kuser-002: too large\n"
        "\r\x1b[K2/5 users · 5 stored · 1 refused · 0 failed · 2.0 s"
        "\r\x1b[K"
    )


def test_a_log_has_a_line_every_few_seconds() -> None:
    """Anywhere else there are plain lines, and not one for each tick."""
    stream = io.StringIO()
    now_s = 0.0
    progress = Progress(stream, monotonic_s=lambda: now_s)
    for tick in range(100):
        now_s = tick / 10
        progress.tick(Tally(users=50, users_done=tick // 2, stored=tick))
    progress.close()

    assert stream.getvalue().splitlines() == [
        "15/50 users · 30 stored · 0 refused · 0 failed · 3.0 s",
        "30/50 users · 60 stored · 0 refused · 0 failed · 6.0 s",
        "45/50 users · 90 stored · 0 refused · 0 failed · 9.0 s",
    ]


def test_the_summary_tells_everything() -> None:
    """Stored, refused, failed, tokens, seconds, and who was not reached."""
    tally = Tally(5, 3, 7, 1, 1, 12345, 678)

    done = summarize(tally, elapsed_s=4.25, was_interrupted=True)

    assert done == (
        "stored 7 answers for 3 of 5 users · 1 refused · 1 failed · "
        "12,345 tokens in, 678 out · 4.2 s\n"
        "interrupted: 2 users were not reached; what is stored stays stored and serves"
    )
