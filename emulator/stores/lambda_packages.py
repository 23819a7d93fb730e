"""The zips of Lambda functions: kept by their SHA-256, unpacked once.

A package is on the disk before the record that names it is written, so a record never names a
package that is not there.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

from emulator import quotas
from emulator.errors import ApiError

_FILES_MAX = 20_000
_MODE_BITS = 16


class LambdaPackages:
    """Packages in a folder of their own.

    Args:
        folder: Where they are kept; made when the first one is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, body: bytes) -> str:
        """Keep a zip, unpacked as well; returns its SHA-256 as Lambda writes it, in base64.

        Blocks; call it in a thread.

        Raises:
            ApiError: 400 InvalidParameterValueException; it is no zip that Lambda would take.
        """
        sha256 = base64.b64encode(hashlib.sha256(body).digest()).decode()
        target = self.folder(sha256)
        if target.exists():
            return sha256
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=self._folder, prefix=".new-"))
        try:
            _unpack(body, fresh)
            zipped = self.zip_file(sha256)
            partial = zipped.with_suffix(".part")
            partial.write_bytes(body)
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.rename(zipped)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return sha256

    def folder(self, sha256: str) -> Path:
        """Where a package is unpacked."""
        return self._folder / base64.b64decode(sha256).hex()

    def zip_file(self, sha256: str) -> Path:
        """Where a package is as it came."""
        return self._folder / f"{base64.b64decode(sha256).hex()}.zip"

    def read(self, name: str) -> bytes | None:
        """A zip by its file's name; None when there is none. Blocks."""
        file = self._folder / name
        return file.read_bytes() if file.is_file() else None

    def clear(self) -> None:
        """Forget every package."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _unpack(body: bytes, target: Path) -> None:
    """Unpack as Lambda does: 250 MB at most, and nothing outside of the folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entries = archive.infolist()
            if len(entries) > _FILES_MAX:
                raise _invalid(f"The zip has more than {_FILES_MAX} files.")
            if sum(entry.file_size for entry in entries) > quotas.LAMBDA_UNZIPPED_MAX_BYTES:
                raise _invalid(
                    f"Unzipped size must be smaller than {quotas.LAMBDA_UNZIPPED_MAX_BYTES} bytes"
                )
            for entry in entries:
                # Python drops `..` and drive letters by itself; a link could still lead out.
                if not stat.S_ISLNK(entry.external_attr >> _MODE_BITS):
                    archive.extract(entry, target)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, OSError):
        # Lambda's own sentence.
        raise _invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from None


def _invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterValueException", message)
