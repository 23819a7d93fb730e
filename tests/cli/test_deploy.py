"""`localpop deploy`, `rollback` and `destroy`, as a user types them, against a real endpoint."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.cli import main
from tests.aws.endpoint import Endpoint, client
from tests.deploy.accounts import account
from tests.deploy.small_project import (
    LOOKUP,
    config_of,
    template,
    write_project,
    write_template,
)

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    """An account in which nothing is."""
    with account(tmp_path / "account") as endpoint:
        yield endpoint


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project; the current folder."""
    folder = write_project(tmp_path / "small")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def say(
    endpoint: Endpoint,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Say:
    """Type a command; exit code, what it printed, what it complained."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)

    def run(*words: str) -> tuple[int, str, str]:
        code = main.run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def actions(say: Say, command: str = "deploy") -> dict[str, str]:
    """What the plan would do to what."""
    code, out, _ = say(command, "--plan", "--json")
    assert code == 0
    return {step["logical_id"]: step["action"] for step in json.loads(out)["steps"]}


def cloudfront(endpoint: Endpoint) -> Any:
    """A client of the account."""
    return client("cloudfront", endpoint.url)


def test_a_plan_says_everything_and_changes_nothing(say: Say, endpoint: Endpoint) -> None:
    """Every resource of the edge is to be made, the bucket is left; the account stays empty."""
    code, out, _ = say("deploy", "--plan")

    assert code == 0
    assert "aimed at this machine: account 123456789012" in out
    assert re.search(r"\+ create +Store +CloudFront::KeyValueStore +greetings\n", out)
    assert "left to CloudFormation" in out
    assert "Bucket  AWS::S3::Bucket" in out
    assert "8 to create" in out
    assert set(actions(say).values()) == {"create"}
    made = cloudfront(endpoint)
    assert made.list_distributions()["DistributionList"]["Quantity"] == 0
    assert made.list_functions()["FunctionList"]["Quantity"] == 0
    assert made.list_key_value_stores()["KeyValueStoreList"]["Quantity"] == 0
    assert not list(Path(".localpop/deployments").glob("*.json"))


def test_from_nothing_to_live_and_back_to_nothing(say: Say, endpoint: Endpoint) -> None:
    """Deployed, the plan is empty; destroyed, so is the account."""
    code, out, _ = say("deploy")
    again = say("deploy")
    made = cloudfront(endpoint)
    (summary,) = made.list_distributions()["DistributionList"]["Items"]
    config = made.get_distribution(Id=summary["Id"])["Distribution"]["DistributionConfig"]
    hello, edge = config["CacheBehaviors"]["Items"]
    data = client("cloudfront-keyvaluestore", endpoint.url)
    arn = made.describe_key_value_store(Name="greetings")["KeyValueStore"]["ARN"]
    live = made.describe_function(Name="lookup", Stage="LIVE")["FunctionSummary"]

    assert code == 0
    assert f"Domain: {summary['DomainName']}" in out
    assert again[0] == 0
    assert "nothing to do" in again[1]
    assert set(actions(say).values()) == {"leave alone"}
    assert out.index("test    Lookup") < out.index("publish Lookup") < out.index("wait ")
    assert data.describe_key_value_store(KvsARN=arn)["ItemCount"] == 60
    associated = live["FunctionConfig"]["KeyValueStoreAssociations"]["Items"]
    assert associated == [{"KeyValueStoreARN": arn}]
    lambda_arn = edge["LambdaFunctionAssociations"]["Items"][0]["LambdaFunctionARN"]
    assert lambda_arn == "arn:aws:lambda:us-east-1:123456789012:function:edge:1"
    assert hello["AllowedMethods"]["CachedMethods"]["Quantity"] == 2
    assert config["Origins"]["Items"][1]["DomainName"] == "bodies.s3.us-east-1.amazonaws.com"

    code, out, _ = say("destroy", "--yes")

    assert code == 0
    assert "nothing is left of it" in out
    assert made.list_distributions()["DistributionList"]["Quantity"] == 0
    assert made.list_functions()["FunctionList"]["Quantity"] == 0
    assert made.list_key_value_stores()["KeyValueStoreList"]["Quantity"] == 0
    assert made.list_cache_policies(Type="custom")["CachePolicyList"]["Quantity"] == 0
    assert made.list_origin_access_controls()["OriginAccessControlList"]["Quantity"] == 0
    assert client("lambda", endpoint.url).list_functions()["Functions"] == []
    assert client("iam", endpoint.url).list_roles()["Roles"] == []
    assert say("destroy", "--yes")[1].endswith("has made nothing in 123456789012\n")


def test_a_change_is_shown_then_made_then_taken_back(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """Code of both kinds, a policy and a behavior; rollback gives viewers what they got before."""
    say("deploy")
    made = cloudfront(endpoint)
    (summary,) = made.list_distributions()["DistributionList"]["Items"]
    first = made.get_distribution(Id=summary["Id"])["Distribution"]["DistributionConfig"]
    document = template()
    config_of(document)["DefaultCacheBehavior"]["Compress"] = False
    config_of(document)["CacheBehaviors"][1]["PathPattern"] = "/other/*.html"
    caching = document["Resources"]["Caching"]["Properties"]["CachePolicyConfig"]
    caching["DefaultTTL"] = 60
    write_template(folder, document)
    (folder / "lookup.js").write_text(LOOKUP.replace("'OK'", "'Fine'"))
    (folder / "edge/handler.py").write_text(
        (folder / "edge/handler.py").read_text() + "# another\n"
    )

    code, out, _ = say("deploy", "--plan")
    assert code == 0
    assert "DefaultTTL: 3600 -> 60" in out
    assert "+        return { statusCode: 200, statusDescription: 'Fine'" in out
    assert "Published anew; 1 stays" in out
    assert "invalidates /other/* /hello/* /* " not in out
    assert "invalidates /*" in out
    assert say("deploy")[0] == 0
    second = made.get_distribution(Id=summary["Id"])["Distribution"]["DistributionConfig"]
    patterns = [one["PathPattern"] for one in second["CacheBehaviors"]["Items"]]
    assert patterns == ["/hello/*", "/other/*.html"]
    associated = second["CacheBehaviors"]["Items"][1]["LambdaFunctionAssociations"]["Items"]
    assert associated[0]["LambdaFunctionARN"].endswith(":2")
    assert second["DefaultCacheBehavior"]["Compress"] is False
    assert endpoint.invalidated == [(summary["Id"], ("/*",))]

    code, out, _ = say("rollback")
    assert code == 0
    assert "viewers get revision 1" in out
    third = made.get_distribution(Id=summary["Id"])["Distribution"]["DistributionConfig"]
    assert third == first
    live = made.get_function(Name="lookup", Stage="LIVE")["FunctionCode"].read().decode()
    assert live == LOOKUP
    policy = first["DefaultCacheBehavior"]["CachePolicyId"]
    ttl = made.get_cache_policy_config(Id=policy)["CachePolicyConfig"]["DefaultTTL"]
    assert ttl == 3600
    assert len(endpoint.invalidated) == 2
    code, _, complaint = say("rollback")
    assert code == 2
    assert "no revision before this one" in complaint
    assert say("rollback", "--to", "2")[0] == 0
    assert actions(say)["Lookup"] == "leave alone"


def test_a_function_that_fails_its_test_stops_before_anything_is_live(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """The new code fails TestFunction: viewers keep the old one, and the old distribution."""
    say("deploy")
    made = cloudfront(endpoint)
    (summary,) = made.list_distributions()["DistributionList"]["Items"]
    before = made.get_distribution(Id=summary["Id"])
    document = template()
    config_of(document)["Comment"] = "another"
    write_template(folder, document)
    (folder / "lookup.js").write_text("function handler(event) { return event.nothing.there; }")

    code, _, complaint = say("deploy")

    assert code == 2
    assert "fails TestFunction for viewer-request of /hello/" in complaint
    assert "Nothing is live yet" in complaint
    live = made.get_function(Name="lookup", Stage="LIVE")["FunctionCode"].read().decode()
    assert live == LOOKUP
    assert made.get_distribution(Id=summary["Id"])["ETag"] == before["ETag"]
    (folder / "lookup.js").write_text(LOOKUP)
    assert say("deploy")[0] == 0
    assert set(actions(say).values()) == {"leave alone"}


def test_what_somebody_else_made_is_not_touched(say: Say, endpoint: Endpoint) -> None:
    """A function of the same name stops the deployment; destroy leaves it alone."""
    made = cloudfront(endpoint)
    made.create_function(
        Name="lookup",
        FunctionConfig={"Comment": "theirs", "Runtime": "cloudfront-js-2.0"},
        FunctionCode=b"function handler(event) { return event.request; }",
    )

    for words in (("deploy", "--plan"), ("deploy",)):
        code, _, complaint = say(*words)
        assert code == 2
        assert "lookup is there already, and this deployment did not make it" in complaint
    assert say("destroy", "--yes")[0] == 0
    assert (
        made.describe_function(Name="lookup")["FunctionSummary"]["FunctionConfig"]["Comment"]
        == "theirs"
    )


def test_a_distribution_that_is_there_keeps_what_is_not_ours(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """--distribution: their origin, behavior and alias stay through deploy, change and destroy."""
    made = cloudfront(endpoint)
    theirs = {
        "CallerReference": "theirs",
        "Comment": "theirs",
        "Enabled": True,
        "Aliases": {"Quantity": 1, "Items": ["www.example.com"]},
        "Origins": {
            "Quantity": 1,
            "Items": [
                {
                    "Id": "old",
                    "DomainName": "old.example.com",
                    "CustomOriginConfig": {
                        "HTTPPort": 80,
                        "HTTPSPort": 443,
                        "OriginProtocolPolicy": "https-only",
                    },
                }
            ],
        },
        "CacheBehaviors": {
            "Quantity": 1,
            "Items": [
                {
                    "PathPattern": "/old/*",
                    "TargetOriginId": "old",
                    "ViewerProtocolPolicy": "https-only",
                    "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                }
            ],
        },
        "DefaultCacheBehavior": {
            "TargetOriginId": "old",
            "ViewerProtocolPolicy": "https-only",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
        },
    }
    identity = made.create_distribution(DistributionConfig=theirs)["Distribution"]["Id"]
    original = made.get_distribution_config(Id=identity)["DistributionConfig"]

    code, out, _ = say("deploy", "--distribution", identity)
    assert code == 0, out
    config = made.get_distribution_config(Id=identity)["DistributionConfig"]
    assert [one["Id"] for one in config["Origins"]["Items"]] == ["Api", "Bodies", "old"]
    patterns = [one["PathPattern"] for one in config["CacheBehaviors"]["Items"]]
    assert patterns == ["/hello/*", "/lambda/*", "/old/*"]
    assert config["Aliases"]["Items"] == ["www.example.com"]
    assert config["DefaultCacheBehavior"]["TargetOriginId"] == "Api"
    assert set(actions(say).values()) == {"leave alone"}

    document = template()
    del config_of(document)["CacheBehaviors"][1]
    for gone in ("Edge", "EdgeVersion", "Role"):
        del document["Resources"][gone]
    write_template(folder, document)
    code, out, _ = say("deploy")
    assert code == 0, out
    config = made.get_distribution_config(Id=identity)["DistributionConfig"]
    patterns = [one["PathPattern"] for one in config["CacheBehaviors"]["Items"]]
    assert patterns == ["/hello/*", "/old/*"]
    assert actions(say)["Edge"] == "leave alone"
    config_of(document)["CacheBehaviors"][0]["Compress"] = True
    write_template(folder, document)
    assert say("deploy")[0] == 0
    assert client("lambda", endpoint.url).list_functions()["Functions"] == []

    code, out, _ = say("destroy", "--yes")
    assert code == 0, out
    assert made.get_distribution_config(Id=identity)["DistributionConfig"] == original


def test_a_rename_makes_another_and_deletes_the_old_one(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """A store's name cannot change: a new store, the function moved to it, the old one goes."""
    say("deploy")
    document = template()
    document["Resources"]["Store"]["Properties"]["Name"] = "greetings-2"
    write_template(folder, document)

    def stores() -> list[str]:
        listed = cloudfront(endpoint).list_key_value_stores()["KeyValueStoreList"]["Items"]
        return [store["Name"] for store in listed]

    planned = actions(say)
    code, out, _ = say("deploy")
    assert planned["Store"] == "replace"
    assert code == 0, out
    assert stores() == ["greetings", "greetings-2"]
    assert set(actions(say).values()) == {"leave alone"}
    assert "kept for localpop rollback" in say("deploy", "--plan")[1]

    config_of(document)["Comment"] = "another"
    write_template(folder, document)
    assert actions(say)["Store (of revision 1)"] == "delete"
    assert say("deploy")[0] == 0
    assert stores() == ["greetings-2"]
    code, _, complaint = say("rollback", "--to", "1")
    assert code == 2
    assert "needs what has been deleted since: greetings" in complaint


def test_a_rename_and_back_again(say: Say, endpoint: Endpoint, folder: Path) -> None:
    """The store that was kept for the way back takes its place again, with its keys."""
    say("deploy")
    document = template()
    document["Resources"]["Store"]["Properties"]["Name"] = "greetings-2"
    write_template(folder, document)
    assert say("deploy")[0] == 0
    write_template(folder, template())

    code, out, _ = say("deploy")

    assert code == 0, out
    made = cloudfront(endpoint)
    live = made.describe_function(Name="lookup", Stage="LIVE")["FunctionSummary"]
    (associated,) = live["FunctionConfig"]["KeyValueStoreAssociations"]["Items"]
    arn = made.describe_key_value_store(Name="greetings")["KeyValueStore"]["ARN"]
    assert associated["KeyValueStoreARN"] == arn
    assert set(actions(say).values()) == {"leave alone"}


def test_what_was_changed_by_hand_is_seen_and_set_right(say: Say, endpoint: Endpoint) -> None:
    """Drift in the distribution and the role shows in the plan, and goes with the next deploy."""
    say("deploy")
    made = cloudfront(endpoint)
    (summary,) = made.list_distributions()["DistributionList"]["Items"]
    found = made.get_distribution_config(Id=summary["Id"])
    config = found["DistributionConfig"]
    config["Comment"] = "by hand"
    made.update_distribution(Id=summary["Id"], IfMatch=found["ETag"], DistributionConfig=config)
    iam = client("iam", endpoint.url)
    iam.delete_role_policy(RoleName="small-Role", PolicyName="Read")

    planned = actions(say)
    code, _, _ = say("deploy")

    assert (planned["Distribution"], planned["Role"], planned["Lookup"]) == (
        "change",
        "change",
        "leave alone",
    )
    assert code == 0
    assert iam.list_role_policies(RoleName="small-Role")["PolicyNames"] == ["Read"]
    now = made.get_distribution_config(Id=summary["Id"])["DistributionConfig"]
    assert now["Comment"] == "small"


def test_without_its_ledger_nothing_is_taken_for_its_own_by_name_alone(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """What has tags is known again; a policy has none, so localpop does not take it for its own."""
    say("deploy")
    (ledger,) = (folder / ".localpop/deployments").glob("*.json")
    ledger.unlink()

    code, _, complaint = say("deploy", "--plan")

    assert code == 2
    assert "an-hour is there already" in complaint


def test_an_account_that_has_forgotten_is_filled_again(say: Say, endpoint: Endpoint) -> None:
    """After `localpop reset` the ledger's ids are nobody's: everything is made anew, and said."""
    say("deploy")
    url = f"{endpoint.url.replace('local@', '')}/_localpop/reset"
    urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"), timeout=10).close()

    code, out, _ = say("deploy", "--plan")
    assert code == 0
    assert "which was made before, is gone" in out
    assert say("deploy")[0] == 0
    assert set(actions(say).values()) == {"leave alone"}
    made = cloudfront(endpoint)
    arn = made.describe_key_value_store(Name="greetings")["KeyValueStore"]["ARN"]
    data = client("cloudfront-keyvaluestore", endpoint.url)
    assert data.describe_key_value_store(KvsARN=arn)["ItemCount"] == 60


def test_what_aws_would_refuse_half_way_is_refused_before_the_first_call(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """A CloudFront Function at an origin event; --force lets AWS say so itself."""
    document = template()
    behavior = config_of(document)["CacheBehaviors"][0]
    behavior["FunctionAssociations"][0]["EventType"] = "origin-request"
    write_template(folder, document)

    code, _, complaint = say("deploy")
    assert code == 2
    assert "'origin-request' is no event of a CloudFront Function" in complaint
    assert cloudfront(endpoint).list_functions()["FunctionList"]["Quantity"] == 0
    code, out, complaint = say("deploy", "--force")
    assert code == 2
    assert "warning: 'origin-request' is no event" in out
    assert "TestFunction was answered InvalidArgument" in complaint
    assert cloudfront(endpoint).list_functions(Stage="LIVE")["FunctionList"]["Quantity"] == 0


def test_answers_that_help(
    say: Say, folder: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong words are refused with the words that would do."""
    assert "--parameter 'Origin' has no value" in say("deploy", "--parameter", "Origin")[2]
    assert "It has: Origin, Protocol" in say("deploy", "--parameter", "Orign=x")[2]
    assert "There is no distribution E123" in say("deploy", "--distribution", "E123")[2]
    say("deploy")
    code, _, complaint = say("destroy")
    assert (code, "Say so with --yes" in complaint) == (2, True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "Is it running" in say("deploy", "--plan")[2]


def test_parameters_stay_as_they_were_last_said(say: Say, endpoint: Endpoint) -> None:
    """As with CloudFormation: said once, they hold until said otherwise."""
    say("deploy", "--parameter", "Protocol=https-only")
    assert set(actions(say).values()) == {"leave alone"}
    made = cloudfront(endpoint)
    (summary,) = made.list_distributions()["DistributionList"]["Items"]
    assert summary["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "https-only"


def test_nothing_secret_is_written(say: Say, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger and what is printed hold no key of the caller's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-very-secret-key-of-the-caller")
    _, out, err = say("deploy")
    texts = [file.read_text() for file in (folder / ".localpop/deployments").iterdir()]

    for text in (out, err, *texts):
        assert "AKIAEXAMPLE" not in text
        assert "very-secret" not in text


def test_a_key_is_replaced_and_its_group_follows(
    say: Say, endpoint: Endpoint, folder: Path
) -> None:
    """AWS changes no public key: another one is made, and the old one goes a deployment later."""
    document = template()
    key = {"CallerReference": "1", "Name": "key-1", "EncodedKey": "one"}
    resources = document["Resources"]
    resources["Key"] = {
        "Type": "AWS::CloudFront::PublicKey",
        "Properties": {"PublicKeyConfig": key},
    }
    resources["Group"] = {
        "Type": "AWS::CloudFront::KeyGroup",
        "Properties": {"KeyGroupConfig": {"Name": "group", "Items": [{"Ref": "Key"}]}},
    }
    config_of(document)["CacheBehaviors"][0]["TrustedKeyGroups"] = [{"Ref": "Group"}]
    write_template(folder, document)
    assert say("deploy")[0] == 0
    made = cloudfront(endpoint)
    (first,) = made.list_public_keys()["PublicKeyList"]["Items"]
    key |= {"CallerReference": "2", "Name": "key-2", "EncodedKey": "two"}
    write_template(folder, document)

    planned = actions(say)
    code, out, _ = say("deploy")

    assert (planned["Key"], planned["Group"]) == ("replace", "change")
    assert code == 0, out
    (group,) = made.list_key_groups()["KeyGroupList"]["Items"]
    keys = {one["Name"]: one["Id"] for one in made.list_public_keys()["PublicKeyList"]["Items"]}
    assert group["KeyGroup"]["KeyGroupConfig"]["Items"] == [keys["key-2"]]
    assert keys["key-1"] == first["Id"]
    assert say("rollback")[0] == 0
    (group,) = made.list_key_groups()["KeyGroupList"]["Items"]
    assert group["KeyGroup"]["KeyGroupConfig"]["Items"] == [first["Id"]]
    key |= {"CallerReference": "1", "Name": "key-1", "EncodedKey": "one"}
    write_template(folder, document)
    assert say("deploy")[0] == 0
    assert set(actions(say).values()) == {"leave alone"}
    assert say("destroy", "--yes")[0] == 0
    assert made.list_public_keys()["PublicKeyList"]["Quantity"] == 0


def test_the_rest_is_a_template_for_cloudformation(
    say: Say, folder: Path, endpoint: Endpoint
) -> None:
    """What is deployed stands in its parameters; cfn-lint has nothing to say."""
    document = template()
    document["Resources"]["Policy"] = {
        "Type": "AWS::S3::BucketPolicy",
        "DependsOn": "Distribution",
        "Properties": {
            "Bucket": {"Ref": "Bucket"},
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudfront.amazonaws.com"},
                        "Action": "s3:GetObject",
                        "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                        "Condition": {
                            "StringEquals": {
                                "AWS:SourceArn": {
                                    "Fn::Sub": "arn:aws:cloudfront::${AWS::AccountId}:"
                                    "distribution/${Distribution}"
                                }
                            }
                        },
                    }
                ],
            },
        },
    }
    document["Resources"]["Bucket"] = {"Type": "AWS::S3::Bucket"}
    document["Outputs"]["Store"] = {"Value": {"Fn::GetAtt": "Store.Arn"}}
    write_template(folder, document)

    early = say("deploy", "--rest", "build")
    assert say("deploy", "--value", "Bucket=my-bodies")[0] == 0
    code, out, _ = say("deploy", "--rest", "build")
    rest = yaml.safe_load((folder / "build/rest.yaml").read_text())
    (made,) = cloudfront(endpoint).list_distributions()["DistributionList"]["Items"]
    linted = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "build/rest.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert early[0] == 2
    assert code == 0
    assert "aws cloudformation deploy --template-file build/rest.yaml --stack-name small" in out
    assert set(rest["Resources"]) == {"Bucket", "Policy"}
    assert rest["Resources"]["Bucket"]["Properties"] == {"BucketName": "my-bodies"}
    assert "DependsOn" not in rest["Resources"]["Policy"]
    assert rest["Parameters"]["Distribution"]["Default"] == made["Id"]
    assert rest["Parameters"]["StoreArn"]["Default"].startswith("arn:aws:cloudfront::")
    assert rest["Outputs"]["Store"]["Value"] == {"Ref": "StoreArn"}
    assert set(rest["Parameters"]) == {"Distribution", "DistributionDomainName", "StoreArn"}
    assert (linted.returncode, linted.stdout) == (0, "")
