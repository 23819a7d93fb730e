from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from emulator.deploy.archive import write_archive


def test_a_zip_depends_on_nothing_but_the_files(tmp_path: Path) -> None:
    """Other times, another order of making, other owners' bits: the same bytes."""
    made = []
    for number, names in enumerate((["b.py", "a.py", "in/c"], ["in/c", "a.py", "b.py"])):
        folder = tmp_path / str(number)
        for name in names:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"content of {name}")
            os.utime(file, (1_000_000_000 + number * 1_000, 1_000_000_000))
            file.chmod(0o600 if number else 0o664)
        made.append(write_archive(folder, tmp_path / f"{number}.zip"))
    bodies = [(tmp_path / f"{number}.zip").read_bytes() for number in (0, 1)]

    assert bodies[0] == bodies[1]
    assert made[0] == made[1]
    assert made[0].sha256 == hashlib.sha256(bodies[0]).hexdigest()
    assert made[0].size_bytes == len(bodies[0])


def test_everyone_may_read_and_programs_stay_runnable(tmp_path: Path) -> None:
    """Lambda runs the package as another user."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, mode in (("data", 0o600), ("program", 0o700)):
        (folder / name).write_text("x")
        (folder / name).chmod(mode)
    write_archive(folder, tmp_path / "made.zip")
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        modes = {one.filename: oct(one.external_attr >> 16 & 0o777) for one in archive.infolist()}
        names = archive.namelist()

    assert modes == {"data": "0o644", "program": "0o755"}
    assert names == sorted(names)


@given(
    st.dictionaries(
        st.text("abcé.", min_size=1, max_size=8).filter(lambda name: set(name) != {"."}),
        st.binary(max_size=200),
        max_size=5,
    )
)
def test_what_goes_in_comes_out(files: dict[str, bytes]) -> None:
    """Names and contents, whatever they are; sizes are those of the contents."""
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "folder")
        folder.mkdir()
        for name, body in files.items():
            (folder / name).write_bytes(body)
        made = write_archive(folder, Path(temporary, "made.zip"))
        with zipfile.ZipFile(Path(temporary, "made.zip")) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}

    assert found == files
    assert made.unzipped_bytes == sum(map(len, files.values()))
    assert set(made.zipped) == set(files)
