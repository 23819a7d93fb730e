"""Roles, functions and versions against plain moto, which is nobody's of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.app.deployment import packager
from emulator.deploy.deployment import Kinds
from emulator.deploy.desired import LAMBDA, ROLE, VERSION, Template
from emulator.deploy.ledger import Entry
from emulator.deploy.target import Target
from emulator.errors import ConfigError
from emulator.project.local import Answers
from emulator.project.stacks import read_stacks
from emulator.project.template import inspect_templates
from tests.deploy.small_project import write_project


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """A moto server, as its users start it."""
    from moto.core.config import default_user_config
    from moto.server import ThreadedMotoServer

    default_user_config["iam"]["load_aws_managed_policies"] = True
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def kinds(moto_url: str, tmp_path: Path) -> Iterator[Kinds]:
    """The ways of an account at moto."""
    import urllib.request

    reset = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()
    target = Target(moto_url, pause=lambda seconds: None, poll_s=0.01)
    target.identify()
    yield Kinds(target, "small", packager(tmp_path / "out", lambda line: None))
    target.close()


@pytest.fixture
def template(tmp_path: Path) -> Template:
    """The small project, whose store is known."""
    file = write_project(tmp_path / "small") / "template.json"
    declared = inspect_templates(file, Answers()).declared
    made = Template(read_stacks([file], {}).stacks, declared, "small", "123456789012")
    made.know("Store", {"Arn": "arn:aws:cloudfront::123456789012:key-value-store/one"})
    return made


def make(kinds: Kinds, template: Template, kind: str, pause: Any = None) -> Any:
    """Make the one resource of a type; its desired and its actual state."""
    (one,) = template.of(kind)
    desired = kinds.of(kind).desire(template, one)
    actual = kinds.of(kind).create(desired, Entry(kind))
    template.know(one.key, actual.attributes)
    return desired, actual


def test_made_read_changed_and_deleted(kinds: Kinds, template: Template) -> None:
    """What is made says what it shall; what is changed does again; what is deleted is gone."""
    role, made_role = make(kinds, template, ROLE)
    function, made = make(kinds, template, LAMBDA)
    _, published = make(kinds, template, VERSION)

    assert list(kinds.roles.changes(role, made_role, Entry(ROLE))) == []
    assert list(kinds.lambdas.changes(function, made, Entry(LAMBDA))) == []
    assert published.id.endswith(":edge:1")
    found = kinds.lambdas.find(function, None)
    assert found is not None
    assert found.belongs_to(function)

    longer = replace(function, properties={**function.properties, "Timeout": 9})
    changed = kinds.lambdas.change(longer, made, Entry(LAMBDA))
    assert changed.properties["Timeout"] == 9
    (document,) = role.properties["Policies"].values()
    policies = {**role.properties, "Policies": {"Other": document}}
    other = kinds.roles.change(replace(role, properties=policies), made_role, Entry(ROLE))
    assert list(other.properties["Policies"]) == ["Other"]

    kinds.lambdas.delete("edge")
    kinds.roles.delete("small-Role")
    assert kinds.lambdas.read("edge") is None
    assert kinds.roles.read("small-Role") is None
    kinds.lambdas.delete("edge")
    kinds.roles.delete("small-Role")


def test_a_role_that_lambda_does_not_know_yet_is_waited_for(
    kinds: Kinds, template: Template
) -> None:
    """AWS answers InvalidParameterValueException until it does; so does moto."""
    template.know("Role", {"Arn": "arn:aws:iam::123456789012:role/small-Role"})
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            (role,) = template.of(ROLE)
            kinds.roles.create(kinds.roles.desire(template, role), Entry(ROLE))

    kinds.target.pause = pause
    _, made = make(kinds, template, LAMBDA)

    assert made.properties["State"] == "Active"
    assert len(waited) == 3


def test_a_role_that_never_comes_ends_the_wait(kinds: Kinds, template: Template) -> None:
    """With AWS's own refusal."""
    from botocore.exceptions import ClientError

    from emulator.deploy.target import refusals

    template.know("Role", {"Arn": "arn:aws:iam::123456789012:role/nobody"})
    kinds.target.poll_s = 10.0

    with pytest.raises(ClientError, match="cannot be assumed"):
        make(kinds, template, LAMBDA)
    with pytest.raises(ConfigError, match="CreateFunction was answered"), refusals("Edge"):
        make(kinds, template, LAMBDA)
