"""`localpop package`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from emulator.app.packaging import Packaged, package_project
from emulator.app.settings import current_settings
from emulator.cli.common import add_settings, overrides_of, pairs
from emulator.deploy.artifacts import Artifact
from emulator.errors import ConfigError

_EPILOG = """\
examples:
  localpop package --all                 every edge function, manifest.json and packaged.yaml
  localpop package answer-lookup-lambda  one function's zip, sizes of its dependencies shown

The same input gives the same bytes; file names carry their hash. requirements.txt is installed for
the function's own Python version on x86_64 Linux, whatever this machine is. To deploy a template:
  aws s3 cp build/ s3://BUCKET/ --recursive --exclude '*' --include '*.zip'
  aws cloudformation deploy --template-file build/packaged.yaml …
"""


def add_commands(commands: Any) -> None:
    """`localpop package FUNCTION|--all`."""
    package = commands.add_parser(
        "package",
        help="make what you deploy: reproducible zips, a manifest, a packaged template",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    package.add_argument("function", nargs="?", default="", help="one function, by its name")
    package.add_argument("--all", action="store_true", help="every edge function of the template")
    package.add_argument("--out", type=Path, default=Path("build"), help="where to (build)")
    package.add_argument(
        "--with-boto3", action="store_true", help="vendor boto3 too, although Lambda has it"
    )
    package.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="WHAT=VALUE",
        help="what AWS gave, for baked files: AnswerStore.Arn=arn:…, a bucket's name",
    )
    add_settings(package)
    package.set_defaults(act=_package)


def _package(arguments: argparse.Namespace) -> int:
    if bool(arguments.function) == arguments.all:
        raise ConfigError(
            "Which function?", mend="Write localpop package NAME, or localpop package --all."
        )
    packaged = package_project(
        current_settings(overrides_of(arguments)),
        arguments.out,
        function=arguments.function,
        with_boto3=arguments.with_boto3,
        values=pairs(arguments.value, "--value"),
    )
    _show(packaged, arguments.out)
    return 0


def _show(packaged: Packaged, out: Path) -> None:
    for artifact in packaged.artifacts:
        print(f"{out / artifact.file}")
        used = f"{100 * artifact.quota_used:.1f} % of the quota of {_size(artifact.limit_bytes)}"
        what = f"{artifact.kind} {artifact.name} ({artifact.runtime})"
        print(f"  {what}: {_size(artifact.size_bytes)}, {used}")
        _show_dependencies(artifact)
        for warning in artifact.warnings:
            print(f"  warning: {warning}")
    for file in packaged.files:
        print(file)


def _show_dependencies(artifact: Artifact) -> None:
    for one in artifact.dependencies:
        print(
            f"    {one.name + ' ' + one.version:<32} {_size(one.unzipped_bytes):>10} "
            f"{_size(one.zipped_bytes):>10} zipped"
        )


def _size(size_bytes: int) -> str:
    if size_bytes < 10 * 1024:
        return f"{size_bytes:,} B"
    return (
        f"{size_bytes / 1024:,.0f} KB" if size_bytes < 1024**2 else f"{size_bytes / 1024**2:.1f} MB"
    )
