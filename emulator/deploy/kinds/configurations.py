"""Policies, origin access controls, public keys and key groups: a configuration with an id.

They all have the same operations under different names. AWS lets nobody tag them: the ledger alone
knows whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from emulator.deploy.desired import Declared, Template
from emulator.deploy.kinds.kind import Actual, Desired
from emulator.deploy.ledger import Entry
from emulator.deploy.plan import Change
from emulator.deploy.sdk import error_code
from emulator.deploy.shapes import differences, overlay, to_api
from emulator.deploy.target import Target

_PREFIX: Final = "AWS::CloudFront::"
_PLURALS: Final = {
    "CachePolicy": "cache_policies",
    "OriginRequestPolicy": "origin_request_policies",
    "ResponseHeadersPolicy": "response_headers_policies",
}
# AWS takes no other for a public key that is there ("UpdatePublicKey", API reference).
_FIXED: Final = {"PublicKey": ("CallerReference", "Name", "EncodedKey")}


@dataclass(frozen=True, slots=True)
class Configurations:
    """One type of configuration.

    Args:
        target: The account.
        type: Such as `AWS::CloudFront::CachePolicy`.
    """

    target: Target
    type: str

    @property
    def _noun(self) -> str:
        return self.type.removeprefix(_PREFIX)

    @property
    def _snake(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self._noun).lower()

    @property
    def _member(self) -> str:
        return f"{self._noun}Config"

    @property
    def _cloudfront(self) -> Any:
        return self.target.client("cloudfront")

    def desire(self, template: Template, one: Declared) -> Desired:
        """The configuration."""
        said = dict(template.properties(one).get(self._member) or {})
        said.setdefault("Name", template.resource_name(one, "Name"))
        shape = self._cloudfront.meta.service_model.shape_for(self._member)
        wanted = to_api(said, shape, template.place(one))
        if "EncodedKey" in wanted:
            # A line break more or less makes no other key.
            wanted["EncodedKey"] = wanted["EncodedKey"].strip() + "\n"
        return Desired(one.key, str(said["Name"]), wanted)

    def read(self, identity: str) -> Actual | None:
        """One by its id."""
        from botocore.exceptions import ClientError

        try:
            found = self._call("get", Id=identity)
        except ClientError as error:
            if error_code(error).startswith("NoSuch"):
                return None
            raise
        config = found[self._noun][self._member]
        return Actual(identity, config, {"": identity, "Id": identity}, found["ETag"])

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """One of the same name."""
        marker: dict[str, str] = {}
        operation = f"list_{_PLURALS.get(self._noun, self._snake + 's')}"
        only = {"Type": "custom"} if self._noun in _PLURALS else {}
        while True:
            listed = getattr(self._cloudfront, operation)(**only, **marker)[f"{self._noun}List"]
            for item in listed.get("Items") or []:
                inner = item.get(self._noun, item)
                config = inner.get(self._member, inner)
                if config.get("Name") == desired.name:
                    return self.read(str(inner["Id"]))
            if not listed.get("NextMarker"):
                return None
            marker = {"Marker": listed["NextMarker"]}

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """Members that would say something else."""
        return differences(self._laid(desired, actual, entry), actual.properties, exact=True)

    def replaces(self, desired: Desired, actual: Actual) -> bool:
        """Whether only another one can say what this one shall."""
        return any(
            desired.properties.get(name) != actual.properties.get(name)
            for name in _FIXED.get(self._noun, ())
        )

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make it."""
        made = self._call("create", **{self._member: dict(desired.properties)})
        return self._there(str(made[self._noun]["Id"]))

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """What it shall say over what it says."""
        return self.write(actual, self._laid(desired, actual, entry))

    def write(self, actual: Actual, config: Any) -> Actual:
        """Give it another configuration."""
        self._call("update", Id=actual.id, IfMatch=actual.etag, **{self._member: config})
        return self._there(actual.id)

    def delete(self, identity: str) -> None:
        """Delete it."""
        there = self.read(identity)
        if there is not None:
            self._call("delete", Id=identity, IfMatch=there.etag)

    def _laid(self, desired: Desired, actual: Actual, entry: Entry) -> Any:
        return overlay(actual.properties, desired.properties, entry.wanted)

    def _call(self, verb: str, **given: Any) -> Any:
        return getattr(self._cloudfront, f"{verb}_{self._snake}")(**given)

    def _there(self, identity: str) -> Actual:
        what = f"the {self._noun} {identity}"
        return self.target.wait_for(lambda: self.read(identity), what, most_s=60)
