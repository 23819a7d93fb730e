"""What is deployed to the endpoint is served there, with the same bytes as from the source tree."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.cli import main
from tests.app.running import Answer, Localpop, localpop
from tests.aws.endpoint import client
from tests.deploy.small_project import config_of, template, write_project, write_template

# Of one request, or of one distribution.
PER_REQUEST = {"date", "age", "x-amz-cf-id", "x-localpop-trace", "via", "server-timing"}


class _Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Say what was asked for, without the names that differ between distributions."""
        body = f"origin {self.path} {self.headers.get('Accept-Encoding', '-')}".encode()
        self.send_response(404 if "nothing" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=60")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def origin_port() -> Iterator[int]:
    """A real little origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Origin)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, origin_port: int
) -> Iterator[tuple[Localpop, Localpop, str]]:
    """One localpop that serves the source tree, one to which it is deployed; and its domain."""
    source = write_project(tmp_path_factory.mktemp("source") / "small")
    document = template()
    # S3 objects are the bucket's, which CloudFormation makes.
    del config_of(document)["Origins"][1], document["Resources"]["Access"]
    write_template(source, document)
    mapped = f'url = "http://127.0.0.1:{origin_port}"\n[latency]\nenabled = false\n'
    settings = source / "localpop.toml"
    settings.write_text(f"{settings.read_text()}[origins.Api]\n{mapped}")
    empty = tmp_path_factory.mktemp("aws")
    (empty / "template.yaml").write_text("Resources: {}\n")
    (empty / "localpop.toml").write_text(f'[origins."api.example.com"]\n{mapped}')
    with localpop(source) as first, localpop(empty) as second:
        with contextlib.chdir(source):
            assert main.run(["deploy", "--endpoint-url", second.aws_url]) == 0
        with contextlib.closing(client("cloudfront", second.aws_url)) as cloudfront:
            (made,) = cloudfront.list_distributions()["DistributionList"]["Items"]
        yield first, second, str(made["DomainName"])


def shown(answer: Answer) -> Any:
    """Everything but what belongs to one request."""
    kept = {name: value for name, value in answer.headers.items() if name not in PER_REQUEST}
    return answer.status, kept, answer.body


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/hello/?user=user-7", id="the function's answer, from the store"),
        pytest.param("/hello/?user=nobody", id="passed on to the origin"),
        pytest.param("/hello/world", id="no user"),
        pytest.param("/lambda/x", id="Lambda's answer, with what is baked in"),
        pytest.param("/index.html?page=2", id="the default behavior"),
        pytest.param("/index.html?page=2", id="the same, from the cache"),
        pytest.param("/nothing", id="an error of the origin"),
    ],
)
def test_the_same_bytes(both: tuple[Localpop, Localpop, str], path: str) -> None:
    """Status, headers and body, from the source tree and from what was deployed."""
    source, deployed, domain = both
    expected = source.get(path)
    answer = deployed.get(path, Host=domain)

    assert shown(answer) == shown(expected)


def test_it_was_served_by_the_edge_functions(both: tuple[Localpop, Localpop, str]) -> None:
    """So that two equal errors are not taken for success."""
    _, deployed, domain = both

    assert deployed.get("/hello/?user=user-7", Host=domain).body == b"hello 7"
    assert deployed.get("/lambda/x", Host=domain).body == b"made by Lambda 123456789012"
    assert deployed.get("/other", Host=domain).body.startswith(b"origin /other")
