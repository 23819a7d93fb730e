"""What requirements.txt names, put into a package as Lambda's machine needs it.

pip does the work, for another platform than this machine's: x86_64 Linux of the runtime's age, the
runtime's Python version, wheels only ("Working with .zip file archives for Python Lambda
functions", Lambda Developer Guide python-package). boto3 and what it needs are there already and
are left out, unless asked for; awscrt is not there (facts/lambda-at-edge.md 9).
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.errors import ConfigError
from emulator.runtimes.lambda_edge.modules import requirements_named

# "Lambda runtimes", Lambda Developer Guide: Python 3.12 and later run on Amazon Linux 2023, whose
# glibc is 2.34; earlier ones on Amazon Linux 2, whose glibc is 2.26.
_GLIBC_AL2023: Final = 34
_GLIBC_AL2: Final = 26
_GLIBC_OLDEST: Final = 5
_FIRST_ON_AL2023: Final = 12
_LEGACY_TAGS: Final = ("manylinux2014", "manylinux2010", "manylinux1")
_PIP_S: Final = 600.0

SHIPPED_BY_LAMBDA: Final = frozenset({"boto3", "botocore"})
"""What Lambda's Python runtimes have, and packages need not."""

# Read at run time by importlib.metadata, or asked for by a license; the rest of a *.dist-info only
# serves installers, and names this machine's paths.
_KEPT_OF_DIST_INFO: Final = re.compile(
    r"(METADATA|entry_points\.txt|top_level\.txt|(LICEN[CS]E|COPYING|NOTICE|AUTHORS).*)", re.I
)
_TESTS: Final = frozenset({"tests", "test"})
_EXTRA: Final = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True)
class Vendored:
    """One library in the target folder.

    Args:
        name: Its name.
        version: Its version.
        files: Its files that are still there, relative to the folder.
    """

    name: str
    version: str
    files: tuple[Path, ...]


def vendor(
    requirements: Path, runtime: str, target: Path, *, with_boto3: bool = False
) -> tuple[Vendored, ...]:
    """Install requirements into a folder, for Lambda.

    Args:
        requirements: The requirements.txt.
        runtime: Such as `python3.13`.
        target: The folder; must be empty or new.
        with_boto3: Whether boto3 and botocore are vendored too, when they are named or needed.

    Returns:
        What is in the folder.

    Raises:
        ConfigError: pip refuses; in its own words.
    """
    wanted = list(requirements_named(requirements))
    if not wanted:
        return ()
    # pip runs in the folder of the requirements.
    target = target.absolute()
    _install(requirements, runtime, target)
    shutil.rmtree(target / "bin", ignore_errors=True)
    found = {
        _canonical(one.name): one for one in importlib.metadata.distributions(path=[str(target)])
    }
    kept = _closure(found, wanted, with_boto3=with_boto3)
    files: dict[str, list[Path]] = {
        # Scripts stand outside (`../../bin/…`), and are gone already.
        name: [Path(str(file)) for file in distribution.files or () if ".." not in file.parts]
        for name, distribution in found.items()
    }
    for name in set(found) - kept:
        _remove(target, files[name])
    _prune(target)
    return tuple(
        Vendored(
            name,
            found[name].version,
            tuple(file for file in files[name] if (target / file).is_file()),
        )
        for name in sorted(kept)
    )


def platform_tags(runtime: str) -> list[str]:
    """The platforms whose wheels run on a runtime, newest first."""
    minor = int(runtime.removeprefix("python3."))
    glibc = _GLIBC_AL2023 if minor >= _FIRST_ON_AL2023 else _GLIBC_AL2
    tags = [f"manylinux_2_{age}" for age in range(glibc, _GLIBC_OLDEST - 1, -1)]
    return [f"{tag}_x86_64" for tag in (*tags, *_LEGACY_TAGS)]


def _install(requirements: Path, runtime: str, target: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-compile"),
        *("--disable-pip-version-check", "--no-warn-conflicts", "--only-binary=:all:"),
        *("--implementation", "cp", "--python-version", runtime.removeprefix("python")),
        *(word for tag in platform_tags(runtime) for word in ("--platform", tag)),
        *("--target", str(target), "--requirement", requirements.name),
    ]
    ran = subprocess.run(
        command,
        cwd=requirements.parent,
        capture_output=True,
        text=True,
        timeout=_PIP_S,
        check=False,
    )
    if ran.returncode == 0:
        return
    if "No module named pip" in ran.stderr:
        raise ConfigError("pip is not installed.", mend="python -m ensurepip")
    said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
    raise ConfigError(
        f"pip cannot install {requirements.name} for {runtime} on x86_64 Linux: "
        f"{' '.join(said[-2:]) or ran.stderr.strip()[-400:]}",
        where=str(requirements.name),
        mend="Name versions that have a wheel for it, or put the built library into the folder.",
    )


def _canonical(name: str) -> str:
    """PEP 503: one spelling of a project's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(
    found: Mapping[str, importlib.metadata.Distribution],
    wanted: Iterable[tuple[str, frozenset[str]]],
    *,
    with_boto3: bool,
) -> set[str]:
    """What is named, and what that needs; not what only boto3 needs, when that is left out."""
    kept: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [(_canonical(name), extras) for name, extras in wanted]
    while left:
        name, extras = left.pop()
        if (name, extras) in seen or name not in found:
            continue
        seen.add((name, extras))
        is_shipped = name in SHIPPED_BY_LAMBDA and not with_boto3
        if not is_shipped:
            kept.add(name)
        # `boto3[crt]` still brings awscrt, which Lambda has not.
        left += _needed(found[name], extras, only_extras=is_shipped)
    return kept


def _needed(
    distribution: importlib.metadata.Distribution, extras: frozenset[str], *, only_extras: bool
) -> Iterator[tuple[str, frozenset[str]]]:
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        named = frozenset(_EXTRA.findall(marker))
        if named & extras or (not named and not only_extras):
            for name, more in requirements_named([requirement]):
                yield _canonical(name), more


def _remove(target: Path, files: Iterable[Path]) -> None:
    for file in files:
        (target / file).unlink(missing_ok=True)
        for folder in (target / file).parents:
            if folder == target or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def _prune(target: Path) -> None:
    """Take out what no handler reads: caches, tests, and what only installers need."""
    for folder in sorted(target.rglob("*"), reverse=True):
        if not folder.is_dir():
            continue
        inside = folder.relative_to(target)
        if folder.name == "__pycache__" or (folder.name in _TESTS and len(inside.parts) > 1):
            shutil.rmtree(folder)
        elif folder.name.endswith(".dist-info"):
            for file in folder.iterdir():
                if file.is_file() and not _KEPT_OF_DIST_INFO.fullmatch(file.name):
                    file.unlink()
