"""The deployable function `answer_body_lambda`, in a real sandbox, beside a bucket of moto's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions, build
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaDeclaration, LambdaRun
from emulator.values.messages import Request, Response

SOURCE = Path(__file__).parents[2] / "edge_functions" / "answer_body_lambda"
NAME = "/answer-bodies/" + "aB3-_" * 6 + "xy"
PATH = f"{NAME}/json/ticket-digest"
TEXT = '{"action":"ticket-digest","answer":"' + "ü" * 40_000 + '"}'


@dataclass
class Desk:
    """The function, and the bucket it reads."""

    runner: asyncio.Runner
    functions: LambdaFunctions
    folder: Path
    s3: Any

    def ask(self, uri: str, config: object) -> tuple[Request, LambdaRun]:
        """One request on its way to the origin, after a fresh start."""
        package = build(SOURCE, self.folder / "package", {"config.json": config})
        function = self.functions.load(
            LambdaDeclaration("answer-body", "handler.handler", "python3.13", package, timeout_s=10)
        )
        request = Request("GET", uri, headers=Headers([("Host", "d1.cloudfront.net")]))
        location = EdgeLocation("LHR", "192.0.2.1", "eu-west-2")
        event = FunctionEvent(
            EventType.ORIGIN_REQUEST, "E1", "d1.cloudfront.net", "id==", location, request
        )
        try:
            return request, self.runner.run(function.run(event))
        finally:
            self.functions.unload(function)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A bucket with one body, and the function's runtime pointed at it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    s3.create_bucket(Bucket="bodies")
    s3.put_object(
        Bucket="bodies",
        Key=PATH[1:],
        Body=TEXT.encode(),
        ContentType="application/json; charset=utf-8",
        Metadata={"generated": "1", "expires": "1800000000", "version": "v2"},
    )
    s3.put_object(Bucket="bodies", Key=f"{NAME[1:]}/sse/ticket-digest", Body=b"x")
    with asyncio.Runner() as runner:
        functions = LambdaFunctions(RealClock(), endpoint_url=lambda region: url)
        yield Desk(runner, functions, tmp_path_factory.mktemp("body"), s3)
        runner.run(functions.close())
    s3.close()
    server.stop()


CONFIG = {"bucket": "bodies", "region": "us-east-1"}


def test_the_body_is_the_answer(desk: Desk) -> None:
    """Whole, beyond the 40 KB of viewer-request, with an answer's headers."""
    _, run = desk.ask(PATH, CONFIG)
    response = run.result

    assert isinstance(response, Response)
    assert response.body == TEXT.encode()
    headers = dict(response.headers.pairs)
    assert int(headers.pop("X-Answer-Age")) > 1_700_000_000
    assert headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "private, no-store",
        "X-Answer-Source": "edge",
        "X-Answer-Expires": "Fri, 15 Jan 2027 08:00:00 GMT",
        "X-Answer-Version": "v2",
    }


@pytest.mark.parametrize(
    ("uri", "bucket"),
    [
        ("/lambda-answers/ticket-digest", "bodies"),
        (f"{NAME}/json/weekly-review", "bodies"),
        (f"{NAME}/sse/ticket-digest", "bodies"),
        (f"{NAME}/json/../x", "bodies"),
        (PATH, "no-such-bucket"),
    ],
    ids=["another path", "no object", "an object without metadata", "climbing", "no bucket"],
)
def test_everything_else_goes_on_to_the_origin(desk: Desk, uri: str, bucket: str) -> None:
    """Unchanged."""
    request, run = desk.ask(uri, {**CONFIG, "bucket": bucket})

    assert run.result is request


def test_without_its_configuration_it_says_so(desk: Desk) -> None:
    """At the start, in the log."""
    with pytest.raises(LambdaFunctionError) as caught:
        desk.ask(PATH, {"bucket": "x"})

    assert "config.json is written beside handler.py" in caught.value.detail
