"""Key value stores (facts/kvs.md section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from emulator.deploy.desired import Declared, Template
from emulator.deploy.key_values import StoreClient, sync
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
from emulator.deploy.target import Target

KEYS: Final = "keys"
# About 35 s in one run at AWS (facts/kvs.md 4.3).
_READY_MOST_S: Final = 600.0


class Stores:
    """`AWS::CloudFront::KeyValueStore`.

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
        """Name, comment, and what is imported when it is made."""
        said = template.properties(one)
        wanted = {"Comment": str(said.get("Comment") or "")}
        entries = template.entries(one)
        source = said.get("ImportSource")
        body = {"entries": entries}
        if source and entries is None:
            body["source"] = {"SourceType": "S3", "SourceARN": source["SourceArn"]}
        name = template.resource_name(one, "Name")
        tags = {**own_tags(said), **self._tags, "localpop:resource": one.key}
        return Desired(one.key, name, wanted, body, tags)

    def read(self, identity: str) -> Actual | None:
        """A store by its name."""
        client = self._cloudfront
        try:
            found = client.describe_key_value_store(Name=identity)
        except client.exceptions.EntityNotFound:
            return None
        store = found["KeyValueStore"]
        arn = str(store["ARN"])
        attributes = {"": identity, "Arn": arn, "Id": str(store["Id"])}
        says = {"Comment": store.get("Comment") or "", "Status": store.get("Status", "")}
        attributes["Status"] = says["Status"]
        return Actual(identity, says, attributes, found["ETag"])

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """A store of the name, with its tags."""
        found = self.read(desired.name)
        if found is None:
            return None
        listed = self._cloudfront.list_tags_for_resource(Resource=found.attributes["Arn"])
        tags = tags_of(listed["Tags"].get("Items"))
        return Actual(found.id, found.properties, found.attributes, found.etag, tags=tags)

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """Its comment; its keys only until they have been put once."""
        yield from property_changes(desired, actual)
        if desired.body["entries"] and KEYS not in entry.done:
            yield Change("Keys", None, f"{len(desired.body['entries']):,} keys")

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make it, wait until it is READY, put its first keys."""
        given: dict[str, Any] = {"Name": desired.name, **desired.properties}
        if "source" in desired.body:
            given["ImportSource"] = desired.body["source"]
        self._cloudfront.create_key_value_store(**given, Tags={"Items": tag_list(desired.tags)})
        return self._settled(desired, entry)

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """Its comment, and keys that are still to come."""
        if list(property_changes(desired, actual)):
            self._cloudfront.update_key_value_store(
                Name=actual.id, Comment=desired.properties["Comment"], IfMatch=actual.etag
            )
        return self._settled(desired, entry)

    def _settled(self, desired: Desired, entry: Entry) -> Actual:
        ready = self._target.wait_for(
            lambda: self._ready(desired.name), f"the store {desired.name}", most_s=_READY_MOST_S
        )
        if desired.body["entries"] and KEYS not in entry.done:
            # Somebody's later values of them stay only once this has been done.
            data = self._target.client("cloudfront-keyvaluestore")
            sync(StoreClient(data, ready.attributes["Arn"], ready.id), desired.body["entries"])
            entry.done.append(KEYS)
        return ready

    def _ready(self, name: str) -> Actual | None:
        found = self.read(name)
        return found if found is not None and found.properties["Status"] == "READY" else None

    def delete(self, identity: str) -> None:
        """Delete it with its keys."""
        there = self.read(identity)
        if there is not None:
            self._cloudfront.delete_key_value_store(Name=identity, IfMatch=there.etag)
