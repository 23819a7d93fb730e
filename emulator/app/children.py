"""The commands that localpop starts beside itself: origins, set-up steps, a user's own command.

They learn where AWS is only through the SDK's own variables, so the same code runs on AWS.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from emulator.errors import ConfigError

_STOP_GRACE_S: Final = 3.0
_SECRET: Final = "${localpop.secret}"
_VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")


def aws_environment(aws_url: str) -> dict[str, str]:
    """What makes an unmodified SDK speak to the local endpoint; real credentials never go there."""
    return {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def declared_environment(
    declared: Mapping[str, str], attribute: Callable[[str], str], state: Path
) -> dict[str, str]:
    """`[environment]` of localpop.toml with its variables filled in.

    `${AnswerStore.Arn}` is an attribute of a resource of the template; `${localpop.secret}` is a
    random text, made at first use and kept in the state folder.
    """
    filled = {}
    for name, text in declared.items():
        if text == _SECRET:
            filled[name] = _secret(name, state)
        else:
            filled[name] = _VARIABLE.sub(lambda match: attribute(match[1]), text)
    return filled


def _secret(name: str, state: Path) -> str:
    path = state / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in kept:
        kept[name] = secrets.token_urlsafe(48)
        state.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(kept))
    return kept[name]


class Child:
    """One command, in a process group of its own so that all of it can be stopped.

    Args:
        command: Words; a first word `python` means this interpreter.
        environment: Beside the one localpop was started with.
        folder: Where it runs.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self.command = tuple(command)
        self._environment, self._folder = environment, folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it.

        Raises:
            ConfigError: There is no such program.
        """
        words = list(self.command)
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        # Its own programs, such as `locust`, are found beside the interpreter.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        try:
            self._process = await asyncio.create_subprocess_exec(
                *words,
                cwd=self._folder,
                env={**os.environ, "PATH": path, **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(
                f"{' '.join(self.command)} cannot be started: {error.strerror}.",
                mend="Mend the command in localpop.toml.",
            ) from None

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """End it and everything it started: politely, then not."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _STOP_GRACE_S)
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
