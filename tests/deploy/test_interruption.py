"""A deployment that is killed after each of its steps ends where an undisturbed one does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.cli import main
from tests.app.running import ROOT
from tests.aws.endpoint import Endpoint, client
from tests.deploy.accounts import account
from tests.deploy.small_project import (
    LOOKUP,
    config_of,
    template,
    write_project,
    write_template,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


MAKING = {
    "CreateKeyValueStore",
    "UpdateKeys",
    "CreateRole",
    "AttachRolePolicy",
    "PutRolePolicy",
    "CreateFunction",
    "PublishVersion",
    "CreateCachePolicy",
    "CreateOriginAccessControl",
    "PublishFunction",
    "CreateDistributionWithTags",
}
CHANGING = {
    "UpdateKeyValueStore",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "PublishVersion",
    "UpdateFunction",
    "PublishFunction",
    "UpdateCachePolicy",
    "UpdateDistribution",
    "CreateInvalidation",
}
BACK = {"UpdateFunction", "PublishFunction", "UpdateCachePolicy", "UpdateDistribution"}
GOING = {"UpdateDistribution", "DeleteDistribution", "DeleteKeyValueStore", "DeleteRole"}


class Killed:
    """Commands whose processes are killed after each call that changes the account."""

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("interrupting.py")),
                folder,
                folder / "seen",
            ],
            cwd=ROOT,
            env={**os.environ, "AWS_ENDPOINT_URL": endpoint.url, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> list[str]:
        """Run a command to its end; the calls after which it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            said.append(line)
            if line.startswith('{"code"'):
                outcome = json.loads(line)
                assert outcome["code"] == 0, "".join(said)
                killed: list[str] = outcome["killed"]
                return killed
        raise AssertionError("".join(said))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def change(folder: Path) -> None:
    """Another version of the project, with a change of every kind."""
    document = template()
    resources = document["Resources"]
    config = config_of(document)
    config["Comment"] = "second"
    config["CacheBehaviors"][1]["PathPattern"] = "/other/*"
    resources["Caching"]["Properties"]["CachePolicyConfig"]["DefaultTTL"] = 60
    resources["Store"]["Properties"]["Comment"] = "second"
    resources["Edge"]["Properties"]["Timeout"] = 4
    resources["Role"]["Properties"]["Policies"][0]["PolicyName"] = "ReadKeys"
    del resources["Access"]
    del config["Origins"][1]
    write_template(folder, document)
    (folder / "lookup.js").write_text(LOOKUP.replace("'OK'", "'Fine'"))
    handler = folder / "edge/handler.py"
    handler.write_text(handler.read_text() + "# another\n")


def state_of(endpoint: Endpoint) -> Any:
    """Everything in an account, with names in place of ids and without times."""
    cloudfront = client("cloudfront", endpoint.url)
    lambdas, iam = client("lambda", endpoint.url), client("iam", endpoint.url)
    data = client("cloudfront-keyvaluestore", endpoint.url)
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for store in cloudfront.list_key_value_stores()["KeyValueStoreList"].get("Items") or []:
        pages = data.get_paginator("list_keys").paginate(KvsARN=store["ARN"])
        keys = {one["Key"]: one["Value"] for page in pages for one in page["Items"]}
        found[f"store {store['Name']}"] = [store["Comment"], keys]
    for function in cloudfront.list_functions()["FunctionList"].get("Items") or []:
        stage = function["FunctionMetadata"]["Stage"]
        code = cloudfront.get_function(Name=function["Name"], Stage=stage)["FunctionCode"].read()
        name = f"function {function['Name']} {stage}"
        found[name] = [function["FunctionConfig"], function["Status"], code.decode()]
    listed = cloudfront.list_cache_policies(Type="custom")["CachePolicyList"]
    for item in listed.get("Items") or []:
        config = item["CachePolicy"]["CachePolicyConfig"]
        names[item["CachePolicy"]["Id"]] = config["Name"]
        found[f"policy {config['Name']}"] = config
    access = cloudfront.list_origin_access_controls()["OriginAccessControlList"]
    for item in access.get("Items") or []:
        names[item["Id"]] = item["Name"]
        found[f"access {item['Name']}"] = item["SigningBehavior"]
    for function in lambdas.list_functions()["Functions"]:
        versions = lambdas.list_versions_by_function(FunctionName=function["FunctionName"])
        found[f"lambda {function['FunctionName']}"] = [
            [one["Version"], one["CodeSha256"], one["Timeout"], one["Role"]]
            for one in versions["Versions"]
        ]
    for role in iam.list_roles()["Roles"]:
        inline = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
        found[f"role {role['RoleName']}"] = [inline, attached]
    listed = cloudfront.list_distributions()["DistributionList"]
    for number, item in enumerate(listed.get("Items") or []):
        config = cloudfront.get_distribution_config(Id=item["Id"])["DistributionConfig"]
        del config["CallerReference"]
        found[f"distribution {number}"] = config
    text = json.dumps(found, sort_keys=True, indent=1)
    for identity, name in names.items():
        text = text.replace(identity, name)
    return json.loads(re.sub(r"key-value-store/[0-9a-f-]{36}", "key-value-store/…", text))


def test_killed_after_each_step_and_done_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making, changing, taking back, destroying: after each call the process dies, and goes on."""
    states: list[list[Any]] = []
    for name in ("undisturbed", "killed"):
        folder = write_project(tmp_path / name / "small")
        with account(tmp_path / name / "account") as endpoint:
            killed = Killed(folder, endpoint) if name == "killed" else None
            monkeypatch.chdir(folder)
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)

            def run(*words: str, killed: Killed | None = killed) -> list[str]:
                if killed is not None:
                    return killed.run(*words)
                assert main.run(words) == 0
                return []

            try:
                seen = [run("deploy")]
                after = [state_of(endpoint)]
                change(folder)
                seen.append(run("deploy"))
                after.append(state_of(endpoint))
                seen.append(run("rollback"))
                after.append(state_of(endpoint))
                seen.append(run("destroy", "--yes"))
                after.append(state_of(endpoint))
            finally:
                if killed is not None:
                    killed.close()
        states.append(after)

    undisturbed, interrupted = states
    for number, what in enumerate(("made", "changed", "back", "gone")):
        assert interrupted[number] == undisturbed[number], what
    assert interrupted[3] == {}
    made, changed, back, gone = seen
    for calls, expected in ((made, MAKING), (changed, CHANGING), (back, BACK), (gone, GOING)):
        assert expected <= set(calls)
