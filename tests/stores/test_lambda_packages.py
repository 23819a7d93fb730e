"""Lambda's zips on disk."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from emulator.errors import ApiError
from emulator.stores.lambda_packages import LambdaPackages


def zipped(*entries: tuple[str, str, int]) -> bytes:
    """A zip of (name, text, Unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, text)
    return buffer.getvalue()


def test_a_package_is_kept_by_its_hash(tmp_path: Path) -> None:
    """Twice the same is once; it is there unpacked and as it came."""
    packages = LambdaPackages(tmp_path / "lambda")
    body = zipped(("pkg/handler.py", "x = 1\n", stat.S_IFREG | 0o644))
    first, second = packages.keep(body), packages.keep(body)

    assert first == second
    assert (packages.folder(first) / "pkg" / "handler.py").read_text() == "x = 1\n"
    assert packages.read(packages.zip_file(first).name) == body
    assert packages.read("0" * 64 + ".zip") is None
    packages.clear()
    assert not packages.folder(first).exists()


def test_nothing_lands_outside(tmp_path: Path) -> None:
    """Neither by dots, nor by an absolute name, nor through a link."""
    packages = LambdaPackages(tmp_path / "in" / "lambda")
    sha256 = packages.keep(
        zipped(
            ("../../up.py", "x", stat.S_IFREG | 0o644),
            (str(tmp_path / "absolute.py"), "x", stat.S_IFREG | 0o644),
            ("link", str(tmp_path), stat.S_IFLNK | 0o777),
            ("link/through.py", "x", stat.S_IFREG | 0o644),
        )
    )
    outside = [path for path in tmp_path.rglob("*.py") if "lambda" not in path.parts]

    assert outside == []
    assert not (packages.folder(sha256) / "link").is_symlink()


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04", b"text"])
def test_what_is_no_zip_is_refused(tmp_path: Path, body: bytes) -> None:
    """In Lambda's own words; nothing is left behind."""
    with pytest.raises(ApiError, match="Could not unzip uploaded file"):
        LambdaPackages(tmp_path / "lambda").keep(body)

    assert list((tmp_path / "lambda").iterdir()) == []


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """250 MB is the limit, told from the zip's own directory before anything is unpacked."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("big", "w") as file,
    ):
        for _ in range(251):
            file.write(bytes(1_048_576))

    with pytest.raises(ApiError, match="Unzipped size"):
        LambdaPackages(tmp_path / "lambda").keep(buffer.getvalue())
