"""What several commands share: the settings' flags, the terminal, a loop, a running emulator."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import urllib.error
import urllib.request
from collections.abc import Coroutine, Mapping
from typing import Any

from emulator.app.settings import Overrides
from emulator.errors import ConfigError


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The flags behind localpop.toml's settings."""
    parser.add_argument("--viewer-port", type=int, metavar="PORT", help="the viewers' port (8080)")
    parser.add_argument("--https-port", type=int, metavar="PORT", help="viewers' HTTPS (8443)")
    parser.add_argument("--aws-port", type=int, metavar="PORT", help="the AWS endpoint (4566)")
    parser.add_argument("--dashboard-port", type=int, metavar="PORT", help="the dashboard (8090)")
    parser.add_argument("--host", help="the address to bind (127.0.0.1)")
    parser.add_argument(
        "--place", metavar="POP/ACCESS", help="where a silent viewer is (LHR/fibre)"
    )
    parser.add_argument("--latency", choices=["on", "off"], help="simulated latency")
    parser.add_argument("--seed", type=int, help="fixes every simulated draw")
    parser.add_argument(
        "--time-scale", type=float, metavar="FACTOR", help="multiplies every simulated time (1)"
    )
    parser.add_argument(
        "--require-auth",
        choices=["on", "off"],
        help="whether the AWS endpoint refuses calls without a signature (off)",
    )


def add_declared_python(parser: argparse.ArgumentParser) -> None:
    """The flag that chooses the interpreter of Lambda@Edge functions."""
    parser.add_argument(
        "--declared-python",
        action="store_true",
        default=os.environ.get("LOCALPOP_DECLARED_PYTHON") == "on",
        help="run Lambda@Edge functions on the Python version they declare, where it is installed "
        "(LOCALPOP_DECLARED_PYTHON=on)",
    )


def overrides_of(arguments: argparse.Namespace) -> Overrides:
    """What those flags say."""
    return Overrides(
        viewer_port=arguments.viewer_port,
        https_port=arguments.https_port,
        aws_port=arguments.aws_port,
        dashboard_port=arguments.dashboard_port,
        host=arguments.host,
        place=arguments.place,
        latency=None if arguments.latency is None else arguments.latency == "on",
        seed=arguments.seed,
        time_scale=arguments.time_scale,
        require_auth=None if arguments.require_auth is None else arguments.require_auth == "on",
    )


def tell(line: str) -> None:
    """Say something to the person at the terminal."""
    print(f"localpop: {line}", flush=True)


def run_loop(main_: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main_)
    code: int = uvloop.run(main_)
    return code


def get_json(
    url: str,
    *,
    method: str = "GET",
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Ask a running emulator.

    Raises:
        ConfigError: It does not run, or refuses; in its own words.
    """
    data = json.dumps(body).encode() if body is not None else None
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        answered = json.loads(error.read() or b"{}")
        words = str(answered.get("error") or answered.get("message") or answered)
        raise ConfigError(
            f"{words.removesuffix('.')}.",
            mend=str(answered.get("mend", "")),
        ) from None
    except (urllib.error.URLError, OSError):
        raise ConfigError(
            f"Nothing answers at {url.split('/', 3)[2]}.", mend="Start it with: localpop up"
        ) from None


def pairs(said: list[str], flag: str) -> dict[str, str]:
    """What `--flag NAME=VALUE`, said several times, says.

    Raises:
        ConfigError: One of them has no value.
    """
    found = {}
    for one in said:
        name, separator, value = one.partition("=")
        if not separator or not name:
            raise ConfigError(f"{flag} {one!r} has no value.", mend=f"Write {flag} NAME=VALUE.")
        found[name] = value
    return found
