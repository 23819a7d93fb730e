"""`python -m origin.backend`: what cannot be told is said, with the way to mend it.

What it tells, and what follows from that, is in tests/app/test_background.py.
"""

from __future__ import annotations

import pytest

from origin.backend import main
from tests.origin.conftest import set_environment

# Nobody listens there: a call would say so, and in another way than wanted.
NOWHERE = "http://local@127.0.0.1:9"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole environment, and no AWS."""
    set_environment(monkeypatch, NOWHERE)
    monkeypatch.setenv("ANSWER_BUS_NAME", "answers")
    monkeypatch.delenv("ANSWER_REGISTRY_TABLE", raising=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["login"], "no user: name one"),
        (["login", "nobody"], "there is no data about 'nobody'"),
        (["login", "--users", "0"], "users 1 to 50"),
        (["login", "--users", "51"], "users 1 to 50"),
        (["changed", "everything"], "subject 'everything'"),
        (["changed", "a:b", "--scope", "x"], "both or neither"),
        (["changed", "a:b", "--wait"], "ANSWER_REGISTRY_TABLE is not set"),
        (["workflow", "user-001", "refund"], "no event reached the bus"),
    ],
)
def test_what_cannot_be_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line, no traceback."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("origin.backend: ")
    assert printed.out == ""


def test_without_a_bus(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The variable is named."""
    monkeypatch.delenv("ANSWER_BUS_NAME")

    assert main(["login", "user-001"]) == 2
    assert "ANSWER_BUS_NAME is not set" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["nonsense"], ["login", "--users", "many"], ["changed"]])
def test_wrong_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The usage, as everywhere."""
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert caught.value.code == 2
    assert "usage: python -m origin.backend" in capsys.readouterr().err
