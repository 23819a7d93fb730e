"""Every AWS service that localpop does not emulate itself: moto's, in this process.

This is the one file that imports moto (pinned: what it uses is not all public). moto is imported on
the first call that needs it, in a thread; it keeps nothing on disk, and it is never on a viewer's
way, but for S3 objects that are an origin. Measured (facts/local-aws.md section 1): moto is not
thread-safe, so each service has a lock of its own, except those that wait inside a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.aws.call import ApiCall
from emulator.errors import ApiError, NotEmulated
from emulator.quotas import MB

Environ: TypeAlias = dict[str, Any]
Declared: TypeAlias = tuple[str, Mapping[str, Any]]
"""An operation and its input."""
Wsgi: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]

ACCOUNT_ID: Final = "123456789012"
# Long polls, and tasks that call back into the endpoint: a lock would stop everybody else.
_UNLOCKED: Final = frozenset({"sqs", "states"})
_BODY_MAX_BYTES: Final = 256 * MB
# Where botocore's name of a service is not its signing name.
_ALREADY_THERE: Final = frozenset(
    {
        "ResourceInUseException",
        "BucketAlreadyOwnedByYou",
        "BucketAlreadyExists",
        "ResourceAlreadyExistsException",
    }
)
_CLIENT_NAMES: Final = {"states": "stepfunctions"}
# Ours is sent instead; the others are the server's to say.
_DROPPED_HEADERS: Final = frozenset({"x-amzn-requestid", "connection", "transfer-encoding"})

_log = logging.getLogger(__name__)


class OtherServices:
    """moto behind the endpoint.

    Args:
        endpoint_url: The endpoint itself, which Step Functions' tasks call.
    """

    def __init__(self, endpoint_url: Callable[[], str] = lambda: "") -> None:
        self._endpoint_url = endpoint_url
        self._wsgi: Wsgi | None = None
        self._loading = threading.Lock()
        self._making = threading.Lock()
        self._declared: dict[str, list[Declared]] = {}
        self._declaring = threading.RLock()
        self._clients: dict[str, Any] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        # Apart, so that long polls never keep a quick call waiting.
        self._quick = ThreadPoolExecutor(8, thread_name_prefix="moto")
        self._slow = ThreadPoolExecutor(32, thread_name_prefix="moto-waiting")

    @property
    def is_loaded(self) -> bool:
        """Whether any call has needed moto yet."""
        return self._wsgi is not None

    def close(self) -> None:
        """Start nothing more; what moto still does in a thread ends with the process."""
        self._quick.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)

    async def serve(self, service: str, call: ApiCall) -> ASGIApp:
        """Answer a call of a service.

        Args:
            service: Its signing name.
            call: The call, its path as it came.

        Raises:
            NotEmulated: moto does not have the service, or needs a package that is not here.
            ApiError: 413 for a body of more than 256 MB.
        """
        body = await call.body(_BODY_MAX_BYTES, _too_large)
        environ = _environ(call, body)
        pool = self._slow if service in _UNLOCKED else self._quick
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, self._run, service, environ)

    async def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Do an operation without HTTP, through botocore's own reading and writing.

        Args:
            service: Its signing name.
            operation: Such as `PutItem`.
            params: Its input, as boto3 takes it.

        Raises:
            ApiError: The service refuses.
            NotEmulated: There is no such service or operation.
        """
        pool = self._slow if service in _UNLOCKED else self._quick
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, self._called, service, operation, dict(params))

    def declare(self, declared: Mapping[str, Sequence[Declared]]) -> None:
        """What a template wants of moto's services; made when a service is called first.

        So a project whose template has a table pays for moto only once somebody asks for it.

        Args:
            declared: By service: operations with their inputs, in order. One that is refused
                because the thing is there already is no mistake.
        """
        # One assignment, without the lock: whoever holds it may be waiting for moto to load.
        self._declared = {service: list(calls) for service, calls in declared.items()}

    async def fetch_object(self, bucket: str, key: str) -> bytes:
        """An S3 object's bytes.

        Raises:
            ApiError: 400 InvalidArgument; there is no such bucket or object.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._quick, self._object, bucket, key)

    def trusted_principals(self, role_arn: str) -> frozenset[str] | None:
        """The services that may assume a role; None when nobody made it here."""
        if not self.is_loaded:
            return None
        from moto.backends import get_backend

        backend = get_backend("iam")[ACCOUNT_ID]["aws"]
        with self._locks["iam"]:
            for role in backend.roles.values():
                if role.arn == role_arn:
                    return _principals(role.assume_role_policy_document)
        return None

    async def reset(self) -> None:
        """Forget everything that moto holds."""
        if self.is_loaded:
            await asyncio.get_running_loop().run_in_executor(self._quick, _reset)

    # --- in a thread --------------------------------------------------------------------------

    def _run(self, service: str, environ: Environ) -> WsgiAnswer:
        self._make_declared(service)
        lock = contextlib.nullcontext() if service in _UNLOCKED else self._locks[service]
        wsgi = self._loaded()
        try:
            with lock:
                return _collect(wsgi, environ)
        except ImportError as error:
            raise NotEmulated(
                f"The AWS service {service} (moto needs the package {error.name} for it)"
            ) from error
        except _NoSuchServiceError:
            raise NotEmulated(f"The AWS service {service}") from None
        except Exception as error:
            _log.exception("moto failed on %s %s", service, environ["PATH_INFO"])
            raise ApiError(
                500, "InternalFailure", f"moto failed on {service}; localpop's log has the reason"
            ) from error

    def _make_declared(self, service: str) -> None:
        with self._declaring:
            # Taken out first: making them calls the service.
            for operation, params in self._declared.pop(service, ()):
                try:
                    self._called(service, operation, dict(params))
                except (ApiError, NotEmulated) as error:
                    if not isinstance(error, ApiError) or error.code not in _ALREADY_THERE:
                        _log.warning("the template's %s failed: %s", operation, error)

    def _called(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        from botocore import xform_name
        from botocore.exceptions import ClientError, ParamValidationError

        client = self._client(service)
        method = getattr(client, xform_name(operation), None)
        if method is None:
            raise NotEmulated(f"The AWS operation {service}:{operation}")
        try:
            output: dict[str, Any] = method(**params)
        except ClientError as error:
            said = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            raise ApiError(
                int(status), str(said.get("Code", "")), str(said.get("Message", ""))
            ) from None
        except ParamValidationError as error:
            raise ApiError(400, "ValidationException", str(error)) from None
        output.pop("ResponseMetadata", None)
        return output

    def _client(self, service: str) -> Any:
        """A client whose requests never leave this process."""
        with self._making:
            client = self._clients.get(service)
            if client is None:
                from botocore.awsrequest import AWSResponse
                from botocore.config import Config
                from botocore.exceptions import UnknownServiceError
                from botocore.session import get_session

                def answer(request: Any, **_: Any) -> Any:
                    answered = self._run(service, _environ_of(request))
                    headers = dict(answered.headers)
                    return AWSResponse(request.url, answered.status, headers, _Raw(answered.body))

                try:
                    client = get_session().create_client(
                        _CLIENT_NAMES.get(service, service),
                        region_name="us-east-1",
                        endpoint_url=f"https://{service}.us-east-1.amazonaws.com",
                        aws_access_key_id="local",
                        aws_secret_access_key="local",
                        config=Config(
                            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
                        ),
                    )
                except UnknownServiceError as error:
                    raise NotEmulated(f"The AWS service {service}") from error
                client.meta.events.register("before-send.*", answer)
                self._clients[service] = client
            return client

    def _loaded(self) -> Wsgi:
        with self._loading:
            if self._wsgi is None:
                self._wsgi = _load(self._endpoint_url())
            return self._wsgi

    def _object(self, bucket: str, key: str) -> bytes:
        self._make_declared("s3")
        self._loaded()
        from moto.backends import get_backend

        with self._locks["s3"]:
            backend = get_backend("s3")[ACCOUNT_ID]["aws"]
            found = None
            if bucket in backend.buckets:
                found = backend.get_object(bucket, key)
            if found is None:
                raise ApiError(
                    400, "InvalidArgument", f"There is no S3 object s3://{bucket}/{key} here"
                )
            value: bytes = found.value
            return value


class _NoSuchServiceError(Exception):
    pass


class WsgiAnswer:
    """What moto answered, as an ASGI application.

    Args:
        status: The HTTP status.
        headers: As moto gave them.
        body: The whole body.
    """

    __slots__ = ("_headers", "body", "headers", "status")

    def __init__(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        self._headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in headers
            if name.lower() not in _DROPPED_HEADERS
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self.body})


class _Raw(io.BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, **_: Any) -> Iterable[bytes]:
        yield self.read()


def _load(endpoint_url: str) -> Wsgi:
    # A browser gets no permission from us (`guard`).
    os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")
    # Step Functions' tasks call http://localhost:$MOTO_PORT; the user-info swallows `localhost:`.
    os.environ.setdefault("MOTO_PORT", endpoint_url.removeprefix("http://"))
    from moto.core.config import default_user_config
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    # Roles for the edge attach AWS's own policies; state machines are run, not only kept.
    default_user_config["iam"]["load_aws_managed_policies"] = True
    default_user_config["stepfunctions"]["execute_state_machine"] = True

    class Dispatcher(DomainDispatcherApplication):
        """Says no itself to a service that moto does not have, which would print and fail."""

        def get_backend_for_host(self, host: str | None) -> Any:
            if host is not None and "amazonaws.com" in host:
                url = f"http://{host}"
                if not any(pattern.match(url) for _, pattern in self.backend_url_patterns):
                    raise _NoSuchServiceError
            return super().get_backend_for_host(host)

    application: Wsgi = Dispatcher(create_backend_app)
    return application


def _reset() -> None:
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()


def _environ(call: ApiCall, body: bytes) -> Environ:
    """The WSGI environment of a call; RAW_URI keeps what PATH_INFO decodes (`a%2Fb`)."""
    scope = call.scope
    path = unquote(call.path, encoding="latin-1")
    target = f"{call.path}?{call.query}" if call.query else call.path
    server = scope.get("server") or ("127.0.0.1", 80)
    environ: Environ = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "QUERY_STRING": call.query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    # A body of unknown length has been read by now.
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ


def _environ_of(request: Any) -> Environ:
    """The WSGI environment of a request that botocore has prepared."""
    parts = urlsplit(request.url)
    headers = {
        str(name): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    headers.setdefault("host", parts.netloc)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    scope: Scope = {
        "headers": [
            (name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()
        ]
    }
    call = ApiCall(request.method, parts.path or "/", parts.query, {}, scope, _no_more)
    return _environ(call, bytes(body))


async def _no_more() -> Message:
    """The body has been read."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _collect(wsgi: Wsgi, environ: Environ) -> WsgiAnswer:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        started.append((status, headers))
        return lambda piece: None

    pieces = wsgi(environ, start_response)
    try:
        body = b"".join(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    return WsgiAnswer(int(status.partition(" ")[0]), headers, body)


def _principals(document: str) -> frozenset[str]:
    """The services in a trust policy."""
    found: set[str] = set()
    statements = orjson.loads(document).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        if statement.get("Effect") != "Allow" or not isinstance(statement.get("Principal"), dict):
            continue
        services = statement["Principal"].get("Service", [])
        found |= {services} if isinstance(services, str) else set(services)
    return frozenset(found)


def _too_large() -> ApiError:
    return ApiError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
