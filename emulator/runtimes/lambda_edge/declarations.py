"""From a declared function to what its sandboxes need; refuses what cannot run, with a remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from emulator import quotas
from emulator.errors import ConfigError, NotEmulated
from emulator.runtimes.lambda_edge.modules import (
    MANAGED_MODULES,
    mentions,
    read_requirements,
    ships,
)
from emulator.runtimes.lambda_edge.processes import SANDBOX_FOLDER
from emulator.values.lambda_edge import LambdaDeclaration, LambdaEdgeSwitches

_NODE_SUFFIXES: Final = (".js", ".mjs", ".cjs")
_MEMORY_MIN_MB, _MEMORY_MAX_MB = 128, quotas.LAMBDA_MEMORY_MAX_MB
_HERE: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_SITE_PACKAGES: Final = ("purelib", "platlib")


@dataclass(frozen=True, slots=True)
class Runnable:
    """A declaration that can run here.

    Args:
        declaration: The declaration.
        package: Its folder, absolute.
        command: What to start for a sandbox; empty for Python.
        allowed_modules: Third-party modules beside those that Lambda ships.
        preload: What a fork server for it should have imported.
        warnings: What will be different on AWS.
        site_packages: Where another interpreter finds the modules that are installed here.
    """

    declaration: LambdaDeclaration
    package: Path
    command: tuple[str, ...]
    allowed_modules: frozenset[str]
    preload: tuple[str, ...]
    warnings: tuple[str, ...]
    site_packages: tuple[str, ...] = ()


def prepare(
    declaration: LambdaDeclaration, switches: LambdaEdgeSwitches, *, declared_python: bool = False
) -> Runnable:
    """Check a declaration and find out what its sandboxes need.

    Args:
        declaration: What is declared.
        switches: The open questions.
        declared_python: Whether to look for the interpreter of the declared version.

    Raises:
        ConfigError: It cannot run; the message says how to mend it.
        NotEmulated: A runtime that only functions in a Region have.
    """
    where = f"Lambda function {declaration.name}"
    package = declaration.package.absolute()
    if not package.is_dir():
        raise ConfigError(
            f"There is no package folder {str(declaration.package)!r}.",
            where=where,
            mend="Mend the function's code path in the template.",
        )
    check_configuration(declaration, where)
    if declaration.runtime.startswith("python3."):
        runnable = _prepare_python(declaration, package, where, switches)
        return _on_declared_python(runnable, where) if declared_python else runnable
    if declaration.runtime.startswith("nodejs"):
        return _prepare_node(declaration, package, where)
    if declaration.regional:
        raise NotEmulated(
            f"The Lambda runtime {declaration.runtime or '(none)'} (Node.js and Python are)",
            where=where,
        )
    # AWS: "Restrictions on Lambda@Edge" names Node.js and Python only, read 2026-11-20.
    raise ConfigError(
        f"Lambda@Edge has no runtime {declaration.runtime!r} (it has Node.js and Python).",
        where=where,
        mend="Declare one such as 'python3.13' or 'nodejs22.x'.",
    )


def check_configuration(declaration: LambdaDeclaration, where: str) -> None:
    """Refuse what CloudFront refuses to associate, in its words (facts/lambda-at-edge.md 6).

    A regional function has Lambda's own limits only.

    Raises:
        ConfigError: Time-out, memory, version or handler cannot be.
    """
    if declaration.regional:
        if not 0 < declaration.timeout_s <= quotas.LAMBDA_REGIONAL_TIMEOUT_MAX_S:
            raise ConfigError(
                f"Timeout {declaration.timeout_s:g} is not between 1 and "
                f"{quotas.LAMBDA_REGIONAL_TIMEOUT_MAX_S} s.",
                where=where,
            )
    elif not 0 < declaration.timeout_s <= quotas.LAMBDA_TIMEOUT_MAX_S:
        raise ConfigError(
            "The function timeout is larger than the maximum allowed for functions that are "
            f"triggered by a CloudFront event: {declaration.timeout_s:g} "
            f"Max allowed: {quotas.LAMBDA_TIMEOUT_MAX_S}.",
            where=where,
            mend="Lower its Timeout.",
        )
    if not _MEMORY_MIN_MB <= declaration.memory_mb <= _MEMORY_MAX_MB:
        raise ConfigError(
            f"MemorySize {declaration.memory_mb} is not between {_MEMORY_MIN_MB} and "
            f"{_MEMORY_MAX_MB} MB.",
            where=where,
        )
    if not declaration.regional and not declaration.version.isdigit():
        raise ConfigError(
            "The function ARN must reference a specific function version. (The ARN must end with "
            f"the version number.) It ends with {declaration.version!r}.",
            where=where,
        )
    if "." not in declaration.handler:
        raise ConfigError(
            f"The handler {declaration.handler!r} names no function.",
            where=where,
            mend="Write it as 'file.function', such as 'handler.handler'.",
        )


def _prepare_python(
    declaration: LambdaDeclaration, package: Path, where: str, switches: LambdaEdgeSwitches
) -> Runnable:
    module = declaration.handler.rpartition(".")[0].replace(".", "/")
    if not ((package / f"{module}.py").is_file() or (package / module).is_dir()):
        raise ConfigError(
            f"The handler {declaration.handler!r} needs the file {module}.py in "
            f"{str(declaration.package)!r}, and it is not there.",
            where=where,
            mend="Mend Handler, or the function's code path.",
        )
    requirements = read_requirements(package)
    allowed = requirements.modules
    if switches.runtime_ships_awscrt:
        allowed |= {"awscrt", "_awscrt"}
    warnings = [
        f"{where}: requirements.txt names {name!r}, which is not installed here; its import will "
        f"fail. Install it: pip install {name}"
        for name in requirements.missing
        if not ships(package, (name.replace("-", "_"),))
    ]
    if declaration.runtime != _HERE:
        warnings.append(_other_version(where, declaration.runtime))
    return Runnable(
        declaration,
        package,
        (),
        allowed,
        _preload(package, allowed),
        tuple(warnings),
    )


def _other_version(where: str, runtime: str) -> str:
    return (
        f"{where}: declared for {runtime}, runs on this machine's {_HERE}; syntax "
        f"and libraries that are newer than {_HERE} fail here, though not on AWS."
    )


def _on_declared_python(runnable: Runnable, where: str) -> Runnable:
    """The same function on the interpreter of its declared version, where there is one.

    That interpreter finds boto3 and what requirements.txt names where this one has them: pure
    Python and stable-ABI modules work, those compiled for this version alone do not.
    """
    runtime = runnable.declaration.runtime
    interpreter = None if runtime == _HERE else find_python(runtime)
    if interpreter is None:
        return runnable
    return replace(
        runnable,
        command=(interpreter, "-I", str(SANDBOX_FOLDER / "python_runtime.py")),
        preload=(),
        warnings=tuple(one for one in runnable.warnings if one != _other_version(where, runtime)),
        site_packages=tuple(dict.fromkeys(sysconfig.get_path(name) for name in _SITE_PACKAGES)),
    )


@cache
def find_python(runtime: str) -> str | None:
    """An interpreter of a version such as `python3.13`: on PATH, or among pyenv's."""
    on_path = shutil.which(runtime)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = sorted(pyenv.glob(f"{runtime.removeprefix('python')}.*/bin/{runtime}"), reverse=True)
    for candidate in ([on_path] if on_path else []) + [str(path) for path in kept]:
        # pyenv puts a stand-in on PATH that fails where the version is not chosen.
        code = "import sys; print('python%d.%d' % sys.version_info[:2])"
        if _says([candidate, "-I", "-c", code]) == runtime:
            return candidate
    return None


def _preload(package: Path, allowed: frozenset[str]) -> tuple[str, ...]:
    """What to import before forking: never a module of which the package has its own copy."""
    if ships(package, MANAGED_MODULES | {"awscrt"}) or not mentions(package, b"boto"):
        return ()
    # botocore looks for awscrt once, when it is imported: so it must come first, or not at all.
    return ("awscrt.auth", "boto3") if "awscrt" in allowed else ("boto3",)


def _prepare_node(declaration: LambdaDeclaration, package: Path, where: str) -> Runnable:
    module = declaration.handler.rpartition(".")[0]
    if not any((package / f"{module}{suffix}").is_file() for suffix in _NODE_SUFFIXES):
        raise ConfigError(
            f"The handler {declaration.handler!r} needs the file {module}.js (or .mjs, .cjs) in "
            f"{str(declaration.package)!r}, and it is not there.",
            where=where,
            mend="Mend Handler, or the function's code path.",
        )
    node = shutil.which("node")
    if node is None:
        raise ConfigError(
            f"The runtime {declaration.runtime!r} needs Node.js, and there is no 'node' on PATH.",
            where=where,
            mend="Install Node.js from https://nodejs.org, or take the function out.",
        )
    command = (
        node,
        # V8's heap only; what lies outside of it is measured after each invocation.
        f"--max-old-space-size={declaration.memory_mb}",
        str(SANDBOX_FOLDER / "node_runtime.js"),
    )
    warnings = []
    here = _node_major(node)
    if here and declaration.runtime != f"nodejs{here}.x":
        warnings.append(
            f"{where}: declared for {declaration.runtime}, runs on this machine's Node.js {here}."
        )
    return Runnable(declaration, package, command, frozenset(), (), tuple(warnings))


@cache
def _node_major(node: str) -> str:
    """The major version of a Node.js; empty when it does not say."""
    return _says([node, "--version"]).lstrip("v").partition(".")[0]


def _says(command: list[str]) -> str:
    """What a program prints; empty when it cannot be run."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
