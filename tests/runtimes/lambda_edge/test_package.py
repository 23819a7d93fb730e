from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.errors import ConfigError
from emulator.runtimes.lambda_edge import build


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A function's source folder."""
    folder = tmp_path / "source"
    (folder / "inner" / "__pycache__").mkdir(parents=True)
    (folder / "inner" / "__pycache__" / "x.pyc").touch()
    (folder / "inner" / "data.txt").write_text("data")
    (folder / "handler.py").write_text("x = 1")
    return folder


def names(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_package_is_the_source_and_what_is_baked(source: Path, tmp_path: Path) -> None:
    """Text as it is, values as JSON; caches are left out and the source is not touched."""
    target = build(
        source, tmp_path / "out" / "f", {"config.json": {"arn": "é"}, "inner/note": "text"}
    )

    assert names(target) == ["config.json", "handler.py", "inner/data.txt", "inner/note"]
    assert json.loads((target / "config.json").read_text(encoding="utf-8")) == {"arn": "é"}
    assert (target / "inner" / "note").read_text() == "text"
    assert not (source / "config.json").exists()


def test_a_second_build_replaces_the_first(source: Path, tmp_path: Path) -> None:
    """Nothing of the old one is left, and no temporary folder either."""
    target = tmp_path / "out" / "f"
    build(source, target, {"old.json": 1})
    build(source, target, {"new.json": 2})

    assert "old.json" not in names(target)
    assert [path.name for path in target.parent.iterdir()] == ["f"]


def test_a_missing_source_says_so(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigError, match="no function folder"):
        build(tmp_path / "nowhere", tmp_path / "target", {})


def test_a_baked_file_stays_inside_the_package(source: Path, tmp_path: Path) -> None:
    """A name that climbs out is refused, and nothing is left behind."""
    with pytest.raises(ConfigError, match="not inside the package"):
        build(source, tmp_path / "out" / "f", {"../../evil": "x"})

    assert list((tmp_path / "out").iterdir()) == []
