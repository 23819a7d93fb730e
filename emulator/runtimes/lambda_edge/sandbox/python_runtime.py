"""The Python side of a sandbox: loads a handler, then answers one invocation after the other.

It imitates AWS's runtime interface client (https://github.com/aws/
aws-lambda-python-runtime-interface-client, `awslambdaric/bootstrap.py` and
`lambda_runtime_marshaller.py`, read 2026-11-20): how a handler is found, which errors have which
names, how a result becomes JSON, how `logging` is written.

It runs in a process of its own, started by path; it must not import anything of the emulator.
"""

from __future__ import annotations

import contextlib
import decimal
import importlib
import importlib.machinery
import json
import logging
import os
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any, NoReturn

try:
    # Ours, not Lambda's: kept under this name here and taken out of the handler's sight.
    _orjson: Any = importlib.import_module("orjson")
except ImportError:
    # Another interpreter than the emulator's own has none.
    _orjson = None

FRAME = struct.Struct("!cIIdI")
HEAD = struct.Struct("!II")
# Lambda's quota for a synchronous answer; botocore's users know it from the error's own text.
PAYLOAD_MAX_BYTES = 6_291_556
MANAGED_MODULES = frozenset(
    {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"}
)
"""What Lambda's Python runtimes ship beside the standard library."""

Handler = Callable[[Any, Any], Any]


# --- Which modules a handler may import -----------------------------------------------------------
class ModuleGuard:
    """Hides every module that would not be there on Lambda; stands first in `sys.meta_path`."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = frozenset(allowed)
        self.task_root = ""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Let other finders go on, or say why this module is not there."""
        if path is not None or name in sys.stdlib_module_names or name in sys.builtin_module_names:
            return None
        # Made when Python is built, and named after the machine: sysconfig's, which zoneinfo reads.
        if name.startswith("_sysconfigdata_"):
            return None
        if name in self.allowed:
            return None
        if self.task_root:
            found = importlib.machinery.PathFinder.find_spec(name, [self.task_root])
            if found is not None:
                return found
        message = f"No module named {name!r}"
        if self.task_root and self._is_on_this_machine(name):
            message += (
                f": it is installed on this machine, but neither in the function's package nor in "
                f"its requirements.txt, so Lambda would not find it. Add {name!r} to "
                "requirements.txt, or to the package folder"
            )
        raise ModuleNotFoundError(message, name=name)

    def _is_on_this_machine(self, name: str) -> bool:
        for finder in sys.meta_path:
            if finder is self:
                continue
            with contextlib.suppress(ImportError, AttributeError):
                if finder.find_spec(name, None) is not None:
                    return True
        return False


def hide_our_modules(allowed: Iterable[str]) -> ModuleGuard:
    """Put the guard up, and take out of sight what this process itself has imported."""
    guard = ModuleGuard(allowed)
    for name in list(sys.modules):
        top = name.partition(".")[0]
        keep = top in sys.stdlib_module_names or top in guard.allowed or top == "__main__"
        if not keep and not top.startswith("_localpop"):
            del sys.modules[name]
    sys.meta_path.insert(0, guard)
    return guard


# --- How a result becomes JSON --------------------------------------------------------------------
class _Unusual(Exception):  # noqa: N818 - never leaves this file
    """The result holds something that only the slow encoder knows."""


def _default(value: object) -> object:
    # simplejson decodes bytes inside a result as UTF-8.
    if isinstance(value, bytes):
        return value.decode()
    raise _Unusual


def _refuse(value: object) -> object:
    raise _Unusual


_ENCODERS = {flag: json.JSONEncoder(ensure_ascii=flag, default=_default) for flag in (True, False)}


def encode(value: object, *, ensure_ascii: bool) -> bytes:
    """Encode a result as awslambdaric does: simplejson, with Decimal as a plain number.

    NaN and infinities come out as bare tokens, which are no JSON: CloudFront then refuses them.

    Raises:
        Exception: The value cannot be encoded; the message is simplejson's.
    """
    if _orjson is None:
        return "".join(_slow(value, ensure_ascii, set())).encode()
    try:
        # Tells namedtuples apart, which simplejson writes as objects and `json` as arrays.
        _orjson.dumps(value, default=_refuse, option=_orjson.OPT_PASSTHROUGH_SUBCLASS)
        text = _ENCODERS[ensure_ascii].encode(value)
    except (_Unusual, TypeError):
        text = "".join(_slow(value, ensure_ascii, set()))
    return text.encode()


def _slow(value: Any, ensure_ascii: bool, above: set[int]) -> Iterable[str]:
    """Simplejson's rules in full; `above` holds the ids of the containers around the value."""
    if value is None or isinstance(value, (bool, str)):
        yield json.dumps(value, ensure_ascii=ensure_ascii)
    elif isinstance(value, bytes):
        yield json.dumps(value.decode(), ensure_ascii=ensure_ascii)
    elif isinstance(value, int):
        yield int.__repr__(value)
    elif isinstance(value, float):
        yield json.dumps(float(value))
    elif isinstance(value, decimal.Decimal):
        yield "NaN" if value.is_nan() else str(value)
    elif isinstance(value, (dict, list, tuple)):
        if id(value) in above:
            raise ValueError("Circular reference detected")
        above.add(id(value))
        fields = getattr(value, "_asdict", None)
        yield from _slow_container(fields() if callable(fields) else value, ensure_ascii, above)
        above.discard(id(value))
    else:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _slow_container(value: Any, ensure_ascii: bool, above: set[int]) -> Iterable[str]:
    if isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            yield ", " if index else ""
            yield json.dumps(_key(key), ensure_ascii=ensure_ascii)
            yield ": "
            yield from _slow(item, ensure_ascii, above)
        yield "}"
        return
    yield "["
    for index, item in enumerate(value):
        yield ", " if index else ""
        yield from _slow(item, ensure_ascii, above)
    yield "]"


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode()
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    if isinstance(key, decimal.Decimal):
        return "NaN" if key.is_nan() else str(key)
    raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")


# --- Finding the handler --------------------------------------------------------------------------
class RuntimeFailure(Exception):  # noqa: N818 - named after Lambda's own `Runtime.…` errors
    """A failure that Lambda's runtime names by itself, such as `Runtime.ImportModuleError`."""

    def __init__(self, error_type: str, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.error_type, self.message, self.trace = error_type, message, trace


def find_handler(name: str) -> Handler:
    """The function behind `module.function`, with Lambda's words when it is not there."""
    module_name, _, function_name = name.rpartition(".")
    if not module_name:
        raise RuntimeFailure(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)",
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise RuntimeFailure(
            "Runtime.ImportModuleError",
            f"Unable to import module '{module_name}': {error}",
            user_trace(error),
        ) from error
    except SyntaxError as error:
        raise RuntimeFailure(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {error}",
            f'  File "{error.filename}" Line {error.lineno}\n    {(error.text or "").strip()}',
        ) from error
    handler: Handler | None = getattr(module, function_name, None)
    if handler is None:
        raise RuntimeFailure(
            "Runtime.HandlerNotFound",
            f"Handler '{function_name}' missing on module '{module_name}'",
        )
    return handler


def user_trace(error: BaseException) -> str:
    """The traceback without our own frames and importlib's."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    return "".join(traceback.format_list(frames)).rstrip()


# --- What the handler gets beside the event -------------------------------------------------------
class Identity:
    """Amazon Cognito's identity; always empty at the edge."""

    cognito_identity_id: str | None = None
    cognito_identity_pool_id: str | None = None


class Context:
    """The handler's second argument (facts/lambda-at-edge.md 4.6)."""

    def __init__(self, names: dict[str, str], request_id: str, deadline_s: float) -> None:
        self.aws_request_id = request_id
        self.log_group_name = names["log_group"]
        self.log_stream_name = names["log_stream"]
        self.function_name = names["function_name"]
        self.memory_limit_in_mb = names["memory_mb"]
        self.function_version = names["version"]
        self.invoked_function_arn = names["arn"]
        self.tenant_id = None
        self.client_context = None
        self.identity = Identity()
        self._deadline_s = deadline_s

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time-out."""
        return max(0, int((self._deadline_s - time.monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        pairs = ",".join(f"{key}={value}" for key, value in vars(self).items() if key[0] != "_")
        return f"LambdaContext([{pairs}])"


class _LogFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )


class _RequestIdFilter(logging.Filter):
    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.request_id
        return True


# --- The loop -------------------------------------------------------------------------------------
class Sandbox:
    """One execution environment."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._connection = connection
        self._received = bytearray()
        self._number = 0
        self._ids = _RequestIdFilter()
        self.config: dict[str, Any] = {}

    def read_config(self) -> dict[str, Any]:
        """The first frame says who this sandbox is; ends the process when there is none."""
        config = self._receive()
        if config is None:
            os._exit(0)
        self.config = config
        return config

    def serve(self) -> NoReturn:
        """Load the handler, then answer until the other side is gone."""
        try:
            handler = self._load()
        except Exception as error:
            self._fail(error, 0.0, b"X")
            self.leave(1)
        self._send(b"I", b"")
        while True:
            message = self._receive()
            if message is None:
                self.leave(0)
            self._invoke(handler, message)

    def _load(self) -> Handler:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        log = logging.StreamHandler(sys.stdout)
        log.setFormatter(_LogFormatter())
        log.addFilter(self._ids)
        logging.getLogger().addHandler(log)
        return find_handler(self.config["handler"])

    def _invoke(self, handler: Handler, message: dict[str, Any]) -> None:
        started_s = time.monotonic()
        self._ids.request_id = request_id = message["id"]
        os.environ["_X_AMZN_TRACE_ID"] = message["trace"]
        context = Context(
            self.config["names"], request_id, started_s + message["timeout_ms"] / 1000
        )
        try:
            result = handler(message["event"], context)
            kind, payload = self._marshal(result)
        except Exception as error:
            self._fail(error, started_s)
            return
        self._flush()
        self._send(kind, payload, started_s)

    def _marshal(self, result: object) -> tuple[bytes, bytes]:
        if isinstance(result, bytes):
            kind, payload = b"B", result
        else:
            try:
                kind, payload = b"R", encode(result, ensure_ascii=self.config["ensure_ascii"])
            except Exception as error:
                raise RuntimeFailure(
                    "Runtime.MarshalError", f"Unable to marshal response: {error}"
                ) from None
        if len(payload) > PAYLOAD_MAX_BYTES:
            raise RuntimeFailure(
                "Function.ResponseSizeTooLarge",
                f"Response payload size ({len(payload)} bytes) exceeded maximum allowed payload "
                f"size ({PAYLOAD_MAX_BYTES} bytes).",
            )
        return kind, payload

    def _fail(self, error: Exception, started_s: float, kind: bytes = b"E") -> None:
        if isinstance(error, RuntimeFailure):
            error_type, message, trace = error.error_type, error.message, error.trace
        else:
            error_type, message, trace = type(error).__name__, _text_of(error), user_trace(error)
        lines = f"[ERROR] {error_type}: {message}"
        if trace:
            lines += f"\nTraceback (most recent call last):\n{trace}"
        with contextlib.suppress(Exception):
            print(lines)
        self._flush()
        payload = {"errorType": error_type, "errorMessage": message, "trace": trace}
        self._send(kind, json.dumps(payload).encode(), started_s)

    def _flush(self) -> None:
        # A handler may have closed or replaced them.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()

    def _send(self, kind: bytes, payload: bytes, started_s: float = 0.0) -> None:
        duration_ms = (time.monotonic() - started_s) * 1000 if started_s else 0.0
        head = FRAME.pack(kind, len(payload), self._number, duration_ms, self._max_memory_kb())
        self._write(head + payload)

    def _write(self, frame: bytes) -> None:
        try:
            self._connection.sendall(frame)
        except OSError:
            self.leave(1)

    def _max_memory_kb(self) -> int:
        """The most memory this sandbox has used so far; 0 where nobody can tell."""
        return _max_memory_kb()

    def _receive(self) -> dict[str, Any] | None:
        received = self._received
        while True:
            if len(received) >= HEAD.size:
                length, self._number = HEAD.unpack_from(received)
                end = HEAD.size + length
                if len(received) >= end:
                    message = _loads(received[HEAD.size : end])
                    del received[:end]
                    return message
            try:
                piece = self._connection.recv(262_144)
            except OSError:
                return None
            if not piece:
                return None
            received += piece

    def leave(self, code: int) -> NoReturn:
        """End this process without running anybody's exit handlers."""
        self._flush()
        os._exit(code)


def _loads(message: bytearray) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(message) if _orjson is None else _orjson.loads(message)
    return value


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        return "<the exception's own __str__ failed>"


def _max_memory_kb() -> int:
    # Not getrusage where it can be helped: on Linux its figure begins with that of the process that
    # started this one. A handler that used up all descriptors is told by it nevertheless.
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        return int(file.read().partition(b"VmHWM:")[2].split(None, 1)[0])
    try:
        import resource
    except ImportError:
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, everyone else KB.
    return used // 1024 if sys.platform == "darwin" else used


def limit_resources(config: dict[str, Any]) -> None:
    """The memory limit and the size of /tmp, as far as the operating system can hold them."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (config["tmp_bytes"], config["tmp_bytes"]))
    if sys.platform != "linux":
        return
    # One heap for all threads: each further one would reserve 64 MB of address space.
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).mallopt(-8, 1)
    with contextlib.suppress(ValueError, OSError):
        limit = config["memory_mb"] * 1_048_576 + _reserved_bytes() + config["headroom_bytes"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _reserved_bytes() -> int:
    """Address space that is taken but holds nothing; Lambda counts only what is used."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        size, resident = (int(field) for field in statm.read().split()[:2])
    return (size - resident) * os.sysconf("SC_PAGE_SIZE")


def enter(connection: socket.socket, guard: ModuleGuard) -> NoReturn:
    """Become the sandbox that the first frame describes; never returns.

    Args:
        connection: The channel to the emulator.
        guard: Already in place; told here what this function may import.
    """
    code = 1
    sandbox = Sandbox(connection)
    try:
        _settle(sandbox.read_config(), guard)
        sandbox.serve()
    except SystemExit as leaving:
        # Lambda reports the status of a handler that calls sys.exit.
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sandbox.leave(code)


def _settle(config: dict[str, Any], guard: ModuleGuard) -> None:
    os.environ.clear()
    os.environ.update(config["environment"])
    if hasattr(time, "tzset"):
        time.tzset()
    os.chdir(config["task_root"])
    guard.allowed = MANAGED_MODULES | frozenset(config["allowed_modules"])
    guard.task_root = config["task_root"]
    sys.path.insert(0, config["task_root"])
    sys.path.extend(config["site_packages"])
    sys.pycache_prefix = config["pycache"]
    sys.argv = [""]
    limit_resources(config)


def watch_parent() -> None:
    """End this process when its parent is gone, even while the handler hangs."""
    import threading

    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> NoReturn:
    """A fresh interpreter: `python -I python_runtime.py <fd>`."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    guard = hide_our_modules(MANAGED_MODULES)
    watch_parent()
    enter(connection, guard)


if __name__ == "__main__":
    main()
