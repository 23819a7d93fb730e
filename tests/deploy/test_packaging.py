from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from emulator.deploy.packaging import (
    Limits,
    package_cloudfront_function,
    package_lambda,
    remove_outdated,
)
from emulator.errors import ConfigError
from emulator.project.declarations import FunctionDeclaration, LambdaFunctionDeclaration
from tests.deploy.wheels import ELF_AARCH64, ELF_X86_64, make_wheel

HANDLER = "import library\ndef handler(event, context):\n    return {'status': '200'}\n"


def declared(source: Path, **changed: Any) -> LambdaFunctionDeclaration:
    """A Python function whose code is in a folder."""
    arn = "arn:aws:lambda:us-east-1:123456789012:function:answers"
    said: dict[str, Any] = {
        "handler": "handler.handler",
        "runtime": "python3.13",
        "path": source,
        "baked": {"config.json": {"arn": "é"}},
        **changed,
    }
    return LambdaFunctionDeclaration("Answers", "answers", arn, **said)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A function's source folder."""
    folder = tmp_path / "source"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__/handler.cpython-311.pyc").write_bytes(b"x")
    (folder / "handler.py").write_text(HANDLER)
    return folder


def contents(file: Path) -> list[str]:
    """The names in a zip."""
    with zipfile.ZipFile(file) as archive:
        return archive.namelist()


def test_the_same_input_gives_the_same_bytes(source: Path, wheels: Path, tmp_path: Path) -> None:
    """Source, baked files and libraries; the file's name carries the hash of its content."""
    make_wheel(wheels, "library", files={"library/big.txt": b"x" * 5_000})
    (source / "requirements.txt").write_text("library==1.0\n")
    first = package_lambda(declared(source), tmp_path / "one")
    (source / "handler.py").touch()
    second = package_lambda(declared(source), tmp_path / "two")
    other = package_lambda(declared(source, baked={}), tmp_path / "two")
    zipped = tmp_path / "one" / first.file

    assert (tmp_path / "two" / second.file).read_bytes() == zipped.read_bytes()
    assert first == second
    assert first.sha256[:16] in first.file
    assert other.sha256 != first.sha256
    assert contents(zipped) == [
        "config.json",
        "handler.py",
        "library-1.0.dist-info/LICENSE",
        "library-1.0.dist-info/METADATA",
        "library/__init__.py",
        "library/big.txt",
        "requirements.txt",
    ]
    assert [path.name for path in (tmp_path / "one").iterdir()] == [first.file]
    assert [(one.name, one.version) for one in first.dependencies] == [("library", "1.0")]
    assert first.dependencies[0].unzipped_bytes > 5_000 > first.dependencies[0].zipped_bytes
    assert first.warnings == ()


def test_requirements_that_are_not_pinned_are_told(
    source: Path, wheels: Path, tmp_path: Path
) -> None:
    """With the versions that were packaged, to be copied."""
    make_wheel(wheels, "library", "2.3")
    (source / "requirements.txt").write_text("library>=2\n")
    made = package_lambda(declared(source), tmp_path / "out")

    assert "does not pin library>=2" in made.warnings[0]
    assert "library==2.3" in made.warnings[0]


def test_the_folders_own_copy_comes_first(source: Path, wheels: Path, tmp_path: Path) -> None:
    """What somebody put there on purpose is not overwritten."""
    make_wheel(wheels, "library")
    (source / "requirements.txt").write_text("library==1.0\n")
    (source / "library").mkdir()
    (source / "library/__init__.py").write_text("MINE = True")
    made = package_lambda(declared(source), tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "out" / made.file) as archive:
        kept = archive.read("library/__init__.py")

    assert kept == b"MINE = True"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"timeout_s": 31}, "Max allowed: 30"),
        ({"memory_mb": 64}, "MemorySize 64"),
        ({"environment": {"A": "1"}}, "cannot have environment variables"),
        ({"runtime": "java21"}, "Node.js and Python"),
        ({"handler": "handler"}, "names no function"),
    ],
)
def test_what_lambda_at_edge_refuses_is_refused_here(
    source: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    """In CloudFront's words where they are known; nothing is left in the build folder."""
    with pytest.raises(ConfigError, match=message):
        package_lambda(declared(source, **changed), tmp_path / "out")

    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_package_over_its_quota_says_what_takes_the_room(
    source: Path, wheels: Path, tmp_path: Path
) -> None:
    """50 MB zipped, 250 MB unzipped; tried with smaller limits."""
    make_wheel(wheels, "library", files={"library/data": bytes(range(256)) * 40})
    (source / "requirements.txt").write_text("library==1.0\n")
    for limits, message in (
        (Limits(zip_bytes=1_000), "The zip has .* allows 1,000.* library"),
        (Limits(unzipped_bytes=9_000), "The unzipped package has .* allows 9,000"),
    ):
        with pytest.raises(ConfigError, match=message):
            package_lambda(declared(source), tmp_path / "out", limits=limits)

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("fast.so", ELF_AARCH64, "not compiled for x86_64 Linux"),
        ("fast.so", b"\xcf\xfa\xed\xfe" * 10, "not compiled for x86_64 Linux"),
        ("fast.cpython-311-x86_64-linux-gnu.so", ELF_X86_64, r"compiled for Python 3\.11"),
    ],
)
def test_modules_for_another_machine_are_refused(
    source: Path, tmp_path: Path, name: str, body: bytes, message: str
) -> None:
    """Copied into the folder on somebody's laptop."""
    (source / name).write_bytes(body)

    with pytest.raises(ConfigError, match=message):
        package_lambda(declared(source), tmp_path / "out")


def test_a_node_function_needs_its_modules(tmp_path: Path) -> None:
    """package.json names them; the AWS SDK is Lambda's. Sizes are shown for each."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.js").write_text("exports.handler = async () => ({ status: '200' });")
    named = {"dependencies": {"cookie": "^1", "@aws-sdk/client-s3": "^3"}}
    (source / "package.json").write_text(json.dumps(named))
    function = declared(source, runtime="nodejs22.x", handler="index.handler")
    with pytest.raises(ConfigError, match=r"names cookie, .*npm ci --omit=dev"):
        package_lambda(function, tmp_path / "out")

    modules = source / "node_modules/cookie"
    modules.mkdir(parents=True)
    (modules / "package.json").write_text('{"version": "1.0.2"}')
    made = package_lambda(function, tmp_path / "out")

    assert [(one.name, one.version) for one in made.dependencies] == [("cookie", "1.0.2")]


def test_a_cloudfront_functions_source_keeps_to_its_quota(tmp_path: Path) -> None:
    """10 KB in UTF-8, comments included; one byte more is refused."""
    file = tmp_path / "index.js"
    code = "function handler(event) { return event.request; } //"
    file.write_text(code + "é" * ((10_240 - len(code)) // 2), encoding="utf-8")
    function = FunctionDeclaration("F", "f", "arn", "cloudfront-js-2.0", file, "")
    made = package_cloudfront_function(function, tmp_path / "out")
    file.write_text(file.read_text(encoding="utf-8") + "xx", encoding="utf-8")

    assert made.size_bytes == 10_240
    assert (tmp_path / "out" / made.file).read_text(encoding="utf-8") == made.code
    with pytest.raises(ConfigError, match="CloudFront allows 10,240"):
        package_cloudfront_function(function, tmp_path / "out")


def test_earlier_builds_of_the_same_function_go(source: Path, tmp_path: Path) -> None:
    """Only those; other files and other functions' stay."""
    out = tmp_path / "out"
    out.mkdir()
    kept = ["answers-other-0123456789abcdef.zip", "mine.zip"]
    for name in (*kept, "answers-0123456789abcdef.zip"):
        (out / name).touch()
    made = package_lambda(declared(source, baked={}), out)
    remove_outdated(out, [made])

    assert sorted(path.name for path in out.iterdir()) == sorted([*kept, made.file])
