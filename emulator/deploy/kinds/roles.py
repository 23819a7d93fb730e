"""IAM roles, with their inline and attached policies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from emulator.deploy.desired import Declared, Template
from emulator.deploy.kinds.kind import Actual, Desired, own_tags, tag_list, tags_of
from emulator.deploy.ledger import Entry
from emulator.deploy.plan import Change
from emulator.deploy.target import Target

_TRUST: Final = "AssumeRolePolicyDocument"
_SIMPLE: Final = ("Description", "MaxSessionDuration")


class Roles:
    """`AWS::IAM::Role`.

    Args:
        target: The account.
        tags: Whose resources they are.
    """

    def __init__(self, target: Target, tags: Mapping[str, str]) -> None:
        self._target, self._tags = target, tags

    @property
    def _iam(self) -> Any:
        return self._target.client("iam")

    def desire(self, template: Template, one: Declared) -> Desired:
        """What the template wants."""
        said = template.properties(one)
        inline = {str(policy["PolicyName"]): policy["PolicyDocument"] for policy in
                  said.get("Policies") or []}  # fmt: skip
        inline |= dict(template.role_policies(one))
        wanted: dict[str, Any] = {
            _TRUST: said.get(_TRUST) or {},
            "ManagedPolicyArns": sorted(said.get("ManagedPolicyArns") or []),
            "Policies": inline,
        }
        wanted |= {name: said[name] for name in _SIMPLE if name in said}
        body = {name: said[name] for name in ("Path", "PermissionsBoundary") if name in said}
        name = template.resource_name(one, "RoleName")
        tags = {**own_tags(said), **self._tags, "localpop:resource": one.key}
        return Desired(one.key, name, wanted, body, tags)

    def read(self, identity: str) -> Actual | None:
        """A role by its name."""
        iam = self._iam
        try:
            role = iam.get_role(RoleName=identity)["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None
        attached = [
            policy["PolicyArn"]
            for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=identity)
            for policy in page["AttachedPolicies"]
        ]
        inline = {
            name: iam.get_role_policy(RoleName=identity, PolicyName=name)["PolicyDocument"]
            for page in iam.get_paginator("list_role_policies").paginate(RoleName=identity)
            for name in page["PolicyNames"]
        }
        says = {
            _TRUST: role[_TRUST],
            "ManagedPolicyArns": sorted(attached),
            "Policies": inline,
            **{name: role[name] for name in _SIMPLE if name in role},
        }
        attributes = {"": identity, "Arn": role["Arn"], "RoleId": role["RoleId"]}
        tags = tags_of(role.get("Tags"))
        return Actual(identity, says, attributes, tags=tags)

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """A role of the name."""
        return self.read(desired.name)

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """Members, and policies one by one."""
        for name, wanted in desired.properties.items():
            there = actual.properties.get(name)
            if name != "Policies":
                if _canonical(wanted) != _canonical(there):
                    yield Change(name, there, wanted)
                continue
            for policy in sorted({*wanted, *(there or {})}):
                before, after = (there or {}).get(policy), wanted.get(policy)
                if _canonical(before) != _canonical(after):
                    yield Change(f"Policies[{policy}]", before, after)

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make it, then give it its policies."""
        given = {name: desired.properties[name] for name in _SIMPLE if name in desired.properties}
        self._iam.create_role(
            RoleName=desired.name,
            AssumeRolePolicyDocument=json.dumps(desired.properties[_TRUST]),
            Tags=tag_list(desired.tags),
            **given,
            **desired.body,
        )
        return self._settle(desired)

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """Only what differs."""
        return self._settle(desired)

    def _settle(self, desired: Desired) -> Actual:
        iam, name, wanted = self._iam, desired.name, desired.properties
        there = self._target.wait_for(lambda: self.read(name), f"the role {name}", most_s=60)
        says = there.properties
        if _canonical(says[_TRUST]) != _canonical(wanted[_TRUST]):
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(wanted[_TRUST]))
        simple = {one: wanted[one] for one in _SIMPLE if one in wanted}
        if any(says.get(one) != value for one, value in simple.items()):
            iam.update_role(RoleName=name, **simple)
        for arn in wanted["ManagedPolicyArns"]:
            if arn not in says["ManagedPolicyArns"]:
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in says["ManagedPolicyArns"]:
            if arn not in wanted["ManagedPolicyArns"]:
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for policy, document in wanted["Policies"].items():
            if _canonical(says["Policies"].get(policy)) != _canonical(document):
                iam.put_role_policy(
                    RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document)
                )
        for policy in says["Policies"]:
            if policy not in wanted["Policies"]:
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
        return self._target.wait_for(lambda: self.read(name), f"the role {name}", most_s=60)

    def delete(self, identity: str) -> None:
        """Take its policies, then it."""
        there = self.read(identity)
        if there is None:
            return
        for arn in there.properties["ManagedPolicyArns"]:
            self._iam.detach_role_policy(RoleName=identity, PolicyArn=arn)
        for policy in there.properties["Policies"]:
            self._iam.delete_role_policy(RoleName=identity, PolicyName=policy)
        self._iam.delete_role(RoleName=identity)


def _canonical(document: Any) -> str:
    """One spelling; IAM takes one text in place of a list of one, and numbers as texts."""
    return json.dumps(_plain(document), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_plain(one) for one in value]
        if len(items) == 1:
            return items[0]
        return sorted(items, key=lambda one: json.dumps(one, sort_keys=True, default=str))
    return value
