"""Starting and ending sandboxes' processes: by a fork server on Linux, as fresh ones elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

SANDBOX_FOLDER: Final = Path(__file__).with_name("sandbox")
_PACKET_BYTES: Final = 262_144
# boto3 is imported meanwhile; only a broken installation takes longer.
_SERVER_START_S: Final = 30.0
# How often a fresh process is asked whether it has ended, where nothing reports it by itself.
_POLL_S: Final = 0.02


class SandboxStartError(Exception):
    """A sandbox's process could not be started; the message is the operating system's."""


@dataclass(slots=True)
class SandboxProcess:
    """A started process.

    Args:
        channel: Our end of the channel.
        log_fd: Our end of the pipe behind its stdout and stderr.
        ended: Its exit status; negative for a signal.
        kill: End it and everything it started.
    """

    channel: socket.socket
    log_fd: int
    ended: asyncio.Future[int]
    kill: Callable[[], None]


class Spawner(Protocol):
    """A way to start sandboxes."""

    async def start(self) -> None:
        """Get ready, so that the first sandbox need not wait."""
        ...

    async def spawn(self, command: Sequence[str], environment: dict[str, str]) -> SandboxProcess:
        """Start one sandbox; an empty command means the Python runtime.

        Raises:
            SandboxStartError: It could not be started.
        """
        ...

    async def close(self) -> None:
        """End every sandbox that is left."""
        ...


class _Ends:
    """Both ends of a sandbox's channel and log; ours do not block."""

    def __init__(self) -> None:
        self.channel, self.theirs = socket.socketpair()
        self.log_fd, self.log_theirs = os.pipe()
        self.channel.setblocking(False)
        os.set_blocking(self.log_fd, False)

    def close_theirs(self) -> None:
        self.theirs.close()
        os.close(self.log_theirs)

    def close_ours(self) -> None:
        self.channel.close()
        os.close(self.log_fd)


class ForkServerSpawner:
    """Asks a fork server (`sandbox/fork_server.py`) for each sandbox; Linux only.

    Args:
        temp: A folder of ours that the server removes if we cannot any more.
        preload: Modules to import before any sandbox is made.
    """

    def __init__(self, temp: Path, preload: Sequence[str]) -> None:
        self._temp, self._preload = temp, tuple(preload)
        self._ids = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] | None = None
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._closed = False

    async def start(self) -> None:
        """Start the server, unless it runs already."""
        if self._closed:
            raise SandboxStartError("the sandboxes have been closed")
        if self._ready is None:
            self._launch()
        assert self._ready is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _SERVER_START_S)
        except TimeoutError:
            raise SandboxStartError("the fork server did not get ready in time") from None

    def _launch(self) -> None:
        if self._server is not None:
            # It has lost its channel: on its way out, if not gone.
            self._server.kill()
            self._server.wait()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            self._server = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    str(SANDBOX_FOLDER / "fork_server.py"),
                    str(theirs.fileno()),
                    str(self._temp),
                    *self._preload,
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise SandboxStartError(f"the fork server could not be started: {error}") from error
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        self._control, self._ready = ours, loop.create_future()
        # Somebody may never wait for it.
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        loop.add_reader(ours.fileno(), self._on_packet)

    async def spawn(self, command: Sequence[str], environment: dict[str, str]) -> SandboxProcess:
        """Start one sandbox."""
        await self.start()
        assert self._control is not None
        ends, identity = _Ends(), next(self._ids)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        order = {
            "op": "spawn",
            "id": identity,
            "command": list(command),
            "environment": environment if command else {},
        }
        try:
            socket.send_fds(
                self._control,
                [json.dumps(order).encode()],
                [ends.theirs.fileno(), ends.log_theirs],
            )
        except OSError as error:
            ends.close_ours()
            raise SandboxStartError(f"the fork server does not answer: {error}") from error
        finally:
            ends.close_theirs()
        self._ended[identity] = ended
        return SandboxProcess(ends.channel, ends.log_fd, ended, lambda: self._kill(identity))

    def _kill(self, identity: int) -> None:
        if self._control is not None and identity in self._ended:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"op": "kill", "id": identity}).encode())

    def _on_packet(self) -> None:
        assert self._control is not None
        try:
            packet = self._control.recv(_PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._lost()
            return
        message: dict[str, Any] = json.loads(packet)
        if "ready" in message:
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            return
        ended = self._ended.pop(message["id"], None)
        if ended is not None and not ended.done():
            ended.set_result(message["status"])

    def _lost(self) -> None:
        """The server is gone, and every sandbox with it; the next spawn starts another."""
        assert self._control is not None
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(SandboxStartError("the fork server ended while starting"))
        self._control = self._ready = None
        ended, self._ended = self._ended, {}
        for future in ended.values():
            if not future.done():
                future.set_result(-signal.SIGKILL)

    async def close(self) -> None:
        """Let the server end every sandbox and itself."""
        self._closed = True
        server, self._server = self._server, None
        if self._control is not None:
            self._lost()
        if server is not None:
            await asyncio.get_running_loop().run_in_executor(None, server.wait)


class FreshSpawner:
    """Starts a fresh interpreter for each sandbox: everywhere but on Linux, and for tests."""

    def __init__(self) -> None:
        self._running: dict[subprocess.Popen[bytes], asyncio.Future[int]] = {}
        self._poll: asyncio.TimerHandle | None = None
        self._closed = False

    async def start(self) -> None:
        """Nothing to get ready."""

    async def spawn(self, command: Sequence[str], environment: dict[str, str]) -> SandboxProcess:
        """Start one sandbox."""
        if self._closed:
            raise SandboxStartError("the sandboxes have been closed")
        ends = _Ends()
        runtime = [sys.executable, "-I", str(SANDBOX_FOLDER / "python_runtime.py")]
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - takes milliseconds
                [*(command or runtime), str(ends.theirs.fileno())],
                pass_fds=[ends.theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=ends.log_theirs,
                stderr=ends.log_theirs,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            ends.close_ours()
            raise SandboxStartError(str(error)) from error
        finally:
            ends.close_theirs()
        loop = asyncio.get_running_loop()
        self._running[process] = loop.create_future()
        if self._poll is None:
            self._poll = loop.call_later(_POLL_S, self._look)
        return SandboxProcess(
            ends.channel, ends.log_fd, self._running[process], lambda: _kill_group(process)
        )

    def _look(self) -> None:
        for process, ended in list(self._running.items()):
            status = process.poll()
            if status is None:
                continue
            # What it started and left behind in its group.
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            del self._running[process]
            if not ended.done():
                ended.set_result(status)
        self._poll = None
        if self._running:
            self._poll = asyncio.get_running_loop().call_later(_POLL_S, self._look)

    async def close(self) -> None:
        """End every sandbox that is left."""
        self._closed = True
        left = list(self._running.values())
        for process in self._running:
            _kill_group(process)
        if left:
            await asyncio.wait(left)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
