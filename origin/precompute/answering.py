"""One generation event in, its answers out: what the Lambda function `answer-generator` does.

All prompts of an event go to the model at once, from threads that outlive the call. What fails is
named and the rest is kept; an error is raised only when nothing is left, and its class says to the
state machine whether another try makes sense:

    ModelThrottled      the model has no room now                            try again
    ModelUnavailable    it cannot be reached, failed, or was too slow        try again
    AnswersUnusable     it answered, twice, what must not be stored          give up
    ModelRefused        it takes no such request: rights, model id           give up
    BadEvent            the event is none, or names an unknown user          give up
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from origin.actions import ACTIONS, TASKS
from origin.context import build_prompt
from origin.dataset import AS_OF, DataSet, User
from origin.model import Model, ModelError, ModelFault, Prompt
from origin.precompute.artifact import Artifact, Source, content_hash, dump_artifact
from origin.precompute.contract import MAX_SUBJECTS, Contract, FallbackIfStale
from origin.precompute.judging import judge
from origin.prices import TokenPrices
from origin.recommendations import list_candidates, spell_candidates
from origin.session import USER_ID
from origin.tasks import Task, Trigger, tasks_for

# An event's id becomes a MessageDeduplicationId: up to 128 characters of a known set.
_EVENT_ID = re.compile(r"[!-~]{1,100}")
_REASON_MAX_CHARS = 128
# What is left for the answer's own way: to be spelled, and to leave the function.
_MARGIN_S = 0.5
_RETRY_BASE_S, _RETRY_CAP_S = 0.2, 4.0
# A text that must not be stored is worth one more draw, not ten.
_MAX_UNUSABLE = 2
# A wait is not begun for less.
_LEAST_TRY_S = 0.2

SESSION_SCOPE: Final = "session"
"""The scope of an answer that belongs to one session; its version is the session's `iat`."""

# What use is expected of an answer, by what had it made; the store's eviction goes by it.
_PREDICTED_USE: Final = MappingProxyType(
    {Trigger.LOGIN: 0.8, Trigger.WORKFLOW: 0.7, Trigger.UPLOAD: 0.6, Trigger.FOLLOW_UP: 0.3}
)
_REASONS: Final = MappingProxyType(
    {
        "UserLoggedIn": Trigger.LOGIN,
        "WorkflowEntered": Trigger.WORKFLOW,
        "DocumentUploaded": Trigger.UPLOAD,
        "StateChanged": Trigger.STATE_CHANGE,
        **{trigger.value: trigger for trigger in Trigger},
    }
)


class GenerationError(Exception):
    """Nothing came of an event; `usage` says what that has cost."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.usage: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0, "usd": 0.0}


class ModelThrottled(GenerationError):  # noqa: N818 - a state machine's ErrorEquals reads better
    """The model has no room now."""


class ModelUnavailable(GenerationError):  # noqa: N818
    """The model cannot be reached, failed by itself, or was too slow."""


class AnswersUnusable(GenerationError):  # noqa: N818
    """The model answered what must not be stored, every time."""


class ModelRefused(GenerationError):  # noqa: N818
    """The model does not take such a request, from anybody."""


class BadEvent(GenerationError):  # noqa: N818
    """The event is none, or about nobody."""


@dataclass(frozen=True, slots=True)
class GenerationEvent:
    """What is to be generated.

    Attributes:
        event_id: Its name; everything that is made from it carries it.
        user_id: For whom.
        actions: Tasks to make; those of the trigger when empty.
        trigger: What has them made.
        session: For a follow-up, when the session was issued (epoch seconds); 0 for none.
    """

    event_id: str
    user_id: str
    actions: tuple[str, ...]
    trigger: Trigger
    session: int = 0


def parse_event(shape: object) -> GenerationEvent:
    """Read the state machine's input.

    `reason` is a detail type of the backend (`UserLoggedIn`) or a trigger (`login`, `cycle`); that
    of a follow-up names its session: `follow-up/<iat>`.

    Raises:
        BadEvent: It is none; the message names the member.
    """
    if not isinstance(shape, dict):
        raise BadEvent(f"an object expected, not {type(shape).__name__}")
    event_id, user_id = shape.get("event_id"), shape.get("user_id")
    actions, reason = shape.get("actions") or [], shape.get("reason", Trigger.LOGIN.value)
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        raise BadEvent("event_id: 1 to 100 printable ASCII characters without blanks expected")
    if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
        raise BadEvent("user_id: a UserID expected (1 to 64 of A-Z, a-z, 0-9, '.' and '-')")
    if not isinstance(actions, list) or len(actions) > len(TASKS):
        raise BadEvent(f"actions: a list of at most {len(TASKS)} names expected")
    if not all(isinstance(name, str) for name in actions):
        raise BadEvent("actions: names expected")
    if not isinstance(reason, str) or len(reason) > _REASON_MAX_CHARS:
        raise BadEvent(f"reason: text of at most {_REASON_MAX_CHARS} characters expected")
    name, _, session = reason.partition("/")
    return GenerationEvent(
        event_id,
        user_id,
        tuple(dict.fromkeys(actions)),
        # Whoever asks for a reason of their own wants these actions now, as after a login.
        _REASONS.get(name, Trigger.LOGIN),
        int(session) if session.isascii() and session.isdecimal() and len(session) < 12 else 0,
    )


class Failure(StrEnum):
    """Why there is no answer to one action; the value is the word in `problems`."""

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed out"
    UNUSABLE = "unusable"
    REFUSED = "refused"
    NOT_MADE_AHEAD = "not made ahead"

    @property
    def may_pass(self) -> bool:
        """Whether another try may succeed."""
        return self in {Failure.THROTTLED, Failure.UNAVAILABLE, Failure.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action.

    Attributes:
        action_id: Which.
        answer: The text; empty when there is none.
        failure: Why there is none.
        problem: The same in words.
        input_tokens: Read by the model in all tries.
        output_tokens: Written by it in all tries.
        source_hash: SHA-256 of what it was made from.
    """

    action_id: str
    answer: str = ""
    failure: Failure | None = None
    problem: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    source_hash: str = ""


@dataclass(frozen=True, slots=True)
class Answering:
    """Makes the answers of one event; built once, called for each.

    Attributes:
        model: Whom to ask.
        data: What prompts are made from.
        prices: What tokens cost.
        threads: Where prompts wait for the model; outlives a call.
        retry_s: For how long a model without room is asked again. Whoever waits here is paid for,
            and keeps an environment from others: the state machine waits longer for nothing.
        now_s: Epoch seconds.
        monotonic_s: Seconds for deadlines.
        sleep: Waits that many seconds.
        chance: Jitter.
    """

    model: Model
    data: DataSet
    prices: TokenPrices
    threads: ThreadPoolExecutor
    retry_s: float = 6.0
    now_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    chance: random.Random = field(default_factory=random.Random)

    def answer(self, shape: object, *, remaining_s: float) -> dict[str, Any]:
        """Make the answers of one event within the time that is left.

        Raises:
            GenerationError: Nothing is left of it; the class says whether to try again.
        """
        event = parse_event(shape)
        user = self.data.users.get(event.user_id)
        if user is None:
            raise BadEvent(f"there is no data about {event.user_id}")
        give_up_s = self.monotonic_s() + remaining_s - _MARGIN_S
        generated_at_ms = int(self.now_s() * 1000)
        wanted = event.actions or tasks_for(TASKS, event.trigger)
        outcomes = self._outcomes(wanted, event.user_id, give_up_s)
        artifacts = [
            make_artifact(outcome, event, self.data, user, generated_at_ms)
            for outcome in outcomes
            if outcome.answer
        ]
        if not artifacts:
            error = _nothing_left(event, outcomes)
            error.usage = usage(outcomes, self.prices)
            raise error
        return {
            "event_id": event.event_id,
            "user_id": event.user_id,
            "answers": [dump_artifact(artifact) for artifact in artifacts],
            "problems": [
                f"{outcome.action_id}: {outcome.failure}: {outcome.problem}"
                for outcome in outcomes
                if outcome.failure
            ],
            "unfinished": [
                outcome.action_id
                for outcome in outcomes
                if outcome.failure and outcome.failure.may_pass
            ],
            "usage": usage(outcomes, self.prices),
        }

    def _outcomes(self, wanted: Sequence[str], user_id: str, give_up_s: float) -> list[Outcome]:
        begun: dict[str, Future[Outcome] | Outcome] = {}
        for name in wanted:
            task = TASKS.get(name)
            refusal = _refusal(name, task)
            if refusal is not None:
                begun[name] = refusal
            elif name in ACTIONS:
                prompt = build_prompt(self.data, user_id, ACTIONS[name])
                begun[name] = self.threads.submit(self._ask, name, prompt, give_up_s)
            else:
                begun[name] = self._rank(name, user_id)
        prompts = [one for one in begun.values() if isinstance(one, Future)]
        wait(prompts, timeout=max(0.0, give_up_s - self.monotonic_s()))
        return [
            one if isinstance(one, Outcome) else _outcome_of(name, one)
            for name, one in begun.items()
        ]

    def _rank(self, name: str, user_id: str) -> Outcome:
        text = spell_candidates(list_candidates(self.data, self.data.users[user_id]))
        return Outcome(name, text, source_hash=content_hash(text))

    def _ask(self, name: str, prompt: Prompt, give_up_s: float) -> Outcome:
        failures = unusable = input_tokens = output_tokens = 0
        retry_until_s = min(give_up_s, self.monotonic_s() + self.retry_s)
        while True:
            try:
                completion = self.model.complete(prompt)
            except ModelError as error:
                failures += 1
                failure = _FAILURES[error.fault]
                if not failure.may_pass or not self._may_wait(failures, retry_until_s):
                    return Outcome(
                        name,
                        failure=failure,
                        problem=str(error),
                        input_tokens=input_tokens,
                        output_tokens=output_tokens,
                    )
                continue
            input_tokens += completion.input_tokens
            output_tokens += completion.output_tokens
            judgement = judge(completion)
            if judgement.problem:
                unusable += 1
                if unusable < _MAX_UNUSABLE and give_up_s - self.monotonic_s() > _LEAST_TRY_S:
                    continue
                return Outcome(
                    name,
                    failure=Failure.UNUSABLE,
                    problem=judgement.problem,
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                )
            return Outcome(
                name,
                judgement.text,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                source_hash=content_hash(prompt.text),
            )

    def _may_wait(self, failures: int, until_s: float) -> bool:
        """Wait with full jitter (`origin.backoff`); False, at once, when there is no time left."""
        longest_s = min(_RETRY_CAP_S, _RETRY_BASE_S * 2 ** min(failures - 1, 10))
        pause_s = self.chance.uniform(0, longest_s)
        if self.monotonic_s() + pause_s + _LEAST_TRY_S > until_s:
            return False
        self.sleep(pause_s)
        return True


_FAILURES: Final[Mapping[ModelFault, Failure]] = MappingProxyType(
    {
        ModelFault.THROTTLED: Failure.THROTTLED,
        ModelFault.UNREACHABLE: Failure.UNAVAILABLE,
        ModelFault.BROKEN: Failure.UNAVAILABLE,
        ModelFault.REFUSED: Failure.REFUSED,
    }
)


def _refusal(name: str, task: Task | None) -> Outcome | None:
    if task is None:
        known = ", ".join(one for one, task in TASKS.items() if task.is_made_ahead)
        problem = f"no such task {name[:64]!r} (known: {known})"
        return Outcome(name[:64], failure=Failure.NOT_MADE_AHEAD, problem=problem)
    if not task.is_made_ahead:
        return Outcome(name, failure=Failure.NOT_MADE_AHEAD, problem=f"real-time: {task.reason}")
    return None


def _outcome_of(name: str, prompt: Future[Outcome]) -> Outcome:
    if not prompt.done():
        # One that has not begun never will; one under way ends by the client's own time-out.
        prompt.cancel()
        problem = "the model had not answered when the function's time was nearly over"
        return Outcome(name, failure=Failure.TIMED_OUT, problem=problem)
    return prompt.result()


def _nothing_left(event: GenerationEvent, outcomes: Sequence[Outcome]) -> GenerationError:
    if not outcomes:
        return BadEvent(f"nothing is made ahead of time for {event.trigger.value!r}")
    words = "; ".join(f"{one.action_id}: {one.failure}: {one.problem}" for one in outcomes)
    failures = {outcome.failure for outcome in outcomes}
    for failure, error in (
        (Failure.THROTTLED, ModelThrottled),
        (Failure.UNAVAILABLE, ModelUnavailable),
        (Failure.TIMED_OUT, ModelUnavailable),
        (Failure.REFUSED, ModelRefused),
        (Failure.UNUSABLE, AnswersUnusable),
    ):
        if failure in failures:
            return error(f"{event.user_id}: {words}")
    return BadEvent(words)


def usage(
    outcomes: Sequence[Outcome], prices: TokenPrices, *, batch: bool = False
) -> dict[str, Any]:
    """Tokens and cost of some outcomes, those without an answer included."""
    tokens_in = sum(outcome.input_tokens for outcome in outcomes)
    tokens_out = sum(outcome.output_tokens for outcome in outcomes)
    return {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "usd": round(prices.usd(tokens_in, tokens_out, batch=batch), 9),
    }


def make_artifact(
    outcome: Outcome, event: GenerationEvent, data: DataSet, user: User, generated_at_ms: int
) -> Artifact:
    """The artifact of one answer: its contract is its task's."""
    task = TASKS[outcome.action_id]
    ttl_s = task.ttl_s(event.trigger)
    source = Source(
        outcome.source_hash,
        str(event.session) if event.session else _DATA_VERSION,
        SESSION_SCOPE if event.session else "",
    )
    return Artifact(
        user_id=event.user_id,
        action_id=outcome.action_id,
        answer=outcome.answer,
        generated_at_ms=generated_at_ms,
        expires_at_s=generated_at_ms // 1000 + ttl_s,
        contract=Contract(
            task.freshness_sla_s, subjects(task, data, user), FallbackIfStale.ORIGIN, task.owner
        ),
        source=source,
        confidence=task.confidence if task.half_life_s else None,
        half_life_s=task.half_life_s,
        predicted_use=_PREDICTED_USE.get(event.trigger, 0.5),
    )


_DATA_VERSION = AS_OF.strftime("%Y-%m-%dT%H:%M")


def subjects(task: Task, data: DataSet, user: User) -> tuple[str, ...]:
    """The state changes that make one user's answer wrong: the task's patterns, filled in."""
    found: dict[str, None] = {}
    for pattern in task.invalidated_by:
        head, brace, name = pattern.partition("{")
        if not brace:
            found[pattern] = None
        for value in _values(name.removesuffix("}"), data, user) if brace else ():
            found[f"{head}{value}"] = None
    return tuple(found)[:MAX_SUBJECTS]


def _values(name: str, data: DataSet, user: User) -> Sequence[str]:
    match name:
        case "service":
            return user.services
        case "ticket":
            return [
                one.ticket_id
                for one in data.tickets
                if one.assignee == user.user_id and one.status != "done"
            ]
        case "alert":
            return [
                one.alert_id
                for one in data.alerts
                if one.service in user.services and one.status == "open"
            ]
        case "team":
            return (user.team,)
        case _:
            return (user.user_id,)
