"""Packaging: from a function's source folder to the folder that Lambda would unpack.

Locally and for deployment alike: the source is copied and the baked files are written, because a
Lambda@Edge function has no environment variables ("Restrictions on Lambda@Edge", read 2026-11-20)
and must find its configuration in a file. Installing requirements.txt into it and zipping come
behind this step.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from emulator.errors import ConfigError

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".DS_Store", ".git", ".mypy_cache")


def build(
    source: Path,
    target: Path,
    baked: Mapping[str, object],
    folders: Mapping[str, Path] | None = None,
) -> Path:
    """Make the package folder anew.

    Args:
        source: The function's source folder; left as it is.
        target: The package folder; replaced as a whole, so a running function never sees half.
        baked: File name to content: text as it is, anything else as JSON.
        folders: Name in the package to a folder that is copied there too, such as a Python
            package that several functions share.

    Returns:
        The target.

    Raises:
        ConfigError: There is no source folder, or a name leaves the package.
    """
    if not source.is_dir():
        raise ConfigError(
            f"There is no function folder {str(source)!r}.",
            mend="Mend the function's code path in the template.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        shutil.copytree(source, fresh, ignore=_LEFT_OUT, dirs_exist_ok=True)
        for name, folder in (folders or {}).items():
            inside = _inside(fresh, name, "packaged folder")
            shutil.copytree(folder, inside, ignore=_LEFT_OUT, dirs_exist_ok=True)
        for name, content in baked.items():
            _bake(fresh, name, content)
        if target.exists():
            shutil.rmtree(target)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def _bake(folder: Path, name: str, content: object) -> None:
    file = _inside(folder, name, "baked file")
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        file.write_text(content, encoding="utf-8")
        return
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")


def _inside(folder: Path, name: str, what: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"The {what} {name!r} is not inside the package.")
    return path
