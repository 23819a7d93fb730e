"""Plausible sentences around a prompt's own facts.

The same prompt and the same seed give the same text to the letter. The words between the facts
come from short lists, chosen by a generator that is seeded with both.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.aws.bedrock.faults import Fault
from emulator.aws.bedrock.reading import Brief, Section, read_prompt
from emulator.aws.bedrock.tokens import count_tokens, split_tokens
from emulator.values.model_calls import Generation, Prompt, StopReason

# What a model writes when nobody says how much: some 300 tokens, the length that
# facts/latency.md 11 reckons with.
_USUAL_CHARS: Final = 1_200
# Models stay a little below what they are asked for.
_FILL_OF_LIMIT: Final = 0.93

_URGENT = re.compile(
    r"critical|fail|rolled back|rollback|urgent|overdue|outage|down\b|sev|\bP[01]\b|error|high",
    re.IGNORECASE,
)
_SERVICE = re.compile(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+\b")
_NOTHING: Final = frozenset({"none", "nothing", "n/a", "-"})

_GREETINGS: Final = (
    "Good morning, {name}.",
    "{name}, here is your {task}.",
    "Hello {name}, this is your {task}.",
)
_OPENINGS: Final = ("Here is your {task}.", "This is the {task} you asked for.")
_FIRST_LEADS: Final = ("{title}: {fact}.", "On {title_lower}, note first {fact}.")
_URGENT_LEADS: Final = (
    "Most urgent under {title_lower}: {fact}.",
    "{title}, and this one first: {fact}.",
)
_NEXT_LEADS: Final = (
    "Also {fact}.",
    "Then {fact}.",
    "After that {fact}.",
    "Next to it {fact}.",
)
_BARE_LEADS: Final = ("{fact}.", "Note {fact}.", "Worth knowing: {fact}.")
_EMPTY: Final = "There is nothing to report under {title_lower}."
_CLOSINGS: Final = (
    "Begin with {service}; the rest can wait until that is settled.",
    "If you have time for one thing only, look at {service}.",
    "I would look at {service} first and come back to the rest later.",
)
_PLAIN_CLOSINGS: Final = (
    "Nothing else needs you right now.",
    "That is all there is to know for the moment.",
)
_FILLERS: Final = (
    "In all, {count} points stand on the list.",
    "The name that comes up most often is {service}.",
    "Nothing in the facts at hand contradicts this order.",
    "The figures are those of the latest update, so check them again before you act.",
    "Where two points touch the same service, deal with them together.",
    "What is not named here has not changed.",
    "A short word to the team that owns {service} will save a question later.",
    "Compare with the same hour of yesterday before you call it a trend.",
    "The open points are few enough to go through them one by one.",
    "Once the first point is settled, most of the others lose their urgency.",
    "Keep an eye on {service} for the next hour.",
    "If the picture changes, this text is out of date and should be asked for again.",
)


# Load tests ask the same questions again and again; some 10 MB remember the latest answers.
@functools.lru_cache(maxsize=2_000)
def generate(prompt: Prompt, seed: int) -> Generation:
    """Write an answer.

    Args:
        prompt: What was asked.
        seed: Another seed chooses other words around the same facts.
    """
    text = write(prompt.text, seed)
    stopped_by, cut = None, text
    for sequence in prompt.stop_sequences:
        before, found, _ = text.partition(sequence)
        if found and len(before) < len(cut):
            cut, stopped_by = before, sequence
    pieces = split_tokens(cut)
    reason = StopReason.END_TURN if stopped_by is None else StopReason.STOP_SEQUENCE
    if len(pieces) > prompt.max_tokens:
        pieces, reason, stopped_by = pieces[: prompt.max_tokens], StopReason.MAX_TOKENS, None
    return Generation(tuple(pieces), reason, stopped_by, count_tokens(prompt.text))


def spoil(generation: Generation, fault: Fault, max_tokens: int) -> Generation:
    """What a model may write when it goes wrong, in place of an answer.

    Args:
        generation: The answer.
        fault: How it goes wrong.
        max_tokens: The most tokens that were asked for.
    """
    pieces = list(generation.pieces)
    match fault:
        case Fault.EMPTY:
            return replace(generation, pieces=())
        case Fault.CONTROL_CHARACTERS:
            return replace(generation, pieces=("\x00", *pieces, "\x1b[2J", "\u202e"))
        case Fault.GARBAGE:
            return replace(generation, pieces=tuple("#$%&/()=?" * 10)[:max_tokens])
        case Fault.OVER_LONG:
            again = (pieces or ["word"]) * (max_tokens // max(1, len(pieces)) + 1)
            cut = tuple(again[:max_tokens])
            return replace(generation, pieces=cut, stop_reason=StopReason.MAX_TOKENS)
        case _:
            return generation


def write(prompt_text: str, seed: int) -> str:
    """The answer's whole text."""
    digest = hashlib.blake2b(prompt_text.encode("utf-8", "replace"), key=str(seed).encode())
    chance = random.Random(digest.digest())
    brief = read_prompt(prompt_text)
    draft = _Draft(brief, _target_chars(brief))
    draft.add(_opening(brief, chance))
    per_section = [_section_sentences(section, chance) for section in brief.sections]
    chosen = _choose(draft, per_section)
    for sentences, number in zip(per_section, chosen, strict=True):
        draft.sentences.extend(sentences[:number])
    _finish(draft, chance)
    return draft.text


@dataclass(slots=True)
class _Draft:
    """Sentences so far, and how much room is left."""

    brief: Brief
    target_chars: int
    sentences: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(self.sentences)

    def fits(self, more: Sequence[str]) -> bool:
        sentences = [*self.sentences, *more]
        text = " ".join(sentences)
        return len(text) <= self.target_chars and self.brief.limits.allow(text, len(sentences))

    def add(self, sentence: str) -> bool:
        """Add the sentence if there is room."""
        if sentence and self.fits([sentence]):
            self.sentences.append(sentence)
            return True
        return False


def _target_chars(brief: Brief) -> int:
    limits = brief.limits
    asked = min(
        limits.chars or _USUAL_CHARS,
        limits.size_bytes or _USUAL_CHARS,
        # An English word and its blank.
        (limits.words or _USUAL_CHARS) * 6,
    )
    return int(asked * _FILL_OF_LIMIT) if asked != _USUAL_CHARS else asked


def _opening(brief: Brief, chance: random.Random) -> str:
    task = brief.task or "overview"
    if brief.name:
        return chance.choice(_GREETINGS).format(name=brief.name, task=task)
    if brief.task:
        return chance.choice(_OPENINGS).format(task=task)
    return f"You asked: {brief.question}" if brief.question else ""


def _section_sentences(section: Section, chance: random.Random) -> list[str]:
    facts = [fact for fact in section.facts if fact.lower() not in _NOTHING]
    title = section.title
    title_lower = title[:1].lower() + title[1:]
    if not facts:
        return [_EMPTY.format(title_lower=title_lower)] if title else []
    facts.sort(key=lambda fact: not _URGENT.search(fact))
    sentences = []
    for i, fact in enumerate(facts):
        leads: tuple[str, ...]
        if not title:
            leads = _BARE_LEADS
        elif i:
            leads = _NEXT_LEADS
        else:
            leads = _URGENT_LEADS if _URGENT.search(fact) else _FIRST_LEADS
        # Curly brackets of the prompt's own must not be taken for our places.
        sentence = chance.choice(leads)
        for place, words in (("{title_lower}", title_lower), ("{title}", title), ("{fact}", fact)):
            sentence = sentence.replace(place, words)
        sentences.append(sentence[:1].upper() + sentence[1:] if not title else sentence)
    return sentences


def _choose(draft: _Draft, per_section: Sequence[Sequence[str]]) -> list[int]:
    """How many sentences of each section there is room for; every section gets its first first."""
    chosen = [0] * len(per_section)
    picked: list[str] = []
    for rank in range(max(map(len, per_section), default=0)):
        for i, sentences in enumerate(per_section):
            if chosen[i] == rank < len(sentences) and draft.fits([*picked, sentences[rank]]):
                picked.append(sentences[rank])
                chosen[i] += 1
    return chosen


def _finish(draft: _Draft, chance: random.Random) -> None:
    facts = [fact for section in draft.brief.sections for fact in section.facts]
    services = _SERVICE.findall(" ".join(facts))
    # The one named most often; of several, the first.
    service = max(services, key=services.count) if services else ""
    fillers = [line for line in _FILLERS if service or "{service}" not in line]
    if len(facts) < 2:
        fillers = [line for line in fillers if "{count}" not in line]
    chance.shuffle(fillers)
    closing = chance.choice(_CLOSINGS if service else _PLAIN_CLOSINGS)
    closing = closing.replace("{service}", service)
    for filler in fillers:
        sentence = filler.replace("{service}", service).replace("{count}", str(len(facts)))
        if draft.fits([sentence, closing]):
            draft.add(sentence)
    draft.add(closing)
    if not draft.sentences:
        draft.sentences.append(_shortest(draft))


def _shortest(draft: _Draft) -> str:
    """Something within even the narrowest limit."""
    words = _PLAIN_CLOSINGS[0].split()
    while len(words) > 1 and not draft.brief.limits.allow(" ".join(words), 1):
        words.pop()
    return " ".join(words)
