"""Documents that outlive a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ConfigError
from emulator.stores.journal import Journal


def test_what_was_put_is_there_again(tmp_path: Path) -> None:
    """Without what was dropped; a later version counts."""
    journal = Journal.open(tmp_path / "j")
    for key in "abc":
        journal.put(key, {"v": 1})
    journal.put("a", {"v": 2})
    journal.drop("b")
    journal.drop("never there")
    again = Journal.open(tmp_path / "j")
    journal.close()

    assert again.all() == {"c": {"v": 1}, "a": {"v": 2}}
    again.close()


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    """Every line that was written before kill -9."""
    words = (
        "import os, signal, sys; from pathlib import Path; "
        "from emulator.stores.journal import Journal; "
        "journal = Journal.open(Path(sys.argv[1])); "
        "[journal.put(str(n), {'n': n}) for n in range(500)]; "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "j"
    subprocess.run([sys.executable, "-c", words, str(path)], check=False)
    journal = Journal.open(path)
    found = journal.all()
    journal.close()

    assert len(found) == 500


def test_a_cut_off_line_counts_as_never_written(tmp_path: Path) -> None:
    """Whatever is left of it."""
    path = tmp_path / "j"
    path.write_bytes(b'["a",{"v":1}]\n["b",{"v":')
    journal = Journal.open(path)
    found = journal.all()
    journal.close()

    assert found == {"a": {"v": 1}}
    assert path.read_bytes() == b'["a",{"v":1}]\n'


def test_the_file_stays_short(tmp_path: Path) -> None:
    """Fifty thousand documents that came and went leave little."""
    path = tmp_path / "j"
    journal = Journal.open(path)
    journal.put("kept", {"v": 1})
    for number in range(50_000):
        journal.put(str(number), {})
        journal.drop(str(number))
    size = path.stat().st_size
    journal.close()

    assert size < 400_000
    assert path.read_bytes() == b'["kept",{"v":1}]\n'


def test_a_file_out_of_reach_is_said(tmp_path: Path) -> None:
    """As bad configuration, with the path."""
    (tmp_path / "j").mkdir()
    with pytest.raises(ConfigError, match="cannot be used"):
        Journal.open(tmp_path / "j")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)), max_size=30))
def test_it_is_a_dictionary_that_can_be_reopened(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, int | None]]
) -> None:
    """Any sequence of puts and drops, read again."""
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal.open(path)
    expected: dict[str, dict[str, int]] = {}
    for key, number in changes:
        if number is None:
            journal.drop(key)
            expected.pop(key, None)
        else:
            journal.put(key, {"n": number})
            expected[key] = {"n": number}
    again = Journal.open(path)
    found = again.all()
    journal.close()
    again.close()

    assert found == expected
