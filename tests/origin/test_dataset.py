"""The data set: what ships is what the generator writes, and bad files are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from origin.data.make_data import make_data_set, write_data_set
from origin.dataset import DATA_FOLDER, DataSet, DataSetError, load_data_set
from origin.session import USER_ID


def test_the_demo_users(data: DataSet) -> None:
    """There are user-001 to user-050, in order, and each owns a service that exists."""
    assert list(data.users) == [f"user-{number:03d}" for number in range(1, 51)]
    assert all(USER_ID.fullmatch(user_id) for user_id in data.users)
    assert len({user.name for user in data.users.values()}) == 50
    assert {name for user in data.users.values() for name in user.services} == set(data.tiers)


def test_references_hold(data: DataSet) -> None:
    """Every alert, deployment and ticket is about a service and a user that exist."""
    services = {
        *(alert.service for alert in data.alerts),
        *(deployment.service for deployment in data.deployments),
        *(ticket.service for ticket in data.tickets),
    }
    people = {
        *(deployment.author for deployment in data.deployments),
        *(ticket.assignee for ticket in data.tickets),
    }

    assert services == set(data.tiers)
    assert people <= set(data.users)
    assert len({ticket.ticket_id for ticket in data.tickets}) == len(data.tickets)


def test_what_ships_is_what_is_generated(tmp_path: Path) -> None:
    """The generator writes the shipped files again, byte for byte."""
    write_data_set(tmp_path)

    for stem in make_data_set():
        written = (tmp_path / f"{stem}.json").read_bytes()
        assert written == (DATA_FOLDER / f"{stem}.json").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param("{", "JSONDecodeError", id="no JSON"),
        pytest.param('[{"service": "a", "tier": 1}, {"tier": 2}]', "record 1", id="no field"),
        pytest.param(json.dumps(7), "TypeError", id="no list"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    """The message names file, record and remedy."""
    shutil.copytree(DATA_FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "services.json").unlink()
    if content is not None:
        (tmp_path / "services.json").write_text(content)

    with pytest.raises(DataSetError, match=words) as caught:
        load_data_set(tmp_path)

    assert "services.json" in str(caught.value)
    assert "make_data" in str(caught.value)
