"""JSONata in Amazon States Language: `{% $states.input.x %}`.

AWS: "Transforming data with JSONata in Step Functions" (transforming-data, Step Functions guide),
read 2026-11-21. The expressions are run by jsonata-python, a port of the reference implementation.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from emulator.rules.asl_errors import QUERY_EVALUATION, StateFailure

_OPEN, _CLOSE = "{%", "%}"
# Ours, so that an expression that never ends does not stop everybody else.
_TIME_MAX_MS: Final = 1_000
_DEPTH_MAX: Final = 200
_ALGORITHMS: Final = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384"}


def is_expression(value: Any) -> bool:
    """Whether a text is a JSONata expression."""
    return isinstance(value, str) and value.startswith(_OPEN) and value.endswith(_CLOSE)


def filled(template: Any, bindings: Mapping[str, Any], chance: random.Random, shown: str) -> Any:
    """A value with every expression in it evaluated.

    Args:
        template: Arguments, Output, Assign, or a part of them.
        bindings: `states` and the variables.
        chance: For `$random` and `$uuid`.
        shown: The field, for messages.

    Raises:
        StateFailure: States.QueryEvaluationError.
    """
    if is_expression(template):
        return evaluated(template, bindings, chance, shown)
    if isinstance(template, dict):
        return {
            key: filled(value, bindings, chance, f"{shown}/{key}")
            for key, value in template.items()
        }
    if isinstance(template, list):
        return [
            filled(item, bindings, chance, f"{shown}[{number}]")
            for number, item in enumerate(template)
        ]
    return template


def evaluated(text: str, bindings: Mapping[str, Any], chance: random.Random, shown: str) -> Any:
    """An expression's value.

    Raises:
        StateFailure: States.QueryEvaluationError; also for an expression that gives nothing.
    """
    source = text[len(_OPEN) : -len(_CLOSE)].strip()
    try:
        expression = compiled(source)
        frame = expression.create_frame()
        frame.set_runtime_bounds(_TIME_MAX_MS, _DEPTH_MAX)
        frame.bindings.update(_functions(chance))
        frame.bindings.update(bindings)
        result = expression.evaluate(None, frame)
    except Exception as error:
        # JException, and what Python raises inside of the library.
        raise StateFailure(
            QUERY_EVALUATION,
            f"The JSONata expression '{source}' specified for the field '{shown}' threw an error "
            f"during evaluation. {error}",
        ) from None
    if result is None:
        raise StateFailure(
            QUERY_EVALUATION,
            f"The JSONata expression '{source}' specified for the field '{shown}' returned nothing "
            "(undefined).",
        )
    try:
        # Plain JSON, with nothing of the library's own lists; functions are no values.
        return json.loads(json.dumps(result, default=_null))
    except (TypeError, ValueError):
        raise StateFailure(
            QUERY_EVALUATION,
            f"The JSONata expression '{source}' specified for the field '{shown}' returned an "
            "unsupported result type.",
        ) from None


def _null(value: Any) -> None:
    """The library's own null becomes JSON's."""
    from jsonata.utils import Utils

    if value is not Utils.NULL_VALUE:
        raise TypeError


@lru_cache(maxsize=1024)
def compiled(source: str) -> Any:
    """An expression, parsed.

    Raises:
        Exception: It is none; the library's own.
    """
    # The library raises it for the whole process when it is imported.
    limit = sys.getrecursionlimit()
    from jsonata.jsonata import Jsonata

    sys.setrecursionlimit(limit)
    expression = Jsonata(source)
    # None then means nothing at all, and null is told apart from it.
    expression.output_convert_nulls = False
    return expression


def problem(text: str) -> str:
    """Why a text between `{%` and `%}` is no expression; empty when it is one."""
    try:
        compiled(text[len(_OPEN) : -len(_CLOSE)].strip())
    except ImportError:
        raise
    except Exception as error:
        return str(error)
    return ""


def _functions(chance: random.Random) -> dict[str, Any]:
    """What Step Functions adds to JSONata."""

    def partition(items: Any, size: Any) -> Any:
        step = int(size)
        return [items[start : start + step] for start in range(0, len(items), step)]

    def numbers(first: Any, last: Any, step: Any) -> Any:
        end = int(last) + (1 if step > 0 else -1)
        return list(range(int(first), end, int(step)))

    def digest(value: Any, algorithm: Any = "SHA-256") -> Any:
        return hashlib.new(
            _ALGORITHMS.get(algorithm, "sha512"), str(value).encode(), usedforsecurity=False
        ).hexdigest()

    from jsonata.jsonata import Jsonata

    found = {
        "partition": partition,
        "range": numbers,
        "hash": digest,
        "uuid": lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "random": lambda seed=None: (
            random.Random(seed).random() if seed is not None else chance.random()
        ),
        "parse": json.loads,
    }
    return {name: Jsonata.JLambda(function) for name, function in found.items()}
