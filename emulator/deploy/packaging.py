"""`localpop package`: every function as AWS is given it, the same bytes from the same input."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator import quotas
from emulator.deploy.archive import Archive, write_archive
from emulator.deploy.artifacts import Artifact, Dependency
from emulator.deploy.vendoring import Vendored, vendor
from emulator.errors import ConfigError, NotEmulated
from emulator.project.declarations import FunctionDeclaration, LambdaFunctionDeclaration
from emulator.runtimes.lambda_edge import build
from emulator.runtimes.lambda_edge.declarations import check_configuration
from emulator.runtimes.lambda_edge.syntax import syntax_problem
from emulator.values.functions import FunctionKind
from emulator.values.lambda_edge import LambdaDeclaration

_HASH_SHOWN: Final = 16
_PINNED: Final = re.compile(r"\s*[^=<>~!#]+==\s*[^,*;\s]+\s*(;.*|--hash.*|\\)?")
# ELF: magic, 64 bit, and the machine at offset 18; 62 is x86-64 (System V ABI, chapter 4).
_ELF_64: Final = b"\x7fELF\x02"
_MACHINE_X86_64: Final = 62
_CPYTHON_TAG: Final = re.compile(r"\.cpython-(3)(\d+)-")
_OF_THE_SDK: Final = ("@aws-sdk/", "@smithy/")


@dataclass(frozen=True, slots=True)
class Limits:
    """AWS's quotas for packages; smaller ones in tests.

    Args:
        zip_bytes: A Lambda@Edge zip.
        unzipped_bytes: The files in it.
        code_bytes: A CloudFront Function's source.
    """

    zip_bytes: int = quotas.LAMBDA_CODE_MAX_BYTES
    unzipped_bytes: int = quotas.LAMBDA_UNZIPPED_MAX_BYTES
    code_bytes: int = quotas.FUNCTION_CODE_MAX_BYTES


AWS_LIMITS: Final = Limits()


def package_lambda(
    declared: LambdaFunctionDeclaration,
    out: Path,
    *,
    with_boto3: bool = False,
    limits: Limits = AWS_LIMITS,
) -> Artifact:
    """Make a Lambda function's zip; one that no distribution runs has Lambda's own limits only.

    Args:
        declared: The function.
        out: The build folder.
        with_boto3: Whether boto3 is vendored, although Lambda has it.
        limits: The quotas.

    Raises:
        ConfigError: AWS would refuse it, or its requirements cannot be installed.
    """
    where = f"Lambda function {declared.name}"
    _check(declared, where)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".packaging-") as temporary:
        folder = build(declared.path, Path(temporary, "package"), declared.baked, declared.folders)
        vendored = _add_requirements(declared, folder, Path(temporary), with_boto3=with_boto3)
        _check_binaries(folder, declared.runtime, where)
        made = Path(temporary, "package.zip")
        archive = write_archive(folder, made)
        dependencies = _sizes(vendored, folder, archive) or _node_sizes(folder, archive)
        _check_size(archive, dependencies, limits, where)
        file = f"{declared.name}-{archive.sha256[:_HASH_SHOWN]}.zip"
        made.replace(out / file)
    return Artifact(
        name=declared.name,
        logical_id=declared.logical_id,
        kind=FunctionKind.LAMBDA if declared.regional else FunctionKind.LAMBDA_AT_EDGE,
        runtime=declared.runtime,
        file=file,
        sha256=archive.sha256,
        size_bytes=archive.size_bytes,
        limit_bytes=limits.zip_bytes,
        handler=declared.handler,
        code_sha256=archive.code_sha256,
        unzipped_bytes=archive.unzipped_bytes,
        dependencies=dependencies,
        warnings=tuple(_warnings(declared, vendored)),
    )


def package_cloudfront_function(
    declared: FunctionDeclaration, out: Path, *, limits: Limits = AWS_LIMITS
) -> Artifact:
    """Copy a CloudFront Function's source.

    Raises:
        ConfigError: It is larger than CloudFront takes.
    """
    code = declared.path.read_text(encoding="utf-8") if declared.path else declared.code
    body = code.encode()
    if len(body) > limits.code_bytes:
        raise ConfigError(
            f"The code has {len(body):,} bytes; CloudFront allows {limits.code_bytes:,}.",
            where=f"CloudFront Function {declared.name}",
            mend="Shorten it, or take comments and white space out with a minifier.",
        )
    sha256 = hashlib.sha256(body).hexdigest()
    file = f"{declared.name}-{sha256[:_HASH_SHOWN]}.js"
    out.mkdir(parents=True, exist_ok=True)
    (out / file).write_bytes(body)
    return Artifact(
        name=declared.name,
        logical_id=declared.logical_id,
        kind=FunctionKind.CLOUDFRONT_FUNCTION,
        runtime=declared.runtime,
        file=file,
        sha256=sha256,
        size_bytes=len(body),
        limit_bytes=limits.code_bytes,
        code=code,
    )


def remove_outdated(out: Path, artifacts: Sequence[Artifact]) -> None:
    """Take earlier builds of the same functions out of the build folder."""
    for artifact in artifacts:
        hashed = re.compile(re.escape(artifact.name) + r"-[0-9a-f]{16}\.(zip|js)")
        for file in out.iterdir():
            if hashed.fullmatch(file.name) and file.name != artifact.file:
                file.unlink()


# --- what AWS would refuse -----------------------------------------------------------------------
def _check(declared: LambdaFunctionDeclaration, where: str) -> None:
    """Restrictions of Lambda@Edge, in CloudFront's words (facts/lambda-at-edge.md 4.4, 6).

    Of a regional function only what Lambda itself refuses, and runtimes that cannot be packaged.
    """
    check_configuration(
        LambdaDeclaration(
            declared.name,
            declared.handler,
            declared.runtime,
            declared.path,
            declared.timeout_s,
            declared.memory_mb,
            regional=declared.regional,
        ),
        where,
    )
    if not declared.runtime.startswith(("python3.", "nodejs")):
        if declared.regional:
            raise NotEmulated(f"Packaging for the runtime {declared.runtime}", where=where)
        raise ConfigError(
            f"Lambda@Edge has no runtime {declared.runtime!r} (it has Node.js and Python).",
            where=where,
        )
    if declared.environment and not declared.regional:
        raise ConfigError(
            f"The function cannot have environment variables. Function: {declared.arn}",
            where=where,
            mend="Put them into a file of the package: Metadata localpop:baked-files.",
        )


def _check_binaries(folder: Path, runtime: str, where: str) -> None:
    """Compiled modules must be for x86-64 Linux and for the runtime's Python (4.4)."""
    for file in sorted([*folder.rglob("*.so"), *folder.rglob("*.so.*"), *folder.rglob("*.node")]):
        head = file.read_bytes()[:20]
        machine = int.from_bytes(head[18:20], "little")
        shown = file.relative_to(folder)
        if not head.startswith(_ELF_64) or machine != _MACHINE_X86_64:
            raise ConfigError(
                f"{shown} is not compiled for x86_64 Linux, where Lambda@Edge runs.",
                where=where,
                mend="Name its library in requirements.txt instead of copying it.",
            )
        tag = _CPYTHON_TAG.search(file.name)
        if tag and f"python{tag[1]}.{tag[2]}" != runtime:
            raise ConfigError(
                f"{shown} is compiled for Python {tag[1]}.{tag[2]}; the function runs on "
                f"{runtime}.",
                where=where,
                mend="Name its library in requirements.txt instead of copying it.",
            )


def _check_size(
    archive: Archive, dependencies: Sequence[Dependency], limits: Limits, where: str
) -> None:
    for what, size, limit in (
        ("The zip", archive.size_bytes, limits.zip_bytes),
        ("The unzipped package", archive.unzipped_bytes, limits.unzipped_bytes),
    ):
        if size > limit:
            largest = ", ".join(f"{one.name} {one.zipped_bytes:,}" for one in dependencies[:3])
            raise ConfigError(
                f"{what} has {size:,} bytes; Lambda allows {limit:,}."
                + (f" The largest parts, in zipped bytes: {largest}." if largest else ""),
                where=where,
                mend="Take out what the handler does not need.",
            )


# --- dependencies --------------------------------------------------------------------------------
def _add_requirements(
    declared: LambdaFunctionDeclaration, folder: Path, temporary: Path, *, with_boto3: bool
) -> tuple[Vendored, ...]:
    """Vendor what requirements.txt names; what the folder has of its own comes first."""
    if not declared.runtime.startswith("python"):
        _check_node_modules(folder, declared.name)
        return ()
    requirements = folder / "requirements.txt"
    if not requirements.is_file():
        return ()
    libraries = temporary / "libraries"
    libraries.mkdir()
    # From the source folder: a file may name others beside it.
    vendored = vendor(
        declared.path / "requirements.txt", declared.runtime, libraries, with_boto3=with_boto3
    )
    for file in sorted(path for path in libraries.rglob("*") if path.is_file()):
        target = folder / file.relative_to(libraries)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
    return vendored


def _check_node_modules(folder: Path, name: str) -> None:
    file = folder / "package.json"
    if not file.is_file():
        return
    try:
        named = json.loads(file.read_text(encoding="utf-8")).get("dependencies") or {}
    except (ValueError, AttributeError):
        named = {}
    # The AWS SDK for JavaScript is part of Lambda's Node.js runtimes.
    missing = [
        one
        for one in named
        if not one.startswith(_OF_THE_SDK) and not (folder / "node_modules" / one).is_dir()
    ]
    if missing:
        raise ConfigError(
            f"package.json names {', '.join(missing)}, which is not in node_modules.",
            where=f"Lambda function {name}",
            mend="Run in its folder: npm ci --omit=dev",
        )


def _sizes(vendored: Sequence[Vendored], folder: Path, archive: Archive) -> tuple[Dependency, ...]:
    sizes = [
        Dependency(
            one.name,
            one.version,
            sum((folder / file).stat().st_size for file in one.files if (folder / file).is_file()),
            sum(archive.zipped.get(file.as_posix(), 0) for file in one.files),
        )
        for one in vendored
    ]
    return _largest_first(sizes)


def _node_sizes(folder: Path, archive: Archive) -> tuple[Dependency, ...]:
    sizes = []
    for modules in _node_packages(folder / "node_modules"):
        name = modules.relative_to(folder / "node_modules").as_posix()
        prefix = f"node_modules/{name}/"
        try:
            version = str(json.loads((modules / "package.json").read_bytes()).get("version", ""))
        except (OSError, ValueError, AttributeError):
            version = ""
        inside = [one for one in archive.zipped if one.startswith(prefix)]
        unzipped = sum((folder / one).stat().st_size for one in inside)
        sizes.append(
            Dependency(name, version, unzipped, sum(archive.zipped[one] for one in inside))
        )
    return _largest_first(sizes)


def _node_packages(modules: Path) -> Iterator[Path]:
    for folder in sorted(modules.iterdir()) if modules.is_dir() else ():
        if folder.name.startswith("@"):
            yield from sorted(path for path in folder.iterdir() if path.is_dir())
        elif folder.is_dir() and not folder.name.startswith("."):
            yield folder


def _largest_first(sizes: Sequence[Dependency]) -> tuple[Dependency, ...]:
    return tuple(sorted(sizes, key=lambda one: (-one.unzipped_bytes, one.name)))


def _warnings(declared: LambdaFunctionDeclaration, vendored: Sequence[Vendored]) -> Iterator[str]:
    problem = syntax_problem(
        declared.path, declared.handler, declared.runtime, node=shutil.which("node")
    )
    if problem:
        yield f"{declared.name} does not compile here and would fail when it runs: {problem}"
    file = declared.path / "requirements.txt"
    if not vendored or not file.is_file():
        return
    lines = [line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines()]
    loose = [line for line in lines if line and line[0] != "-" and not _PINNED.fullmatch(line)]
    if loose:
        versions = {one.name: one.version for one in vendored}
        said = ", ".join(f"{name}=={version}" for name, version in versions.items())
        yield (
            f"{declared.name}: requirements.txt does not pin {', '.join(loose)}; another day may "
            f"bring other bytes. Packaged now: {said}"
        )
