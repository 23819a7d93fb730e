"""A Markov chain of actions, smoothed: the next action depends on the last one.

    p(next | last) = (n(last, next) + k * p(next)) / (n(last) + k)

With few observations of `last` the estimate leans on how often `next` is asked for at all (p,
itself smoothed by one), with many on what followed it; k is how many observations that prior is
worth: additive smoothing towards a Dirichlet prior. The end of a session is an outcome like any
other.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from origin.actions import ACTION_ID

END: Final = "(end)"
"""What comes after a session's last action."""

DEFAULT_PRIOR_WEIGHT: Final = 5.0


class TransitionsError(Exception):
    """A file is no model of transitions; the message says why."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One action that may be asked for next.

    Attributes:
        action: Which.
        probability: How likely, 0 to 1.
    """

    action: str
    probability: float


@dataclass(frozen=True, slots=True)
class Transitions:
    """What was seen: how often each action followed each other one.

    Attributes:
        counts: Last action -> next action (or END) -> how often.
        prior_weight: How many observations the prior is worth.
    """

    counts: Mapping[str, Mapping[str, int]]
    prior_weight: float = DEFAULT_PRIOR_WEIGHT

    def probability(self, last: str, following: str) -> float:
        """How likely one action is after another."""
        seen = self.counts.get(last, {})
        weight = self.prior_weight
        prior = self._prior(following)
        return (seen.get(following, 0) + weight * prior) / (sum(seen.values()) + weight)

    def predict(self, last: str, *, at_least: float) -> list[Prediction]:
        """The actions that may follow, the likeliest first.

        Args:
            last: The action asked for last.
            at_least: Those less likely are left out.
        """
        found = [
            Prediction(action, self.probability(last, action))
            for action in self.actions()
            if action not in {END, last}
        ]
        likely = [one for one in found if one.probability >= at_least]
        return sorted(likely, key=lambda one: (-one.probability, one.action))

    def actions(self) -> list[str]:
        """Everything that was ever seen, END included."""
        following = {name for row in self.counts.values() for name in row}
        return sorted(following | set(self.counts))

    def _prior(self, following: str) -> float:
        total = sum(sum(row.values()) for row in self.counts.values())
        seen = sum(row.get(following, 0) for row in self.counts.values())
        return (seen + 1) / (total + len(self.actions()) or 1)


def learn(
    sessions: Iterable[Sequence[str]], *, prior_weight: float = DEFAULT_PRIOR_WEIGHT
) -> Transitions:
    """Count the steps of some sessions."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for session in sessions:
        for last, following in zip(session, [*session[1:], END], strict=True):
            counts[last][following] += 1
    return Transitions({last: dict(row) for last, row in counts.items()}, prior_weight)


def dump_transitions(transitions: Transitions) -> str:
    """Spell a model, the same for the same counts."""
    shape = {"prior_weight": transitions.prior_weight, "counts": transitions.counts}
    return json.dumps(shape, indent=1, sort_keys=True) + "\n"


def parse_transitions(text: str) -> Transitions:
    """Read a model.

    Raises:
        TransitionsError: It is none.
    """
    try:
        shape: Any = json.loads(text)
        weight = float(shape["prior_weight"])
        counts = {
            _action(last): {_action(following): _count(n) for following, n in row.items()}
            for last, row in shape["counts"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TransitionsError(
            f"not a model of transitions: {error!r}. Make one: python -m origin.followup train"
        ) from error
    if not 0 < weight < 1e9:
        raise TransitionsError("not a model of transitions: prior_weight above 0 expected")
    return Transitions(counts, weight)


def _action(name: str) -> str:
    if name != END and not ACTION_ID.fullmatch(name):
        raise ValueError(f"no ActionID: {name!r}")
    return name


def _count(value: object) -> int:
    # `type(...) is int`: in Python, True is an int as well.
    if type(value) is not int or value < 0:
        raise ValueError(f"no count: {value!r}")
    return value
