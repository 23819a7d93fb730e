from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.app.deployment import Wanted, deployment, ledger_of
from emulator.deploy.destroy import Destruction
from emulator.deploy.ledger import Ledger, ledger_file, locked, open_ledger
from emulator.deploy.target import Target
from emulator.errors import ConfigError
from emulator.project.local import read_local
from tests.aws.cloudfront.shapes import distribution, listed
from tests.aws.endpoint import Endpoint, Options, client
from tests.deploy.accounts import account
from tests.deploy.small_project import config_of, template, write_project, write_template


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    """An account whose distributions and stores take a moment, as at AWS."""
    options = Options(control=True, deployment_ms=250.0)
    with account(tmp_path / "account", options) as running:
        yield running


@pytest.fixture
def target(endpoint: Endpoint) -> Iterator[Target]:
    """The account."""
    target = Target(endpoint.url)
    target.identify()
    yield target
    target.close()


def deploy(folder: Path, target: Target) -> list[str]:
    """Deploy the small project; what it said."""
    said: list[str] = []
    with deployment(read_local(folder), target, Wanted(), said.append) as one:
        one.deploy()
    return said


def elsewhere(endpoint: Endpoint) -> Any:
    """Somebody else's distribution that runs our function: Lambda keeps its replicas."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:edge:1"
    associated = listed({"LambdaFunctionARN": arn, "EventType": "viewer-request"})
    config = distribution("theirs", LambdaFunctionAssociations=associated)
    cloudfront = client("cloudfront", endpoint.url)
    made = cloudfront.create_distribution(DistributionConfig=config)

    def let_go() -> None:
        found = cloudfront.get_distribution_config(Id=made["Distribution"]["Id"])
        config = found["DistributionConfig"]
        config["DefaultCacheBehavior"]["LambdaFunctionAssociations"] = {"Quantity": 0}
        cloudfront.update_distribution(
            Id=made["Distribution"]["Id"], IfMatch=found["ETag"], DistributionConfig=config
        )

    return let_go


def test_replicas_that_are_left_are_taken_away_another_time(
    tmp_path: Path, endpoint: Endpoint, target: Target
) -> None:
    """The function and its role stay with the ledger; the next destroy takes them."""
    folder = write_project(tmp_path / "small")
    said = deploy(folder, target)
    let_go = elsewhere(endpoint)
    settings = read_local(folder)

    with ledger_of(settings, target, "") as ledger:
        late = Destruction(target, ledger, said.append).destroy()
    left = open_ledger(settings.state, "small", target.account)

    assert any("until it is deployed" in line for line in said)
    assert any("is InProgress" in line for line in said)
    assert "still has replicas of edge" in late
    assert set(left.resources) == {"Edge", "Role"}
    let_go()
    with ledger_of(settings, target, "") as ledger:
        assert Destruction(target, ledger, said.append).destroy() == ""
    assert not ledger_file(settings.state, "small", target.account).exists()
    assert client("lambda", endpoint.url).list_functions()["Functions"] == []


def test_a_function_that_the_template_drops_keeps_its_role_as_long_as_its_replicas(
    tmp_path: Path, endpoint: Endpoint, target: Target
) -> None:
    """The deployment that would delete both leaves both; a later one takes them away."""
    folder = write_project(tmp_path / "small")
    deploy(folder, target)
    let_go = elsewhere(endpoint)
    document = template()
    for name in ("Role", "Edge", "EdgeVersion"):
        del document["Resources"][name]
    config_of(document)["CacheBehaviors"] = []
    write_template(folder, document)
    deploy(folder, target)
    config_of(document)["Comment"] = "third"
    write_template(folder, document)
    said = deploy(folder, target)
    left = open_ledger(read_local(folder).state, "small", target.account)
    let_go()
    deploy(folder, target)

    assert any("still has replicas of edge" in line for line in said)
    assert {"Edge", "Role"} <= set(left.resources)
    assert client("lambda", endpoint.url).list_functions()["Functions"] == []
    assert client("iam", endpoint.url).list_roles()["Roles"] == []


def test_whoever_waits_gets_it_all_at_once(
    tmp_path: Path, endpoint: Endpoint, target: Target
) -> None:
    """--wait asks again every five minutes until AWS has taken the replicas away."""
    folder = write_project(tmp_path / "small")
    deploy(folder, target)
    let_go = elsewhere(endpoint)
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if seconds >= 300:
            let_go()
        else:
            time.sleep(seconds)

    with ledger_of(read_local(folder), target, "") as ledger:
        target.pause = pause
        late = Destruction(target, ledger, lambda line: None, waits=True).destroy()

    assert late == ""
    assert 300.0 in waited


def test_two_at_once_are_told_apart(tmp_path: Path) -> None:
    """The second says that the first is at work."""
    file = ledger_file(tmp_path, "small", "123456789012")

    with (
        locked(file),
        pytest.raises(ConfigError, match="Another localpop is deploying"),
        locked(file),
    ):
        pass


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_damaged_ledger_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    """Never taken for an empty one: that would make everything a second time."""
    file = ledger_file(tmp_path, "small", "1")
    file.parent.mkdir(parents=True)
    file.write_text(text)

    with pytest.raises(ConfigError):
        open_ledger(tmp_path, "small", "1")


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And the twenty newest revisions are kept."""
    from emulator.deploy.ledger import Entry, Revision

    ledger = Ledger(tmp_path / "one.json", "small", "1", "http://e", {"A": "b"}, {"C.d": "e"})
    ledger.resources["Store"] = Entry("T", "name", "id", wanted={"a": [1]}, done=["keys"])
    for number in range(25):
        ledger.add_revision(Revision(number, 1.5, "deploy", functions={"F": {"code": "é"}}))
    ledger.save()
    (tmp_path / "deployments").mkdir()
    ledger.file.rename(ledger_file(tmp_path, "small", "1"))

    again = open_ledger(tmp_path, "small", "1")

    assert again.resources == ledger.resources
    assert again.revisions == ledger.revisions
    assert [one.number for one in again.revisions] == [0, *range(5, 25)]
    assert (again.current, again.parameters) == (24, {"A": "b"})
