"""Linux only: a process that starts sandboxes by forking itself, in about ten milliseconds.

Theory of operation. It is started once, imports what the runtime ships (boto3 takes 0.3 s), freezes
its heap and then only waits on one socket of packets:

    {"op": "spawn", "id", "command"?} + 2 descriptors (channel, log)    start a sandbox
    {"op": "kill", "id"}                                                end one
    {"id", "status"}                           its answer when one has ended; negative: a signal
    end of file                                the emulator is gone: end everything

Each sandbox leads a process group of its own and dies with this process (PR_SET_PDEATHSIG). This
process is a "subreaper": whatever a handler started and left behind becomes its child and is ended
as well. So nothing outlives the emulator, not even after `kill -9`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_PACKET_BYTES = 262_144


def _load_runtime() -> ModuleType:
    """The file beside this one, under a name that the handler's guard leaves alone."""
    spec = importlib.util.spec_from_file_location(
        "_localpop_runtime", Path(__file__).with_name("python_runtime.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class ForkServer:
    """The loop of this process."""

    def __init__(self, control: socket.socket, temp: str, preload: list[str]) -> None:
        self._control, self._temp = control, temp
        self._sandboxes: dict[int, int] = {}
        self._runtime = _load_runtime()
        allowed = {name.partition(".")[0] for name in preload}
        if "awscrt" in allowed:
            allowed.add("_awscrt")
        self._guard = self._runtime.hide_our_modules(self._runtime.MANAGED_MODULES | allowed)
        for name in preload:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Start and end sandboxes until the emulator is gone."""
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self._control.send(b'{"ready": true}')
        while True:
            readable, _, _ = select.select([self._control.fileno(), wake], [], [])
            if wake in readable:
                os.read(wake, 4096)
                self._reap()
            if self._control.fileno() in readable and not self._obey():
                self._end_everything()
                return

    def _obey(self) -> bool:
        try:
            packet, descriptors, _, _ = socket.recv_fds(self._control, _PACKET_BYTES, 2)
        except OSError:
            return False
        if not packet:
            return False
        order = json.loads(packet)
        if order["op"] == "spawn":
            self._spawn(order, descriptors)
        else:
            self._kill(order["id"])
        return True

    def _spawn(self, order: dict[str, Any], descriptors: list[int]) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            for descriptor in descriptors:
                os.close(descriptor)
            self._report(order["id"], -signal.SIGKILL)
            return
        if pid == 0:
            try:
                self._become(order, descriptors, parent)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        # Set by both sides, so that it holds whoever comes first.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self._sandboxes[pid] = order["id"]

    def _become(self, order: dict[str, Any], descriptors: list[int], parent: int) -> NoReturn:
        os.setpgid(0, 0)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)
        self._control.close()
        channel, log = descriptors
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        gc.enable()
        if order["command"]:
            os.set_inheritable(channel, True)
            command = [*order["command"], str(channel)]
            os.execve(command[0], command, order["environment"])
        os.set_inheritable(channel, False)
        self._runtime.enter(socket.socket(fileno=channel), self._guard)
        raise AssertionError("enter() never returns")

    def _kill(self, sandbox: int) -> None:
        for pid, identity in self._sandboxes.items():
            if identity == sandbox:
                self._kill_group(pid)

    @staticmethod
    def _kill_group(pid: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                # Not reaped yet: so its number cannot belong to anyone else meanwhile.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            if pid in self._sandboxes:
                self._kill_group(pid)
            _, status = os.waitpid(pid, 0)
            identity = self._sandboxes.pop(pid, None)
            # What left the group became our child when its parent ended.
            self._end_strays()
            if identity is not None:
                self._report(identity, os.waitstatus_to_exitcode(status))

    def _end_strays(self) -> None:
        with contextlib.suppress(OSError):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
            for pid in map(int, children.split()):
                if pid not in self._sandboxes:
                    os.kill(pid, signal.SIGKILL)

    def _report(self, sandbox: int, status: int) -> None:
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"id": sandbox, "status": status}).encode())

    def _end_everything(self) -> None:
        for pid in list(self._sandboxes):
            self._kill_group(pid)
        # Strays of strays become our children only when their parents are gone.
        for _ in range(100):
            self._end_strays()
            try:
                pid, _status = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            self._sandboxes.pop(pid, None)
        shutil.rmtree(self._temp, ignore_errors=True)


def main() -> None:
    """`python -I fork_server.py <fd> <temporary folder> <module>…`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    ForkServer(control, sys.argv[2], sys.argv[3:]).serve()


if __name__ == "__main__":
    main()
