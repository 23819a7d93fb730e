"""What the Lambda functions are made of, from their environment variables.

Made once, when an execution environment starts: clients and their connections outlive invocations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from origin.events import EventBus, bus_name
from origin.precompute.bodies import BUCKET_VARIABLE, Bodies
from origin.precompute.dead_letters import DEAD_LETTERS_VARIABLE, DeadLetters
from origin.precompute.invalidator import QUEUE_VARIABLE, AnswerInvalidator, WriteQueue
from origin.precompute.registry import TABLE_VARIABLE, Registry
from origin.precompute.watch import AnswerWatch
from origin.precompute.writer import EVICT_ABOVE_BYTES, AnswerWriter
from origin.store import STORE_ARN_VARIABLE, StoreWriter

EVICT_VARIABLE = "ANSWER_STORE_EVICT_ABOVE_BYTES"

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"total_max_attempts": 5, "mode": "standard"},
)


class WiringError(Exception):
    """An environment variable is missing or wrong; the message names it."""


def open_writer(environment: Mapping[str, str]) -> AnswerWriter:
    """The function answer-writer.

    Raises:
        WiringError: A variable is missing.
    """
    evict_above = environment.get(EVICT_VARIABLE, str(EVICT_ABOVE_BYTES))
    if not evict_above.isascii() or not evict_above.isdigit():
        raise WiringError(f"{EVICT_VARIABLE}={evict_above!r}: a number of bytes expected")
    return AnswerWriter(
        StoreWriter(
            _client("cloudfront-keyvaluestore"), _variable(environment, STORE_ARN_VARIABLE)
        ),
        _registry(environment),
        Bodies(_client("s3"), _variable(environment, BUCKET_VARIABLE)),
        DeadLetters(_client("sqs"), _variable(environment, DEAD_LETTERS_VARIABLE)),
        _bus(environment),
        int(evict_above),
    )


def open_invalidator(environment: Mapping[str, str]) -> AnswerInvalidator:
    """The function answer-invalidator.

    Raises:
        WiringError: A variable is missing.
    """
    return AnswerInvalidator(_registry(environment), _queue(environment), _bus(environment))


def open_watch(environment: Mapping[str, str]) -> AnswerWatch:
    """The function answer-watch.

    Raises:
        WiringError: A variable is missing.
    """
    return AnswerWatch(_registry(environment), _queue(environment), _bus(environment))


def _registry(environment: Mapping[str, str]) -> Registry:
    return Registry(_client("dynamodb"), _variable(environment, TABLE_VARIABLE))


def _queue(environment: Mapping[str, str]) -> WriteQueue:
    return WriteQueue(_client("sqs"), _variable(environment, QUEUE_VARIABLE))


def _bus(environment: Mapping[str, str]) -> EventBus:
    return EventBus(_client("events"), bus_name(environment))


def _client(service: str) -> Any:
    return boto3.client(service, config=_CONFIG)


def _variable(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise WiringError(f"{name} is not set; template.yaml sets it for the functions")
    return value
