"""One Python function in the emulator's own process, so that an IDE's breakpoint stops it.

It is a way to start an environment like the others (`processes.py`): the same frames over the same
kind of channel, but a thread at the other end. The handler's modules are loaded from the package,
where its baked files are, and carry the file names of the source folder, where breakpoints are.

What differs, and cannot be otherwise: no deadline, no memory limit, no hidden modules, no folder of
its own; what it prints goes to the terminal and not into the function's log; one invocation at a
time; a handler that hangs keeps its thread, and one that ends the process ends the emulator. A
debugger that stops all threads stops the emulator too.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.abc
import importlib.machinery
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NoReturn

from emulator.errors import ConfigError
from emulator.runtimes.lambda_edge.declarations import Runnable
from emulator.runtimes.lambda_edge.processes import SandboxProcess
from emulator.runtimes.lambda_edge.sandbox import python_runtime

DEBUG_PATIENCE_S: Final = 24 * 3600.0
# The process's own: a handler's would change what the emulator finds and starts.
_KEPT_VARIABLES: Final = frozenset({"PATH", "HOME", "TMPDIR", "LANG", "TZ"})
# One handler at a time, whichever environment it belongs to: variables are the process's.
_TURN: Final = threading.RLock()


class DebugSpawner:
    """Starts threads in place of processes.

    Args:
        runnable: The one function.

    Raises:
        ConfigError: It is not written in Python.
    """

    def __init__(self, runnable: Runnable) -> None:
        declaration = runnable.declaration
        if not declaration.runtime.startswith("python"):
            raise ConfigError(
                f"{declaration.name} ({declaration.runtime}) cannot run in this process; only a "
                "Python function can.",
                mend="Debug it by itself: node --inspect-brk, with an event of `localpop event`.",
            )
        self._finder = _PackageFinder(runnable.package, declaration.source or runnable.package)
        self._handler: python_runtime.Handler | None = None

    async def start(self) -> None:
        """Nothing to get ready."""

    async def spawn(self, command: Sequence[str], environment: dict[str, str]) -> SandboxProcess:
        """Start a thread that serves the channel."""
        loop = asyncio.get_running_loop()
        channel, theirs = socket.socketpair()
        channel.setblocking(False)
        log_fd, log_theirs = os.pipe()
        os.set_blocking(log_fd, False)
        os.close(log_theirs)
        ended: asyncio.Future[int] = loop.create_future()

        def end() -> None:
            if not ended.done():
                ended.set_result(0)
            with contextlib.suppress(OSError):
                theirs.shutdown(socket.SHUT_RDWR)

        sandbox = _ThreadSandbox(theirs, self._load, environment)
        threading.Thread(target=sandbox.live, name="debugged function", daemon=True).start()
        return SandboxProcess(channel, log_fd, ended, end)

    async def close(self) -> None:
        """Let the modules go."""
        _PackageFinder.remove_all()

    def _load(self, name: str) -> python_runtime.Handler:
        """The handler, loaded once for all environments."""
        if self._handler is None:
            self._finder.install()
            self._handler = python_runtime.find_handler(name)
        return self._handler


class _ThreadSandbox(python_runtime.Sandbox):
    """The Python runtime's loop without what belongs to a process."""

    def __init__(
        self,
        connection: socket.socket,
        load: Callable[[str], python_runtime.Handler],
        environment: dict[str, str],
    ) -> None:
        super().__init__(connection)
        self._load_once, self._environment = load, environment
        self._is_running = False
        self._answers: list[bytes] = []

    def _max_memory_kb(self) -> int:
        """What the function uses cannot be told from what localpop uses."""
        return 0

    def live(self) -> None:
        """Serve until the emulator lets go."""
        with contextlib.suppress(SystemExit):
            self.config = self._receive() or self.leave(0)
            self.serve()

    def _load(self) -> python_runtime.Handler:
        with self._as_the_function():
            return self._load_once(self.config["handler"])

    def _invoke(self, handler: python_runtime.Handler, message: dict[str, Any]) -> None:
        with self._as_the_function():
            self._is_running = True
            super()._invoke(handler, message)
        self._is_running = False
        for answer in self._answers:
            self._write(answer)
        self._answers.clear()

    def _write(self, frame: bytes) -> None:
        """An answer leaves when the process has its own variables again."""
        if self._is_running:
            self._answers.append(frame)
        else:
            super()._write(frame)

    @contextlib.contextmanager
    def _as_the_function(self) -> Iterator[None]:
        """The function's variables, for as long as it runs."""
        with _TURN:
            before = dict(os.environ)
            theirs = {k: v for k, v in self._environment.items() if k not in _KEPT_VARIABLES}
            os.environ.update(theirs)
            try:
                yield
            finally:
                for name in {*theirs, "_X_AMZN_TRACE_ID"} - set(before):
                    os.environ.pop(name, None)
                os.environ.update(before)

    def leave(self, code: int) -> NoReturn:
        """End the thread, not the process."""
        self._connection.close()
        raise SystemExit(code)


class _PackageFinder(importlib.abc.MetaPathFinder):
    """Finds a package's modules before anything else is asked."""

    def __init__(self, package: Path, source: Path) -> None:
        self._package, self._source = package, source

    def install(self) -> None:
        """Stand first, and forget what an earlier version left."""
        self.remove_all()
        sys.meta_path.insert(0, self)

    @staticmethod
    def remove_all() -> None:
        """Leave nothing of any debugged function behind."""
        for finder in [one for one in sys.meta_path if isinstance(one, _PackageFinder)]:
            finder.remove()

    def remove(self) -> None:
        """Stand aside, and take the package's modules along."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(self._package):
                del sys.modules[name]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A module of the package; nobody else's."""
        places = [str(self._package)] if path is None else list(path)
        if path is not None and not any(self._is_inside(place) for place in places):
            return None
        found = importlib.machinery.PathFinder.find_spec(name, places)
        if found is not None and isinstance(found.loader, importlib.machinery.SourceFileLoader):
            found.loader = _SourceNames(name, found.loader.path, self._package, self._source)
        return found

    def _is_inside(self, place: str) -> bool:
        return Path(place).is_relative_to(self._package)


class _SourceNames(importlib.machinery.SourceFileLoader):
    """Loads a module of the package under the name of the file that it was copied from."""

    def __init__(self, name: str, path: str, package: Path, source: Path) -> None:
        super().__init__(name, path)
        self._package, self._source = package, source

    def get_code(self, fullname: str) -> CodeType:
        """Compiled anew: a cached one would carry the copy's name."""
        copied = Path(self.path)
        original = self._source / copied.relative_to(self._package)
        shown = original if original.is_file() else copied
        return compile(copied.read_bytes(), str(shown), "exec", dont_inherit=True)
