"""Least privilege, written from the template: what its functions need, and what its deployer needs.

AWS: "Set up IAM permissions and roles for Lambda@Edge" (DG lambda-edge-permissions), gathered in
facts/lambda-at-edge.md 6; "Actions, resources, and condition keys for Amazon CloudFront" and
"… for Amazon CloudFront KeyValueStore" (Service Authorization Reference), read 2026-11-21.

Resources are narrowed to the template's names. What AWS names itself (a store's id, a
distribution's) cannot be known before it is made, and stands as `*` behind its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emulator.project.account import ProjectAccount
from emulator.project.code import events_of
from emulator.project.intrinsics import ACCOUNT_ID, STACK_NAME, Unresolved
from emulator.project.local import Answers
from emulator.project.reading import Notes
from emulator.project.resources import Resources
from emulator.project.stacks import read_stacks
from emulator.project.template import inspect_templates
from emulator.rules.key_value_store import store_arn
from emulator.values.functions import FunctionKind

ANY: Final = "*"
_VERSION: Final = "2012-10-17"
_LAMBDA: Final = "lambda.amazonaws.com"
_EDGE: Final = "edgelambda.amazonaws.com"
_BASIC: Final = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
# IAM counts a managed policy without white space (IAM User Guide, "IAM and STS quotas").
MANAGED_POLICY_MAX_CHARS: Final = 6_144
_BAKED_FILES: Final = "localpop:baked-files"
# CloudFront's configurations that have ids of their own: template type, ARN type, API name, plural.
_CONFIGURATIONS: Final = (
    ("CachePolicy", "cache-policy", "CachePolicy", "CachePolicies"),
    (
        "OriginRequestPolicy",
        "origin-request-policy",
        "OriginRequestPolicy",
        "OriginRequestPolicies",
    ),
    (
        "ResponseHeadersPolicy",
        "response-headers-policy",
        "ResponseHeadersPolicy",
        "ResponseHeadersPolicies",
    ),
    ("OriginAccessControl", "origin-access-control", "OriginAccessControl", "OriginAccessControls"),
    # Neither has a type of resource in IAM's table.
    ("PublicKey", "", "PublicKey", "PublicKeys"),
    ("KeyGroup", "", "KeyGroup", "KeyGroups"),
)
_LINKED_ROLES: Final = (
    ("replicator.lambda.amazonaws.com", "AWSServiceRoleForLambdaReplicator"),
    ("logger.cloudfront.amazonaws.com", "AWSServiceRoleForCloudFrontLogger"),
)
_COVERED: Final = frozenset(
    {
        "AWS::CloudFront::Distribution",
        "AWS::CloudFront::Function",
        "AWS::CloudFront::KeyValueStore",
        "AWS::IAM::Role",
        "AWS::IAM::Policy",
        "AWS::Lambda::Function",
        "AWS::Lambda::Version",
        *(f"AWS::CloudFront::{one[0]}" for one in _CONFIGURATIONS),
    }
)

Statement = dict[str, Any]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the template.

    Args:
        name: Its name; what CloudFormation makes up ends with letters that nobody knows before.
        logical_id: Its name in the template.
        named: Whether the template names it.
        services: Who may assume it, as declared.
        statements: What its inline policies allow, resolved.
        managed: Managed policies attached to it.
        boundary: Its permissions boundary; empty when there is none.
    """

    name: str
    logical_id: str
    named: bool
    services: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    managed: tuple[str, ...] = ()
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function of the template.

    Args:
        name: Its name.
        region: Its Region.
        at_edge: Whether a distribution runs it.
        role: Its role, when the template declares it.
        stores: ARNs of key value stores that its configuration names.
    """

    name: str
    region: str
    at_edge: bool
    role: Role | None
    stores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What of a template has to do with permissions.

    Args:
        functions: Lambda functions.
        roles: Roles.
        cloudfront_functions: Names of CloudFront Functions.
        stores: Names of key value stores, by the ARN that localpop knows them by.
        imports: ARNs of S3 objects that stores are made from.
        configurations: Types of CloudFront's configurations that it makes, such as `CachePolicy`.
        distributions: How many distributions.
        others: Types that CloudFormation deploys, not localpop.
    """

    functions: tuple[Function, ...] = ()
    roles: tuple[Role, ...] = ()
    cloudfront_functions: tuple[str, ...] = ()
    stores: Mapping[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    configurations: frozenset[str] = frozenset()
    distributions: int = 0
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """What only the account knows.

    Args:
        account: Its id; `*` when nobody has said.
        store_arns: Stores' real ARNs, by name.
    """

    account: str = ANY
    store_arns: Mapping[str, str] = field(default_factory=dict)

    def arn(self, service: str, resource: str, region: str = "") -> str:
        """An ARN of this account."""
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    def store(self, name: str) -> str:
        """A store's ARN: its id is AWS's choice."""
        return self.store_arns.get(name) or self.arn("cloudfront", "key-value-store/*")


# --- reading --------------------------------------------------------------------------------------
def read_needs(templates: Sequence[Path], answers: Answers, stack: str = STACK_NAME) -> Needs:
    """What a project's templates have to do with permissions.

    Args:
        templates: Their files.
        answers: What localpop.toml says.
        stack: The deployment's name; what the template does not name begins with it.

    Raises:
        ConfigError: A file is no template at all.
        NotEmulated: It needs a macro that only runs at AWS.
    """
    stacks = read_stacks(templates, answers.parameters).stacks
    account = ProjectAccount(stacks, answers, Notes())
    distributions = inspect_templates(templates, answers).declared.distributions
    at_edge = {
        arn.rpartition(":")[0] for arn in events_of(distributions, FunctionKind.LAMBDA_AT_EDGE)
    }
    kinds = {
        str(resource.get("Type"))
        for resources in account.resources
        for resource in resources.stack.document["Resources"].values()
        if isinstance(resource, dict)
    }
    every = account.resources
    return Needs(
        tuple(_functions(every, at_edge, stack)),
        tuple(_role(one, name, stack) for one in every for name in one.of("AWS::IAM::Role")),
        tuple(
            one.name(name, "Name") for one in every for name in one.of("AWS::CloudFront::Function")
        ),
        {
            store_arn(one.name(name, "Name")): one.name(name, "Name")
            for one in every
            for name in one.of("AWS::CloudFront::KeyValueStore")
        },
        tuple(_imports(every)),
        frozenset(name for name, *_ in _CONFIGURATIONS if f"AWS::CloudFront::{name}" in kinds),
        sum(len(one.of("AWS::CloudFront::Distribution")) for one in every),
        tuple(sorted(kind for kind in kinds - _COVERED if kind.startswith("AWS::"))),
    )


def _name(resources: Resources, logical_id: str, member: str, stack: str) -> str:
    """A resource's name; one that is made up begins with the deployment's name."""
    if resources.properties(logical_id).has(member) or resources.stack.name != STACK_NAME:
        return resources.name(logical_id, member)
    return f"{stack}-{logical_id}"


def _functions(every: Iterable[Resources], at_edge: set[str], stack: str) -> Iterator[Function]:
    for resources in every:
        for logical_id in resources.of("AWS::Lambda::Function"):
            properties = resources.properties(logical_id)
            baked = resources.resolver.resolve_parts(
                resources.metadata(logical_id).get(_BAKED_FILES) or {}, "Metadata"
            )
            named = [baked, properties.raw.get("Environment") or {}]
            arn = resources.lambda_arn(logical_id)
            role = _referred(resources.unresolved(logical_id).get("Role"))
            yield Function(
                _name(resources, logical_id, "FunctionName", stack),
                resources.stack.region,
                arn in at_edge,
                _role(resources, role, stack) if resources.raw(role) else None,
                tuple(dict.fromkeys(_store_arns(named))),
            )


def _referred(value: object) -> str:
    """The logical id that `!GetAtt X.Arn` or `!Ref X` names; empty for anything else."""
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        target = value["Fn::GetAtt"]
        return str(target[0] if isinstance(target, list) else target).partition(".")[0]
    return str(value["Ref"]) if isinstance(value, dict) and "Ref" in value else ""


def _role(resources: Resources, logical_id: str, stack: str) -> Role:
    properties = resources.properties(logical_id)
    trusted: list[str] = []
    for statement in _statements(properties.raw.get("AssumeRolePolicyDocument")):
        principal = statement.get("Principal")
        trusted += _list(principal.get("Service")) if isinstance(principal, dict) else []
    statements: list[Statement] = []
    for policy in _list(properties.raw.get("Policies")):
        statements += _statements(policy.get("PolicyDocument") if isinstance(policy, dict) else {})
    for other in resources.of("AWS::IAM::Policy"):
        attached = resources.unresolved(other).get("Roles") or []
        if logical_id in [_referred(one) for one in attached if isinstance(attached, list)]:
            statements += _statements(resources.properties(other).raw.get("PolicyDocument"))
    return Role(
        _name(resources, logical_id, "RoleName", stack),
        logical_id,
        properties.has("RoleName"),
        tuple(trusted),
        tuple(statements),
        tuple(str(one) for one in _list(properties.raw.get("ManagedPolicyArns"))),
        str(properties.raw.get("PermissionsBoundary") or ""),
    )


def _statements(document: object) -> list[Statement]:
    listed = _list(document.get("Statement")) if isinstance(document, dict) else []
    return [one for one in listed if isinstance(one, dict)]


def _list(value: object) -> list[Any]:
    if value is None or isinstance(value, Unresolved):
        return []
    return value if isinstance(value, list) else [value]


def _store_arns(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _store_arns(one)
    elif isinstance(value, list):
        for one in value:
            yield from _store_arns(one)
    elif isinstance(value, str):
        yield from re.findall(r"arn:aws:cloudfront::[0-9]*:key-value-store/[0-9A-Za-z-]+", value)


def _imports(every: Iterable[Resources]) -> Iterator[str]:
    for resources in every:
        for logical_id in resources.of("AWS::CloudFront::KeyValueStore"):
            source = resources.properties(logical_id).section("ImportSource").raw.get("SourceArn")
            if isinstance(source, str):
                yield source


# --- functions ------------------------------------------------------------------------------------
def function_roles(needs: Needs, names: Names) -> Document:
    """The role of each Lambda function: who may assume it, and what it allows.

    CloudFront Functions have no role: they reach nothing but their key value store, through the
    association.
    """
    return {one.name: _function_role(one, needs, names) for one in needs.functions}


def _function_role(function: Function, needs: Needs, names: Names) -> Document:
    declared = function.role or Role(f"{function.name}-role", "", named=True)
    # Replicas are run by another principal than the function in us-east-1; both are required.
    services = [_LAMBDA, _EDGE] if function.at_edge else [_LAMBDA]
    own = [_known(statement, needs, names) for statement in declared.statements]
    reaches = "cloudfront-keyvaluestore:"
    statements = [_write_logs(function, names)]
    if function.stores and not any(reaches in json.dumps(one) for one in own):
        statements.append(_use_stores(function, needs, names))
    role: Document = {
        "RoleName": declared.name,
        "AssumeRolePolicyDocument": _document(
            [{"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}]
        ),
        "PolicyDocument": _document([*statements, *own]),
    }
    # What AWSLambdaBasicExecutionRole allows on every log group, WriteLogs allows on this one's.
    managed = [one for one in declared.managed if one != _BASIC]
    if managed:
        role["ManagedPolicyArns"] = managed
    return role


def _write_logs(function: Function, names: Names) -> Statement:
    """Lambda@Edge logs where it ran, to a group whose name begins with us-east-1 everywhere."""
    region = ANY if function.at_edge else function.region
    prefix = "us-east-1." if function.at_edge else ""
    group = f"log-group:/aws/lambda/{prefix}{function.name}"
    return _allow(
        "WriteLogs",
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        [names.arn("logs", group, region), names.arn("logs", f"{group}:*", region)],
    )


def _use_stores(function: Function, needs: Needs, names: Names) -> Statement:
    """At the edge functions read; in a Region they are given a store's ARN to write to it."""
    actions = ["cloudfront-keyvaluestore:GetKey"]
    if not function.at_edge:
        actions += [
            "cloudfront-keyvaluestore:DescribeKeyValueStore",
            "cloudfront-keyvaluestore:UpdateKeys",
        ]
    resources = [names.store(needs.stores.get(arn, "")) for arn in function.stores]
    return _allow("UseStores", actions, list(dict.fromkeys(resources)))


def _known(value: Any, needs: Needs, names: Names) -> Any:
    """A resolved document with the account's names in place of localpop's."""
    if isinstance(value, dict):
        return {key: _known(one, needs, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_known(one, needs, names) for one in value]
    if isinstance(value, Unresolved):
        return ANY
    if not isinstance(value, str):
        return value
    for role in needs.roles:
        if value == f"{role.logical_id}.Arn":
            return names.arn("iam", f"role/{role.name}")
    for arn, name in needs.stores.items():
        value = value.replace(arn, names.store(name))
    return value.replace(f":{ACCOUNT_ID}:", f":{names.account}:")


def wide_statements(needs: Needs) -> list[str]:
    """What roles of the template allow beyond what anyone can have meant; one line each."""
    found = []
    known = {f"{role.logical_id}.Arn" for role in needs.roles}
    for role in needs.roles:
        for statement in role.statements:
            actions = [str(one) for one in _list(statement.get("Action"))]
            named = statement.get("Resource")
            listed = named if isinstance(named, list) else [named]
            found += [
                f"{role.name}: a resource stands as *, because {one.error}"
                for one in listed
                if isinstance(one, Unresolved)
            ]
            resources = [one for one in listed if isinstance(one, str)]
            wide = [one for one in actions if one == ANY or one.endswith(":*")]
            if wide:
                found.append(f"{role.name} allows {', '.join(wide)}: name the actions.")
            if ANY in resources and statement.get("Effect") != "Deny":
                found.append(f"{role.name} allows {', '.join(actions)} on *: name the resources.")
            vague = [
                one
                for one in resources
                if not one.startswith("arn:") and one != ANY and one not in known
            ]
            if vague:
                found.append(f"{role.name}: what {', '.join(vague)} is, only CloudFormation knows.")
    basic = [role.name for role in needs.roles if _BASIC in role.managed]
    if basic:
        found.append(
            f"AWSLambdaBasicExecutionRole allows every log group, WriteLogs below one: "
            f"{', '.join(basic)}."
        )
    return found


# --- deployer -------------------------------------------------------------------------------------
def deployer_policy(needs: Needs, names: Names) -> Document:
    """What deploying, rolling back, syncing and destroying this template's edge needs."""
    return _document(
        [
            *_distributions(needs, names),
            *_configurations(needs, names),
            *_cloudfront_functions(needs, names),
            *_stores(needs, names),
            *_lambdas(needs, names),
            *_roles(needs, names),
        ]
    )


def policy_chars(policy: Mapping[str, Any]) -> int:
    """A policy's length as IAM counts it."""
    return len(json.dumps(policy, separators=(",", ":")))


def _distributions(needs: Needs, names: Names) -> Iterator[Statement]:
    if not needs.distributions:
        return
    yield _allow(
        "Distributions",
        [
            "cloudfront:CreateDistribution",
            "cloudfront:CreateInvalidation",
            "cloudfront:DeleteDistribution",
            "cloudfront:GetDistribution",
            "cloudfront:GetDistributionConfig",
            "cloudfront:GetInvalidation",
            "cloudfront:ListTagsForResource",
            "cloudfront:TagResource",
            "cloudfront:UntagResource",
            "cloudfront:UpdateDistribution",
        ],
        [names.arn("cloudfront", "distribution/*")],
    )


def _configurations(needs: Needs, names: Names) -> Iterator[Statement]:
    listing = ["cloudfront:ListDistributions"] if needs.distributions else []
    for kind, arn_type, api, plural in _CONFIGURATIONS:
        if kind not in needs.configurations:
            continue
        actions = [f"cloudfront:{verb}{api}" for verb in ("Create", "Delete", "Get", "Update")]
        actions.insert(3, f"cloudfront:Get{api}Config")
        where = names.arn("cloudfront", f"{arn_type}/*") if arn_type else ANY
        yield _allow(kind, actions, [where])
        listing.append(f"cloudfront:List{plural}")
    if needs.cloudfront_functions:
        listing.append("cloudfront:ListFunctions")
    if needs.stores:
        listing.append("cloudfront:ListKeyValueStores")
    if listing:
        # Lists have no resource to be narrowed to.
        yield _allow("Lists", sorted(listing), [ANY])


def _cloudfront_functions(needs: Needs, names: Names) -> Iterator[Statement]:
    if needs.cloudfront_functions:
        verbs = ("Create", "Delete", "Describe", "Get", "Publish", "Test", "Update")
        yield _allow(
            "CloudFrontFunctions",
            [
                *(f"cloudfront:{verb}Function" for verb in verbs),
                "cloudfront:ListTagsForResource",
                "cloudfront:TagResource",
            ],
            [names.arn("cloudfront", f"function/{one}") for one in needs.cloudfront_functions],
        )


def _stores(needs: Needs, names: Names) -> Iterator[Statement]:
    if not needs.stores:
        return
    stores = list(dict.fromkeys(names.store(one) for one in needs.stores.values()))
    verbs = ("Create", "Delete", "Describe", "Update")
    yield _allow(
        "KeyValueStores",
        [
            *(f"cloudfront:{verb}KeyValueStore" for verb in verbs),
            "cloudfront:ListTagsForResource",
            "cloudfront:TagResource",
            "cloudfront:UntagResource",
        ],
        stores,
    )
    yield _allow(
        "Keys",
        [
            f"cloudfront-keyvaluestore:{operation}"
            for operation in (
                "DeleteKey",
                "DescribeKeyValueStore",
                "GetKey",
                "ListKeys",
                "PutKey",
                "UpdateKeys",
            )
        ],
        stores,
    )
    if needs.imports:
        # DG kvs-with-functions-create-s3-kvp: whoever makes the store reads the object.
        buckets = [arn.partition("/")[0] for arn in needs.imports]
        yield _allow("ImportedFiles", ["s3:GetObject"], list(dict.fromkeys(needs.imports)))
        yield _allow("ImportBuckets", ["s3:GetBucketLocation"], list(dict.fromkeys(buckets)))


def _lambdas(needs: Needs, names: Names) -> Iterator[Statement]:
    functions = [one for one in needs.functions if one.at_edge]
    if not functions:
        return
    arns = [names.arn("lambda", f"function:{one.name}", one.region) for one in functions]
    yield _allow(
        "EdgeFunctions",
        [
            "lambda:CreateFunction",
            "lambda:DeleteFunction",
            # With the asterisk, as AWS's page insists (facts/lambda-at-edge.md 6).
            "lambda:DisableReplication*",
            "lambda:EnableReplication*",
            "lambda:GetFunction",
            "lambda:GetFunctionConfiguration",
            "lambda:ListTags",
            "lambda:ListVersionsByFunction",
            "lambda:PublishVersion",
            "lambda:TagResource",
            "lambda:UntagResource",
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
        ],
        [arn for one in arns for arn in (one, f"{one}:*")],
    )
    yield {
        **_allow(
            "ServiceLinkedRoles",
            ["iam:CreateServiceLinkedRole"],
            [
                names.arn("iam", f"role/aws-service-role/{service}/{role}")
                for service, role in _LINKED_ROLES
            ],
        ),
        "Condition": {
            "StringEquals": {"iam:AWSServiceName": [service for service, _ in _LINKED_ROLES]}
        },
    }


def _roles(needs: Needs, names: Names) -> Iterator[Statement]:
    edge = [one.role for one in needs.functions if one.at_edge and one.role is not None]
    if not edge:
        return
    # A made-up name gets letters behind it by CloudFormation.
    patterns = [one.name if one.named else f"{one.name}*" for one in edge]
    arns = list(dict.fromkeys(names.arn("iam", f"role/{one}") for one in patterns))
    yield _allow(
        "Roles",
        [
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:DeleteRolePolicy",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListRoleTags",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ],
        arns,
    )
    yield {
        **_allow("PassRoles", ["iam:PassRole"], arns),
        "Condition": {"StringEquals": {"iam:PassedToService": [_LAMBDA, _EDGE]}},
    }
    managed = sorted({policy for one in edge for policy in one.managed})
    if managed:
        yield {
            **_allow("ManagedPolicies", ["iam:AttachRolePolicy", "iam:DetachRolePolicy"], arns),
            "Condition": {"ArnEquals": {"iam:PolicyARN": managed}},
        }


def _allow(sid: str, actions: list[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _document(statements: Sequence[Statement]) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}
