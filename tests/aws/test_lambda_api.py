"""Lambda's API as a real boto3 sees it; functions run in real sandboxes."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from typing import Any

import pytest

from tests.aws.cloudfront.shapes import ROLE, distribution, listed, refusal, zipped
from tests.aws.endpoint import Endpoint, send_raw

ECHO = {"handler.py": "def handler(event, context):\n    print('seen')\n    return event\n"}
BROKEN = {"handler.py": "def handler(event, context):\n    raise ValueError('no')\n"}


def create(lambda_client: Any, name: str, files: dict[str, str] | None = None, **more: Any) -> Any:
    """Make a function."""
    return lambda_client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.handler",
        Code={"ZipFile": zipped(files or ECHO)},
        **more,
    )


def test_a_function_is_made_from_a_zip(lambda_client: Any, name: str) -> None:
    """Active at once, with the zip's own hash; the waiters of deploy scripts find it."""
    made = create(lambda_client, name)
    lambda_client.get_waiter("function_active_v2").wait(FunctionName=name)
    digest = base64.b64encode(hashlib.sha256(zipped(ECHO)).digest()).decode()

    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    assert (made["Version"], made["State"]) == ("$LATEST", "Active")
    assert (made["CodeSha256"], made["CodeSize"]) == (digest, len(zipped(ECHO)))


def test_the_code_can_be_fetched_again(lambda_client: Any, name: str) -> None:
    """GetFunction's Location gives the same bytes."""
    create(lambda_client, name)
    location = lambda_client.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=10) as response:
        body = response.read()

    assert body == zipped(ECHO)


def test_versions_are_numbered_and_never_change(lambda_client: Any, name: str) -> None:
    """Publishing without a change gives the version that is there already."""
    create(lambda_client, name)
    first = lambda_client.publish_version(FunctionName=name)
    same = lambda_client.publish_version(FunctionName=name)
    lambda_client.update_function_code(FunctionName=name, ZipFile=zipped(BROKEN))
    second = lambda_client.publish_version(FunctionName=name, Description="broken")
    lambda_client.update_function_configuration(FunctionName=name, Timeout=9)
    third = lambda_client.publish_version(FunctionName=name)
    versions = lambda_client.list_versions_by_function(FunctionName=name)["Versions"]
    old = lambda_client.get_function_configuration(FunctionName=name, Qualifier="1")

    assert [one["Version"] for one in (first, same, second, third)] == ["1", "1", "2", "3"]
    assert first["FunctionArn"].endswith(f":{name}:1")
    assert [one["Version"] for one in versions] == ["$LATEST", "1", "2", "3"]
    assert (old["CodeSha256"], old["Timeout"]) == (first["CodeSha256"], 3)
    assert second["Description"] == "broken"


def test_create_and_update_can_publish(lambda_client: Any, name: str) -> None:
    """Publish=True answers with the version."""
    made = create(lambda_client, name, Publish=True)
    updated = lambda_client.update_function_code(
        FunctionName=name, ZipFile=zipped(BROKEN), Publish=True
    )
    again = lambda_client.update_function_code(
        FunctionName=name, ZipFile=zipped(BROKEN), Publish=True
    )

    assert (made["Version"], updated["Version"], again["Version"]) == ("1", "2", "2")


def test_invoke_runs_the_real_zip(lambda_client: Any, name: str) -> None:
    """Any JSON in, any JSON out; the log's tail when asked for."""
    create(lambda_client, name)
    answer = lambda_client.invoke(FunctionName=name, Payload=b'{"a": [1]}', LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()

    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads(answer["Payload"].read()) == {"a": [1]}
    assert "seen" in log
    assert log.splitlines()[-1].startswith("REPORT RequestId: ")


def test_an_invocation_that_fails_says_how(lambda_client: Any, name: str) -> None:
    """200 with FunctionError, as Lambda answers it."""
    create(lambda_client, name, BROKEN)
    answer = lambda_client.invoke(FunctionName=name, Payload=b"{}")
    error = json.loads(answer["Payload"].read())

    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no")


def test_new_code_runs_at_once(lambda_client: Any, name: str) -> None:
    """The version keeps the old one."""
    create(lambda_client, name, Publish=True)
    lambda_client.invoke(FunctionName=name, Payload=b"1")
    lambda_client.update_function_code(FunctionName=name, ZipFile=zipped(BROKEN))
    latest = lambda_client.invoke(FunctionName=name, Payload=b"1")
    version = lambda_client.invoke(FunctionName=name, Qualifier="1", Payload=b"1")

    assert latest["FunctionError"] == "Unhandled"
    assert version["Payload"].read() == b"1"


def test_other_ways_to_invoke(lambda_client: Any, name: str) -> None:
    """DryRun runs nothing, Event answers before it runs."""
    create(lambda_client, name)
    dry = lambda_client.invoke(FunctionName=name, InvocationType="DryRun")
    event = lambda_client.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")

    assert (dry["StatusCode"], event["StatusCode"]) == (204, 202)


def test_a_version_at_the_edge_cannot_be_deleted(
    cloudfront: Any, lambda_client: Any, name: str
) -> None:
    """In Lambda's own words, until the distribution lets go of it."""
    arn = create(lambda_client, name, Publish=True)["FunctionArn"]
    association = listed({"EventType": "viewer-request", "LambdaFunctionARN": arn})
    made = cloudfront.create_distribution(
        DistributionConfig=distribution(name, LambdaFunctionAssociations=association)
    )

    refused = [
        refusal(lambda: lambda_client.delete_function(FunctionName=name)),
        refusal(lambda: lambda_client.delete_function(FunctionName=name, Qualifier="1")),
    ]
    cloudfront.update_distribution(
        Id=made["Distribution"]["Id"],
        IfMatch=made["ETag"],
        DistributionConfig=distribution(name),
    )
    lambda_client.delete_function(FunctionName=name)

    for error, status, message in refused:
        assert (error, status) == ("InvalidParameterValueException", 400)
        assert message.startswith(
            f"Lambda was unable to delete {arn} because it is a replicated function."
        )
    gone = refusal(lambda: lambda_client.get_function(FunctionName=name))
    assert gone[:2] == ("ResourceNotFoundException", 404)


def test_permissions_are_kept(lambda_client: Any, name: str) -> None:
    """add_permission is accepted, shown by get_policy, and taken away again."""
    create(lambda_client, name)
    wanted = {
        "FunctionName": name,
        "StatementId": "edge",
        "Action": "lambda:GetFunction",
        "Principal": "edgelambda.amazonaws.com",
    }
    statement = json.loads(lambda_client.add_permission(**wanted)["Statement"])
    twice = refusal(lambda: lambda_client.add_permission(**wanted))
    policy = json.loads(lambda_client.get_policy(FunctionName=name)["Policy"])
    lambda_client.remove_permission(FunctionName=name, StatementId="edge")
    none = refusal(lambda: lambda_client.get_policy(FunctionName=name))

    assert statement["Sid"] == "edge"
    assert policy["Statement"] == [statement]
    assert twice[:2] == ("ResourceConflictException", 409)
    assert none[:2] == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        ({"Handler": None}, "InvalidParameterValueException", 400),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", 400),
        ({"Code": {}}, "InvalidParameterValueException", 400),
        ({"Code": {"S3Bucket": "nope", "S3Key": "nope"}}, "InvalidParameterValueException", 400),
        ({"Runtime": "cobol"}, "InvalidParameterValueException", 400),
        ({"Timeout": 901}, "ValidationException", 400),
        ({"MemorySize": 10_241}, "ValidationException", 400),
        ({"PackageType": "Image"}, "NotEmulated", 501),
        ({"FunctionName": "no spaces"}, "InvalidParameterValueException", 400),
    ],
)
def test_what_cannot_be_is_refused(
    lambda_client: Any, name: str, change: dict[str, Any], error: str, status: int
) -> None:
    """With Lambda's own codes."""
    shape = {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Role": ROLE,
        "Handler": "handler.handler",
        "Code": {"ZipFile": zipped(ECHO)},
    } | change
    given = {key: value for key, value in shape.items() if value is not None}

    refused = refusal(lambda: lambda_client.create_function(**given))

    assert refused[:2] == (error, status)


def test_a_name_is_taken_once(lambda_client: Any, name: str) -> None:
    """409 ResourceConflictException; a stale revision is a 412."""
    create(lambda_client, name)

    def update() -> None:
        lambda_client.update_function_configuration(
            FunctionName=name, Timeout=5, RevisionId="00000000-0000-0000-0000-000000000000"
        )

    taken = refusal(lambda: create(lambda_client, name))

    assert taken[:2] == ("ResourceConflictException", 409)
    assert refusal(update)[:2] == ("PreconditionFailedException", 412)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"FunctionName": 5}', b'{"Code": 1}'])
def test_a_body_that_is_no_function_is_refused(account: Endpoint, body: bytes) -> None:
    """A 400, never a stack trace."""
    answer = send_raw(account.port, "POST", "/2015-03-31/functions", body=body)

    assert answer.status == 400
    assert b"Traceback" not in answer.body


def test_a_zip_cannot_leave_its_folder(account: Endpoint, lambda_client: Any, name: str) -> None:
    """Names with dots and slashes end up inside."""
    create(lambda_client, name, {"../../outside.py": "x = 1\n", **ECHO})
    answer = lambda_client.invoke(FunctionName=name, Payload=b"{}")

    assert answer["StatusCode"] == 200
    assert not list(account.account_folder.glob("outside.py"))


def test_variables_reach_a_function_and_reserved_ones_are_refused(
    lambda_client: Any, name: str
) -> None:
    """A function in its Region has an environment; Lambda's own names stay Lambda's."""
    files = {"handler.py": "import os\ndef handler(e, c):\n    return os.environ['GREETING']\n"}
    create(lambda_client, name, files, Environment={"Variables": {"GREETING": "hello"}})
    answer = lambda_client.invoke(FunctionName=name)
    refused = refusal(
        lambda: lambda_client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"AWS_REGION": "x"}}
        )
    )

    assert json.loads(answer["Payload"].read()) == "hello"
    assert refused[0] == "InvalidParameterValueException"
    assert "reserved keys" in refused[2]


def test_settings_beside_the_code(lambda_client: Any, name: str) -> None:
    """Concurrency, what becomes of events, and aliases are kept and given back."""
    create(lambda_client, name, Publish=True)
    lambda_client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    lambda_client.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    lambda_client.create_alias(FunctionName=name, FunctionVersion="1", Name="live")
    concurrency = lambda_client.get_function_concurrency(FunctionName=name)
    events = lambda_client.get_function_event_invoke_config(FunctionName=name)
    aliases = lambda_client.list_aliases(FunctionName=name)["Aliases"]
    by_alias = lambda_client.invoke(FunctionName=name, Qualifier="live", Payload=b"1")
    lambda_client.delete_function_concurrency(FunctionName=name)
    lambda_client.delete_function_event_invoke_config(FunctionName=name)
    lambda_client.delete_alias(FunctionName=name, Name="live")
    gone = [
        refusal(lambda: lambda_client.get_alias(FunctionName=name, Name="live")),
        refusal(lambda: lambda_client.get_function_event_invoke_config(FunctionName=name)),
        refusal(
            lambda: lambda_client.put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=901
            )
        ),
    ]

    assert concurrency["ReservedConcurrentExecutions"] == 2
    assert events["MaximumRetryAttempts"] == 0
    assert [(one["Name"], one["FunctionVersion"]) for one in aliases] == [("live", "1")]
    assert (by_alias["ExecutedVersion"], by_alias["Payload"].read()) == ("1", b"1")
    assert [error for error, _, _ in gone] == [
        "ResourceNotFoundException",
        "ResourceNotFoundException",
        "InvalidParameterValueException",
    ]
