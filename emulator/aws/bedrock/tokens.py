"""Tokens, by a rule of thumb instead of a model's own vocabulary.

A token is up to six letters or digits with the blanks before them, or one other character with
the blanks before it. English prose then has some 4.4 characters a token and notes full of names
and numbers some 3.8, which is the common rule of "about four"; other scripts count about one
token a character. The rule was not compared with Claude's own counts (UNVERIFIED): times and
prices that follow from it are as rough as it is.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\s*(?:[A-Za-z0-9]{1,6}|\S)|\s+")


def split_tokens(text: str) -> list[str]:
    """The text cut into tokens; joined, they are the text again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """How many tokens the text has."""
    return len(_TOKEN.findall(text))
