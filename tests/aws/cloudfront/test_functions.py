"""CloudFront Functions as a real boto3 sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.project.declarations import FunctionDeclaration, TemplateDeclarations
from emulator.project.identifiers import function_arn
from emulator.rules.key_value_store import StoreRules, store_arn
from tests.aws.cloudfront.shapes import code, distribution, function, listed, refusal
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint, send_raw

EVENT = {
    "version": "1.0",
    "context": {"eventType": "viewer-request"},
    "viewer": {"ip": "198.51.100.7"},
    "request": {
        "method": "GET",
        "uri": "/a",
        "querystring": {},
        "headers": {"x-a": {"value": "b"}},
        "cookies": {},
    },
}


def made(cloudfront: Any, name: str, body: bytes = b"") -> str:
    """A new function's ETag."""
    return str(cloudfront.create_function(**function(name), FunctionCode=body or code())["ETag"])


def run_test(cloudfront: Any, name: str, body: str, event: Any = None) -> dict[str, Any]:
    """What TestFunction says to a function with this code."""
    etag = made(cloudfront, name, body.encode())
    answer = cloudfront.test_function(
        Name=name, IfMatch=etag, EventObject=json.dumps(event or EVENT).encode()
    )
    result: dict[str, Any] = answer["TestResult"]
    return result


@pytest.mark.conformance("CFF-67")
def test_a_function_passes_from_unpublished_to_deployed(cloudfront: Any, name: str) -> None:
    """DEVELOPMENT is UNPUBLISHED; LIVE is UNASSOCIATED, and DEPLOYED once a distribution has it."""
    created = cloudfront.create_function(**function(name), FunctionCode=code())
    published = cloudfront.publish_function(Name=name, IfMatch=created["ETag"])
    arn = published["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]
    association = listed({"FunctionARN": arn, "EventType": "viewer-request"})
    cloudfront.create_distribution(
        DistributionConfig=distribution(name, FunctionAssociations=association)
    )
    described = cloudfront.describe_function(Name=name, Stage="LIVE")

    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["Location"].endswith(f"/function/{arn}")
    assert created["FunctionSummary"]["Status"] == "UNPUBLISHED"
    assert created["FunctionSummary"]["FunctionMetadata"]["Stage"] == "DEVELOPMENT"
    assert published["FunctionSummary"]["Status"] == "UNASSOCIATED"
    assert published["FunctionSummary"]["FunctionMetadata"]["Stage"] == "LIVE"
    assert described["FunctionSummary"]["Status"] == "DEPLOYED"


@pytest.mark.conformance("CFF-65")
def test_an_update_tells_the_new_etag_twice(account: Endpoint, cloudfront: Any, name: str) -> None:
    """boto3 reads the header that the model misspells, everybody else the right one."""
    etag = made(cloudfront, name)
    updated = cloudfront.update_function(**function(name), FunctionCode=code("v2"), IfMatch=etag)
    raw = send_raw(
        account.port,
        "PUT",
        f"/2020-05-31/function/{name}",
        headers={"If-Match": updated["ETag"]},
        body=(
            b'<UpdateFunctionRequest xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">'
            b"<FunctionConfig><Comment/><Runtime>cloudfront-js-2.0</Runtime></FunctionConfig>"
            b"<FunctionCode>eA==</FunctionCode></UpdateFunctionRequest>"
        ),
    )

    assert updated["ETag"] not in (None, etag)
    assert raw.status == 200
    assert raw.headers["etag"] == raw.headers["ettag"] != updated["ETag"]


@pytest.mark.conformance("CFF-66")
@pytest.mark.parametrize("operation", ["update_function", "publish_function", "delete_function"])
def test_a_stale_etag_is_refused(cloudfront: Any, name: str, operation: str) -> None:
    """412 PreconditionFailed; without any, 400 InvalidIfMatchVersion."""
    etag = made(cloudfront, name)
    more = (
        {**function(name), "FunctionCode": code()}
        if operation == "update_function"
        else {"Name": name}
    )
    cloudfront.update_function(**function(name), FunctionCode=code("v2"), IfMatch=etag)

    stale = refusal(lambda: getattr(cloudfront, operation)(**more, IfMatch=etag))

    assert stale[:2] == ("PreconditionFailed", 412)


@pytest.mark.conformance("CFF-66")
def test_a_missing_etag_is_refused(account: Endpoint, cloudfront: Any, name: str) -> None:
    """boto3 always sends one; by hand it can be left out."""
    made(cloudfront, name)
    answer = send_raw(account.port, "DELETE", f"/2020-05-31/function/{name}")

    assert answer.status == 400
    assert b"<Code>InvalidIfMatchVersion</Code>" in answer.body


@pytest.mark.conformance("CFF-68")
def test_live_keeps_its_code_until_it_is_published_again(cloudfront: Any, name: str) -> None:
    """An update touches DEVELOPMENT only."""
    etag = made(cloudfront, name)
    cloudfront.publish_function(Name=name, IfMatch=etag)
    updated = cloudfront.update_function(**function(name), FunctionCode=code("v2"), IfMatch=etag)

    def get(stage: str) -> bytes:
        body: bytes = cloudfront.get_function(Name=name, Stage=stage)["FunctionCode"].read()
        return body

    assert (get("DEVELOPMENT"), get("LIVE")) == (code("v2"), code("v1"))
    cloudfront.publish_function(Name=name, IfMatch=updated["ETag"])
    assert get("LIVE") == code("v2")


@pytest.mark.conformance("CFF-33")
def test_broken_code_is_created_and_published(cloudfront: Any, name: str) -> None:
    """It fails when it runs, and TestFunction says how."""
    etag = made(cloudfront, name, b"function handler( {")
    published = cloudfront.publish_function(Name=name, IfMatch=etag)
    result = cloudfront.test_function(
        Name=name, IfMatch=etag, EventObject=json.dumps(EVENT).encode()
    )["TestResult"]

    assert published["FunctionSummary"]["Status"] == "UNASSOCIATED"
    assert "could not run. Error: SyntaxError" in result["FunctionErrorMessage"]


@pytest.mark.conformance("CFF-35")
def test_code_over_10_kb_is_refused(cloudfront: Any, name: str) -> None:
    """10,240 bytes are taken, 10,241 are not."""
    made(cloudfront, name, b"/" * 10_240)

    def too_large() -> None:
        cloudfront.create_function(**function(f"{name}-2"), FunctionCode=b"/" * 10_241)

    assert refusal(too_large)[:2] == ("FunctionSizeLimitExceeded", 413)


@pytest.mark.conformance("CFF-69")
def test_an_associated_function_cannot_be_deleted(cloudfront: Any, name: str) -> None:
    """409 FunctionInUse, until the distribution lets go of it."""
    etag = made(cloudfront, name)
    cloudfront.publish_function(Name=name, IfMatch=etag)
    association = listed({"FunctionARN": function_arn(name), "EventType": "viewer-request"})
    config = distribution(name, FunctionAssociations=association)
    created = cloudfront.create_distribution(DistributionConfig=config)

    in_use = refusal(lambda: cloudfront.delete_function(Name=name, IfMatch=etag))
    cloudfront.update_distribution(
        Id=created["Distribution"]["Id"],
        IfMatch=created["ETag"],
        DistributionConfig=distribution(name),
    )
    cloudfront.delete_function(Name=name, IfMatch=etag)

    assert in_use[:2] == ("FunctionInUse", 409)
    gone = refusal(lambda: cloudfront.describe_function(Name=name))
    assert gone[:2] == ("NoSuchFunctionExists", 404)


@pytest.mark.conformance("CFF-70", "CFF-71")
def test_the_test_of_a_function_shows_what_it_gives(cloudfront: Any, name: str) -> None:
    """The event needs no ids; the output is JSON with cookies, the utilization a text."""
    body = """
        function handler(event) {
            console.log('seen ' + event.request.uri);
            event.request.uri = '/b';
            return event.request;
        }"""
    result = run_test(cloudfront, name, body)
    output = json.loads(result["FunctionOutput"])

    assert result["FunctionErrorMessage"] == ""
    assert 0 <= int(result["ComputeUtilization"]) <= 100
    assert result["FunctionExecutionLogs"] == ["seen /a"]
    assert output["request"]["uri"] == "/b"
    assert output["request"]["cookies"] == {}


@pytest.mark.conformance("CFF-70")
def test_a_function_that_throws_still_answers_200(cloudfront: Any, name: str) -> None:
    """The message begins with CloudFront's own sentence."""
    result = run_test(cloudfront, name, "function handler(event) { return URL.parse('x'); }")

    assert result["FunctionErrorMessage"] == (
        "The CloudFront function associated with the CloudFront distribution is invalid or could "
        'not run. Error: ReferenceError: "URL" is not defined'
    )
    assert result["FunctionOutput"] == ""


@pytest.mark.parametrize(
    "event", [b"{", b"[]", b'{"context": {"eventType": "origin-request"}}', b"\xff"]
)
def test_an_event_that_cannot_be_is_refused(cloudfront: Any, name: str, event: bytes) -> None:
    """400 InvalidArgument."""
    etag = made(cloudfront, name)

    def test() -> None:
        cloudfront.test_function(Name=name, IfMatch=etag, EventObject=event)

    assert refusal(test)[:2] == ("InvalidArgument", 400)


def test_a_test_reads_the_functions_store(account: Endpoint, cloudfront: Any, name: str) -> None:
    """The newest version, not any edge location's."""
    store = account.new_store(name, items={"greeting": "hello"})
    body = b"""
        import cf from 'cloudfront';
        async function handler(event) {
            const found = await cf.kvs().get('greeting');
            return { statusCode: 200, headers: {}, body: found };
        }"""
    etag = cloudfront.create_function(**function(name, stores=(store,)), FunctionCode=body)["ETag"]
    result = cloudfront.test_function(
        Name=name, IfMatch=etag, EventObject=json.dumps(EVENT).encode()
    )["TestResult"]

    assert json.loads(result["FunctionOutput"])["response"]["body"] == "hello"


@pytest.mark.conformance("CFF-72", "KVS-48")
def test_two_stores_or_runtime_1_with_one_are_refused(
    account: Endpoint, cloudfront: Any, name: str
) -> None:
    """400 InvalidArgument for either."""
    stores = tuple(account.new_store(f"{name}-{number}") for number in "ab")

    def two() -> None:
        cloudfront.create_function(**function(name, stores=stores), FunctionCode=code())

    def old_runtime() -> None:
        shape = function(name, runtime="cloudfront-js-1.0", stores=stores[:1])
        cloudfront.create_function(**shape, FunctionCode=code())

    assert refusal(two)[:2] == ("InvalidArgument", 400)
    assert refusal(old_runtime)[:2] == ("InvalidArgument", 400)


@pytest.mark.conformance("CFF-72", "KVS-47")
def test_a_store_that_is_provisioning_is_refused(tmp_path: Path) -> None:
    """In the words that are known from the field."""
    options = Options(control=True, store_rules=StoreRules(provisioning_ms=60_000))
    with running_endpoint(tmp_path / "stores.sqlite3", options) as endpoint:
        cloudfront = client("cloudfront", endpoint.url)
        store = cloudfront.create_key_value_store(Name="slow")["KeyValueStore"]

        def associate() -> None:
            shape = function("eager", stores=(store["ARN"],))
            cloudfront.create_function(**shape, FunctionCode=code())

        assert store["Status"] == "PROVISIONING"
        error, status, message = refusal(associate)
        cloudfront.close()

    assert (error, status) == ("InvalidArgument", 400)
    assert "KeyValueStoreAssociationArn" in message
    assert "cannot be associated before the resource is provisioned" in message


@pytest.mark.conformance("KVS-43")
def test_a_store_of_a_function_cannot_be_deleted(
    account: Endpoint, cloudfront: Any, name: str
) -> None:
    """409, until the function lets go of it."""
    store = account.new_store(name)
    etag = cloudfront.create_function(**function(name, stores=(store,)), FunctionCode=code())[
        "ETag"
    ]
    store_etag = cloudfront.describe_key_value_store(Name=name)["ETag"]

    in_use = refusal(lambda: cloudfront.delete_key_value_store(Name=name, IfMatch=store_etag))
    cloudfront.update_function(**function(name), FunctionCode=code(), IfMatch=etag)
    cloudfront.delete_key_value_store(Name=name, IfMatch=store_etag)

    assert in_use[:2] == ("CannotDeleteEntityWhileInUse", 409)


@pytest.mark.conformance("KVS-49")
def test_a_store_has_100_functions_and_no_more(tmp_path: Path) -> None:
    """The 101st association is refused; so is the account's 101st function."""
    shared = store_arn("shared")
    declared = FunctionDeclaration("D", "declared", "", "cloudfront-js-2.0", None, "x", shared)
    options = Options(control=True, declared=TemplateDeclarations(functions=(declared,)))
    with running_endpoint(tmp_path / "stores.sqlite3", options) as endpoint:
        assert endpoint.new_store("shared") == shared
        cloudfront = client("cloudfront", endpoint.url)
        for number in range(99):
            shape = function(f"f{number}", stores=(shared,))
            cloudfront.create_function(**shape, FunctionCode=b"x")
        one_more = refusal(
            lambda: cloudfront.create_function(
                **function("last", stores=(shared,)), FunctionCode=b"x"
            )
        )
        cloudfront.create_function(**function("last"), FunctionCode=b"x")
        too_many = refusal(
            lambda: cloudfront.create_function(**function("more"), FunctionCode=b"x")
        )
        cloudfront.close()

    assert one_more[:2] == ("InvalidArgument", 400)
    assert "100 functions" in one_more[2]
    assert too_many[:2] == ("TooManyFunctions", 400)


def test_functions_are_listed_by_stage_and_by_page(cloudfront: Any, name: str) -> None:
    """Both stages without a filter, each with it; markers lead through all of them."""
    etag = made(cloudfront, name)
    cloudfront.publish_function(Name=name, IfMatch=etag)

    def listing(**more: Any) -> list[tuple[str, str]]:
        found = []
        marker: dict[str, str] = {}
        while True:
            page = cloudfront.list_functions(**more, **marker)["FunctionList"]
            found += [
                (one["Name"], one["FunctionMetadata"]["Stage"]) for one in page.get("Items", [])
            ]
            if "NextMarker" not in page:
                return found
            marker = {"Marker": page["NextMarker"]}

    whole = listing()
    assert listing(MaxItems="2") == whole
    assert (name, "LIVE") in listing(Stage="LIVE")
    assert (name, "DEVELOPMENT") not in listing(Stage="LIVE")
    assert {(name, "LIVE"), (name, "DEVELOPMENT")} <= set(whole)


def test_a_name_is_taken_once(cloudfront: Any, name: str) -> None:
    """409 FunctionAlreadyExists; a name that cannot be is a 400."""
    made(cloudfront, name)

    assert refusal(lambda: made(cloudfront, name))[:2] == ("FunctionAlreadyExists", 409)
    assert refusal(lambda: made(cloudfront, "no spaces"))[:2] == ("InvalidArgument", 400)


def test_a_declared_function_is_shown_and_not_changed(tmp_path: Path) -> None:
    """The template is where it changes, and the error says so."""
    file = tmp_path / "index.js"
    file.write_bytes(code())
    arn = function_arn("declared")
    declared = FunctionDeclaration("Declared", "declared", arn, "cloudfront-js-2.0", file, "")
    options = Options(control=True, declared=TemplateDeclarations(functions=(declared,)))
    with running_endpoint(tmp_path / "stores.sqlite3", options) as endpoint:
        cloudfront = client("cloudfront", endpoint.url)
        described = cloudfront.describe_function(Name="declared", Stage="LIVE")
        body = cloudfront.get_function(Name="declared")["FunctionCode"].read()
        listed_items = cloudfront.list_functions(Stage="LIVE")["FunctionList"]["Items"]
        refused = refusal(
            lambda: cloudfront.delete_function(Name="declared", IfMatch=described["ETag"])
        )
        cloudfront.close()

    assert described["FunctionSummary"]["FunctionMetadata"]["FunctionARN"] == arn
    assert body == code()
    assert [one["Name"] for one in listed_items] == ["declared"]
    assert refused[:2] == ("UnsupportedOperation", 400)
    assert "template" in refused[2]
