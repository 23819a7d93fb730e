"""Deployments by the story's own object: other forms of templates, slow accounts, other writers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.app.deployment import Wanted, deployment, ledger_of
from emulator.deploy.kinds.distributions import Distributions
from emulator.deploy.plan import Action, Plan
from emulator.deploy.rollback import Rollback
from emulator.deploy.target import Target
from emulator.errors import ConfigError
from emulator.project.local import read_local
from emulator.rules.key_value_store import StoreRules
from tests.app.running import ROOT
from tests.aws.endpoint import Endpoint, Options, client
from tests.deploy.accounts import account
from tests.deploy.small_project import (
    HANDLER,
    LOOKUP,
    config_of,
    template,
    write_project,
    write_template,
)

SAM = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Edge:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: edge
      Runtime: python3.13
      Handler: handler.handler
      MemorySize: 128
      Timeout: 5
      AutoPublishAlias: live
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {Service: [lambda.amazonaws.com, edgelambda.amazonaws.com]}
            Action: sts:AssumeRole
  Distribution:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - Id: Api
            DomainName: api.example.com
            CustomOriginConfig: {OriginProtocolPolicy: http-only}
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
          LambdaFunctionAssociations:
            - {EventType: viewer-request, LambdaFunctionARN: !Ref Edge.Version}
"""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    """An account where everything takes a moment, as at AWS."""
    rules = StoreRules(provisioning_ms=300.0)
    options = Options(control=True, deployment_ms=200.0, store_rules=rules)
    with account(tmp_path / "account", options) as running:
        yield running


@pytest.fixture
def target(endpoint: Endpoint) -> Iterator[Target]:
    """The account."""
    target = Target(endpoint.url)
    target.identify()
    yield target
    target.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The small project."""
    return write_project(tmp_path / "small")


def deploy(folder: Path, target: Target, tell: Callable[[str], None] = lambda line: None) -> None:
    """Deploy what is in a folder."""
    with deployment(read_local(folder), target, Wanted(), tell) as one:
        one.deploy()


def plan(folder: Path, target: Target) -> Plan:
    """What would be done."""
    with deployment(read_local(folder), target, Wanted(), lambda line: None) as one:
        return one.plan()


def test_a_store_is_ready_before_a_function_reads_it(
    folder: Path, target: Target, endpoint: Endpoint
) -> None:
    """AWS refuses the association with one that is PROVISIONING (facts/kvs.md 4.4)."""
    deploy(folder, target)

    assert not plan(folder, target).has_changes
    summary = client("cloudfront", endpoint.url).describe_function(Name="lookup")["FunctionSummary"]
    assert summary["Status"] == "DEPLOYED"


def test_a_sam_template_is_deployed_as_it_is(tmp_path: Path, target: Target) -> None:
    """Its role, version and tags are SAM's making; the alias is left to CloudFormation."""
    folder = tmp_path / "sam"
    (folder / "edge").mkdir(parents=True)
    (folder / "edge/handler.py").write_text("def handler(event, context): return {}\n")
    (folder / "template.yaml").write_text(SAM)
    (folder / "localpop.toml").write_text('template = "template.yaml"\n')

    deploy(folder, target)

    planned = plan(folder, target)
    assert not planned.has_changes
    assert {step.type for step in planned.steps} == {
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Lambda::Version",
        "AWS::CloudFront::Distribution",
    }
    assert [left.type for left in planned.left] == ["AWS::Lambda::Alias"]
    tags = target.client("lambda").get_function(FunctionName="sam-Edge")["Tags"]
    assert tags["localpop:deployment"] == "sam"
    assert tags["lambda:createdBy"] == "SAM"


def test_a_cdk_app_is_deployed_as_it_is(tmp_path: Path, target: Target) -> None:
    """Four stacks in two Regions; what only AWS knows is asked for at once, before all else."""
    folder = tmp_path / "cdk"
    shutil.copytree(ROOT / "tests/project/fixtures/cdk.out", folder / "cdk.out")
    (folder / "localpop.toml").write_text('template = "cdk.out"\n')
    with pytest.raises(ConfigError) as asked:
        deploy(folder, target)
    values = {
        "Assets9A31D427": "my-assets",
        "ChatFunctionUrl32BBFEB7.FunctionUrl": "https://abc.lambda-url.eu-west-1.on.aws/",
    }
    for name in values:
        assert f"--value {name}=" in asked.value.mend
    assert target.client("iam").list_roles()["Roles"] == []

    wanted = Wanted(values=values)
    with deployment(read_local(folder), target, wanted, lambda line: None) as one:
        one.deploy()

    assert not plan(folder, target).has_changes
    (made,) = target.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    domains = {origin["DomainName"] for origin in made["Origins"]["Items"]}
    assert "my-assets.s3.eu-west-1.amazonaws.com" in domains
    assert "abc.lambda-url.eu-west-1.on.aws" in domains


def test_two_templates_know_each_other(tmp_path: Path, target: Target) -> None:
    """What one exports the other imports; keys have the stack's name before them."""
    folder = write_project(tmp_path / "small")
    document = template()
    store = document["Resources"].pop("Store")
    imported = {"Fn::ImportValue": "store-arn"}
    lookup = document["Resources"]["Lookup"]["Properties"]["FunctionConfig"]
    lookup["KeyValueStoreAssociations"] = [{"KeyValueStoreARN": imported}]
    for gone in ("Role", "Edge", "EdgeVersion"):
        del document["Resources"][gone]
    del config_of(document)["CacheBehaviors"][1]
    write_template(folder, document)
    exported = {
        "Resources": {"Store": store},
        "Outputs": {
            "Arn": {
                "Value": {"Fn::GetAtt": ["Store", "Arn"]},
                "Export": {"Name": "store-arn"},
            }
        },
    }
    write_template(folder / "edge", exported)
    (folder / "edge/template.json").rename(folder / "stores.json")
    (folder / "localpop.toml").write_text(
        'template = ["template.json", "stores.json"]\n[stores.Store]\nimport = "seed.json"\n'
    )

    deploy(folder, target)

    planned = plan(folder, target)
    assert not planned.has_changes
    assert planned.steps[0].key == "stores/Store"
    assert {"localpop/Lookup", "localpop/Distribution"} <= {step.key for step in planned.steps}


WRITES = (
    ("change  CloudFront::KeyValueStore", "UpdateKeyValueStore"),
    ("change  Lambda::Function", "UpdateFunctionCode"),
    ("change  CloudFront::Function", "UpdateFunction"),
    ("change  CloudFront::CachePolicy", "UpdateCachePolicy"),
    ("publish", "PublishFunction"),
    ("change  CloudFront::Distribution", "UpdateDistribution"),
)


def test_another_writer_is_not_overwritten(folder: Path, target: Target) -> None:
    """Somebody changes it between our look and our write: AWS refuses; the next run does it."""
    deploy(folder, target)
    document = template()
    config_of(document)["Comment"] = "ours"
    document["Resources"]["Caching"]["Properties"]["CachePolicyConfig"]["DefaultTTL"] = 60
    document["Resources"]["Store"]["Properties"]["Comment"] = "ours"
    write_template(folder, document)
    (folder / "lookup.js").write_text(LOOKUP.replace("'OK'", "'Fine'"))
    (folder / "edge/handler.py").write_text(HANDLER + "# another\n")

    # Each run comes past the step at which the one before was refused, and meets the next.
    for line, operation in WRITES:

        def interfere(said: str, line: str = line, operation: str = operation) -> None:
            if said.startswith(line):
                theirs(target, operation)

        with pytest.raises(ConfigError, match=f"{operation} was answered Precondition"):
            deploy(folder, target, interfere)
    assert plan(folder, target).has_changes
    deploy(folder, target)
    assert {step.action for step in plan(folder, target).steps} == {Action.KEEP}


def test_a_deployment_that_broke_off_half_way_is_taken_back(folder: Path, target: Target) -> None:
    """The function was published, the distribution refused: rollback gives viewers the first."""
    deploy(folder, target)
    document = template()
    config_of(document)["Comment"] = "second"
    write_template(folder, document)
    (folder / "lookup.js").write_text(LOOKUP.replace("'OK'", "'Fine'"))

    def interfere(said: str) -> None:
        if said.startswith("change  CloudFront::Distribution"):
            theirs(target, "UpdateDistribution")

    with pytest.raises(ConfigError):
        deploy(folder, target, interfere)
    cloudfront = target.client("cloudfront")
    half_way = cloudfront.get_function(Name="lookup", Stage="LIVE")["FunctionCode"].read()
    with ledger_of(read_local(folder), target, "") as ledger:
        back = Rollback(target, ledger, lambda line: None)
        assert back.plan().unfinished
        back.roll_back()
        assert (ledger.current, ledger.unfinished) == (1, None)
    live = cloudfront.get_function(Name="lookup", Stage="LIVE")["FunctionCode"].read()
    (item,) = cloudfront.list_distributions()["DistributionList"]["Items"]

    assert b"'Fine'" in half_way
    assert live.decode() == LOOKUP
    assert item["Comment"] == "small"


def test_a_distribution_that_somebody_deleted_is_not_rolled_back_in_silence(
    folder: Path, target: Target
) -> None:
    """It is said at once, before anything is changed, and deploying makes it anew."""
    deploy(folder, target)
    (folder / "lookup.js").write_text(LOOKUP.replace("'OK'", "'Fine'"))
    deploy(folder, target)
    cloudfront = target.client("cloudfront")
    (item,) = cloudfront.list_distributions()["DistributionList"]["Items"]
    Distributions(target, {}).delete(item["Id"])

    with ledger_of(read_local(folder), target, "") as ledger:
        back = Rollback(target, ledger, lambda line: None)
        with pytest.raises(ConfigError, match="somebody deleted it"):
            back.roll_back()
        assert ledger.unfinished is None
        with pytest.raises(ConfigError, match="somebody deleted it"):
            back.kinds.distributions.wait_deployed(item["Id"], lambda line: None)
    live = cloudfront.get_function(Name="lookup", Stage="LIVE")["FunctionCode"].read()
    deploy(folder, target)

    assert b"'Fine'" in live
    assert not plan(folder, target).has_changes


def test_the_templates_own_tags_are_put_on_and_tell_nothing_of_whose_it_is(
    folder: Path, target: Target
) -> None:
    """A ledger that is lost finds its role again, though the template's tags have changed."""
    document = template()
    role = document["Resources"]["Role"]["Properties"]
    role["Tags"] = [{"Key": "team", "Value": "edge"}]
    write_template(folder, document)
    deploy(folder, target)
    (made,) = target.client("iam").list_roles()["Roles"]
    tags = target.client("iam").list_role_tags(RoleName=made["RoleName"])["Tags"]
    role["Tags"] = [{"Key": "team", "Value": "core"}]
    write_template(folder, document)
    with ledger_of(read_local(folder), target, "") as ledger:
        del ledger.resources["Role"]
        ledger.save()

    assert {"Key": "team", "Value": "edge"} in tags
    assert not plan(folder, target).has_changes


def test_half_a_rehearsal_is_refused(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFront here and IAM at AWS: nobody means that, and nothing is asked of either."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", endpoint.url)

    with pytest.raises(ConfigError, match=r"cloudfront would go to this machine, .*iam"):
        Target().identify()


def theirs(target: Target, operation: str) -> None:
    """What somebody else does at the same moment."""
    cloudfront: Any = target.client("cloudfront")
    match operation:
        case "UpdateDistribution":
            (item,) = cloudfront.list_distributions()["DistributionList"]["Items"]
            found = cloudfront.get_distribution_config(Id=item["Id"])
            config = {**found["DistributionConfig"], "Comment": "theirs"}
            cloudfront.update_distribution(
                Id=item["Id"], IfMatch=found["ETag"], DistributionConfig=config
            )
        case "UpdateFunction" | "PublishFunction":
            found = cloudfront.describe_function(Name="lookup")
            cloudfront.update_function(
                Name="lookup",
                IfMatch=found["ETag"],
                FunctionConfig=found["FunctionSummary"]["FunctionConfig"],
                FunctionCode=b"function handler(event) { return event.request; }",
            )
        case "UpdateCachePolicy":
            (item,) = cloudfront.list_cache_policies(Type="custom")["CachePolicyList"]["Items"]
            found = cloudfront.get_cache_policy(Id=item["CachePolicy"]["Id"])
            config = {**found["CachePolicy"]["CachePolicyConfig"], "Comment": "theirs"}
            cloudfront.update_cache_policy(
                Id=item["CachePolicy"]["Id"], IfMatch=found["ETag"], CachePolicyConfig=config
            )
        case "UpdateKeyValueStore":
            found = cloudfront.describe_key_value_store(Name="greetings")
            cloudfront.update_key_value_store(
                Name="greetings", IfMatch=found["ETag"], Comment="theirs"
            )
        case _:
            target.client("lambda").update_function_configuration(
                FunctionName="edge", Description="theirs"
            )
