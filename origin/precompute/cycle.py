"""One run of a cycle: whose answers, at what cost, and what is done when the money is gone.

    1. collect what batch jobs have finished meanwhile
    2. choose the users: the most active ones of the request log first, fewer of them at peak; and
       leave out what the log shows that a user never asks for
    3. ask the model within the budget: in a batch job, or one user after the other
    4. send each user's answers to the writer's queue
    5. replay popular requests through the distribution

A run carries the moment it was scheduled for in the id of everything it makes. EventBridge
Scheduler may deliver twice; then both make the same names, and the writer keeps one.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from origin.actions import ACTIONS, TASKS
from origin.context import build_prompt
from origin.dataset import DataSet
from origin.events import PIPELINE, EventBus, Happening
from origin.model import Prompt
from origin.precompute.answering import (
    Answering,
    GenerationError,
    GenerationEvent,
    ModelRefused,
    Outcome,
    make_artifact,
    usage,
)
from origin.precompute.artifact import content_hash, parse_artifact
from origin.precompute.batch import MIN_RECORDS, Batches, Collected, Wanted
from origin.precompute.budget import Budget, worst_cost_usd
from origin.precompute.messages import Put
from origin.precompute.queue import AnswerQueue
from origin.precompute.warming import WarmingError, warm
from origin.request_log import RequestLog
from origin.schedules import Cycle, Inference
from origin.tasks import Trigger

# One user's prompts, in an outage, do not use up the whole run.
_USER_S = 45.0
_GIVE_UP_AFTER = 3
# What a run keeps for its own end.
_MARGIN_S = 5.0
_MAX_PROBLEMS_TOLD = 20


class CycleError(Exception):
    """A run could do nothing at all; the message says why."""


@dataclass(slots=True)
class Report:
    """What came of a run.

    Attributes:
        cycle: Which.
        event_id: What everything it made carries.
        off_peak: Whether it ran in its quiet hours.
        users_done: Users whose answers are on the queue or in a job.
        users_left: Users it did not come to, for want of money or time.
        answers: Answers sent to the queue.
        collected: Answers of earlier batch jobs sent to the queue.
        job: The batch job that was submitted; empty for none.
        input_tokens: Read by the model, collected jobs included.
        output_tokens: Written by it.
        usd: What they cost.
        problems: What went wrong, the first few.
        warmed: What came of warming; None when there was none.
    """

    cycle: str
    event_id: str
    off_peak: bool
    users_done: int = 0
    users_left: int = 0
    answers: int = 0
    collected: int = 0
    job: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    problems: list[str] = field(default_factory=list)
    warmed: dict[str, int] | None = None

    def tell(self, problem: str) -> None:
        """Keep a problem, unless there are many already."""
        if len(self.problems) < _MAX_PROBLEMS_TOLD:
            self.problems.append(problem)

    def count(self, used: Mapping[str, Any]) -> None:
        """Add tokens and cost."""
        self.input_tokens += used["input_tokens"]
        self.output_tokens += used["output_tokens"]
        self.usd = round(self.usd + used["usd"], 9)


@dataclass(frozen=True, slots=True)
class CycleRunner:
    """Runs cycles.

    Attributes:
        answering: Who makes answers one by one.
        queue: Where they go.
        batches: Who makes many at half the price; None where there is no bucket for it.
        bus: Who is told when the money is gone; None for nobody.
        distribution_url: What is warmed; empty for nothing.
        now_s: Epoch seconds.
        monotonic_s: Seconds for deadlines.
        sleep: Waits that many seconds.
    """

    answering: Answering
    queue: AnswerQueue
    batches: Batches | None = None
    bus: EventBus | None = None
    distribution_url: str = ""
    now_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep

    def run(
        self, cycle: Cycle, log: RequestLog, *, scheduled_at: str, remaining_s: float
    ) -> Report:
        """Run one cycle within the time that is left.

        Raises:
            CycleError: Nothing could be done.
        """
        give_up_s = self.monotonic_s() + remaining_s - _MARGIN_S
        now = datetime.fromtimestamp(self.now_s(), UTC)
        slot = scheduled_at or now.strftime("%Y-%m-%dT%H:%MZ")
        event_id = f"cycle-{cycle.name}-{re.sub(r'[^A-Za-z0-9:.-]', '', slot)[:40]}"
        report = Report(cycle.name, event_id, cycle.is_off_peak(now))
        self.collect(report)
        users = choose_users(log, self.answering.data, cycle.users_at(now))
        actions = [name for name, task in TASKS.items() if task.refresh_cycle == cycle.name]
        budget = Budget(cycle.spend_limit_usd)
        if users and actions:
            prompts = len(users) * sum(name in ACTIONS for name in actions)
            # Only prompts can be in a job; a cycle that ranks as well asks one by one.
            in_batch = cycle.inference is Inference.BATCH and prompts >= MIN_RECORDS
            if in_batch and self.batches is not None and set(actions) <= set(ACTIONS):
                self._submit(self.batches, _plan(log, users, actions), budget, report)
            else:
                self._answer(cycle, _plan(log, users, actions), budget, report, give_up_s)
        if budget.is_spent:
            self._tell_spent(cycle, budget, report)
        if cycle.warm_requests and self.distribution_url:
            self._warm(cycle, log, report, give_up_s)
        return report

    # --- one by one --------------------------------------------------------------------------

    def _answer(
        self,
        cycle: Cycle,
        wanted: Mapping[str, Mapping[str, float]],
        budget: Budget,
        report: Report,
        give_up_s: float,
    ) -> None:
        lock = threading.Lock()
        failed_in_a_row = 0

        def serve(user_id: str) -> None:
            nonlocal failed_in_a_row
            left_s = give_up_s - self.monotonic_s()
            actions = wanted[user_id]
            estimate = self._worst_usd(user_id, tuple(actions))
            with lock:
                if left_s <= 1 or failed_in_a_row >= _GIVE_UP_AFTER or budget.is_spent:
                    report.users_left += 1
                    return
            if not budget.set_aside(estimate):
                with lock:
                    report.users_left += 1
                return
            event = {
                "event_id": report.event_id,
                "user_id": user_id,
                "actions": list(actions),
                "reason": Trigger.CYCLE.value,
            }
            try:
                made = self.answering.answer(event, remaining_s=min(_USER_S, left_s))
            except GenerationError as error:
                budget.settle(estimate, error.usage["usd"])
                with lock:
                    report.count(error.usage)
                    failed_in_a_row += 1
                    if isinstance(error, ModelRefused):
                        failed_in_a_row = _GIVE_UP_AFTER
                    report.users_left += 1
                    report.tell(f"{type(error).__name__}: {error}")
                return
            budget.settle(estimate, made["usage"]["usd"])
            artifacts = tuple(
                replace(one, predicted_use=actions.get(one.action_id, one.predicted_use))
                for one in map(parse_artifact, made["answers"])
            )
            self.queue.put([Put(report.event_id, user_id, artifacts)])
            with lock:
                failed_in_a_row = 0
                report.users_done += 1
                report.answers += len(artifacts)
                report.count(made["usage"])
                for problem in made["problems"]:
                    report.tell(f"{user_id} {problem}")

        with ThreadPoolExecutor(cycle.concurrency, thread_name_prefix="user") as threads:
            # `list`: so that an error of the queue comes through.
            list(threads.map(serve, wanted))
        if failed_in_a_row >= _GIVE_UP_AFTER and not report.users_done:
            raise CycleError(f"{report.event_id}: {'; '.join(report.problems)}")

    def _worst_usd(self, user_id: str, actions: Sequence[str], *, batch: bool = False) -> float:
        prices = self.answering.prices
        return sum(
            worst_cost_usd(self._prompt(user_id, name), prices, batch=batch)
            for name in actions
            if name in ACTIONS
        )

    def _prompt(self, user_id: str, action_id: str) -> Prompt:
        return build_prompt(self.answering.data, user_id, ACTIONS[action_id])

    # --- in a batch job ----------------------------------------------------------------------

    def _submit(
        self,
        batches: Batches,
        plan: Mapping[str, Mapping[str, float]],
        budget: Budget,
        report: Report,
    ) -> None:
        wanted: list[Wanted] = []
        for user_id, actions in plan.items():
            estimate = self._worst_usd(user_id, tuple(actions), batch=True)
            if budget.is_spent or not budget.set_aside(estimate):
                report.users_left += 1
                continue
            wanted += [
                Wanted(user_id, name, self._prompt(user_id, name))
                for name in actions
                if name in ACTIONS
            ]
            report.users_done += 1
        if len(wanted) < MIN_RECORDS:
            report.users_left += report.users_done
            report.users_done = 0
            report.tell(f"the budget allows {len(wanted)} records; a job has {MIN_RECORDS} or more")
            return
        name = re.sub(r"[^A-Za-z0-9-]", "-", report.event_id)[:63]
        hashes = [content_hash(one.prompt.text) for one in wanted]
        batches.submit(name, report.event_id, wanted, hashes, now_ms=int(self.now_s() * 1000))
        report.job = name

    def collect(self, report: Report) -> None:
        """Send the answers of jobs that are over to the queue, and take away their notes."""
        if self.batches is None:
            return
        for job in self.batches.collect():
            if job.problem:
                report.tell(f"batch job {job.note.name}: {job.problem}")
            self.queue.put(self._puts(job, report))
            self.batches.forget(job)

    def _puts(self, job: Collected, report: Report) -> list[Put]:
        note, data = job.note, self.answering.data
        by_user = defaultdict(list)
        outcomes = []
        for one in job.answers:
            outcome = Outcome(
                one.action_id,
                one.text,
                input_tokens=one.input_tokens,
                output_tokens=one.output_tokens,
                source_hash=one.source_hash,
            )
            outcomes.append(outcome)
            user, task = data.users.get(one.user_id), TASKS.get(one.action_id)
            if one.problem or user is None or task is None or not task.is_made_ahead:
                report.tell(f"{one.user_id} {one.action_id}: {one.problem or 'no longer wanted'}")
                continue
            event = GenerationEvent(note.event_id, one.user_id, (), Trigger.CYCLE)
            artifact = make_artifact(outcome, event, data, user, note.generated_at_ms)
            if artifact.expires_at_s <= self.now_s():
                report.tell(f"{artifact.key}: expired before the job was over")
                continue
            by_user[one.user_id].append(artifact)
        report.count(usage(outcomes, self.answering.prices, batch=True))
        report.collected += sum(map(len, by_user.values()))
        return [Put(note.event_id, user_id, tuple(made)) for user_id, made in by_user.items()]

    # --- afterwards --------------------------------------------------------------------------

    def _tell_spent(self, cycle: Cycle, budget: Budget, report: Report) -> None:
        if self.bus is None:
            return
        detail = {
            "cycle": cycle.name,
            "event_id": report.event_id,
            "limit_usd": cycle.spend_limit_usd,
            "spent_usd": round(budget.spent_usd, 9),
            "users_done": report.users_done,
            "users_left": report.users_left,
        }
        self.bus.put([Happening(PIPELINE, "GenerationBudgetSpent", detail)])

    def _warm(self, cycle: Cycle, log: RequestLog, report: Report, give_up_s: float) -> None:
        paths = (log.popular_paths() or ["/"])[: cycle.warm_requests]
        try:
            warmed = warm(
                self.distribution_url,
                paths,
                rate_per_s=cycle.warm_rate_per_s,
                time_left_s=lambda: give_up_s - self.monotonic_s(),
                sleep=self.sleep,
            )
        except WarmingError as error:
            report.tell(str(error))
        else:
            report.warmed = asdict(warmed)


def choose_users(log: RequestLog, data: DataSet, most: int) -> list[str]:
    """The users of a run: those who asked most first, then the others as the data set has them."""
    active = [user_id for user_id in log.popular_users() if user_id in data.users]
    return list(dict.fromkeys([*active, *data.users]))[:most]


# From so many requests on, a log says what a user never asks for.
_ENOUGH_REQUESTS = 20


def _plan(
    log: RequestLog, users: Sequence[str], actions: Sequence[str]
) -> dict[str, dict[str, float]]:
    """What is made for whom, and how likely its use is: by the log, where it says enough."""
    logs, nothing = log.by_user(), RequestLog(())
    plan = {one: choose_actions(logs.get(one, nothing), one, actions) for one in users}
    return {user_id: wanted for user_id, wanted in plan.items() if wanted}


def choose_actions(log: RequestLog, user_id: str, actions: Sequence[str]) -> dict[str, float]:
    """The actions of a run that one user is made, each with the probability of its use.

    The probability is that of one session of the user asking for it, counted with one session more
    that did half: little evidence stays near one half.
    """
    asked = log.popular_actions(user_id)
    sessions = log.sessions_of(user_id)
    likely = {name: min(1.0, (asked[name] + 0.5) / (sessions + 1)) for name in actions}
    if asked.total() < _ENOUGH_REQUESTS:
        return likely
    # Nobody asks for a ranking by its name: what is no prompt is always made.
    return {name: use for name, use in likely.items() if asked[name] or name not in ACTIONS}
