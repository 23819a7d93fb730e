"""The worker process: runs functions one after another until its parent goes away.

Started as `python -m emulator.runtimes.cloudfront_functions.worker FD SHARED`, where FD is one end
of a socketpair and SHARED the memory that tells the parent which call runs. It answers calls in
order; the answers of quick calls that came together leave together. It keeps no time limit of its
own: quickjs-ng's would exclude the callables that crypto and the store need, and does not reach
every built-in (facts/engines.md 1); the parent kills the process instead.
"""

from __future__ import annotations

import ctypes
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from quickjs import Context

from emulator.runtimes.cloudfront_functions.factory import Import
from emulator.runtimes.cloudfront_functions.frames import Decoder, encode
from emulator.runtimes.cloudfront_functions.progress import Progress
from emulator.runtimes.cloudfront_functions.realm import (
    Invocation,
    NoStore,
    Realm,
    ran_out_of_memory,
)
from emulator.runtimes.cloudfront_functions.words import MemberCall

_RECEIVE_BYTES: Final = 64 * 1024
"""recv() allocates as much each time; above 128 KB malloc would map and unmap pages for it."""
_IDLE_S: Final = 0.02
"""This long without a call, and there is time to tidy up."""
_CALLS_BETWEEN_COLLECTIONS: Final = 500
_QUICK_MS: Final = 0.25
"""So much work may be done before answers leave. To wake the parent costs a tenth of a millisecond
where cores sleep; no answer should wait much longer than that for another one."""
_REALM_LIMIT_NS: Final = 1_000_000_000
"""CPU time for making a realm; 20 ms are usual."""
_PR_SET_PDEATHSIG: Final = 1

_REFERENCE_LOOP: Final = """(function () {
    var o = {}, s = '';
    for (var i = 0; i < 2000; i++) { o['k' + (i % 64)] = i; s = String(i) + s.slice(0, 20); }
    return s.length;
})"""
_REFERENCE_LOOP_MS: Final = 0.6
"""What the loop took on the machine that the time budget is meant for (2 vCPU EPYC, 2026-11)."""


@dataclass(slots=True)
class _LoadedCode:
    runtime: str
    imports: tuple[Import, ...]
    body: str
    keeps_globals: bool
    calls: tuple[MemberCall, ...]
    realm: Realm | None = None
    is_quick: bool = False

    def prepare(self) -> Realm:
        if self.realm is None:
            self.realm = Realm(self.runtime, self.imports, self.body, self.calls)
        return self.realm


class _StoreVersion:
    """One version of a key value store, as an invocation reads it."""

    def __init__(self, items: dict[str, str], facts: dict[str, Any]) -> None:
        self.items = items
        self.id: str = facts["id"]
        self.get = items.get
        self._facts = facts

    def meta_json(self) -> str:
        return orjson.dumps(
            {
                "keyCount": len(self.items),
                "creationDateTime": _iso(self._facts["created_ms"]),
                "lastUpdatedDateTime": _iso(self._facts["modified_ms"]),
            }
        ).decode()


def _iso(epoch_ms: float) -> str:
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class _Worker:
    def __init__(self, connection: socket.socket, progress: Progress) -> None:
        self._connection = connection
        self._progress = progress
        self._outbox: list[bytes] = []
        self._unsent_ms = 0.0
        self._functions: dict[int, _LoadedCode] = {}
        self._stores: dict[tuple[str, int], _StoreVersion] = {}
        self._calls_since_collection = 0
        self._has_stale_realms = False

    def serve(self) -> None:
        """Answer until the other end is closed."""
        self._send(["ready", _REFERENCE_LOOP_MS / _measure_ms()])
        handlers: dict[str, Callable[..., None]] = {
            "load": self._load,
            "drop": self._drop,
            "store": self._keep_store,
            "forget": self._forget_store,
            "run": self._run,
        }
        decoder = Decoder()
        while True:
            if self._has_chores() and not select.select([self._connection], [], [], _IDLE_S)[0]:
                self._do_chores()
            data = self._connection.recv(_RECEIVE_BYTES)
            if not data:
                return
            for message in decoder.feed(data):
                handlers[message[0]](*message[1:])
            self._flush()

    def _send(self, message: list[Any]) -> None:
        self._outbox.append(encode(message))
        self._flush()

    def _flush(self) -> None:
        if self._outbox:
            self._connection.sendall(b"".join(self._outbox))
            self._outbox.clear()
            self._unsent_ms = 0.0

    # -- What the parent says --

    def _load(
        self,
        function: int,
        runtime: str,
        imports: list[list[str]],
        body: str,
        keeps_globals: bool,
        calls: list[list[Any]],
    ) -> None:
        bound = tuple(Import(name, module) for name, module in imports)
        places = tuple(MemberCall(tuple(start), tuple(end), name) for start, end, name in calls)
        self._functions[function] = _LoadedCode(runtime, bound, body, keeps_globals, places)

    def _drop(self, function: int) -> None:
        self._functions.pop(function, None)

    def _keep_store(
        self,
        arn: str,
        version: int,
        base: int | None,
        puts: dict[str, str],
        deletes: list[str],
        facts: dict[str, Any],
    ) -> None:
        items = puts
        if base is not None:
            items = {**self._stores[arn, base].items, **puts}
            for key in deletes:
                del items[key]
        self._stores[arn, version] = _StoreVersion(items, facts)

    def _forget_store(self, arn: str, version: int) -> None:
        self._stores.pop((arn, version), None)

    def _run(
        self,
        call: int,
        function: int,
        raw_query: str | None,
        edge_location: str,
        now_ms: float,
        seed: int,
        store: list[Any] | None,
        event: str,
    ) -> None:
        code = self._functions[function]
        if not code.is_quick:
            self._flush()
        view = self._stores[store[0], store[1]] if store is not None else NoStore()
        invocation = Invocation(view, lambda line: self._send(["log", call, line]))
        if code.realm is None:
            # Making a realm takes longer than most calls, on a slow machine longer than a call may;
            # it is not the call's own time. As if the call began when that much has been used.
            self._progress.begin(call, time.process_time_ns() + _REALM_LIMIT_NS)
        realm = code.prepare()
        was_fresh = realm.is_fresh
        began_ns = time.process_time_ns()
        self._progress.begin(call, began_ns)
        outcome = realm.run(invocation, event, raw_query, edge_location, now_ms, seed)
        if ran_out_of_memory(outcome):
            code.realm = None
            if not was_fresh:
                # It may have been full of what earlier calls left: only a fresh realm tells.
                self._send(["again", call])
                self._run(call, function, raw_query, edge_location, now_ms, seed, store, event)
                return
        cpu_ms = (time.process_time_ns() - began_ns) / 1e6
        if code.keeps_globals:
            # What it left in shared objects must not reach the next call; a new realm is made when
            # there is time.
            code.realm = None
            self._has_stale_realms = True
        self._outbox.append(encode(["done", call, cpu_ms, invocation.store_reads], outcome))
        self._unsent_ms += cpu_ms
        code.is_quick = cpu_ms < _QUICK_MS and code.realm is not None
        if self._unsent_ms >= _QUICK_MS:
            self._flush()
        self._calls_since_collection += 1

    # -- Chores --

    def _has_chores(self) -> bool:
        return self._has_stale_realms or (
            self._calls_since_collection >= _CALLS_BETWEEN_COLLECTIONS
        )

    def _do_chores(self) -> None:
        collect = self._calls_since_collection >= _CALLS_BETWEEN_COLLECTIONS
        for code in self._functions.values():
            if code.realm is not None and collect:
                code.realm.collect_garbage()
            elif code.keeps_globals:
                code.prepare()
        self._has_stale_realms = False
        if collect:
            self._calls_since_collection = 0


def _measure_ms() -> float:
    """CPU time of the reference loop on this machine: the best of a few."""
    loop = Context().eval(_REFERENCE_LOOP)
    times: list[int] = []
    for _ in range(5):
        began_ns = time.thread_time_ns()
        loop()
        times.append(time.thread_time_ns() - began_ns)
    return max(min(times), 1) / 1e6


def _leave_no_core() -> None:
    # A crash of the engine fails one call; a core file of it would fill somebody's disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _die_with_parent() -> None:
    # A function in an endless loop never sees the socket's end.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve on the socket whose number is the first argument; the second is the memory's."""
    _die_with_parent()
    _leave_no_core()
    # The terminal sends Ctrl-C to every process; the parent closes the socket when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        try:
            _Worker(connection, Progress(int(sys.argv[2]))).serve()
        except (BrokenPipeError, ConnectionResetError):
            return


if __name__ == "__main__":
    main()
