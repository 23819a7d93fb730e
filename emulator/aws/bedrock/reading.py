"""What a prompt says, as far as a few patterns can tell: for whom, what, which facts, how long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

_BULLET = re.compile(r"\s*(?:[-*•]|\d{1,3}[.)])\s+(\S.*)")
_TITLE = re.compile(r"\s*(?:#+\s*)?([A-Z][^.:?!\n]{1,80}):?\s*")
_LABELLED = re.compile(r"\s*([A-Za-z][\w ./-]{0,40}?)\s*[:=]\s+(\S.*)")
_TAG = re.compile(r"</?[a-z][^<>]{0,200}>", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_NAMES: Final = (
    re.compile(r"<(?:reader|user|person|customer)[^>]*>\s*([A-Z][^\W\d_]+)"),
    re.compile(r"\b(?:name|user|reader|customer)\s*[:=]\s*\"?([A-Z][^\W\d_]+)", re.IGNORECASE),
)
_TASK = re.compile(
    r"\b((?:[a-z]+[ -])?"
    r"(?:briefing|summary|digest|review|timeline|report|overview|status|answer))\b"
)
_IMPERATIVE = re.compile(
    r"\s*(?:write|summari[sz]e|digest|review|tell|give|list|describe|explain|answer|use|do not|"
    r"don't|you are|you write|never|always|please|respond|return|keep)\b",
    re.IGNORECASE,
)
_NOUN_OF_VERB: Final = {
    "summarise": "summary",
    "summarize": "summary",
    "digest": "digest",
    "review": "review",
}
_NOT_OF_THE_NOUN: Final = frozenset(
    {"the", "a", "an", "my", "your", "this", "that", "of", "and", "s", "in", "no", "one", "to"}
)
_QUESTION = re.compile(r"[A-Z][^.!?\n<>]{3,160}\?")
_LIMIT = re.compile(
    r"(?:at most|no more than|not more than|fewer than|less than|under|below|within|up to|"
    r"maximum of)\s+(\d{1,3}(?:,\d{3})+|\d{1,6})\s+(characters?|chars?|bytes?|words?|sentences?)",
    re.IGNORECASE,
)
# Longer entries are cut: nobody would repeat a page as one point of a briefing.
_FACT_MAX_CHARS = 240
_FACTS_MAX = 60


@dataclass(frozen=True, slots=True)
class Section:
    """A titled list of facts.

    Args:
        title: The line above the list; empty for facts that stand alone.
        facts: The list's entries, without bullet and full stop.
    """

    title: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the prompt wants the answer to be; None where it does not say."""

    chars: int | None = None
    size_bytes: int | None = None
    words: int | None = None
    sentences: int | None = None

    def allow(self, text: str, sentences: int) -> bool:
        """Whether a text of so many sentences is short enough."""
        return (
            (self.chars is None or len(text) <= self.chars)
            and (self.size_bytes is None or len(text.encode()) <= self.size_bytes)
            and (self.words is None or len(text.split()) <= self.words)
            and (self.sentences is None or sentences <= self.sentences)
        )


@dataclass(frozen=True, slots=True)
class Brief:
    """What was understood of a prompt.

    Args:
        name: Whom the answer is for; empty when the prompt does not say.
        task: What is asked for, such as `morning briefing`; may be empty.
        question: The last question in it; may be empty.
        sections: The facts.
        limits: The length asked for.
    """

    name: str
    task: str
    question: str
    sections: tuple[Section, ...]
    limits: Limits


def read_prompt(text: str) -> Brief:
    """Understand a prompt as well as a few patterns can."""
    return Brief(
        name=next((match[1] for pattern in _NAMES if (match := pattern.search(text))), ""),
        task=_task(text),
        question=(_QUESTION.findall(text) or [""])[-1],
        sections=_sections(text),
        limits=_limits(text),
    )


def _task(text: str) -> str:
    for line in text.splitlines():
        if not _IMPERATIVE.match(line):
            continue
        if noun := _NOUN_OF_VERB.get(line.split(maxsplit=1)[0].lower()):
            return noun
        for match in _TASK.finditer(line):
            words = match[1].replace("-", " ").split()
            if words[0] not in _NOT_OF_THE_NOUN:
                return " ".join(words)
            if words[0] != "to":
                # "the briefing", "reader's review": the first word is no part of the noun.
                return words[-1]
    return ""


def _limits(text: str) -> Limits:
    found: dict[str, int] = {}
    for amount, unit in _LIMIT.findall(text):
        number = int(amount.replace(",", ""))
        kind = unit[:4].lower()
        found[kind] = min(number, found.get(kind, number))
    return Limits(
        chars=found.get("char"),
        size_bytes=found.get("byte"),
        words=found.get("word"),
        sentences=found.get("sent"),
    )


def _sections(text: str) -> tuple[Section, ...]:
    sections: list[tuple[str, list[str]]] = []
    title, number = "", 0
    for line in _TAG.sub("\n", text).splitlines():
        fact = _fact(line)
        if fact is None:
            if (match := _TITLE.fullmatch(line)) and not _IMPERATIVE.match(line):
                title = match[1].strip()
            continue
        if not sections or sections[-1][0] != title:
            sections.append((title, []))
        sections[-1][1].append(fact)
        number += 1
        if number == _FACTS_MAX:
            break
    if not sections:
        sections = [("", list(_prose_facts(text)))]
    return tuple(Section(title, tuple(facts)) for title, facts in sections if facts)


def _fact(line: str) -> str | None:
    if match := _BULLET.fullmatch(line):
        return _tidy(match[1])
    if line.lstrip().startswith("{"):
        return _json_fact(line.strip().rstrip(","))
    if (match := _LABELLED.fullmatch(line)) and not _IMPERATIVE.match(line):
        return _tidy(f"{match[1]}: {match[2]}")
    return None


def _json_fact(line: str) -> str | None:
    try:
        shape = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(shape, dict):
        return None
    pairs = (
        f"{key} {value}" for key, value in shape.items() if isinstance(value, str | int | float)
    )
    return _tidy(", ".join(pairs)) or None


def _prose_facts(text: str) -> Iterator[str]:
    """Sentences that tell something: without an order in them, but with a name or a number."""
    for sentence in _SENTENCE.findall(_TAG.sub("\n", text))[:_FACTS_MAX]:
        if sentence.endswith("?") or _IMPERATIVE.match(sentence):
            continue
        if re.search(r"\d|\s[A-Z]", sentence):
            yield _tidy(sentence)


def _tidy(fact: str) -> str:
    fact = " ".join(fact.split()).rstrip(".;, ")
    if len(fact) > _FACT_MAX_CHARS:
        fact = fact[:_FACT_MAX_CHARS].rpartition(" ")[0] + " …"
    return fact
