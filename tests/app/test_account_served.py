"""What is made through the AWS endpoint is served at the viewers' port at once."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.running import LOCALPOP, Answer, Localpop, localpop
from tests.aws.cloudfront.shapes import ROLE, code, distribution, function, listed, zipped
from tests.aws.endpoint import client

AWS = Path(sys.executable).parent / "aws"
JS_PACKAGES = ("@aws-sdk/client-cloudfront", "@aws-sdk/client-cloudfront-keyvaluestore")
STORE_READER = b"""
import cf from 'cloudfront';
const store = cf.kvs();
async function handler(event) {
    const first = await store.get('greeting');
    const second = await store.get('greeting');
    return { statusCode: 200, headers: {}, body: first + ' ' + second };
}
"""


class _Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Say where one has come."""
        body = f"origin {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
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


def folder(path: Path, *, extra: str = "") -> Path:
    """A project that declares nothing."""
    path.mkdir(exist_ok=True)
    (path / "template.yaml").write_text("Resources: {}\n")
    (path / "localpop.toml").write_text(f"[latency]\nenabled = false\n{extra}")
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """A whole emulator that serves what is made through its endpoint."""
    with localpop(folder(tmp_path_factory.mktemp("project"))) as running:
        yield running


@contextlib.contextmanager
def clients(running: Localpop, *services: str) -> Iterator[list[Any]]:
    """Real boto3 clients."""
    made = [client(service, running.aws_url) for service in services]
    yield made
    for one in made:
        one.close()


def config(reference: str, origin_port: int, **behavior: Any) -> dict[str, Any]:
    """A DistributionConfig in front of the little origin."""
    shape = distribution(reference, **behavior)
    shape["Origins"]["Items"][0]["CustomOriginConfig"]["HTTPPort"] = origin_port
    return shape


def ask(running: Localpop, made: dict[str, Any], path: str) -> Answer:
    """Ask as a viewer of a distribution."""
    return running.get(path, Host=made["Distribution"]["DomainName"])


def publish(cloudfront: Any, name: str, body: bytes, **more: Any) -> dict[str, Any]:
    """A LIVE function's association."""
    etag = cloudfront.create_function(**function(name, **more), FunctionCode=body)["ETag"]
    live = cloudfront.publish_function(Name=name, IfMatch=etag)["FunctionSummary"]
    arn = live["FunctionMetadata"]["FunctionARN"]
    return listed({"FunctionARN": arn, "EventType": "viewer-request"})


def test_a_distribution_serves_from_its_creation_to_its_end(
    served: Localpop, origin_port: int
) -> None:
    """Created, updated, disabled: each is what the next request meets."""
    with clients(served, "cloudfront") as (cloudfront,):
        made = cloudfront.create_distribution(DistributionConfig=config("life", origin_port))
        first = ask(served, made, "/a")
        association = publish(cloudfront, "life", code("from the edge"))
        updated = cloudfront.update_distribution(
            Id=made["Distribution"]["Id"],
            IfMatch=made["ETag"],
            DistributionConfig=config("life", origin_port, FunctionAssociations=association),
        )
        second = ask(served, made, "/a")
        disabled = config("life", origin_port, FunctionAssociations=association)
        cloudfront.update_distribution(
            Id=made["Distribution"]["Id"],
            IfMatch=updated["ETag"],
            DistributionConfig=disabled | {"Enabled": False},
        )
        third = ask(served, made, "/a")

    assert (first.status, first.body, first.x_cache) == (200, b"origin /a", "Miss")
    assert (second.body, second.x_cache) == (b"from the edge", "FunctionGeneratedResponse")
    assert third.status == 403


@pytest.mark.conformance("CFF-68")
def test_new_code_is_served_once_it_is_published(served: Localpop, origin_port: int) -> None:
    """And not before."""
    with clients(served, "cloudfront") as (cloudfront,):
        association = publish(cloudfront, "staged", code("v1"))
        made = cloudfront.create_distribution(
            DistributionConfig=config("staged", origin_port, FunctionAssociations=association)
        )
        etag = cloudfront.describe_function(Name="staged")["ETag"]
        updated = cloudfront.update_function(
            **function("staged"), FunctionCode=code("v2"), IfMatch=etag
        )
        before = ask(served, made, "/")
        cloudfront.publish_function(Name="staged", IfMatch=updated["ETag"])
        after = ask(served, made, "/")

    assert (before.body, after.body) == (b"v1", b"v2")


@pytest.mark.conformance("CFF-33")
def test_broken_code_fails_when_it_runs(served: Localpop, origin_port: int) -> None:
    """503 with CloudFront's own page."""
    with clients(served, "cloudfront") as (cloudfront,):
        association = publish(cloudfront, "broken", b"function handler( {")
        made = cloudfront.create_distribution(
            DistributionConfig=config("broken", origin_port, FunctionAssociations=association)
        )
        answer = ask(served, made, "/")

    assert (answer.status, answer.x_cache) == (503, "FunctionExecutionError")


@pytest.mark.conformance("KVS-52", "KVS-56")
def test_a_changed_key_needs_no_publish(served: Localpop, origin_port: int) -> None:
    """The function reads the new value at once, and one invocation reads one version."""
    with clients(served, "cloudfront", "cloudfront-keyvaluestore") as (cloudfront, kvs):
        arn = cloudfront.create_key_value_store(Name="greetings")["KeyValueStore"]["ARN"]
        association = publish(cloudfront, "reader", STORE_READER, stores=(arn,))
        made = cloudfront.create_distribution(
            DistributionConfig=config("reader", origin_port, FunctionAssociations=association)
        )
        answers = []
        for value in ("hello", "welcome"):
            etag = kvs.describe_key_value_store(KvsARN=arn)["ETag"]
            kvs.put_key(KvsARN=arn, Key="greeting", Value=value, IfMatch=etag)
            answers.append(ask(served, made, "/").body)

    assert answers == [b"hello hello", b"welcome welcome"]


@pytest.mark.conformance("KVS-55")
def test_a_functions_read_is_no_call_of_the_data_api(served: Localpop, origin_port: int) -> None:
    """It reads the edge's copy: with the data API down it is answered, and uses up no fault."""
    plan = {"service": "cloudfront-keyvaluestore", "fault": "unavailable", "count": 5}
    with clients(served, "cloudfront", "cloudfront-keyvaluestore") as (cloudfront, kvs):
        arn = cloudfront.create_key_value_store(Name="quiet")["KeyValueStore"]["ARN"]
        etag = kvs.describe_key_value_store(KvsARN=arn)["ETag"]
        kvs.put_key(KvsARN=arn, Key="greeting", Value="hello", IfMatch=etag)
        association = publish(cloudfront, "quiet", STORE_READER, stores=(arn,))
        made = cloudfront.create_distribution(
            DistributionConfig=config("quiet", origin_port, FunctionAssociations=association)
        )
        served.control("POST", "/_localpop/faults", plan)
        answer = ask(served, made, "/")
        left = served.control("GET", "/_localpop/faults")["faults"]
        served.control("DELETE", "/_localpop/faults")

    assert answer.body == b"hello hello"
    assert left == [plan]


def test_a_lambda_version_runs_at_the_edge(served: Localpop, origin_port: int) -> None:
    """A zip becomes a version, a version an answer."""
    handler = (
        "def handler(event, context):\n"
        "    request = event['Records'][0]['cf']['request']\n"
        "    if request['uri'] == '/lambda':\n"
        "        return {'status': '200', 'body': 'version ' + context.function_version}\n"
        "    return request\n"
    )
    with clients(served, "cloudfront", "lambda") as (cloudfront, of_lambda):
        version = of_lambda.create_function(
            FunctionName="edge",
            Runtime="python3.13",
            Role=ROLE,
            Handler="handler.handler",
            Code={"ZipFile": zipped({"handler.py": handler})},
            Publish=True,
        )["FunctionArn"]
        association = listed({"EventType": "viewer-request", "LambdaFunctionARN": version})
        made = cloudfront.create_distribution(
            DistributionConfig=config("lambda", origin_port, LambdaFunctionAssociations=association)
        )
        answered, passed_on = ask(served, made, "/lambda"), ask(served, made, "/other")

    assert (answered.body, answered.x_cache) == (b"version 1", "LambdaGeneratedResponse")
    assert passed_on.body == b"origin /other"


def test_an_origin_that_is_not_mapped_does_not_resolve(served: Localpop, origin_port: int) -> None:
    """The distribution is made all the same; viewers get CloudFront's 502."""
    shape = config("nowhere", origin_port)
    shape["Origins"]["Items"][0]["DomainName"] = "api.example.com"
    with clients(served, "cloudfront") as (cloudfront,):
        made = cloudfront.create_distribution(DistributionConfig=shape)
        answer = ask(served, made, "/")

    assert answer.status == 502
    assert b"resolve the origin domain name" in answer.body


def test_origins_are_mapped_by_domain_name_and_all_survives_a_restart(
    tmp_path: Path, origin_port: int
) -> None:
    """Distribution, function and store are there again; moto's bucket is not; reset clears all."""
    extra = f'[origins."api.example.com"]\nurl = "http://127.0.0.1:{origin_port}"\n'
    project = folder(tmp_path / "project", extra=extra)
    shape = config("mapped", origin_port)
    shape["Origins"]["Items"][0]["DomainName"] = "api.example.com"
    with localpop(project) as running, clients(running, "cloudfront", "s3") as (cloudfront, s3):
        made = cloudfront.create_distribution(DistributionConfig=shape)
        cloudfront.create_key_value_store(Name="kept")
        s3.create_bucket(Bucket="forgotten")
        before = ask(running, made, "/")
        banner = "\n".join(running.lines)
        # What was acknowledged is on the disk.
        running.process.kill()
    with localpop(project) as running, clients(running, "cloudfront", "s3") as (cloudfront, s3):
        after = ask(running, made, "/")
        store = cloudfront.describe_key_value_store(Name="kept")
        buckets = s3.list_buckets()["Buckets"]
        running.control("POST", "/_localpop/reset", {})
        gone = ask(running, made, "/")
        left = cloudfront.list_distributions()["DistributionList"]["Quantity"]
        stores = cloudfront.list_key_value_stores()["KeyValueStoreList"]["Quantity"]

    assert before.body == after.body == b"origin /"
    assert store["KeyValueStore"]["Name"] == "kept"
    assert buckets == []
    assert (gone.status, left, stores) == (403, 0, 0)
    assert "survives a restart" in banner


def test_the_store_can_be_taken_down(served: Localpop) -> None:
    """`unavailable` answers 500 InternalServerException as often as is asked for."""
    with clients(served, "cloudfront", "cloudfront-keyvaluestore") as (cloudfront, kvs):
        arn = cloudfront.create_key_value_store(Name="down")["KeyValueStore"]["ARN"]
        plan = {"service": "cloudfront-keyvaluestore", "fault": "unavailable", "count": 1}
        served.control("POST", "/_localpop/faults", plan)
        with pytest.raises(kvs.exceptions.InternalServerException):
            kvs.describe_key_value_store(KvsARN=arn)
        again = kvs.describe_key_value_store(KvsARN=arn)

    assert again["Status"] == "READY"


def test_a_stores_tags_end_with_it(served: Localpop) -> None:
    """Given at creation, listed, changed; a new store of the same name has none."""
    with clients(served, "cloudfront") as (cloudfront,):
        tags = {"Items": [{"Key": "team", "Value": "edge"}]}
        made = cloudfront.create_key_value_store(Name="tagged", Tags=tags)
        arn = made["KeyValueStore"]["ARN"]
        first = cloudfront.list_tags_for_resource(Resource=arn)["Tags"]["Items"]
        cloudfront.tag_resource(Resource=arn, Tags={"Items": [{"Key": "stage", "Value": "x"}]})
        second = cloudfront.list_tags_for_resource(Resource=arn)["Tags"]["Items"]
        cloudfront.delete_key_value_store(Name="tagged", IfMatch=made["ETag"])
        cloudfront.create_key_value_store(Name="tagged")
        third = cloudfront.list_tags_for_resource(Resource=arn)["Tags"].get("Items", [])

    assert first == tags["Items"]
    assert second == [*first, {"Key": "stage", "Value": "x"}]
    assert third == []


def test_unsigned_calls_can_be_refused_and_all_can_be_forgotten(tmp_path: Path) -> None:
    """`--require-auth on` wants a signature of any kind; `localpop reset` is the command for it."""
    with (
        localpop(folder(tmp_path / "project"), "--require-auth", "on") as running,
        clients(running, "cloudfront") as (cloudfront,),
    ):
        cloudfront.create_key_value_store(Name="gone")
        url = running.aws_url.replace("local@", "") + "/2020-05-31/key-value-store"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=10)
        refused.value.close()
        outcome = subprocess.run(
            [LOCALPOP, "reset", "--aws-port", running.aws_url.rpartition(":")[2]],
            cwd=running.folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        left = cloudfront.list_key_value_stores()["KeyValueStoreList"]["Quantity"]

    assert refused.value.code == 403
    assert outcome.returncode == 0, outcome.stderr
    assert left == 0


@pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI (package awscli) is not installed")
def test_the_aws_cli_does_it_alone(served: Localpop, origin_port: int, tmp_path: Path) -> None:
    """Store, function, distribution, request, as in docs/walkthrough-aws-endpoint.md."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": served.aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
    }

    def aws(*words: str) -> Any:
        outcome = subprocess.run(
            [AWS, *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout) if outcome.stdout else None

    (tmp_path / "index.js").write_bytes(STORE_READER)
    store = aws("cloudfront", "create-key-value-store", "--name", "cli")["KeyValueStore"]["ARN"]
    of_store = ("cloudfront-keyvaluestore", "--kvs-arn", store)
    etag = aws(of_store[0], "describe-key-value-store", *of_store[1:])["ETag"]
    pair = ("--key", "greeting", "--value", "hi", "--if-match", etag)
    aws(of_store[0], "put-key", *of_store[1:], *pair)
    function_config = function("cli", stores=(store,))["FunctionConfig"]
    words = ("--name", "cli", "--function-config", json.dumps(function_config))
    made_function = aws(
        "cloudfront", "create-function", *words, "--function-code", "fileb://index.js"
    )
    aws(
        *("cloudfront", "publish-function", "--name", "cli"),
        *("--if-match", made_function["ETag"]),
    )
    arn = made_function["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]
    association = listed({"FunctionARN": arn, "EventType": "viewer-request"})
    shape = config("cli", origin_port, FunctionAssociations=association)
    made = aws("cloudfront", "create-distribution", "--distribution-config", json.dumps(shape))
    answer = ask(served, made, "/")

    assert answer.body == b"hi hi"


def _js_sdk() -> str:
    """Why the JavaScript SDK cannot be tried; empty when it can."""
    node = shutil.which("node")
    if node is None:
        return "there is no Node.js on PATH"
    wanted = ";".join(f"require.resolve('{package}')" for package in JS_PACKAGES)
    found = subprocess.run([node, "-e", wanted], capture_output=True, check=False)
    if found.returncode:
        return f"Node.js finds no {' and '.join(JS_PACKAGES)} (npm install, NODE_PATH)"
    return ""


_JAVASCRIPT = """
const http = require('node:http');
const cf = require('@aws-sdk/client-cloudfront');
const data = require('@aws-sdk/client-cloudfront-keyvaluestore');
require('@aws-sdk/signature-v4a');
const port = process.argv[1];
const base = {
  region: 'us-east-1', maxAttempts: 1, endpoint: `http://localhost:${port}`,
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
};
// The SDK puts the account id before the host, and nobody resolves that name.
const lookup = (name, options, done) =>
  options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
(async () => {
  const control = new cf.CloudFrontClient(base);
  const made = await control.send(new cf.CreateKeyValueStoreCommand({ Name: 'js' }));
  const KvsARN = made.KeyValueStore.ARN;
  const httpAgent = new http.Agent({ lookup });
  const store = new data.CloudFrontKeyValueStoreClient({ ...base, requestHandler: { httpAgent } });
  const { ETag } = await store.send(new data.DescribeKeyValueStoreCommand({ KvsARN }));
  await store.send(new data.PutKeyCommand({ KvsARN, Key: 'a/b', Value: 'ü', IfMatch: ETag }));
  const got = await store.send(new data.GetKeyCommand({ KvsARN, Key: 'a/b' }));
  let refused = '';
  try { await control.send(new cf.GetDistributionCommand({ Id: 'ENOTHING' })); }
  catch (error) { refused = error.name; }
  console.log(JSON.stringify([got.Value, refused]));
})();
"""


def test_the_javascript_sdk_speaks_to_it(served: Localpop) -> None:
    """Control API, data API with SigV4A, and a typed error."""
    reason = _js_sdk()
    if reason:
        pytest.skip(reason)
    port = served.aws_url.rpartition(":")[2]
    outcome = subprocess.run(
        ["node", "-e", _JAVASCRIPT, port], capture_output=True, text=True, timeout=60, check=False
    )

    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout) == ["ü", "NoSuchDistribution"]
