from __future__ import annotations

from pathlib import Path

import pytest

from emulator.deploy.vendoring import platform_tags, vendor
from emulator.errors import ConfigError
from tests.deploy.wheels import ELF_X86_64, make_wheel


def requirements(folder: Path, *lines: str) -> Path:
    """A requirements.txt."""
    file = folder / "requirements.txt"
    file.write_text("\n".join(lines))
    return file


def names(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_wheels_are_those_of_lambdas_machine_and_python(wheels: Path, tmp_path: Path) -> None:
    """x86_64 Linux of the runtime's age and its Python version, whatever this machine is."""
    files = {"_made.so": ELF_X86_64}
    for tag in (
        "cp313-cp313-manylinux2014_x86_64",
        "cp313-cp313-manylinux2014_aarch64",
        "cp313-cp313-macosx_11_0_arm64",
        "cp313-cp313-manylinux_2_39_x86_64",
        "cp312-cp312-manylinux2014_x86_64",
    ):
        make_wheel(wheels, "made", tag=tag, files=files)
    make_wheel(wheels, "stable", tag="cp311-abi3-manylinux_2_28_x86_64")
    file = requirements(tmp_path, "made", "stable")

    vendor(file, "python3.13", tmp_path / "of13")

    assert "cp313-cp313-manylinux2014_x86_64" in (tmp_path / "of13/made/__init__.py").read_text()
    assert (tmp_path / "of13/stable").is_dir()
    with pytest.raises(ConfigError, match=r"python3\.11 on x86_64 Linux: ERROR"):
        # Amazon Linux 2 is too old for the one, and there is no wheel of the other.
        vendor(file, "python3.11", tmp_path / "of11")


def test_older_runtimes_get_older_platforms() -> None:
    """Python 3.12 and later run on Amazon Linux 2023, earlier ones on Amazon Linux 2."""
    assert platform_tags("python3.12")[0] == "manylinux_2_34_x86_64"
    assert platform_tags("python3.11")[0] == "manylinux_2_26_x86_64"
    assert "manylinux2014_x86_64" in platform_tags("python3.14")


def test_what_lambda_ships_is_left_out_unless_asked_for(wheels: Path, tmp_path: Path) -> None:
    """boto3 and what only it needs go; what an extra of it brings stays, such as awscrt."""
    make_wheel(
        wheels,
        "boto3",
        requires=["botocore", 'awscrt; extra == "crt"'],
        extras=["crt"],
    )
    make_wheel(wheels, "botocore", requires=["urllib3"])
    make_wheel(wheels, "awscrt")
    make_wheel(wheels, "urllib3")
    make_wheel(wheels, "mine", requires=["boto3"])
    file = requirements(tmp_path, "mine", "boto3[crt]")

    without = vendor(file, "python3.13", tmp_path / "without")
    having = vendor(file, "python3.13", tmp_path / "having", with_boto3=True)

    assert [one.name for one in without] == ["awscrt", "mine"]
    assert sorted(path.name for path in (tmp_path / "without").iterdir() if path.is_dir()) == [
        "awscrt",
        "awscrt-1.0.dist-info",
        "mine",
        "mine-1.0.dist-info",
    ]
    assert [one.name for one in having] == ["awscrt", "boto3", "botocore", "mine", "urllib3"]


def test_a_library_that_shares_with_boto3_keeps_its_own(wheels: Path, tmp_path: Path) -> None:
    """urllib3 is also Lambda's, but somebody else needs it here."""
    make_wheel(wheels, "botocore", requires=["urllib3"])
    make_wheel(wheels, "urllib3", "2.5")
    make_wheel(wheels, "requests", requires=["urllib3"])

    found = vendor(requirements(tmp_path, "requests", "botocore"), "python3.13", tmp_path / "out")

    assert [(one.name, one.version) for one in found] == [("requests", "1.0"), ("urllib3", "2.5")]


def test_tests_caches_scripts_and_installers_files_are_left_out(
    wheels: Path, tmp_path: Path
) -> None:
    """What no handler reads, and what would name this machine's paths."""
    make_wheel(
        wheels,
        "big",
        files={
            "big/core.py": b"x = 1",
            "big/tests/test_core.py": b"assert True",
            "big/testing/tools.py": b"x = 1",
            "big-1.0.dist-info/entry_points.txt": b"[console_scripts]\nbig = big.core:x\n",
        },
    )
    vendor(requirements(tmp_path, "big"), "python3.13", tmp_path / "out")

    assert names(tmp_path / "out") == [
        "big-1.0.dist-info",
        "big-1.0.dist-info/entry_points.txt",
        "big/__init__.py",
        "big/core.py",
        "big/testing/tools.py",
    ]
    assert not (tmp_path / "out/bin").exists()


def test_other_files_of_requirements_count(wheels: Path, tmp_path: Path) -> None:
    """`-r` is followed, comments and options are not names."""
    make_wheel(wheels, "one")
    (tmp_path / "more.txt").write_text("one  # the one\n")

    found = vendor(requirements(tmp_path, "-r more.txt", "# two"), "python3.13", tmp_path / "out")

    assert [one.name for one in found] == ["one"]
    assert vendor(requirements(tmp_path, "# nothing"), "python3.13", tmp_path / "none") == ()
