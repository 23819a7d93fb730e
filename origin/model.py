"""The model: Amazon Bedrock behind two verbs, `complete` and `stream`.

InvokeModel and InvokeModelWithResponseStream with the body of Anthropic's Messages API (Amazon
Bedrock User Guide "Anthropic Claude Messages API",
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import boto3
from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from urllib3.exceptions import HTTPError

from origin.direct import DirectInvoker, is_possible

MODEL_ID_VARIABLE = "BEDROCK_MODEL_ID"
DEFAULT_MODEL_ID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

# boto3 makes its clients at run time, so there is no type to name.
BedrockClient: TypeAlias = Any


class ModelFault(Enum):
    """What an error of the model means to the caller."""

    THROTTLED = "throttled"
    """It has no room now: try again later."""
    UNREACHABLE = "unreachable"
    """It could not be reached, or failed by itself: another try may succeed."""
    REFUSED = "refused"
    """It will not take this request however often it is sent: rights, model id, parameters."""
    BROKEN = "broken"
    """It answered something that is not a whole answer."""


class ModelError(Exception):
    """The model gave no answer, or only a part of it.

    The message is for logs and operators: it may name accounts and endpoints. `public_message` is
    for viewers.
    """

    def __init__(self, fault: ModelFault, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.fault = fault
        self.code = code

    @property
    def public_message(self) -> str:
        """What went wrong, in words that tell a stranger nothing about the account."""
        reasons = {
            ModelFault.THROTTLED: "the model is busy; try again in a moment",
            ModelFault.UNREACHABLE: "the model cannot be reached",
            ModelFault.REFUSED: "the model refused the request",
            ModelFault.BROKEN: "the model's answer ended early",
        }
        return f"{reasons[self.fault]} ({self.code})"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model gets.

    Attributes:
        system: The lasting instructions.
        text: The user's turn.
        max_tokens: Where the model stops, at the latest.
    """

    system: str
    text: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer.

    Attributes:
        text: The answer.
        input_tokens: Tokens read, as billed.
        output_tokens: Tokens written, as billed.
        stop_reason: `end_turn`, or `max_tokens` when the text is cut off.
    """

    text: str
    input_tokens: int
    output_tokens: int
    stop_reason: str


class Model:
    """One model at Amazon Bedrock. Its methods block, and any thread may call them."""

    def __init__(
        self,
        client: BedrockClient,
        model_id: str = DEFAULT_MODEL_ID,
        direct: DirectInvoker | None = None,
    ) -> None:
        self._client = client
        self._direct = direct
        self.model_id = model_id

    def complete(self, prompt: Prompt) -> Completion:
        """Wait for the whole answer.

        Raises:
            ModelError: There is none.
        """
        with _faults():
            body = json.loads(self._invoke(prompt))
            return Completion(
                text="".join(part["text"] for part in body["content"] if part["type"] == "text"),
                input_tokens=int(body["usage"]["input_tokens"]),
                output_tokens=int(body["usage"]["output_tokens"]),
                stop_reason=str(body["stop_reason"]),
            )

    def stream(self, prompt: Prompt) -> Generator[str, None, None]:
        """Yield the answer piece by piece, as the model writes it.

        Closing the iterator closes the connection, so that the model stops writing.

        Raises:
            ModelError: There is no answer, or it ended before its end.
        """
        with _faults():
            reply = self._client.invoke_model_with_response_stream(**self._request(prompt))
            events = reply["body"]
            try:
                yield from _text_pieces(events)
            finally:
                events.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
        if self._direct is not None:
            self._direct.close()

    def _invoke(self, prompt: Prompt) -> bytes:
        if self._direct is not None:
            return self._direct.invoke(self.model_id, json.dumps(message_body(prompt)).encode())
        body: bytes = self._client.invoke_model(**self._request(prompt))["body"].read()
        return body

    def _request(self, prompt: Prompt) -> dict[str, str]:
        return {
            "modelId": self.model_id,
            "contentType": "application/json",
            "accept": "application/json",
            "body": json.dumps(message_body(prompt)),
        }


def message_body(prompt: Prompt) -> dict[str, Any]:
    """A prompt as the Messages API takes it, in a call or in a record of a batch."""
    # No `temperature`: newer models of the class refuse it, and the default serves.
    return {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": prompt.max_tokens,
        "system": prompt.system,
        "messages": [{"role": "user", "content": prompt.text}],
    }


def open_model(environment: Mapping[str, str], *, max_connections: int) -> Model:
    """The model that the environment names, with no retries of boto3's own.

    A viewer is waiting at the other end, or a caller with a back-off of its own: a hidden second
    try would only hold both up.

    Args:
        environment: Read for BEDROCK_MODEL_ID; boto3 reads its own variables by itself.
        max_connections: How many answers may be under way at once.

    Raises:
        ModelError: boto3 cannot make a client, such as without a region.
    """
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=max_connections,
    )
    with _faults():
        session = boto3.Session()
        client = session.client("bedrock-runtime", config=config)
        direct = None
        if is_possible(client):
            direct = DirectInvoker(
                session,
                client,
                connect_timeout_s=_CONNECT_TIMEOUT_S,
                read_timeout_s=_READ_TIMEOUT_S,
                max_connections=max_connections,
            )
    return Model(client, environment.get(MODEL_ID_VARIABLE) or DEFAULT_MODEL_ID, direct)


_CONNECT_TIMEOUT_S = 3.0
# Between two pieces, or until a whole answer. Shorter than the 30 s after which CloudFront gives up
# on an origin by default, so that our message arrives and not its error page.
_READ_TIMEOUT_S = 25.0


def _text_pieces(events: Any) -> Iterator[str]:
    for event in events:
        message = json.loads(event["chunk"]["bytes"])
        if message["type"] == "content_block_delta":
            piece = message["delta"].get("text", "")
            if piece:
                yield piece
        elif message["type"] == "message_stop":
            return
    raise ModelError(
        ModelFault.BROKEN, "StreamEnded", "the stream ended without a message_stop event"
    )


# botocore has two families for what goes wrong on the way; urllib3's own errors come through
# unwrapped from the middle of an event stream.
_TRANSPORT_ERRORS = (
    HTTPClientError,
    NoConnectionError,
    IncompleteReadError,
    ResponseStreamingError,
    HTTPError,
)


@contextmanager
def _faults() -> Iterator[None]:
    """Turn whatever boto3, urllib3 and a strange body raise into a ModelError."""
    try:
        yield
    except ClientError as error:
        raise _from_client_error(error) from error
    except _TRANSPORT_ERRORS as error:
        raise ModelError(ModelFault.UNREACHABLE, type(error).__name__, str(error)) from error
    except ParserError as error:
        raise ModelError(ModelFault.BROKEN, type(error).__name__, str(error)) from error
    except (BotoCoreError, ValueError) as error:
        # Raised before anything is sent: no credentials, no region, a bad endpoint URL. A body that
        # is no JSON is a ValueError, too.
        is_garbled = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
        fault = ModelFault.BROKEN if is_garbled else ModelFault.REFUSED
        raise ModelError(fault, type(error).__name__, str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            ModelFault.BROKEN, "UnknownShape", f"not an answer of the Messages API: {error!r}"
        ) from error


# Amazon Bedrock API Reference "InvokeModel" and "InvokeModelWithResponseStream", Errors:
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
_THROTTLES = {
    "ThrottlingException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableException",
    "ModelNotReadyException",
}
_REFUSALS = {"AccessDeniedException", "ResourceNotFoundException", "ValidationException"}


def _from_client_error(error: ClientError) -> ModelError:
    # In a stream the code is a member's name of ResponseStream, with a small first letter:
    # `modelStreamErrorException`.
    code = str(error.response["Error"]["Code"])
    code = code[:1].upper() + code[1:]
    message = error.response["Error"].get("Message") or "no message"
    if code in _THROTTLES:
        return ModelError(ModelFault.THROTTLED, code, message)
    if code in _REFUSALS or _is_client_fault(error):
        return ModelError(ModelFault.REFUSED, code, message)
    return ModelError(ModelFault.UNREACHABLE, code, message)


def _is_client_fault(error: ClientError) -> bool:
    # UnrecognizedClientException, ExpiredTokenException and whatever else comes as 403; the
    # modelled 408 (ModelTimeoutException) and 424 (ModelErrorException) are the model's own.
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return status in {400, 401, 403, 404}
