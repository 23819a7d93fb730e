"""Which third-party modules a Python function may import: what it ships, and what it names.

A function deployed to Lambda finds the modules in its package and those that Lambda's runtime
ships. Locally the package's `requirements.txt` stands for what `pip install -t` will add when it is
packaged. Everything else on this machine is hidden, so a forgotten dependency fails here too.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Final

MANAGED_MODULES: Final = frozenset(
    {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"}
)
"""What Lambda's Python runtimes ship (the same set as in `sandbox/python_runtime.py`)."""

# PEP 508: a name, perhaps extras, then anything.
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_MORE: Final = re.compile(r"(?:-r|--requirement)[ =]?\s*(\S+)")
_FILES_READ_MAX: Final = 500
_EXTRA_MARKER: Final = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a package's requirements.txt comes to on this machine.

    Args:
        modules: Top-level modules that it brings, dependencies included.
        missing: Named distributions that are not installed here.
    """

    modules: frozenset[str]
    missing: tuple[str, ...]


def read_requirements(package: Path) -> Requirements:
    """The modules behind a package's requirements.txt; nothing when it has none."""
    file = package / "requirements.txt"
    if not file.is_file():
        return Requirements(frozenset(), ())
    modules: set[str] = set()
    missing: list[str] = []
    for name, extras in requirements_named(file):
        found = _closure(name, extras)
        if found is None:
            missing.append(name)
        else:
            modules |= found
    return Requirements(frozenset(modules), tuple(missing))


def ships(package: Path, modules: Iterable[str]) -> bool:
    """Whether the package holds a copy of its own of any of these modules."""
    return any((package / name).is_dir() or (package / f"{name}.py").is_file() for name in modules)


def mentions(package: Path, word: bytes) -> bool:
    """Whether any of the package's Python files, or of the first few hundred, holds this word."""
    files = chain(package.glob("*.py"), package.glob("*/**/*.py"))
    return any(word in file.read_bytes() for file in islice(files, _FILES_READ_MAX))


def requirements_named(
    lines: Path | Iterable[str],
) -> Iterator[tuple[str, frozenset[str]]]:
    """Each distribution that a requirements.txt names, with its extras.

    Args:
        lines: The file, which may name others (`-r more.txt`), or its lines.
    """
    folder = lines.parent if isinstance(lines, Path) else None
    if isinstance(lines, Path):
        lines = lines.read_text(encoding="utf-8").splitlines()
    for line in lines:
        requirement = line.partition("#")[0].strip()
        more = _MORE.fullmatch(requirement)
        if more and folder is not None and (folder / more[1]).is_file():
            yield from requirements_named(folder / more[1])
            continue
        # Options such as `--hash` and `-r` name nothing by themselves.
        found = None if requirement.startswith("-") else _REQUIREMENT.match(requirement)
        if found:
            extras = (found[2] or "").split(",")
            yield found[1], frozenset(extra.strip() for extra in extras if extra.strip())


@cache
def _closure(name: str, extras: frozenset[str]) -> frozenset[str] | None:
    """The top-level modules of a distribution and of all it depends on; None if not installed."""
    seen: set[tuple[str, frozenset[str]]] = set()
    modules: set[str] = set()
    left = [(name, extras)]
    while left:
        current = left.pop()
        if current in seen:
            continue
        seen.add(current)
        try:
            distribution = importlib.metadata.distribution(current[0])
        except importlib.metadata.PackageNotFoundError:
            if current == (name, extras):
                return None
            # A dependency for another platform or Python, as its marker would have said.
            continue
        modules |= _top_level(distribution)
        left.extend(_dependencies(distribution, current[1]))
    return frozenset(modules)


def _dependencies(
    distribution: importlib.metadata.Distribution, extras: frozenset[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        wanted = _EXTRA_MARKER.findall(marker)
        if not wanted or extras.intersection(wanted):
            yield from requirements_named([requirement])


def _top_level(distribution: importlib.metadata.Distribution) -> set[str]:
    listed = distribution.read_text("top_level.txt")
    if listed:
        return set(listed.split())
    names = set()
    for file in distribution.files or ():
        top = file.parts[0]
        if len(file.parts) > 1 and top.isidentifier():
            names.add(top)
        elif len(file.parts) == 1 and file.suffix in (".py", ".so", ".pyd"):
            names.add(top.partition(".")[0])
    return names
