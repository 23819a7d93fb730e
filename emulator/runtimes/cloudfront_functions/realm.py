"""One JavaScript realm: quickjs-ng made to look like CloudFront's engine, with one function in it.

The realm's own JavaScript (the folder `javascript`) runs first: it takes the host's callables away
from the global object, adds what quickjs-ng lacks and removes what njs does not have. Its lines
come after line 15,000, so that an error's frames tell whose code they are: a function has 10 KB,
and so fewer lines.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import orjson
from quickjs import Context, JSException

from emulator import quotas
from emulator.runtimes.cloudfront_functions.factory import Import, factory_head, factory_source
from emulator.runtimes.cloudfront_functions.words import MemberCall, Words

_FRAME_LINES: Final = 15_000
_STACK_BYTES: Final = 512 * 1024
_PARTS: Final = Path(__file__).parent / "javascript"

MEMORY_SLACK_BYTES: Final = 256 * 1024
"""Beyond the 2 MB: quickjs-ng frees cycles only now and then, so what earlier calls left counts."""


class StoreView(Protocol):
    """What an invocation reads of its key value store: always one version."""

    @property
    def id(self) -> str:
        """The store's UUID; empty when the function has none."""
        ...

    def get(self, key: str) -> str | None:
        """The value, or None."""
        ...

    def meta_json(self) -> str:
        """What `meta()` resolves to, as JSON."""
        ...


class NoStore:
    """The view of a function without an associated store."""

    id = ""

    def get(self, key: str) -> str | None:
        """Nothing is there."""
        return None

    def meta_json(self) -> str:
        """Nothing is known."""
        return "{}"


@dataclass(slots=True)
class Invocation:
    """What the realm may know of the call that runs."""

    store: StoreView
    log: Callable[[str], None]
    store_reads: int = 0
    log_bytes_left: int = field(default=quotas.FUNCTION_LOG_MAX_BYTES)


class _Host:
    """What a realm may ask of the host. None of it may raise: the bridge cannot carry it.

    The context holds these methods; so that a dropped realm is freed at once, they do not hold it.
    """

    def __init__(self, words: Words, head_columns: int) -> None:
        self._words = words
        self._head_columns = head_columns
        self.call = Invocation(NoStore(), lambda _line: None)

    def add_to(self, context: Context) -> None:
        """Put everything on the global object, from where the frame takes it away."""
        add = context.add_callable
        add("$get", self._get)
        add("$store", lambda: self.call.store.id)
        add("$meta", lambda: self.call.store.meta_json())
        add("$hash", _digest)
        add("$log", self._log)
        add("$words", self._translated)

    def _get(self, key: str) -> str | None:
        self.call.store_reads += 1
        return self.call.store.get(key)

    def _log(self, line: str) -> None:
        call = self.call
        if call.log_bytes_left <= 0:
            return
        # "Truncated at 10 KB" (cloudfront-function-restrictions), over the whole invocation.
        data = line.encode("utf-8", "replace")
        kept = data[: call.log_bytes_left]
        call.log_bytes_left -= len(kept)
        call.log(line if len(kept) == len(data) else kept.decode("utf-8", "ignore"))

    def _translated(self, name: str, message: str, line: int, column: int, native: bool) -> str:
        if line == 1:
            column -= self._head_columns
        return self._words.translate(message, int(line), int(column), native=native)


@cache
def _frame_source(runtime: str) -> str:
    parts = "\n".join(path.read_text("utf-8") for path in sorted(_PARTS.glob("*.js")))
    runtime_1 = "true" if runtime == "cloudfront-js-1.0" else "false"
    return (
        "\n" * _FRAME_LINES
        + f"(function (host) {{'use strict'; const RUNTIME_1 = {runtime_1};"
        + f" const FRAME_LINES = {_FRAME_LINES};\n{parts}\n}})"
    )


class Realm:
    """A context that holds one compiled function.

    Args:
        runtime: `cloudfront-js-1.0` or `cloudfront-js-2.0`.
        imports: The modules that the code binds.
        body: The code without its import statements.
        calls: Where the code calls something, for error messages.
    """

    def __init__(
        self,
        runtime: str,
        imports: tuple[Import, ...],
        body: str,
        calls: Sequence[MemberCall] = (),
    ) -> None:
        self._context = Context()
        self._context.set_max_stack_size(_STACK_BYTES)
        self._host = _Host(Words(body, calls), len(factory_head(imports)))
        self._host.add_to(self._context)
        frame = self._context.eval(_frame_source(runtime))(self._context.eval(_HOST))
        self.is_fresh = True
        self._invoke = self._context.eval("(frame) => frame.invoke")(frame)
        self._outcome = self._context.eval("(frame) => frame.outcome")(frame)
        self._factory = self._context.eval(factory_source(imports, body))
        self._limit_memory()

    def run(
        self,
        call: Invocation,
        event_json: str,
        raw_query: str | None,
        edge_location_json: str,
        now_ms: float,
        seed: int,
    ) -> str:
        """Run the handler and every job it starts; the outcome as JSON.

        The outcome is `{"result": …, "effects": {…}}`, or `{"error": {…}, "effects": {…}}`.
        """
        self._host.call = call
        self.is_fresh = False
        try:
            outcome = self._invoke(
                self._factory, event_json, raw_query, edge_location_json, now_ms, seed
            )
            # Every job runs, also those that the result does not wait for: none may be left over
            # for the next call.
            while self._context.execute_pending_job():
                pass
            if outcome == "":
                outcome = self._outcome()
        except JSException as error:
            return _failure_json(str(error))
        if outcome is None:
            return _failure_json("Error: the promise that handler returned was never settled")
        return str(outcome)

    def collect_garbage(self) -> None:
        """Free cycles; takes most of a millisecond, so it is for idle moments."""
        self._context.gc()

    def _limit_memory(self) -> None:
        used = int(self._context.memory()["malloc_size"])
        self._context.set_memory_limit(used + quotas.FUNCTION_MEMORY_MAX_BYTES + MEMORY_SLACK_BYTES)


_HOST: Final = """(function () {
    const host = {get: $get, store: $store, meta: $meta, hash: $hash, log: $log, words: $words};
    for (const name of ['$get', '$store', '$meta', '$hash', '$log', '$words']) {
        delete globalThis[name];
    }
    return host;
})()"""


def ran_out_of_memory(outcome: str) -> bool:
    """Whether an outcome says that the memory limit was reached."""
    return outcome.startswith('{"error":{"memory":true')


def _failure_json(text: str) -> str:
    head = text.split("\n", 1)[0]
    return orjson.dumps(
        {"error": {"memory": head == "null", "text": head, "stack": text}, "effects": {}}
    ).decode()


def _digest(
    algorithm: str,
    key: str | None,
    key_is_base64: bool,
    data: str,
    data_is_base64: bool,
    encoding: str,
) -> str:
    content = binascii.a2b_base64(data) if data_is_base64 else data.encode()
    if key is None:
        digest = hashlib.new(algorithm, content, usedforsecurity=False).digest()
    else:
        secret = binascii.a2b_base64(key) if key_is_base64 else key.encode()
        digest = hmac.digest(secret, content, algorithm)
    if encoding == "hex":
        return digest.hex()
    text = binascii.b2a_base64(digest, newline=False).decode()
    if encoding == "base64url":
        return text.translate(_URL_ALPHABET).rstrip("=")
    return text


_URL_ALPHABET: Final = str.maketrans("+/", "-_")
