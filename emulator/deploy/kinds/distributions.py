"""Distributions (facts/lambda-at-edge.md section 6: the whole configuration is replaced)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from emulator.deploy.desired import Declared, Template
from emulator.deploy.kinds.kind import Actual, Desired, own_tags, tag_list, tags_of
from emulator.deploy.ledger import Entry
from emulator.deploy.plan import Change
from emulator.deploy.shapes import differences, overlay, to_api, with_defaults_of
from emulator.deploy.target import Target
from emulator.errors import ConfigError
from emulator.wire.distribution_config import with_defaults

# Usually minutes; Lambda@Edge's replication up to 15 (facts/lambda-at-edge.md section 6).
_DEPLOYED_MOST_S: Final = 45 * 60.0


class Distributions:
    """`AWS::CloudFront::Distribution`.

    Args:
        target: The account.
        tags: Whose resources they are.
        new_reference: Makes the part of a CallerReference that no other has.
    """

    def __init__(
        self,
        target: Target,
        tags: Mapping[str, str],
        new_reference: Callable[[], str] = lambda: uuid.uuid4().hex[:12],
    ) -> None:
        self._target, self._tags, self._new_reference = target, tags, new_reference

    @property
    def _cloudfront(self) -> Any:
        return self._target.client("cloudfront")

    def desire(self, template: Template, one: Declared) -> Desired:
        """The configuration, without a CallerReference."""
        said = template.properties(one)
        shape = self._cloudfront.meta.service_model.shape_for("DistributionConfig")
        config = to_api(said.get("DistributionConfig") or {}, shape, template.place(one))
        own = own_tags(said)
        return Desired(
            one.key, "", config, None, {**own, **self._tags, "localpop:resource": one.key}
        )

    def read(self, identity: str) -> Actual | None:
        """A distribution by its id."""
        client = self._cloudfront
        try:
            found = client.get_distribution(Id=identity)
        except client.exceptions.NoSuchDistribution:
            return None
        distribution = found["Distribution"]
        attributes = {
            "": identity,
            "Id": identity,
            "DomainName": str(distribution["DomainName"]),
        }
        return Actual(
            identity,
            distribution["DistributionConfig"],
            attributes,
            found["ETag"],
            distribution["Status"],
        )

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """The one with this deployment's tags; asks of each distribution of the account."""
        client = self._cloudfront
        for page in client.get_paginator("list_distributions").paginate():
            for summary in page["DistributionList"].get("Items") or []:
                listed = client.list_tags_for_resource(Resource=summary["ARN"])
                tags = tags_of(listed["Tags"].get("Items"))
                found = Actual(str(summary["Id"]), {}, {}, tags=tags)
                if found.belongs_to(desired):
                    read = self.read(found.id)
                    if read is not None:
                        return Actual(
                            read.id, read.properties, read.attributes, read.etag, read.body, tags
                        )
        return None

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """What UpdateDistribution would change."""
        laid = self.laid(desired.properties, actual, entry)
        return differences(laid, actual.properties, exact=True)

    def laid(self, wanted: Mapping[str, Any], actual: Actual, entry: Entry) -> Any:
        """What it shall say over what it says; what is not ours stays.

        Args:
            wanted: In the API's form.
            actual: What is there.
            entry: What we wanted the last time, and whether the distribution was there before us.
        """
        before = entry.wanted or {}
        whole = with_defaults_of(wanted, before, with_defaults(wanted))
        return overlay(actual.properties, whole, before, keeps_others=entry.adopted)

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make it; the CallerReference is in the ledger already, so that it is made once."""
        entry.name = entry.name or self.reference(desired)
        config = {"CallerReference": entry.name, **desired.properties}
        made = self._cloudfront.create_distribution_with_tags(
            DistributionConfigWithTags={
                "DistributionConfig": config,
                "Tags": {"Items": tag_list(desired.tags)},
            }
        )
        found = self.read(str(made["Distribution"]["Id"]))
        assert found is not None
        return found

    def reference(self, desired: Desired) -> str:
        """A CallerReference that says whose it is."""
        return f"{self._tags['localpop:deployment']}-{desired.key}-{self._new_reference()}"

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """UpdateDistribution."""
        return self.write(actual, self.laid(desired.properties, actual, entry))

    def write(self, actual: Actual, config: Any) -> Actual:
        """Give it another configuration."""
        self._cloudfront.update_distribution(
            Id=actual.id, IfMatch=actual.etag, DistributionConfig=config
        )
        found = self.read(actual.id)
        assert found is not None
        return found

    def wait_deployed(self, identity: str, tell: Callable[[str], None]) -> Actual:
        """Wait until every point of presence has it; seconds here, minutes at AWS.

        Args:
            identity: Its id.
            tell: Told now and then.
        """
        looked = 0

        def look() -> Actual | None:
            nonlocal looked
            found = self.read(identity)
            if found is None:
                raise ConfigError(
                    f"There is no distribution {identity} any more: somebody deleted it.",
                    where=identity,
                    mend="localpop deploy makes it again, under another domain name.",
                )
            if found.body == "Deployed":
                return found
            if looked % 12 == 0:
                tell(f"{identity} is {found.body}: points of presence get it (minutes at AWS)")
            looked += 1
            return None

        return self._target.wait_for(look, f"the deployment of {identity}", most_s=_DEPLOYED_MOST_S)

    def delete(self, identity: str) -> None:
        """Disable it, wait until that is deployed, delete it (DeleteDistribution's own order)."""
        there = self.read(identity)
        if there is None:
            return
        if there.properties["Enabled"]:
            self.write(there, {**there.properties, "Enabled": False})
        there = self.wait_deployed(identity, lambda line: None)
        self._cloudfront.delete_distribution(Id=identity, IfMatch=there.etag)

    def invalidate(self, identity: str, paths: tuple[str, ...], reference: str) -> None:
        """CreateInvalidation; the same reference twice is one invalidation."""
        self._cloudfront.create_invalidation(
            DistributionId=identity,
            InvalidationBatch={
                "Paths": {"Quantity": len(paths), "Items": list(paths)},
                "CallerReference": reference,
            },
        )
