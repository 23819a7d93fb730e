"""Generating and pushing: three prompts at once, one batch for each user, nothing lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from origin.actions import ACTIONS, PRECOMPUTED_ACTION_IDS
from origin.backoff import Backoff
from origin.dataset import DataSet
from origin.model import Model
from origin.precompute.artifact import StoredAnswer, parse_value
from origin.precompute.generation import Generator, Verdict
from origin.precompute.push import Tally, push_answers
from origin.store import StoreWriter, open_store
from tests.origin.aws_stand_in import ANSWER, StandIn, eventually

NOW_S = 1_763_719_200
USERS = [f"user-{number:03d}" for number in range(1, 7)]
DIGEST = ACTIONS["ticket-digest"].instruction


@dataclass
class Noted:
    """A report that only remembers."""

    problems: list[str] = field(default_factory=list)
    ticks: int = 0

    def problem(self, message: str) -> None:
        """Remember a problem."""
        self.problems.append(message)

    def tick(self, tally: Tally) -> None:
        """Count a tick."""
        self.ticks += 1


@dataclass
class Run:
    """Everything a run needs."""

    generator: Generator
    writer: StoreWriter
    report: Noted = field(default_factory=Noted)
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self, users: list[str] | None = None, concurrency: int = 4) -> Tally:
        """Push the answers of some users."""
        return push_answers(
            users or USERS,
            self.generator,
            self.writer,
            self.report,
            concurrency=concurrency,
            stop=self.stop,
        )


@pytest.fixture
def run(stand_in: StandIn, model: Model, data: DataSet) -> Iterator[Run]:
    """A run on the stand-in whose back-offs take no time."""
    backoff = Backoff(attempts=4, base_s=0.1, cap_s=1.0, sleep=lambda wait_s: None)
    with ThreadPoolExecutor(12) as threads, open_store(os.environ) as (client, store_arn):
        yield Run(
            Generator(
                model=model,
                data=data,
                actions=[ACTIONS[action_id] for action_id in PRECOMPUTED_ACTION_IDS],
                threads=threads,
                ttl_s=3600,
                now_s=lambda: NOW_S + 0.75,
                backoff=backoff,
            ),
            StoreWriter(client, store_arn, backoff=backoff),
        )


def test_every_answer_is_stored(stand_in: StandIn, run: Run) -> None:
    """Each user's three answers lie under their keys, with age and expiry in whole seconds."""
    tally = run()

    assert set(stand_in.entries) == {
        f"{user_id}_{action_id}" for user_id in USERS for action_id in PRECOMPUTED_ACTION_IDS
    }
    assert {parse_value(value) for value in stand_in.entries.values()} == {
        StoredAnswer(ANSWER, NOW_S, NOW_S + 3600)
    }
    assert tally == Tally(
        users=6, users_done=6, stored=18, input_tokens=18 * 400, output_tokens=18 * 60
    )
    assert run.report.problems == []


def test_one_update_for_each_user(stand_in: StandIn, run: Run) -> None:
    """Six users are six writes, three puts each, and one look at the ETag."""
    run()

    assert [len(batch) for batch in stand_in.batches] == [3] * 6
    assert all(len({key.split("_")[0] for key in batch}) == 1 for batch in stand_in.batches)
    assert stand_in.describes == 1


def test_three_prompts_at_once(stand_in: StandIn, run: Run) -> None:
    """A user's prompts are under way together: the model holds its answers until all are there."""
    stand_in.hold_before = 0
    release = threading.Thread(target=release_when_three, args=(stand_in,))
    release.start()

    tally = run(USERS[:1])

    release.join()
    assert tally.stored == 3
    assert stand_in.at_once == 3


def release_when_three(stand_in: StandIn) -> None:
    """Let the model answer once three prompts wait."""
    eventually(lambda: len(stand_in.prompts) == 3)
    stand_in.hold_before = None


def test_users_at_once_are_bounded(stand_in: StandIn, run: Run) -> None:
    """With a concurrency of two users, no more than six prompts are ever under way."""
    stand_in.piece_gap_s = 0.005

    run(concurrency=2)

    assert 3 <= stand_in.at_once <= 6


def test_another_writer_does_not_matter(stand_in: StandIn, run: Run) -> None:
    """Conflicts are tried again until every batch is in, once."""
    stand_in.interlopers = 3

    tally = run()

    assert tally.stored == 18
    assert len(stand_in.batches) == 6


def test_throttled_prompts_are_tried_again(stand_in: StandIn, run: Run) -> None:
    """A busy model costs time, not answers."""
    stand_in.throttles = 3

    tally = run(USERS[:2])

    assert (tally.stored, tally.failed) == (6, 0)
    assert len(stand_in.prompts) == 6 + 3


def test_a_model_that_stays_busy_fails_its_prompts(stand_in: StandIn, run: Run) -> None:
    """The tries are bounded; each answer that is missing is named."""
    stand_in.model_error = (429, "ThrottlingException")

    tally = run(USERS[:1])

    assert (tally.stored, tally.failed) == (0, 3)
    assert stand_in.batches == []
    assert len(stand_in.prompts) == 3 * 4
    assert sorted(problem.split(":")[0] for problem in run.report.problems) == [
        "user-001 deployment-summary",
        "user-001 morning-briefing",
        "user-001 ticket-digest",
    ]


def test_one_answer_too_large_does_not_hold_back_the_others(stand_in: StandIn, run: Run) -> None:
    """An answer over 1 KB is refused with what to do; the user's others are stored."""
    stand_in.answer = lambda prompt: "é" * 600 if prompt.startswith(DIGEST) else ANSWER

    tally = run(USERS[:2])

    assert (tally.stored, tally.refused, tally.failed) == (4, 2, 0)
    assert not any("ticket-digest" in key for key in stand_in.entries)
    assert sorted(run.report.problems)[0].startswith(
        "user-001 ticket-digest: the answer takes 1257 bytes as a stored value, 1024 is the most."
    )
    assert tally.output_tokens == 6 * 60


@pytest.mark.parametrize(
    ("text", "stop_reason", "words"),
    [
        ("  \n ", "end_turn", "the model answered nothing"),
        ("Two alerts are", "max_tokens", "cut off after 60 tokens"),
    ],
)
def test_half_answers_are_refused(
    stand_in: StandIn, run: Run, text: str, stop_reason: str, words: str
) -> None:
    """What is empty or cut off is not served for an hour."""
    stand_in.answer, stand_in.stop_reason = lambda prompt: text, stop_reason

    tally = run(USERS[:1])

    assert (tally.stored, tally.refused) == (0, 3)
    assert all(words in problem for problem in run.report.problems)


def test_a_lone_surrogate_is_replaced(stand_in: StandIn, run: Run) -> None:
    """Half a character, valid in JSON's escapes, cannot be stored, and stops nothing."""
    stand_in.answer = lambda prompt: "Hello \ud83d!"

    run(USERS[:1])

    assert {parse_value(value).answer for value in stand_in.entries.values()} == {"Hello ?!"}


def test_a_hopeless_model_is_asked_once(stand_in: StandIn, run: Run) -> None:
    """When the model refuses, the run ends with the reason, and does not ask for everybody."""
    stand_in.model_error = (403, "AccessDeniedException")

    tally = run(concurrency=1)

    assert "AccessDeniedException" in tally.gave_up
    assert (tally.users_done, tally.stored) == (1, 0)
    assert len(stand_in.prompts) == 3


def test_a_full_store_fails_the_batch(stand_in: StandIn, run: Run) -> None:
    """A batch over a quota of the store is reported with the store's words; the run goes on."""
    stand_in.refused_write = (402, "ServiceQuotaExceededException", "Limit exceeded: store size")

    tally = run(USERS[:2])

    assert (tally.stored, tally.failed, tally.users_done) == (0, 6, 2)
    assert "3 answers not stored" in run.report.problems[0]
    assert "Limit exceeded: store size" in run.report.problems[0]


def test_a_lost_store_ends_the_run(stand_in: StandIn, run: Run) -> None:
    """Without a store there is nothing to generate for: the rest is not asked."""
    stand_in.store_error = (404, "ResourceNotFoundException", "gone")

    tally = run(concurrency=1)

    assert "There is no such store" in tally.gave_up
    assert (tally.users_done, tally.failed) == (1, 3)
    assert len(stand_in.prompts) == 3


def test_an_interruption_ends_the_run(stand_in: StandIn, run: Run) -> None:
    """After `stop` is set, nothing more is asked or written, and the tally tells what is."""
    writer = run.writer

    class StopAfterTwo:
        def update(self, puts: Mapping[str, str]) -> None:
            writer.update(puts)
            if len(stand_in.batches) == 2:
                run.stop.set()

    tally = push_answers(
        USERS, run.generator, StopAfterTwo(), run.report, concurrency=1, stop=run.stop
    )

    assert (tally.users_done, tally.stored) == (2, 6)
    assert len(stand_in.batches) == 2
    assert len(stand_in.prompts) == 6


def test_generation_alone(stand_in: StandIn, run: Run) -> None:
    """One user's generation needs no store: it is what a function for one user will call."""
    generator = replace(run.generator, ttl_s=60)

    outcomes = generator.start("user-001").outcomes()

    assert [outcome.action_id for outcome in outcomes] == list(PRECOMPUTED_ACTION_IDS)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.READY}
    assert stand_in.entries == {}
