"""WebSockets through a whole emulator: a real client, a real origin."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websocket import WebSocketBadStatusException, create_connection

from tests.app.running import Localpop, free_port, localpop

# CachingOptimized and AllViewer; /plain/* forwards no header at all.
TEMPLATE = """
Resources:
  Site:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - Id: Chat
            DomainName: chat.example.com
            CustomOriginConfig: {OriginProtocolPolicy: http-only}
        CacheBehaviors:
          - PathPattern: /plain/*
            TargetOriginId: Chat
            ViewerProtocolPolicy: allow-all
            CachePolicyId: 658327ea-f89d-4fab-a63d-7e88639e58f6
        DefaultCacheBehavior:
          TargetOriginId: Chat
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 658327ea-f89d-4fab-a63d-7e88639e58f6
          OriginRequestPolicyId: 216adef6-5c7f-47e4-b989-5492eafa07d3
"""
MEGABYTE = b"m" * 1_048_576


async def echo(socket: WebSocket) -> None:
    """Greet, then send back what comes; text and bytes."""
    await socket.accept(subprotocol="chat")
    await socket.send_text(f"hello {socket.url.path}")
    async for message in socket.iter_bytes():
        await socket.send_bytes(message)


async def deny(socket: WebSocket) -> None:
    """Refuse the handshake."""
    await socket.close()


async def page(_: object) -> Response:
    """An ordinary answer."""
    return PlainTextResponse("page")


@contextlib.contextmanager
def origin(port: int) -> Iterator[None]:
    """The origin, in a thread."""
    app = Starlette(
        routes=[
            WebSocketRoute("/chat", echo),
            WebSocketRoute("/plain/chat", echo),
            WebSocketRoute("/denied", deny),
            Route("/page", page),
        ]
    )
    config = uvicorn.Config(app, port=port, ws="wsproto", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """An emulator before that origin."""
    folder: Path = tmp_path_factory.mktemp("project")
    port = free_port()
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "localpop.toml").write_text(f'[origins.Chat]\nurl = "http://127.0.0.1:{port}"\n')
    with origin(port), localpop(folder, "--latency", "off") as running:
        yield running


def address(served: Localpop, path: str) -> str:
    """The same place as a ws URL."""
    return served.viewer_url.replace("http://", "ws://") + path


def test_messages_pass_in_both_directions(served: Localpop) -> None:
    """Small ones, a megabyte, many in a row; the subprotocol is the origin's choice."""
    socket = create_connection(address(served, "/chat"), subprotocols=["chat"], timeout=20)
    greeting = socket.recv()
    socket.send_binary(MEGABYTE)
    large = socket.recv()
    for number in range(100):
        socket.send_binary(f"message {number}".encode())
    answers = [socket.recv() for _ in range(100)]
    subprotocol = socket.getsubprotocol()
    socket.close()

    assert greeting == "hello /chat"
    assert large == MEGABYTE
    assert answers == [f"message {number}".encode() for number in range(100)]
    assert subprotocol == "chat"


def test_the_handshake_carries_cloudfronts_own_headers(served: Localpop) -> None:
    """A Miss, and never one that is kept."""
    for _ in range(2):
        socket = create_connection(address(served, "/chat"), subprotocols=["chat"], timeout=20)
        headers = {name.lower(): value for name, value in socket.headers.items()}
        socket.close()

        assert headers["x-cache"] == "Miss from cloudfront"
        assert headers["upgrade"].lower() == "websocket"
        assert "x-amz-cf-pop" in headers


def test_a_refused_handshake_is_the_origins_answer(served: Localpop) -> None:
    """Its 403; the next request is served."""
    with pytest.raises(WebSocketBadStatusException) as refused:
        create_connection(address(served, "/denied"), timeout=20)

    assert refused.value.status_code == 403
    assert served.get("/page").body == b"page"


def test_without_the_key_there_is_no_handshake(served: Localpop) -> None:
    """AWS: a policy must forward Sec-WebSocket-Key; here none does."""
    with pytest.raises(WebSocketBadStatusException) as refused:
        create_connection(address(served, "/plain/chat"), timeout=20)

    assert refused.value.status_code == 400


def test_connections_are_independent(served: Localpop) -> None:
    """Fifty at once, each with its own answers, some of them cut off."""
    sockets = [
        create_connection(address(served, "/chat"), subprotocols=["chat"], timeout=20)
        for _ in range(50)
    ]
    for number, socket in enumerate(sockets):
        socket.send_binary(str(number).encode())
        if number % 5 == 0:
            assert socket.sock is not None
            socket.sock.close()
    kept = [(number, socket) for number, socket in enumerate(sockets) if number % 5]
    answers = []
    for number, socket in kept:
        socket.recv()
        answers.append((number, socket.recv()))
        socket.close()

    assert answers == [(number, str(number).encode()) for number, _ in kept]
    assert served.get("/page").body == b"page"


def test_the_access_log_says_ws(served: Localpop) -> None:
    """cs-protocol, when the connection has ended."""
    socket = create_connection(address(served, "/chat"), subprotocols=["chat"], timeout=20)
    socket.close()
    log = served.folder / ".localpop" / "access.log"

    end_s = time.monotonic() + 20
    while time.monotonic() < end_s and "\tws\t" not in log.read_text():
        time.sleep(0.05)

    assert "\tws\t" in log.read_text()
