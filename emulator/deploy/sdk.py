"""Which AWS a command speaks to: real AWS, or an endpoint that stands in for it.

Everything is as the SDK resolves it: credentials, Region, AWS_ENDPOINT_URL. A command adds at most
`--endpoint-url`, and always says where it is aimed before it changes anything.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    MissingDependencyException,
    NoCredentialsError,
    NoRegionError,
)

from emulator.errors import ConfigError

# boto3 makes its clients at run time, so there is no type to name.
Client = Any

_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 4, "mode": "standard"}
)
# CloudFront and Lambda@Edge have this one home.
_HOME_REGION: Final = "us-east-1"
# The SDKs put the account id before the host; user-info absorbs it (facts/kvs.md 0, 1.8).
_USER_INFO: Final = "local"
_LOADERS: Final[dict[str, Any]] = {}
_REMEDIES: Final = {
    "AccessDenied": "Allow it: localpop policy --deployer prints the policy that is needed.",
    "AccessDeniedException": "Allow it: localpop policy --deployer prints the policy that is "
    "needed.",
    "ExpiredToken": "Log in again.",
    "ExpiredTokenException": "Log in again.",
    "InvalidClientTokenId": "Look at `aws sts get-caller-identity`.",
}


@dataclass(frozen=True, slots=True)
class AwsTarget:
    """Where clients go.

    Args:
        endpoint_url: An endpoint in AWS's place; empty for what the SDK resolves.
        environ: The process's variables.
    """

    endpoint_url: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def client(self, service: str, *, region: str = "", session: Any = None) -> Client:
        """A client of one service.

        Args:
            service: Such as `cloudfront`.
            region: Its Region; empty for what the SDK resolves.
            session: A session to share; None for one of its own.

        Raises:
            ConfigError: Neither Region nor credentials, or no URL.
        """
        url = self.url(service)
        with aws_errors():
            if session is None:
                session = new_session(region or self.region)
            local: dict[str, Any] = {}
            if is_loopback(url) and session.get_credentials() is None:
                # A local endpoint takes any; asking for real ones would only be in the way.
                local = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
            try:
                return session.client(service, endpoint_url=url or None, config=_CONFIG, **local)
            except ValueError as error:
                raise ConfigError(
                    f"{url!r} is no endpoint: {error}.", mend="Write it as http://127.0.0.1:4566."
                ) from None

    @property
    def region(self) -> str:
        """The Region that the SDK resolves; CloudFront's own when there is none."""
        with aws_errors():
            return boto3.Session().region_name or _HOME_REGION

    def url(self, service: str = "") -> str:
        """The endpoint's URL, fit for every service; empty for AWS itself."""
        named = self.endpoint_url or _from_environment(self.environ, service)
        return with_user_info(named) if is_loopback(named) else named

    def describe(self) -> str:
        """Where it is, for people."""
        url = self.url()
        if not url:
            return "AWS"
        return f"{url} (on this machine)" if is_loopback(url) else url


def new_session(region: str) -> Any:
    """A session that reads AWS's models once in a process: they are most of what a client costs."""
    core = botocore.session.get_session()
    loader = core.get_component("data_loader")
    core.register_component("data_loader", _LOADERS.setdefault("loader", loader))
    return boto3.Session(botocore_session=core, region_name=region)


def with_user_info(url: str) -> str:
    """A local URL that survives the account id which SDKs put before its host."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=f"{_USER_INFO}@{parts.netloc}"))


def is_loopback(url: str) -> bool:
    """Whether a URL is on this machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def aws_errors(doing: str = "") -> Iterator[None]:
    """What the SDK raises, in words with a remedy.

    Args:
        doing: What was tried, for the message.

    Raises:
        ConfigError: In place of any error of the SDK.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explained(error, doing) from error


def explained(error: BotoCoreError | ClientError, doing: str = "") -> ConfigError:
    """An error of the SDK in words with a remedy."""
    begun = f"{doing}: " if doing else ""
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        code, message = said.get("Code", "Unknown"), said.get("Message") or "no message"
        return ConfigError(
            f"{begun}{error.operation_name} was answered {code}: {message.rstrip('.')}.",
            mend=_REMEDIES.get(code, ""),
        )
    mend = ""
    if isinstance(error, NoCredentialsError):
        mend = "Run aws configure or aws sso login; for a running localpop set AWS_ENDPOINT_URL."
    elif isinstance(error, NoRegionError):
        mend = "Set AWS_REGION."
    elif isinstance(error, EndpointConnectionError):
        mend = "Is it running (localpop up), and is AWS_ENDPOINT_URL right, if set?"
    elif isinstance(error, MissingDependencyException):
        mend = "SigV4A needs awscrt: pip install 'botocore[crt]'."
    return ConfigError(f"{begun}{str(error).rstrip('.')}.", mend=mend)


def error_code(error: Exception) -> str:
    """AWS's name of an error; empty for another kind."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def _from_environment(environ: Mapping[str, str], service: str) -> str:
    """The variables that the SDK reads, the service's own before the general one."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    own = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}" if service else ""
    return (own and environ.get(own)) or environ.get("AWS_ENDPOINT_URL", "")
