"""One user's answers, all prompts at once. Knows the model, and nothing of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from enum import Enum

from origin.actions import Action
from origin.backoff import Backoff
from origin.context import build_prompt
from origin.dataset import DataSet
from origin.model import Completion, Model, ModelError, ModelFault, Prompt
from origin.precompute.artifact import AnswerTooLargeError, StoredAnswer, make_entry
from origin.precompute.judging import judge


class Verdict(Enum):
    """What became of one prompt."""

    READY = "ready"
    """There is an entry for the store."""
    REFUSED = "refused"
    """There is an answer, and it must not be stored."""
    FAILED = "failed"
    """There is no answer."""
    HOPELESS = "hopeless"
    """There is no answer, and there will be none for anybody: rights, model id, parameters."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one prompt.

    Attributes:
        user_id: Whose.
        action_id: Which.
        verdict: How it ended.
        entry: Key and value for the store; only when ready.
        problem: What went wrong and how to mend it; only when not ready.
        input_tokens: Tokens read by the model, also for an answer that is refused.
        output_tokens: Tokens written by it.
    """

    user_id: str
    action_id: str
    verdict: Verdict
    entry: tuple[str, str] | None = None
    problem: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """One user's prompts on their way."""

    user_id: str
    prompts: tuple[Future[Outcome], ...]

    def is_done(self) -> bool:
        """Whether every prompt has its outcome."""
        return all(prompt.done() for prompt in self.prompts)

    def outcomes(self) -> list[Outcome]:
        """Wait for every prompt."""
        return [prompt.result() for prompt in self.prompts]


@dataclass(frozen=True, slots=True)
class Generator:
    """Asks the model ahead of time.

    Attributes:
        model: Whom to ask.
        data: What prompts are made from.
        actions: What to ask for each user.
        threads: Where prompts wait for the model, a thread for each prompt under way.
        ttl_s: How long an answer is valid.
        now_s: Epoch seconds.
        backoff: How often to ask again when the model has no room or fails by itself.
    """

    model: Model
    data: DataSet
    actions: Sequence[Action]
    threads: Executor
    ttl_s: int
    now_s: Callable[[], float]
    backoff: Backoff

    def start(self, user_id: str) -> Generation:
        """Send all prompts of one user, without waiting for an answer.

        Raises:
            UnknownUserError: The data set does not know the user.
        """
        prompts = [(action, build_prompt(self.data, user_id, action)) for action in self.actions]
        return Generation(
            user_id,
            tuple(
                self.threads.submit(self._ask, user_id, action.action_id, prompt)
                for action, prompt in prompts
            ),
        )

    def _ask(self, user_id: str, action_id: str, prompt: Prompt) -> Outcome:
        try:
            completion = self._complete(prompt)
        except ModelError as error:
            is_hopeless = error.fault is ModelFault.REFUSED
            verdict = Verdict.HOPELESS if is_hopeless else Verdict.FAILED
            return Outcome(
                user_id, action_id, verdict, problem=f"{user_id} {action_id}: no answer: {error}"
            )
        return self._judge(user_id, action_id, completion)

    def _complete(self, prompt: Prompt) -> Completion:
        failures = 0
        while True:
            try:
                return self.model.complete(prompt)
            except ModelError as error:
                failures += 1
                if error.fault is ModelFault.REFUSED or not self.backoff.wait(failures):
                    raise

    def _judge(self, user_id: str, action_id: str, completion: Completion) -> Outcome:
        generated_at_s = int(self.now_s())
        judgement = judge(completion)
        entry, problem = None, judgement.problem and f"{user_id} {action_id}: {judgement.problem}"
        if not problem:
            stored = StoredAnswer(judgement.text, generated_at_s, generated_at_s + self.ttl_s)
            try:
                entry = make_entry(user_id, action_id, stored)
            except AnswerTooLargeError as error:
                problem = str(error)
        return Outcome(
            user_id,
            action_id,
            Verdict.REFUSED if entry is None else Verdict.READY,
            entry,
            problem,
            completion.input_tokens,
            completion.output_tokens,
        )
