"""An account of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.deploy.kinds.roles import Roles
from emulator.deploy.target import Target
from tests.aws.endpoint import Endpoint, Options, running_endpoint


@contextmanager
def account(path: Path, options: Options | None = None) -> Iterator[Endpoint]:
    """An account in which nothing is.

    moto keeps roles for the whole process: those that earlier tests left are deleted first.
    """
    path.mkdir(parents=True)
    with running_endpoint(path / "stores.sqlite", options or Options(control=True)) as endpoint:
        target = Target(endpoint.url)
        for role in target.client("iam").list_roles()["Roles"]:
            Roles(target, {}).delete(role["RoleName"])
        target.close()
        yield endpoint
