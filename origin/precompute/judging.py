"""Whether what a model has written may be stored as an answer: a reason when not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from origin.context import ANSWER_CHARS
from origin.model import Completion

MAX_ANSWER_CHARS = 2 * ANSWER_CHARS
"""Models count loosely; what is twice as long as asked for is out of hand."""

# Controls of ASCII and Latin-1 but for tab, line feed and carriage return; what turns the direction
# of writing or is no character at all.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)
_MIN_LETTERS_SHARE = 0.5
# In English one word in three is new after a hundred words; a text in a loop has a handful.
_MIN_WORDS_JUDGED = 40
_MIN_DISTINCT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of a model's text.

    Attributes:
        text: The text as it may be stored; empty when it may not.
        problem: Why it may not; empty when it may.
    """

    text: str
    problem: str = ""


def judge(completion: Completion) -> Judgement:
    """Look at one text; the first thing found wrong with it is told."""
    # A lone surrogate is valid in JSON's escapes and has no place in UTF-8.
    text = completion.text.strip().encode("utf-8", "replace").decode()
    problem = _problem(text, completion)
    return Judgement("" if problem else text, problem)


def _problem(text: str, completion: Completion) -> str:
    if not text:
        return "the model answered nothing"
    if completion.stop_reason == "max_tokens":
        return (
            f"the answer was cut off after {completion.output_tokens} tokens. Ask for a shorter "
            "one (ANSWER_CHARS in origin/context.py), or raise MAX_TOKENS there"
        )
    if completion.stop_reason == "refusal":
        return "the model refused to answer"
    if len(text) > MAX_ANSWER_CHARS:
        return f"the answer has {len(text)} characters, more than {MAX_ANSWER_CHARS}"
    control = _CONTROLS.search(text)
    if control:
        return f"the answer holds the control character U+{ord(control[0]):04X}"
    if "\ufffd" in text:
        return "the answer holds characters that could not be decoded"
    readable = sum(character.isalnum() or character.isspace() for character in text)
    if readable < _MIN_LETTERS_SHARE * len(text):
        return "the answer is garbage: hardly any letters"
    words = text.lower().split()
    if len(words) >= _MIN_WORDS_JUDGED and len(set(words)) < _MIN_DISTINCT_SHARE * len(words):
        return "the answer is garbage: it repeats itself"
    return ""
