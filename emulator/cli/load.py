"""`localpop load`: the project's load tests, aimed at the viewers' port of the settings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from emulator.app.settings import Overrides, current_settings
from emulator.errors import ConfigError, LocalpopError

_COMMANDS = ("run", "worker", "history", "profiles", "report")
"""The commands of `python -m loadtests`; anything else is options of its `run`."""

_INTERRUPTED = 130


def load(words: Sequence[str]) -> int:
    """Run `python -m loadtests` with these words; returns its exit code.

    Raises:
        ConfigError: There are no load tests in this folder.
    """
    if not Path("loadtests", "__main__.py").exists():
        raise ConfigError(
            f"There is no loadtests/ in {Path.cwd()}.",
            mend="Run it in the project's folder.",
        )
    words = [word for word in words if word != "--"]
    if words and words[0] in ("-h", "--help"):
        command: list[str] = []
    else:
        command = [] if words and words[0] in _COMMANDS else ["run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests", *command, *words], env=_environment()
    )
    # A service manager's signal comes to us alone.
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl-C went to the child too, and it wants a moment to end what it has begun.
        process.wait()
        return _INTERRUPTED


def _environment() -> dict[str, str]:
    environment = {**os.environ, "LOADTEST_PROG": "localpop load"}
    if "LOADTEST_HOST" not in environment:
        environment["LOADTEST_HOST"] = _viewer_url()
    return environment


def _viewer_url() -> str:
    """Where localpop serves viewers: said by `localpop run`, else by the settings."""
    url = os.environ.get("LOCALPOP_URL", "")
    if not url:
        # Load tests of another URL need no template.
        with contextlib.suppress(LocalpopError):
            url = f"http://127.0.0.1:{current_settings(Overrides()).viewer_port}"
    return url
