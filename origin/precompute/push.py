"""Many users: generation side by side, and one `UpdateKeys` for each user from a single writer.

Why one writer: an ETag stands for the whole store, so writers side by side make each other's ETag
stale and spend their time on conflicts (tried: three writers met 40 conflicts for 30 puts). The
thread that calls `push_answers` is that writer; the model is waited for in other threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from typing import Protocol

from origin.precompute.generation import Generation, Generator, Outcome, Verdict
from origin.store import StoreError, StoreUnavailableError

# How often to look up from waiting: for an interruption, and for the progress line to move.
_LOOK_UP_S = 0.1


class Writer(Protocol):
    """Where entries go; `origin.store.StoreWriter` is one."""

    def update(self, puts: Mapping[str, str]) -> None:
        """Write all entries, or none."""


@dataclass(slots=True)
class Tally:
    """What has happened so far.

    Attributes:
        users: How many there are in all.
        users_done: How many have been dealt with, well or badly.
        stored: Answers written to the store.
        refused: Answers that the model gave and that must not be stored.
        failed: Prompts without an answer, and answers that the store did not take.
        input_tokens: Read by the model.
        output_tokens: Written by it.
        gave_up: Why the rest was not tried, when there is such a reason.
    """

    users: int
    users_done: int = 0
    stored: int = 0
    refused: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    gave_up: str = ""


class Report(Protocol):
    """Who is told; `origin.precompute.progress.Progress` is one."""

    def problem(self, message: str) -> None:
        """Something went wrong with one answer, or with one user's batch."""

    def tick(self, tally: Tally) -> None:
        """So much has happened; called ten times a second."""


def push_answers(
    user_ids: Sequence[str],
    generator: Generator,
    writer: Writer,
    report: Report,
    *,
    concurrency: int,
    stop: threading.Event,
) -> Tally:
    """Generate and store the answers of all users.

    A user's batch is written when its last prompt has its outcome, so an answer that fails or is
    refused does not hold back the user's others. Generation never runs ahead of the writer by more
    than `concurrency` users.

    Args:
        user_ids: Whose answers.
        generator: Where they come from.
        writer: Where they go.
        report: Who is told.
        concurrency: How many users' prompts may be under way at once.
        stop: Set, it ends the run after the batch that is being written.
    """
    tally = Tally(users=len(user_ids))
    waiting = deque(user_ids)
    running: list[Generation] = []

    def is_over() -> bool:
        return bool(tally.gave_up) or stop.is_set()

    while (waiting or running) and not is_over():
        while waiting and len(running) < concurrency:
            running.append(generator.start(waiting.popleft()))
        pending = [prompt for one in running for prompt in one.prompts if not prompt.done()]
        wait(pending, timeout=_LOOK_UP_S, return_when=FIRST_COMPLETED)
        for generation in [one for one in running if one.is_done()]:
            if not is_over():
                running.remove(generation)
                _finish(generation.outcomes(), writer, report, tally)
        report.tick(tally)
    return tally


def _finish(outcomes: Sequence[Outcome], writer: Writer, report: Report, tally: Tally) -> None:
    tally.users_done += 1
    tally.input_tokens += sum(outcome.input_tokens for outcome in outcomes)
    tally.output_tokens += sum(outcome.output_tokens for outcome in outcomes)
    tally.refused += sum(outcome.verdict is Verdict.REFUSED for outcome in outcomes)
    tally.failed += sum(
        outcome.verdict in {Verdict.FAILED, Verdict.HOPELESS} for outcome in outcomes
    )
    for outcome in outcomes:
        if outcome.verdict is Verdict.HOPELESS:
            # The same would be said about every user: say it once.
            tally.gave_up = outcome.problem
        elif outcome.problem:
            report.problem(outcome.problem)
    _store(outcomes, writer, report, tally)


def _store(outcomes: Sequence[Outcome], writer: Writer, report: Report, tally: Tally) -> None:
    entries = dict(outcome.entry for outcome in outcomes if outcome.entry)
    if not entries:
        return
    try:
        writer.update(entries)
    except StoreUnavailableError as error:
        tally.failed += len(entries)
        tally.gave_up = str(error)
    except StoreError as error:
        tally.failed += len(entries)
        report.problem(f"{outcomes[0].user_id}: {len(entries)} answers not stored: {error}")
    else:
        tally.stored += len(entries)
