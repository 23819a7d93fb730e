"""API destinations: rules that call HTTP endpoints, with their connection's credentials."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.aws.endpoint import Endpoint, client
from tests.aws.events.test_api import ROLE, entry, received, refusal


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a target got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Partner:
    """A service behind an API destination."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def wait(self, count: int) -> list[Call]:
        """The calls, once there are so many."""
        end_s = time.monotonic() + 15
        while len(self.calls) < count:
            assert time.monotonic() < end_s, self.calls
            time.sleep(0.01)
        return self.calls


@pytest.fixture
def partner() -> Iterator[Partner]:
    """A real HTTP server; answers 200, or what the test lists."""
    found = Partner()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): text for name, text in self.headers.items()}
            token = self.path == "/token"
            answer = b'{"access_token": "fresh"}' if token else b"{}"
            self.send_response(200 if token or not found.statuses else found.statuses.pop(0))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            found.calls.append(Call(self.command, self.path, headers, body))

        do_PUT = do_POST  # noqa: N815 - the name is http.server's

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def events(account: Endpoint) -> Iterator[Any]:
    """EventBridge's client."""
    with contextlib.closing(client("events", account.url)) as made:
        yield made


@pytest.fixture(scope="module")
def sqs(account: Endpoint) -> Iterator[Any]:
    """SQS's client."""
    with contextlib.closing(client("sqs", account.url)) as made:
        yield made


def joined(events: Any, name: str, url: str, kind: str, parameters: Any, **target: Any) -> None:
    """Bus, connection, API destination and a rule to it, all of one name."""
    events.create_event_bus(Name=name)
    connection = events.create_connection(
        Name=name, AuthorizationType=kind, AuthParameters=parameters
    )
    made = events.create_api_destination(
        Name=name,
        ConnectionArn=connection["ConnectionArn"],
        InvocationEndpoint=url,
        HttpMethod="PUT",
    )
    events.put_rule(Name="r", EventBusName=name, EventPattern='{"source": ["localpop.backend"]}')
    arn = made["ApiDestinationArn"]
    one = {"Id": "t", "Arn": arn, "RoleArn": ROLE, **target}
    events.put_targets(Rule="r", EventBusName=name, Targets=[one])


def test_a_key_goes_into_its_header(events: Any, partner: Partner, name: str) -> None:
    """API_KEY, with path parameter, query, headers and body of target and connection."""
    parameters = {
        "ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "k"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "x-more", "Value": "m"}],
            "BodyParameters": [{"Key": "channel", "Value": "c", "IsValueSecret": True}],
        },
    }
    joined(
        events,
        name,
        f"{partner.url}/users/*/seen",
        "API_KEY",
        parameters,
        HttpParameters={"PathParameterValues": ["a b"], "QueryStringParameters": {"q": "1"}},
        InputPath="$.detail",
    )
    events.put_events(Entries=[entry(name, user="u")])
    (call,) = partner.wait(1)
    shown = events.describe_connection(Name=name)["AuthParameters"]

    assert (call.method, call.path) == ("PUT", "/users/a%20b/seen?q=1")
    assert (call.headers["x-key"], call.headers["x-more"]) == ("k", "m")
    assert json.loads(call.body) == {"user": "u", "channel": "c"}
    assert shown["ApiKeyAuthParameters"] == {"ApiKeyName": "x-key"}
    assert shown["InvocationHttpParameters"]["BodyParameters"] == [
        {"Key": "channel", "IsValueSecret": True}
    ]


def test_basic_authorization(events: Any, partner: Partner, name: str) -> None:
    """BASIC."""
    parameters = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}
    joined(events, name, partner.url, "BASIC", parameters)
    events.put_events(Entries=[entry(name)])
    (call,) = partner.wait(1)

    assert base64.b64decode(call.headers["authorization"].split()[1]) == b"u:p"
    assert json.loads(call.body)["detail-type"] == "UserLoggedIn"


def test_a_token_is_fetched_once(events: Any, partner: Partner, name: str) -> None:
    """OAUTH_CLIENT_CREDENTIALS: the token is kept for the next event."""
    parameters = {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "id", "ClientSecret": "secret"},
            "AuthorizationEndpoint": f"{partner.url}/token",
            "HttpMethod": "POST",
        }
    }
    joined(events, name, f"{partner.url}/api", "OAUTH_CLIENT_CREDENTIALS", parameters)
    events.put_events(Entries=[entry(name)])
    partner.wait(2)
    events.put_events(Entries=[entry(name)])
    calls = partner.wait(3)

    assert [call.path for call in calls] == ["/token", "/api", "/api"]
    assert b"client_id=id&client_secret=secret" in calls[0].body
    assert calls[2].headers["authorization"] == "Bearer fresh"


def test_server_errors_are_retried_and_refusals_are_not(
    events: Any, sqs: Any, partner: Partner, name: str
) -> None:
    """503 once, then accepted; 400 is a dead letter at once."""
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}-dead"
    parameters = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}
    joined(events, name, partner.url, "BASIC", parameters, DeadLetterConfig={"Arn": arn})
    partner.statuses = [503, 200, 400]
    events.put_events(Entries=[entry(name)])
    partner.wait(2)
    events.put_events(Entries=[entry(name)])
    (letter,) = received(sqs, dead)

    assert len(partner.calls) == 3
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "ERROR_FROM_TARGET"
    assert "400" in letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]


def test_only_this_machine_is_called(events: Any, sqs: Any, name: str) -> None:
    """Another host is refused with the line that would allow it."""
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}-dead"
    parameters = {"BasicAuthParameters": {"Username": "u", "Password": "p"}}
    url = "https://hooks.example.com/x"
    joined(events, name, url, "BASIC", parameters, DeadLetterConfig={"Arn": arn})
    events.put_events(Entries=[entry(name)])
    (letter,) = received(sqs, dead)

    assert (
        '[events] allowed_hosts = ["hooks.example.com"]'
        in letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    )


def test_connections_and_destinations_are_managed(events: Any, name: str) -> None:
    """Describe, update, list, delete, and AWS's errors for absent ones."""
    joined(
        events,
        name,
        "http://127.0.0.1:1/",
        "BASIC",
        {"BasicAuthParameters": {"Username": "u", "Password": "p"}},
    )
    events.update_api_destination(Name=name, Description="d")
    described = events.describe_api_destination(Name=name)
    listed = events.list_connections(NamePrefix=name)["Connections"]
    again = refusal(
        events.create_connection,
        Name=name,
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "a", "ApiKeyValue": "b"}},
    )
    events.delete_api_destination(Name=name)
    events.delete_connection(Name=name)

    assert (described["Description"], described["HttpMethod"]) == ("d", "PUT")
    assert described["ApiDestinationState"] == "ACTIVE"
    assert described["CreationTime"].year >= 2024
    assert [one["Name"] for one in listed] == [name]
    assert again[0] == "ResourceAlreadyExistsException"
    assert refusal(events.describe_connection, Name=name)[0] == "ResourceNotFoundException"
    assert refusal(events.describe_api_destination, Name=name)[0] == "ResourceNotFoundException"
