"""A zip whose bytes depend on nothing but the files in it."""

from __future__ import annotations

import base64
import hashlib
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The earliest moment that a zip can hold: no file's own time gets in.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_LEVEL: Final = 9


@dataclass(frozen=True, slots=True)
class Archive:
    """A written zip.

    Args:
        sha256: Its hash, in hexadecimal.
        size_bytes: Its size.
        unzipped_bytes: The size of the files in it.
        zipped: Compressed bytes of each file, by its name in the zip.
    """

    sha256: str
    size_bytes: int
    unzipped_bytes: int
    zipped: Mapping[str, int]

    @property
    def code_sha256(self) -> str:
        """The hash as Lambda writes it: `CodeSha256`, in base64."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


def write_archive(folder: Path, target: Path) -> Archive:
    """Zip a folder: entries sorted, one time, two modes (runnable or not), no folders.

    Args:
        folder: What to zip; links are followed.
        target: The zip; replaced.
    """
    files = sorted(
        (path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file()
    )
    zipped: dict[str, int] = {}
    unzipped = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, path in files:
            content = path.read_bytes()
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, _UNIX
            # Lambda runs as another user: everyone must be able to read (and run) it.
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, content)
            zipped[name] = entry.compress_size
            unzipped += len(content)
    body = target.read_bytes()
    return Archive(hashlib.sha256(body).hexdigest(), len(body), unzipped, zipped)
