"""A call of a language model as nouns: what was asked, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StopReason(StrEnum):
    """Why a generation ended, spelled the same by Anthropic's format and by Converse."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation.

    Args:
        role: `user` or `assistant`.
        text: Its text blocks, joined by line breaks.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked, in whichever format it came.

    Args:
        system: The system prompt; may be empty.
        turns: The messages, oldest first; at least one.
        max_tokens: The most tokens of output.
        stop_sequences: Texts that end the generation where they would appear.
    """

    system: str
    turns: tuple[Turn, ...]
    max_tokens: int
    stop_sequences: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All that was said, in order."""
        return "\n".join([self.system, *(turn.text for turn in self.turns)])


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model made of a prompt.

    Args:
        pieces: The text, one piece per token.
        stop_reason: Why it ended.
        stop_sequence: The sequence that ended it; only with `STOP_SEQUENCE`.
        input_tokens: The prompt's size.
    """

    pieces: tuple[str, ...]
    stop_reason: StopReason
    stop_sequence: str | None
    input_tokens: int

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """The text's size."""
        return len(self.pieces)
