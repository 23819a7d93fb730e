"""The stored value: what lies in the key value store under `UserID_ActionID`.

    {"answer":"<text>","generated":<epoch s>,"expires":<epoch s>}

Compact, because it must fit into 1,024 bytes; with its own expiry, because a store has none and a
deleted key is still served for seconds at some edge locations.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from origin.actions import ACTION_ID
from origin.session import USER_ID

# Amazon CloudFront Developer Guide "Quotas", "Quotas on key value stores": "Maximum size of the
# value in a key value pair", 1 KB; counted in UTF-8 bytes.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
MAX_VALUE_BYTES = 1024


class AnswerTooLargeError(Exception):
    """An answer does not fit into a value of the key value store."""

    def __init__(self, user_id: str, action_id: str, size_bytes: int) -> None:
        super().__init__(
            f"{user_id} {action_id}: the answer takes {size_bytes} bytes as a stored value, "
            f"{MAX_VALUE_BYTES} is the most. Ask for a shorter one (ANSWER_CHARS in "
            "origin/context.py); until then this question is answered by the model when asked"
        )
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer at the edge.

    Attributes:
        answer: The text.
        generated_at_s: Epoch seconds.
        expires_at_s: Epoch seconds; from this second on it is a miss.
    """

    answer: str
    generated_at_s: int
    expires_at_s: int


def store_key(user_id: str, action_id: str) -> str:
    """The key of one user's answer to one action.

    Raises:
        ValueError: One of the ids could make the key ambiguous.
    """
    if not USER_ID.fullmatch(user_id) or not ACTION_ID.fullmatch(action_id):
        raise ValueError(f"no key for UserID {user_id!r} and ActionID {action_id!r}")
    return f"{user_id}_{action_id}"


def dump_value(stored: StoredAnswer) -> str:
    """Spell the value as it is stored."""
    shape = {
        "answer": stored.answer,
        "generated": stored.generated_at_s,
        "expires": stored.expires_at_s,
    }
    return json.dumps(shape, ensure_ascii=False, separators=(",", ":"))


def parse_value(value: str) -> StoredAnswer:
    """Read a stored value.

    Raises:
        ValueError: It is not one of ours.
    """
    shape: Any = json.loads(value)
    try:
        answer, generated_at_s, expires_at_s = shape["answer"], shape["generated"], shape["expires"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a stored answer: {error!r}") from error
    # `type(...) is int`: in Python, True is an int as well.
    if type(answer) is str and type(generated_at_s) is int and type(expires_at_s) is int:
        return StoredAnswer(answer, generated_at_s, expires_at_s)
    raise ValueError("not a stored answer: a field has the wrong type")


def make_entry(user_id: str, action_id: str, stored: StoredAnswer) -> tuple[str, str]:
    """The key and the value to put into the store.

    Raises:
        AnswerTooLargeError: The value would be over its quota.
    """
    value = dump_value(stored)
    size_bytes = len(value.encode())
    if size_bytes > MAX_VALUE_BYTES:
        raise AnswerTooLargeError(user_id, action_id, size_bytes)
    return store_key(user_id, action_id), value
