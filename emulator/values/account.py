"""What was made through the AWS endpoint: one record for each resource of the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The kinds of resource that the account keeps, by what stands in its file."""

    DISTRIBUTION = "distribution"
    FUNCTION = "function"
    """A CloudFront Function's DEVELOPMENT stage."""
    LIVE_FUNCTION = "live-function"
    """A CloudFront Function's LIVE stage: a copy of what DEVELOPMENT was when it was published."""
    CACHE_POLICY = "cache-policy"
    ORIGIN_REQUEST_POLICY = "origin-request-policy"
    RESPONSE_HEADERS_POLICY = "response-headers-policy"
    ORIGIN_ACCESS_CONTROL = "origin-access-control"
    PUBLIC_KEY = "public-key"
    KEY_GROUP = "key-group"
    INVALIDATION = "invalidation"
    TAGS = "tags"
    """The tags of one resource, by its ARN."""
    LAMBDA = "lambda"
    """A Lambda function's `$LATEST`."""
    LAMBDA_VERSION = "lambda-version"
    """A published version, by `name:number`."""
    QUEUE = "queue"
    """An SQS queue."""
    EVENT_BUS = "event-bus"
    EVENT_RULE = "event-rule"
    """A rule with its targets, by `bus/name`."""
    EVENT_CONNECTION = "event-connection"
    API_DESTINATION = "api-destination"
    SCHEDULE = "schedule"
    """A schedule of EventBridge Scheduler, by `group/name`."""
    SCHEDULE_GROUP = "schedule-group"
    EVENT_SOURCE_MAPPING = "event-source-mapping"
    STATE_MACHINE = "state-machine"


@dataclass(frozen=True, slots=True)
class Record:
    """One resource, in one version.

    Args:
        kind: What it is.
        id: Its id or name, unique within its kind.
        document: Everything about it, spelled as AWS's API spells it. Never changed in place.
        version: Grows by one with each change; its ETag follows from it.
        created_ms: When it was made, epoch ms.
        modified_ms: When this version was made, epoch ms.
    """

    kind: Kind
    id: str
    document: Mapping[str, Any]
    version: int
    created_ms: float
    modified_ms: float
