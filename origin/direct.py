"""InvokeModel on the shortest way: botocore's credentials and signature, urllib3's connections.

boto3 spends some 2 ms of processor time on a call (measured: 2.6 ms, this way 0.75 ms), most of it
in what a call of known shape does not need: validation, endpoint rules, hooks, user agents. Where
many prompts go out at once, that is the most expensive part of the whole function. Everything that
is AWS's law is still the SDK's: where the endpoint is, who asks, and how that is signed.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import get_cert_path

_HEADERS = {"content-type": "application/json", "accept": "application/json"}


class DirectInvoker:
    """InvokeModel of one client, without its layers. Any thread may call it.

    Args:
        session: boto3's session, for its credentials, which refresh themselves.
        client: boto3's `bedrock-runtime`, for where it would have sent the call.
        connect_timeout_s: For a new connection.
        read_timeout_s: For the whole answer's first byte, and between two.
        max_connections: How many are kept.
    """

    def __init__(
        self,
        session: Any,
        client: Any,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_connections: int,
    ) -> None:
        self._credentials = session.get_credentials()
        self._region = client.meta.region_name
        endpoint = urlsplit(client.meta.endpoint_url)
        host, port = endpoint.hostname or "", endpoint.port
        # Without user-info, which is no part of what is signed, or of the Host header.
        shown_host = f"[{host}]" if ":" in host else host
        self._authority = shown_host if port is None else f"{shown_host}:{port}"
        self._scheme, self._prefix = endpoint.scheme, endpoint.path.rstrip("/")
        timeout = urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        if endpoint.scheme == "https":
            self._pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                host,
                port,
                timeout=timeout,
                maxsize=max_connections,
                ca_certs=os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True),
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(
                host, port, timeout=timeout, maxsize=max_connections
            )

    def invoke(self, model_id: str, body: bytes) -> bytes:
        """The response's body.

        Raises:
            ClientError: As boto3 raises it.
            BotoCoreError: There are no credentials.
            urllib3.exceptions.HTTPError: Something went wrong on the way.
        """
        if self._credentials is None:
            raise NoCredentialsError
        path = f"{self._prefix}/model/{quote(model_id, safe='')}/invoke"
        url = f"{self._scheme}://{self._authority}{path}"
        request = AWSRequest("POST", url, data=body, headers=_HEADERS)
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, "bedrock", self._region).add_auth(request)
        answer = self._pool.urlopen(
            "POST",
            path,
            body=body,
            headers=dict(request.headers.items()),
            # One try: whoever calls has a back-off of its own.
            retries=False,
            redirect=False,
        )
        if answer.status != 200:
            raise _client_error(answer)
        data: bytes = answer.data
        return data

    def close(self) -> None:
        """Give the connections back."""
        self._pool.close()


def is_possible(client: Any) -> bool:
    """Whether the short way leads there: not through a proxy, which is boto3's to know."""
    scheme = urlsplit(client.meta.endpoint_url).scheme
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return scheme not in urllib.request.getproxies() or bool(urllib.request.proxy_bypass(host))


def _client_error(answer: Any) -> ClientError:
    """The error as botocore's REST-JSON parser would have it."""
    try:
        shape = json.loads(answer.data)
    except ValueError:
        shape = {}
    shape = shape if isinstance(shape, dict) else {}
    code = answer.headers.get("x-amzn-errortype") or shape.get("code") or str(answer.status)
    message = shape.get("message") or shape.get("Message") or ""
    return ClientError(
        {
            # Such as `ThrottlingException:http://internal.amazon.com/…`.
            "Error": {"Code": str(code).partition(":")[0], "Message": str(message)},
            "ResponseMetadata": {"HTTPStatusCode": answer.status},
        },
        "InvokeModel",
    )
