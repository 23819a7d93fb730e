"""Where a deployment goes: real AWS or the local endpoint, by the same calls.

`sdk.py` resolves it as the AWS CLI does. The Region is not a choice: CloudFront's API and
Lambda@Edge functions are in us-east-1 (facts/lambda-at-edge.md 6).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from emulator.deploy.sdk import AwsTarget, aws_errors, explained, is_loopback, new_session
from emulator.errors import ConfigError

REGION: Final = "us-east-1"
_SERVICES: Final = ("cloudfront", "cloudfront-keyvaluestore", "iam", "lambda", "sts")
_T = TypeVar("_T")

Pause = Callable[[float], None]
"""Waits for so many seconds."""
_GOES_ON: Final = "Run the same command again: it goes on where it stopped."


@dataclass(slots=True)
class Target:
    """An account at an endpoint.

    Args:
        endpoint_url: An endpoint in AWS's place; empty for what the SDK resolves.
        pause: How to wait.
        poll_s: How long between two looks at what AWS is still doing.
    """

    endpoint_url: str = ""
    pause: Pause = time.sleep
    poll_s: float = 5.0
    account: str = field(init=False, default="")
    caller: str = field(init=False, default="")
    _session: Any = field(init=False, default=None)
    _clients: dict[str, Any] = field(init=False, default_factory=dict)

    def client(self, service: str) -> Any:
        """The service's client; one for the whole deployment."""
        if service not in self._clients:
            with aws_errors():
                self._session = self._session or new_session(REGION)
            target = AwsTarget(self.endpoint_url)
            self._clients[service] = target.client(service, region=REGION, session=self._session)
        return self._clients[service]

    @property
    def endpoint(self) -> str:
        """The endpoint of CloudFront's API."""
        return str(self.client("cloudfront").meta.endpoint_url)

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.endpoint)

    def identify(self) -> None:
        """Ask whose account it is.

        Raises:
            ConfigError: There are no credentials, nobody answers, or only a part of it is on this
                machine.
        """
        self._require_one_place()
        with aws_errors():
            identity = self.client("sts").get_caller_identity()
        self.account, self.caller = str(identity["Account"]), str(identity["Arn"])
        if self.is_local:
            self.poll_s = min(self.poll_s, 0.2)

    def _require_one_place(self) -> None:
        """Nobody deploys half to a rehearsal and half to AWS: AWS_ENDPOINT_URL_… can say that."""
        urls = {service: str(self.client(service).meta.endpoint_url) for service in _SERVICES}
        here = [service for service, url in urls.items() if is_loopback(url)]
        if here and len(here) < len(urls):
            away = [service for service in urls if service not in here]
            raise ConfigError(
                f"{', '.join(here)} would go to this machine, {', '.join(away)} would not.",
                where=urls[here[0]],
                mend="Set AWS_ENDPOINT_URL (or --endpoint-url) alone, without "
                "AWS_ENDPOINT_URL_<SERVICE>.",
            )

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def wait_for(self, look: Callable[[], _T | None], what: str, *, most_s: float) -> _T:
        """Look until there is something.

        Args:
            look: None as long as there is nothing.
            what: What is waited for, for the error.
            most_s: When to give up; counted in pauses.

        Raises:
            ConfigError: It took too long.
        """
        waited_s, pause_s = 0.0, min(0.1, self.poll_s)
        while True:
            found = look()
            if found is not None:
                return found
            if waited_s >= most_s:
                raise ConfigError(f"{what} is not there after {waited_s:.0f} s.", mend=_GOES_ON)
            self.pause(pause_s)
            waited_s += pause_s
            pause_s = min(self.poll_s, pause_s * 2)


def connect(endpoint_url: str = "") -> Target:
    """Where the SDK's own resolution leads, or an endpoint of one's choice.

    Raises:
        ConfigError: There are no credentials, or nobody answers.
    """
    target = Target(endpoint_url)
    target.identify()
    return target


@contextlib.contextmanager
def refusals(where: str) -> Iterator[None]:
    """AWS's refusals in our words: what was asked, what AWS says, how to go on.

    Args:
        where: The resource.

    Raises:
        ConfigError: In place of botocore's errors.
    """
    try:
        yield
    except WaiterError as error:
        raise ConfigError(f"{error}.", where=where, mend=_GOES_ON) from error
    except (BotoCoreError, ClientError) as error:
        said = explained(error)
        raise ConfigError(said.what, where=where, mend=said.mend or _GOES_ON) from error
