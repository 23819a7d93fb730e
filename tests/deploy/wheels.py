"""Small real wheels in a folder that pip takes instead of an index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ELF_X86_64 = b"\x7fELF\x02\x01\x01" + bytes(11) + (62).to_bytes(2, "little") + bytes(44)
ELF_AARCH64 = ELF_X86_64[:18] + (183).to_bytes(2, "little") + bytes(44)


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    files: Mapping[str, bytes] | None = None,
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
) -> Path:
    """Write `<name>-<version>-<tag>.whl` with a module of that name."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Provides-Extra: {one}\n" for one in extras]
    metadata += [f"Requires-Dist: {one}\n" for one in requires]
    contents = {
        f"{name}/__init__.py": f"VERSION = {version!r}\nTAG = {tag!r}\n".encode(),
        **(files or {}),
        f"{info}/METADATA": "".join(metadata).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        f"{info}/LICENSE": b"as you like",
    }
    record = [f"{path},{_digest(body)},{len(body)}\n" for path, body in contents.items()]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for path, body in contents.items():
            wheel.writestr(path, body)
    return file


def _digest(body: bytes) -> str:
    hashed = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    return f"sha256={hashed}"
