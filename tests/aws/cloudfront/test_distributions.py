"""Distributions as a real boto3 sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.project.declarations import TemplateDeclarations
from emulator.project.identifiers import function_arn
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.values.distribution import CacheBehavior, Distribution, Origin
from tests.aws.cloudfront.shapes import (
    CACHING_DISABLED,
    ROLE,
    code,
    distribution,
    function,
    listed,
    refusal,
    zipped,
)
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint, send_raw

HANDLER = {"handler.py": "def handler(event, context):\n    return event\n"}


def lambda_version(lambda_client: Any, name: str, **more: Any) -> str:
    """A published version's ARN."""
    made = lambda_client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.handler",
        Code={"ZipFile": zipped(HANDLER)},
        Publish=True,
        **more,
    )
    return str(made["FunctionArn"])


def live_function(cloudfront: Any, name: str) -> str:
    """A published function's ARN."""
    etag = cloudfront.create_function(**function(name), FunctionCode=code())["ETag"]
    cloudfront.publish_function(Name=name, IfMatch=etag)
    return function_arn(name)


def at(event: str, arn: str, **more: Any) -> dict[str, Any]:
    """A Lambda association."""
    return listed({"EventType": event, "LambdaFunctionARN": arn, **more})


def test_a_distribution_lives_from_creation_to_deletion(
    account: Endpoint, cloudfront: Any, name: str
) -> None:
    """Create, get, disable, delete: each with the ETag of the step before."""
    before = account.deployments
    created = cloudfront.create_distribution(DistributionConfig=distribution(name))
    identity = created["Distribution"]["Id"]
    got = cloudfront.get_distribution(Id=identity)
    config = cloudfront.get_distribution_config(Id=identity)
    updated = cloudfront.update_distribution(
        Id=identity,
        IfMatch=config["ETag"],
        DistributionConfig={**config["DistributionConfig"], "Enabled": False},
    )
    deleted = cloudfront.delete_distribution(Id=identity, IfMatch=updated["ETag"])

    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["Location"].endswith(f"/2020-05-31/distribution/{identity}")
    assert created["Distribution"]["DomainName"].endswith(".cloudfront.net")
    assert created["Distribution"]["ARN"].endswith(f":distribution/{identity}")
    assert got["Distribution"] == created["Distribution"]
    assert config["ETag"] == created["ETag"] != updated["ETag"]
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert account.deployments == before + 3
    gone = refusal(lambda: cloudfront.get_distribution(Id=identity))
    assert gone[:2] == ("NoSuchDistribution", 404)


def test_what_was_left_out_comes_back_with_its_default(cloudfront: Any, name: str) -> None:
    """So that get-distribution-config can be edited and sent back as it is."""
    created = cloudfront.create_distribution(DistributionConfig=distribution(name))
    config = created["Distribution"]["DistributionConfig"]

    assert config["PriceClass"] == "PriceClass_All"
    assert config["DefaultCacheBehavior"]["AllowedMethods"]["Items"] == ["HEAD", "GET"]
    assert config["Origins"]["Items"][0]["ConnectionAttempts"] == 3
    assert config["Restrictions"]["GeoRestriction"]["RestrictionType"] == "none"


def test_an_enabled_distribution_is_not_deleted(cloudfront: Any, name: str) -> None:
    """AWS wants it disabled first."""
    created = cloudfront.create_distribution(DistributionConfig=distribution(name))

    def delete() -> None:
        cloudfront.delete_distribution(Id=created["Distribution"]["Id"], IfMatch=created["ETag"])

    assert refusal(delete)[:2] == ("DistributionNotDisabled", 409)


def test_a_stale_etag_is_refused_and_changes_nothing(cloudfront: Any, name: str) -> None:
    """412 PreconditionFailed for update and delete; without one, 400 InvalidIfMatchVersion."""
    created = cloudfront.create_distribution(DistributionConfig=distribution(name))
    identity, stale = created["Distribution"]["Id"], created["ETag"]
    fresh = cloudfront.update_distribution(
        Id=identity, IfMatch=stale, DistributionConfig=distribution(name, enabled=False)
    )

    def update() -> None:
        cloudfront.update_distribution(
            Id=identity, IfMatch=stale, DistributionConfig=distribution(name)
        )

    refused = refusal(update)
    deletion = refusal(lambda: cloudfront.delete_distribution(Id=identity, IfMatch=stale))
    missing = refusal(lambda: cloudfront.delete_distribution(Id=identity))

    assert refused[:2] == deletion[:2] == ("PreconditionFailed", 412)
    assert missing[:2] == ("InvalidIfMatchVersion", 400)
    assert cloudfront.get_distribution_config(Id=identity)["ETag"] == fresh["ETag"]


def test_a_caller_reference_is_used_once(cloudfront: Any, name: str) -> None:
    """409 DistributionAlreadyExists; and it never changes."""
    created = cloudfront.create_distribution(DistributionConfig=distribution(name))

    def again() -> None:
        cloudfront.create_distribution(DistributionConfig=distribution(name))

    def another() -> None:
        cloudfront.update_distribution(
            Id=created["Distribution"]["Id"],
            IfMatch=created["ETag"],
            DistributionConfig=distribution(f"{name}-other"),
        )

    assert refusal(again)[:2] == ("DistributionAlreadyExists", 409)
    assert refusal(another)[:2] == ("IllegalUpdate", 400)


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        ({"TargetOriginId": "nope"}, "NoSuchOrigin", 404),
        ({"CachePolicyId": "nope"}, "NoSuchCachePolicy", 404),
        ({"OriginRequestPolicyId": "nope"}, "NoSuchOriginRequestPolicy", 404),
        ({"ResponseHeadersPolicyId": "nope"}, "NoSuchResponseHeadersPolicy", 404),
        ({"ViewerProtocolPolicy": "nope"}, "InvalidArgument", 400),
        (
            {"FunctionAssociations": {"Quantity": 2, "Items": []}},
            "InconsistentQuantities",
            400,
        ),
        (
            {
                "FunctionAssociations": listed(
                    {"FunctionARN": function_arn("nope"), "EventType": "viewer-request"}
                )
            },
            "InvalidFunctionAssociation",
            400,
        ),
        (
            {"AllowedMethods": {**listed("GET", "PUT"), "CachedMethods": listed("GET", "HEAD")}},
            "InvalidArgument",
            400,
        ),
    ],
)
def test_what_cannot_be_is_refused(
    cloudfront: Any, name: str, change: dict[str, Any], error: str, status: int
) -> None:
    """With the code that the model has for it."""

    def create() -> None:
        cloudfront.create_distribution(DistributionConfig=distribution(name, **change))

    assert refusal(create)[:2] == (error, status)


def test_what_the_edge_cannot_do_is_said_when_it_is_created(cloudfront: Any, name: str) -> None:
    """501 NotEmulated with the feature's name, instead of half working."""
    config = distribution(name) | {"TenantConfig": {"ParameterDefinitions": []}}
    error, status, message = refusal(
        lambda: cloudfront.create_distribution(DistributionConfig=config)
    )

    assert (error, status) == ("NotEmulated", 501)
    assert "multi-tenant" in message


def test_an_unpublished_function_is_refused(cloudfront: Any, name: str) -> None:
    """Only LIVE functions run at the edge."""
    cloudfront.create_function(**function(name), FunctionCode=code())
    association = listed({"FunctionARN": function_arn(name), "EventType": "viewer-request"})

    def create() -> None:
        cloudfront.create_distribution(
            DistributionConfig=distribution(name, FunctionAssociations=association)
        )

    error, _, message = refusal(create)
    assert error == "InvalidFunctionAssociation"
    assert "LIVE" in message


@pytest.mark.conformance("LAE-14", "CFF-73")
@pytest.mark.parametrize(
    ("of_lambda", "of_function"),
    [("viewer-request", "viewer-response"), ("viewer-response", "viewer-request")],
)
def test_both_kinds_on_viewer_events_are_refused(
    cloudfront: Any, lambda_client: Any, name: str, of_lambda: str, of_function: str
) -> None:
    """Whichever event each has."""
    function_association = listed(
        {"FunctionARN": live_function(cloudfront, name), "EventType": of_function}
    )
    config = distribution(
        name,
        FunctionAssociations=function_association,
        LambdaFunctionAssociations=at(of_lambda, lambda_version(lambda_client, name)),
    )

    refused = refusal(lambda: cloudfront.create_distribution(DistributionConfig=config))

    assert refused[:2] == ("InvalidLambdaFunctionAssociation", 400)


@pytest.mark.conformance("LAE-15")
def test_a_function_before_and_a_lambda_behind_the_cache_are_accepted(
    cloudfront: Any, lambda_client: Any, name: str
) -> None:
    """CloudFront Function at viewer-request, Lambda@Edge at origin-request."""
    function_association = listed(
        {"FunctionARN": live_function(cloudfront, name), "EventType": "viewer-request"}
    )
    config = distribution(
        name,
        FunctionAssociations=function_association,
        LambdaFunctionAssociations=at("origin-request", lambda_version(lambda_client, name)),
    )

    try:
        cloudfront.create_distribution(DistributionConfig=config)
        refused = ""
    except ClientError as error:
        refused = error.response["Error"]["Code"]

    # The rule lets it pass; that the edge cannot do it yet would be said with NotEmulated.
    assert refused in ("", "NotEmulated")


@pytest.mark.conformance("LAE-13")
def test_two_functions_of_one_event_are_refused(
    cloudfront: Any, lambda_client: Any, name: str
) -> None:
    """Of either kind."""
    version = lambda_version(lambda_client, name)
    one = {"EventType": "viewer-request", "LambdaFunctionARN": version}
    config = distribution(name, LambdaFunctionAssociations=listed(one, one))

    refused = refusal(lambda: cloudfront.create_distribution(DistributionConfig=config))

    assert refused[:2] == ("InvalidLambdaFunctionAssociation", 400)


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "must reference a specific function version",
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
            "must reference a specific function version",
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:f:live",
            "must reference a specific function version",
        ),
        (
            "arn:aws:lambda:eu-west-1:123456789012:function:f:1",
            "The function must be in region 'us-east-1'.",
        ),
        ("arn:aws:lambda:us-east-1:123456789012:function:nope:1", "lambda:GetFunction"),
        ("nonsense", "not valid"),
    ],
)
def test_a_lambda_that_is_no_numbered_version_is_refused(
    cloudfront: Any, name: str, arn: str, message: str
) -> None:
    """In CloudFront's own words."""
    config = distribution(name, LambdaFunctionAssociations=at("viewer-request", arn))

    refused = refusal(lambda: cloudfront.create_distribution(DistributionConfig=config))

    assert refused[:2] == ("InvalidLambdaFunctionAssociation", 400)
    assert message in refused[2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"Environment": {"Variables": {"NAME": "b"}}}, "cannot have environment variables"),
        ({"Timeout": 31}, "timeout is larger than the maximum allowed"),
        ({"Architectures": ["arm64"]}, "x86_64"),
        ({"TracingConfig": {"Mode": "Active"}}, "X-Ray"),
        ({"EphemeralStorage": {"Size": 513}}, "ephemeral storage"),
        ({"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:1:q"}}, "dead-letter"),
    ],
)
def test_a_lambda_that_the_edge_cannot_run_is_refused(
    cloudfront: Any, lambda_client: Any, name: str, more: dict[str, Any], message: str
) -> None:
    """Lambda takes it, CloudFront does not."""
    version = lambda_version(lambda_client, name, **more)
    config = distribution(name, LambdaFunctionAssociations=at("viewer-request", version))

    refused = refusal(lambda: cloudfront.create_distribution(DistributionConfig=config))

    assert refused[:2] == ("InvalidLambdaFunctionAssociation", 400)
    assert message in refused[2]


def test_a_body_is_for_request_events_only(cloudfront: Any, lambda_client: Any, name: str) -> None:
    """IncludeBody at a response event is refused in CloudFront's own words."""
    version = lambda_version(lambda_client, name)
    config = distribution(
        name, LambdaFunctionAssociations=at("viewer-response", version, IncludeBody=True)
    )

    refused = refusal(lambda: cloudfront.create_distribution(DistributionConfig=config))

    assert refused[2] == (
        "The IncludeBody option can only be used with viewer-request or origin-request events."
    )


def test_an_alias_belongs_to_one_distribution(cloudfront: Any, name: str) -> None:
    """409 CNAMEAlreadyExists."""
    alias = {"Aliases": listed(f"{name}.example.com")}
    cloudfront.create_distribution(DistributionConfig=distribution(name) | alias)

    def again() -> None:
        cloudfront.create_distribution(DistributionConfig=distribution(f"{name}-2") | alias)

    assert refusal(again)[:2] == ("CNAMEAlreadyExists", 409)


def test_a_distribution_is_in_progress_for_as_long_as_is_said(tmp_path: Path) -> None:
    """And until then it cannot be deleted, even when it is disabled."""
    options = Options(control=True, deployment_ms=600_000)
    with running_endpoint(tmp_path / "stores.sqlite3", options) as endpoint:
        cloudfront = client("cloudfront", endpoint.url)
        created = cloudfront.create_distribution(
            DistributionConfig=distribution("slow", enabled=False)
        )

        def delete() -> None:
            cloudfront.delete_distribution(
                Id=created["Distribution"]["Id"], IfMatch=created["ETag"]
            )

        refused = refusal(delete)
        cloudfront.close()

    assert created["Distribution"]["Status"] == "InProgress"
    assert refused[:2] == ("DistributionNotDisabled", 409)


def test_the_waiter_finds_it_deployed(cloudfront: Any, name: str) -> None:
    """boto3's own waiter, as deploy scripts use it."""
    created = cloudfront.create_distribution(DistributionConfig=distribution(name))

    cloudfront.get_waiter("distribution_deployed").wait(Id=created["Distribution"]["Id"])


def test_all_distributions_are_listed_page_by_page(cloudfront: Any, name: str) -> None:
    """boto3's paginator visits each of them once."""
    made = {
        cloudfront.create_distribution(DistributionConfig=distribution(f"{name}-{number}"))[
            "Distribution"
        ]["Id"]
        for number in range(3)
    }
    pages = cloudfront.get_paginator("list_distributions").paginate(
        PaginationConfig={"PageSize": 2}
    )
    found = [one["Id"] for page in pages for one in page["DistributionList"].get("Items", [])]
    by_policy = cloudfront.list_distributions_by_cache_policy_id(CachePolicyId=CACHING_DISABLED)

    assert made <= set(found)
    assert len(found) == len(set(found))
    assert made <= set(by_policy["DistributionIdList"]["Items"])


def test_tags_come_with_the_distribution(cloudfront: Any, name: str) -> None:
    """CreateDistributionWithTags keeps them, the tagging operations change them."""
    created = cloudfront.create_distribution_with_tags(
        DistributionConfigWithTags={
            "DistributionConfig": distribution(name),
            "Tags": {"Items": [{"Key": "team", "Value": "edge"}, {"Key": "gone"}]},
        }
    )
    arn = created["Distribution"]["ARN"]
    cloudfront.tag_resource(Resource=arn, Tags={"Items": [{"Key": "cost", "Value": "1"}]})
    cloudfront.untag_resource(Resource=arn, TagKeys={"Items": ["gone"]})
    tags = cloudfront.list_tags_for_resource(Resource=arn)["Tags"]["Items"]

    assert tags == [{"Key": "team", "Value": "edge"}, {"Key": "cost", "Value": "1"}]


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Distributions with their ETags, functions with their stages, Lambda with its zip."""
    path = tmp_path / "stores.sqlite3"
    with running_endpoint(path, Options(control=True)) as endpoint:
        cloudfront, of_lambda = (client(one, endpoint.url) for one in ("cloudfront", "lambda"))
        arn = live_function(cloudfront, "kept")
        lambda_version(of_lambda, "kept")
        association = listed({"FunctionARN": arn, "EventType": "viewer-request"})
        config = distribution("kept", FunctionAssociations=association)
        created = cloudfront.create_distribution(DistributionConfig=config)
        cloudfront.close(), of_lambda.close()
    with running_endpoint(path, Options(control=True)) as endpoint:
        cloudfront, of_lambda = (client(one, endpoint.url) for one in ("cloudfront", "lambda"))
        kept = cloudfront.get_distribution(Id=created["Distribution"]["Id"])
        live = cloudfront.describe_function(Name="kept", Stage="LIVE")
        answer = of_lambda.invoke(FunctionName="kept", Qualifier="1", Payload=b'{"a": 1}')
        payload = answer["Payload"].read()
        cloudfront.close(), of_lambda.close()

    assert kept["Distribution"] == created["Distribution"]
    assert kept["ETag"] == created["ETag"]
    assert live["FunctionSummary"]["Status"] == "DEPLOYED"
    assert payload == b'{"a": 1}'


def test_a_declared_distribution_is_shown_and_not_changed(tmp_path: Path) -> None:
    """The template is where it changes, and the error says so."""
    behavior = CacheBehavior("*", "api", MANAGED_CACHE_POLICIES[CACHING_DISABLED])
    declared = Distribution(
        "EDECLARED", "ddeclared.cloudfront.net", (behavior,), {"api": Origin("api", "a.example")}
    )
    options = Options(control=True, declared=TemplateDeclarations(distributions=(declared,)))
    with running_endpoint(tmp_path / "stores.sqlite3", options) as endpoint:
        cloudfront = client("cloudfront", endpoint.url)
        got = cloudfront.get_distribution(Id="EDECLARED")
        ids = [one["Id"] for one in cloudfront.list_distributions()["DistributionList"]["Items"]]
        refused = refusal(
            lambda: cloudfront.delete_distribution(Id="EDECLARED", IfMatch=got["ETag"])
        )
        cloudfront.close()

    config = got["Distribution"]["DistributionConfig"]
    assert got["Distribution"]["DomainName"] == "ddeclared.cloudfront.net"
    assert config["DefaultCacheBehavior"]["CachePolicyId"] == CACHING_DISABLED
    assert config["Origins"]["Items"][0]["DomainName"] == "a.example"
    assert ids == ["EDECLARED"]
    assert refused[:2] == ("IllegalUpdate", 400)
    assert "template" in refused[2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<Wrong/>",
        b"\xff\xfe",
        b'<!DOCTYPE a [<!ENTITY b "c">]><DistributionConfig>&b;</DistributionConfig>',
        b"<DistributionConfig><Unknown/></DistributionConfig>",
        b"<DistributionConfig><Enabled>maybe</Enabled></DistributionConfig>",
        b"<DistributionConfig><Enabled>true</Enabled><Enabled>true</Enabled></DistributionConfig>",
        b"<DistributionConfig><Origins><Quantity>1e9</Quantity></Origins></DistributionConfig>",
        b"<DistributionConfig>" + b"<a>" * 5_000,
    ],
)
def test_a_body_that_is_no_configuration_is_refused(account: Endpoint, body: bytes) -> None:
    """A 400 in CloudFront's XML, never a stack trace."""
    answer = send_raw(account.port, "POST", "/2020-05-31/distribution", body=body)

    assert answer.status == 400
    assert b"<ErrorResponse>" in answer.body
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("PATCH", "/2020-05-31/distribution", 501),
        ("GET", "/2020-05-31/nothing", 501),
        ("GET", "/2020-05-31/streaming-distribution", 501),
        ("GET", "/2020-05-31/distribution?MaxItems=0", 400),
        ("GET", "/2020-05-31/distribution?MaxItems=x", 400),
        ("GET", "/2020-05-31/distribution?Marker=nope", 400),
        ("GET", "/2020-05-31/distribution/%00", 404),
        ("POST", "/2020-05-31/tagging?Operation=Tag&Resource=nope", 400),
        ("GET", "/2020-05-31/tagging?Resource=nope", 404),
    ],
)
def test_odd_requests_get_clean_refusals(
    account: Endpoint, method: str, target: str, status: int
) -> None:
    """AWS's error shape, or NotEmulated with the operation's name."""
    answer = send_raw(account.port, method, target)

    assert answer.status == status
    assert b"<Code>" in answer.body


def test_a_body_that_is_too_large_is_refused(account: Endpoint) -> None:
    """Before it is read."""
    answer = send_raw(account.port, "POST", "/2020-05-31/distribution", body=b" " * 600_000)

    assert answer.status == 413
