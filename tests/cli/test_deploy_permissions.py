"""What `localpop deploy` and its kin call is what `localpop policy --deployer` allows."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from emulator.cli.main import run
from tests.aws.endpoint import Options, running_endpoint
from tests.deploy.small_project import config_of, template, write_project, write_template

ACCOUNT = "123456789012"
# IAM asks for no right for it.
FREE = {"sts:GetCallerIdentity"}
# What an operation needs beside the action of its own name.
BESIDE = {
    "cloudfront:CreateDistributionWithTags": [
        "cloudfront:CreateDistribution",
        "cloudfront:TagResource",
    ],
}
Call = tuple[str, str, str]


def resource_of(service: str, given: dict[str, Any]) -> str:
    """The ARN that a call is about, as far as its input names it."""
    if "FunctionName" in given:
        name = str(given["FunctionName"]).rpartition(":function:")[2]
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    if "RoleName" in given:
        return f"arn:aws:iam::{ACCOUNT}:role/{given['RoleName']}"
    return str(given.get("KvsARN") or given.get("Resource") or "")


def allows(policy: dict[str, Any], action: str, resource: str) -> bool:
    """Whether a statement allows an action on a resource; an unknown resource is any."""
    return any(
        any(fnmatch.fnmatchcase(action, one) for one in statement["Action"])
        and (
            not resource or any(fnmatch.fnmatchcase(resource, one) for one in statement["Resource"])
        )
        for statement in policy["Statement"]
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Every call that boto3 makes: service, operation, resource."""
    made: list[Call] = []
    original = BaseClient._make_api_call

    def recording(self: Any, operation: str, given: dict[str, Any]) -> Any:
        service = self.meta.service_model.service_name
        resource = resource_of(service, given)
        # Old operations carry their API's version in their name.
        if "Role" in given:
            made.append(("iam", "PassRole", given["Role"]))
        made.append((service, re.sub(r"\d{4}_?\d\d_?\d\d(v2)?$", "", operation), resource))
        return original(self, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", recording)
    return made


def test_the_deployer_needs_no_more_than_its_policy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    calls: list[Call],
) -> None:
    """Deploy, change, roll back, sync keys and destroy: each call is allowed on its resource."""
    folder = write_project(tmp_path / "small")
    monkeypatch.chdir(folder)
    (tmp_path / "account").mkdir()
    assert run(["policy", "--deployer", "--account", ACCOUNT]) == 0
    policy = json.loads(capsys.readouterr().out)
    with running_endpoint(tmp_path / "account/stores.sqlite", Options(control=True)) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        assert run(["deploy"]) == 0
        document = template()
        config_of(document)["Comment"] = "another"
        document["Resources"]["Store"]["Properties"]["Comment"] = "second"
        caching = document["Resources"]["Caching"]["Properties"]["CachePolicyConfig"]
        caching["DefaultTTL"] = 60
        write_template(folder, document)
        handler = folder / "edge/handler.py"
        handler.write_text(handler.read_text() + "# another\n")
        assert run(["deploy"]) == 0
        assert run(["rollback", "--yes"]) == 0
        assert run(["kvs", "sync", "seed.json", "--delete"]) == 0
        assert run(["destroy", "--yes"]) == 0
    asked = {
        (action, resource)
        for service, operation, resource in calls
        for action in BESIDE.get(f"{service}:{operation}", [f"{service}:{operation}"])
    }

    assert len(asked) > 30
    assert sorted(one for one in asked if not allows(policy, *one) and one[0] not in FREE) == []


def test_another_name_is_not_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy is narrow: other functions and roles of the account are out of its reach."""
    monkeypatch.chdir(write_project(tmp_path / "small"))
    assert run(["policy", "--deployer", "--account", ACCOUNT, "--stack", "shop"]) == 0
    policy = json.loads(capsys.readouterr().out)
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function"

    assert allows(policy, "lambda:UpdateFunctionCode", f"{function}:edge")
    assert not allows(policy, "lambda:UpdateFunctionCode", f"{function}:other")
    assert allows(policy, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/shop-Role")
    assert not allows(policy, "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/Admin")
    assert not allows(policy, "lambda:InvokeFunction", f"{function}:edge")
    assert not allows(policy, "iam:CreateUser", "")
