"""CloudFront Functions: DEVELOPMENT is changed and tested, LIVE is what viewers get (facts 8.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from emulator.deploy.desired import Declared, Template
from emulator.deploy.kinds.kind import (
    Actual,
    Desired,
    own_tags,
    property_changes,
    tag_list,
    tags_of,
)
from emulator.deploy.ledger import Entry
from emulator.deploy.plan import Change
from emulator.deploy.shapes import to_api
from emulator.deploy.target import Target
from emulator.errors import ConfigError

DEVELOPMENT: Final = "DEVELOPMENT"
LIVE: Final = "LIVE"


@dataclass(frozen=True, slots=True)
class Source:
    """What comes with a CloudFront Function beside its configuration.

    Args:
        code: Its JavaScript.
        publishes: Whether it is made LIVE.
    """

    code: str
    publishes: bool


class Functions:
    """`AWS::CloudFront::Function`.

    Args:
        target: The account.
        tags: Whose resources they are.
    """

    def __init__(self, target: Target, tags: Mapping[str, str]) -> None:
        self._target, self._tags = target, tags

    @property
    def _cloudfront(self) -> Any:
        return self._target.client("cloudfront")

    def desire(self, template: Template, one: Declared) -> Desired:
        """Configuration and code."""
        function = template.function(one)
        said = template.properties(one)
        shape = self._cloudfront.meta.service_model.shape_for("FunctionConfig")
        wanted = to_api(said.get("FunctionConfig") or {}, shape, template.place(one))
        # Left out, an association would be taken away on update (facts 8.2): say so.
        wanted.setdefault("KeyValueStoreAssociations", {"Quantity": 0})
        code = function.path.read_text(encoding="utf-8") if function.path else function.code
        publishes = str(said.get("AutoPublish", False)).lower() == "true"
        return Desired(
            one.key,
            function.name,
            wanted,
            Source(code, publishes),
            {**own_tags(said), **self._tags, "localpop:resource": one.key},
        )

    def read(self, identity: str) -> Actual | None:
        """The DEVELOPMENT stage, with the LIVE one's properties in its body."""
        found = self.stage(identity, DEVELOPMENT)
        if found is None:
            return None
        properties, code, arn, etag = found
        live = self.stage(identity, LIVE)
        attributes = {
            "": arn,
            "FunctionARN": arn,
            "FunctionMetadata.FunctionARN": arn,
            "Stage": LIVE if live else DEVELOPMENT,
        }
        body = {"code": code, "live": None if live is None else (live[0], live[1])}
        return Actual(identity, properties, attributes, etag, body)

    def stage(self, name: str, stage: str) -> tuple[Mapping[str, Any], str, str, str] | None:
        """Configuration, code, ARN and ETag of a stage; None when there is none."""
        client = self._cloudfront
        try:
            described = client.describe_function(Name=name, Stage=stage)
            body = client.get_function(Name=name, Stage=stage)["FunctionCode"].read()
        except client.exceptions.NoSuchFunctionExists:
            return None
        summary = described["FunctionSummary"]
        arn = str(summary["FunctionMetadata"]["FunctionARN"])
        return summary["FunctionConfig"], body.decode(), arn, described["ETag"]

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """A function of the name, with its tags."""
        found = self.read(desired.name)
        if found is None:
            return None
        listed = self._cloudfront.list_tags_for_resource(Resource=found.attributes[""])
        tags = tags_of(listed["Tags"].get("Items"))
        return Actual(found.id, found.properties, found.attributes, found.etag, found.body, tags)

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """What viewers would get otherwise than now; of an unpublished one, what is kept."""
        source: Source = desired.body
        live = actual.body["live"]
        if not source.publishes:
            properties, code = actual.properties, actual.body["code"]
        elif live is None:
            yield Change("LIVE", None, "published")
            return
        else:
            properties, code = live
        if code != source.code:
            yield Change("FunctionCode", code, source.code)
        yield from property_changes(desired, Actual("", properties, {}))

    def is_prepared(self, desired: Desired, actual: Actual) -> bool:
        """Whether the DEVELOPMENT stage is what it shall be."""
        source: Source = desired.body
        return actual.body["code"] == source.code and not list(property_changes(desired, actual))

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make its DEVELOPMENT stage."""
        source: Source = desired.body
        self._cloudfront.create_function(
            Name=desired.name,
            FunctionConfig=desired.properties,
            FunctionCode=source.code.encode(),
            Tags={"Items": tag_list(desired.tags)},
        )
        return self._there(desired.name)

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """Change its DEVELOPMENT stage; viewers notice nothing yet."""
        if not self.is_prepared(desired, actual):
            source: Source = desired.body
            self.write(actual, desired.properties, source.code)
        return self._there(desired.name)

    def write(self, actual: Actual, config: Mapping[str, Any], code: str) -> None:
        """UpdateFunction."""
        self._cloudfront.update_function(
            Name=actual.id, IfMatch=actual.etag, FunctionConfig=config, FunctionCode=code.encode()
        )

    def test(self, name: str, etag: str, event: Mapping[str, Any]) -> str:
        """Run the DEVELOPMENT stage at AWS; the compute utilization.

        Raises:
            ConfigError: It failed, in AWS's words and the function's own.
        """
        answered = self._cloudfront.test_function(
            Name=name, IfMatch=etag, Stage=DEVELOPMENT, EventObject=json.dumps(event).encode()
        )["TestResult"]
        failure = answered.get("FunctionErrorMessage")
        if failure:
            failure = str(failure).rstrip(".")
            logged = " / ".join(answered.get("FunctionExecutionLogs") or [])
            raise ConfigError(
                f"The function {name} fails TestFunction for "
                f"{event['context']['eventType']} of {event['request']['uri']}: {failure}."
                + (f" It wrote: {logged}" if logged else ""),
                where=name,
                mend="Nothing is live yet. Mend the function and deploy again.",
            )
        return str(answered.get("ComputeUtilization", ""))

    def publish(self, name: str, etag: str) -> Actual:
        """Make the DEVELOPMENT stage LIVE."""
        self._cloudfront.publish_function(Name=name, IfMatch=etag)
        return self._there(name)

    def _there(self, name: str) -> Actual:
        return self._target.wait_for(lambda: self.read(name), f"the function {name}", most_s=60)

    def delete(self, identity: str) -> None:
        """Delete both stages."""
        there = self.read(identity)
        if there is not None:
            self._cloudfront.delete_function(Name=identity, IfMatch=there.etag)


def test_events(uses: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Events to try a function with, one for each event type and path it is used at.

    Args:
        uses: Event type and path pattern. The first path that matches a pattern is asked for.
    """
    for event_type, pattern in dict.fromkeys(uses):
        uri = "/" + pattern.replace("*", "").replace("?", "a").lstrip("/")
        event: dict[str, Any] = {
            "version": "1.0",
            "context": {"eventType": event_type},
            "viewer": {"ip": "198.51.100.1"},
            "request": {
                "method": "GET",
                "uri": uri,
                "querystring": {},
                "headers": {"host": {"value": "d111111abcdef8.cloudfront.net"}},
                "cookies": {},
            },
        }
        if event_type == "viewer-response":
            event["response"] = {
                "statusCode": 200,
                "statusDescription": "OK",
                "headers": {"content-type": {"value": "text/plain"}},
                "cookies": {},
            }
        yield event
