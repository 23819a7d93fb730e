"""What packaging makes, as values; and the manifest that lists it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from emulator.values.functions import FunctionKind


@dataclass(frozen=True, slots=True)
class Dependency:
    """One vendored library.

    Args:
        name: Its name.
        version: Its version.
        unzipped_bytes: Its size in the package.
        zipped_bytes: What it takes of the zip.
    """

    name: str
    version: str
    unzipped_bytes: int
    zipped_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """One packaged function.

    Args:
        name: The function's name.
        logical_id: Its name in the template.
        kind: Its kind.
        runtime: Its runtime.
        file: The artifact's name in the build folder, which is its S3 key too.
        sha256: Its hash, in hexadecimal.
        size_bytes: Its size: that of the zip, or of the source text.
        limit_bytes: AWS's quota for that.
        handler: Lambda: the handler.
        code_sha256: Lambda: the hash as Lambda writes it.
        unzipped_bytes: Lambda: the size of the files in the zip.
        dependencies: Lambda: what was vendored, largest first.
        code: CloudFront Functions: the source text.
        warnings: What is worth knowing before it is deployed.
    """

    name: str
    logical_id: str
    kind: FunctionKind
    runtime: str
    file: str
    sha256: str
    size_bytes: int
    limit_bytes: int
    handler: str = ""
    code_sha256: str = ""
    unzipped_bytes: int = 0
    dependencies: tuple[Dependency, ...] = ()
    code: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def quota_used(self) -> float:
        """How much of the quota it takes, 0 to 1."""
        return self.size_bytes / self.limit_bytes


def dump_manifest(artifacts: Iterable[Artifact]) -> str:
    """The manifest's text: the same artifacts, the same bytes."""
    listed = [_entry(one) for one in sorted(artifacts, key=lambda one: one.name)]
    return json.dumps({"artifacts": listed}, indent=2, ensure_ascii=False) + "\n"


def _entry(artifact: Artifact) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": artifact.name,
        "logical_id": artifact.logical_id,
        "kind": artifact.kind.value,
        "runtime": artifact.runtime,
        "file": artifact.file,
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "quota": {
            "limit_bytes": artifact.limit_bytes,
            "used_percent": round(100 * artifact.quota_used, 2),
        },
    }
    if artifact.kind is not FunctionKind.CLOUDFRONT_FUNCTION:
        entry |= {
            "handler": artifact.handler,
            "code_sha256": artifact.code_sha256,
            "unzipped_bytes": artifact.unzipped_bytes,
            "dependencies": [
                {
                    "name": one.name,
                    "version": one.version,
                    "unzipped_bytes": one.unzipped_bytes,
                    "zipped_bytes": one.zipped_bytes,
                }
                for one in artifact.dependencies
            ],
        }
    return entry
