"""Step Functions' API: machines, executions, histories, tokens."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.cloudfront.shapes import ROLE
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint
from tests.aws.step_functions.conftest import States

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 60, "End": True}}}


def code_of(act: Any) -> str:
    """The name of the error that a call meets."""
    with pytest.raises(ClientError) as refused:
        act()
    return str(refused.value.response["Error"]["Code"])


def test_a_machine_is_made_listed_changed_and_deleted(states: States) -> None:
    """Its ARN names it; an update holds for the next execution."""
    arn = states.create(PASS, name="changing")
    before = json.loads(states.ended(states.start(arn, {"a": 1}))["output"])
    changed = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": 2, "End": True}}}
    states.client.update_state_machine(stateMachineArn=arn, definition=json.dumps(changed))
    after = json.loads(states.ended(states.start(arn))["output"])
    listed = states.client.list_state_machines()["stateMachines"]
    described = states.client.describe_state_machine(stateMachineArn=arn)
    states.client.delete_state_machine(stateMachineArn=arn)

    assert arn == "arn:aws:states:us-east-1:123456789012:stateMachine:changing"
    assert (before, after) == ({"a": 1}, 2)
    assert arn in [one["stateMachineArn"] for one in listed]
    assert (described["status"], described["type"]) == ("ACTIVE", "STANDARD")
    assert json.loads(described["definition"]) == changed
    assert code_of(lambda: states.start(arn)) == "StateMachineDoesNotExist"


def test_the_same_machine_again_is_no_mistake(states: States) -> None:
    """CreateStateMachine is idempotent; another definition under the name is refused."""
    arn = states.create(PASS, name="again")

    assert states.create(PASS, name="again") == arn
    assert code_of(lambda: states.create(WAIT, name="again")) == "StateMachineAlreadyExists"
    assert code_of(lambda: states.create(PASS, name="no spaces")) == "InvalidName"


def test_a_definition_that_cannot_be_is_refused_with_its_place(states: States) -> None:
    """All that is wrong, in one message; ValidateStateMachineDefinition lists it."""
    wrong = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Nowhere"}}}
    with pytest.raises(ClientError, match=r"MISSING_TRANSITION_TARGET.*Nowhere") as refused:
        states.create(wrong)
    said = states.client.validate_state_machine_definition(definition=json.dumps(wrong))
    fine = states.client.validate_state_machine_definition(definition=json.dumps(PASS))

    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"
    assert (said["result"], said["diagnostics"][0]["location"]) == ("FAIL", "/States/A/Next")
    assert (fine["result"], fine["diagnostics"]) == ("OK", [])


def test_what_the_native_runner_lacks_is_said_when_the_machine_is_made(states: States) -> None:
    """By the state's place, and never half run."""
    resource = "arn:aws:states:us-east-1:123456789012:activity:paint"
    activity = {
        "StartAt": "Paint",
        "States": {"Paint": {"Type": "Task", "Resource": resource, "End": True}},
    }
    with pytest.raises(ClientError, match="/States/Paint") as refused:
        states.create(activity)

    assert refused.value.response["Error"]["Code"] == "NotEmulated"


def test_a_name_is_used_once(states: States) -> None:
    """The same name with the same input gives the running execution again."""
    arn = states.create(WAIT)
    first = states.start(arn, {"a": 1}, name="once")
    again = states.start(arn, {"a": 1}, name="once")
    refused = code_of(lambda: states.start(arn, {"a": 2}, name="once"))
    listed = states.client.list_executions(stateMachineArn=arn, statusFilter="RUNNING")
    states.client.stop_execution(executionArn=first, error="Enough", cause="tired")
    stopped = states.ended(first)

    assert first == again
    assert refused == "ExecutionAlreadyExists"
    assert [one["executionArn"] for one in listed["executions"]] == [first]
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Enough", "tired")


def test_a_history_tells_every_step(states: States) -> None:
    """Numbered, each event with the one before it; newest first when asked."""
    execution = states.start(states.create(PASS), {"a": 1})
    states.ended(execution)
    events = states.client.get_execution_history(executionArn=execution)["events"]
    page = states.client.get_execution_history(
        executionArn=execution, reverseOrder=True, maxResults=1
    )

    assert [(one["id"], one["previousEventId"], one["type"]) for one in events] == [
        (1, 0, "ExecutionStarted"),
        (2, 1, "PassStateEntered"),
        (3, 2, "PassStateExited"),
        (4, 3, "ExecutionSucceeded"),
    ]
    assert json.loads(events[1]["stateEnteredEventDetails"]["input"]) == {"a": 1}
    assert (page["events"][0]["id"], "nextToken" in page) == (4, True)


def test_an_express_machine_answers_its_caller(states: States) -> None:
    """StartSyncExecution waits; its executions have no history to ask for."""
    arn = states.create(PASS, type="EXPRESS")
    answer = states.client.start_sync_execution(stateMachineArn=arn, input='{"a": 1}')
    standard = states.create(PASS)

    assert (answer["status"], json.loads(answer["output"])) == ("SUCCEEDED", {"a": 1})
    assert answer["billingDetails"]["billedDurationInMilliseconds"] == 100
    assert (
        code_of(lambda: states.client.describe_execution(executionArn=answer["executionArn"]))
        == "InvalidArn"
    )
    assert (
        code_of(lambda: states.client.start_sync_execution(stateMachineArn=standard))
        == "StateMachineTypeNotSupported"
    )


def test_a_task_waits_for_its_token(states: States, account: Endpoint) -> None:
    """SendTaskSuccess with the token from the queue ends it; a token works once."""
    sqs = client("sqs", account.url)
    queue = sqs.create_queue(QueueName="tokens")["QueueUrl"]
    waiting = {
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
                "Catch": [{"ErrorEquals": ["Refused"], "Next": "No"}],
                "Next": "Yes",
            },
            "Yes": {"Type": "Succeed"},
            "No": {"Type": "Pass", "End": True},
        },
    }
    arn = states.create(waiting)
    outcomes = []
    for answer in ("success", "failure"):
        execution = states.start(arn)
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        token = json.loads(message["Body"])["token"]
        states.client.send_task_heartbeat(taskToken=token)
        if answer == "success":
            states.client.send_task_success(taskToken=token, output='{"said": "yes"}')
        else:
            states.client.send_task_failure(taskToken=token, error="Refused", cause="no")
        outcomes.append(json.loads(states.ended(execution)["output"]))

    assert outcomes == [{"said": "yes"}, {"Error": "Refused", "Cause": "no"}]
    assert (
        code_of(lambda: states.client.send_task_success(taskToken=token, output="1"))
        == "TaskTimedOut"
    )
    assert code_of(lambda: states.client.send_task_heartbeat(taskToken="x")) == "InvalidToken"


def test_a_heart_that_stops_ends_the_task(states: States, account: Endpoint) -> None:
    """HeartbeatSeconds; States.Timeout means it too."""
    queue = client("sqs", account.url).create_queue(QueueName="beats")["QueueUrl"]
    beating = {
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
                "HeartbeatSeconds": 1,
                "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}],
                "End": True,
            },
            "Late": {"Type": "Pass", "OutputPath": "$.Error", "End": True},
        },
    }

    assert json.loads(states.run(beating)["output"]) == "States.HeartbeatTimeout"


def test_many_executions_at_once(states: States) -> None:
    """A hundred at a time, each with its own outcome."""
    arn = states.create(
        {
            "StartAt": "A",
            "States": {
                "A": {
                    "Type": "Pass",
                    "Parameters": {"twice.$": "States.MathAdd($.n, $.n)"},
                    "End": True,
                }
            },
        }
    )
    executions = [states.start(arn, {"n": number}) for number in range(100)]
    outputs = [json.loads(states.ended(one)["output"])["twice"] for one in executions]

    assert outputs == [2 * number for number in range(100)]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param("{", "InvalidExecutionInput", id="not JSON"),
        pytest.param('"' + "x" * 262_144 + '"', "InvalidExecutionInput", id="too large"),
        pytest.param("[" * 100_000, "InvalidExecutionInput", id="nested too deeply"),
    ],
)
def test_inputs_that_are_refused(states: States, given: str, code: str) -> None:
    """Before anything runs."""
    arn = states.create(PASS)

    assert code_of(lambda: states.client.start_execution(stateMachineArn=arn, input=given)) == code


def test_a_stopped_machine_leaves_nothing_behind(states: States) -> None:
    """Stopping ends branches and waits inside of it at once."""
    inner = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}}
    parallel = {
        "StartAt": "P",
        "States": {"P": {"Type": "Parallel", "Branches": [inner, inner], "End": True}},
    }
    execution = states.start(states.create(parallel))
    started_s = time.monotonic()
    states.client.stop_execution(executionArn=execution)

    assert states.ended(execution)["status"] == "ABORTED"
    assert time.monotonic() - started_s < 20


def test_the_end_of_an_execution_is_an_event(states: States, account: Endpoint) -> None:
    """On the default bus, with its output; a rule can wait for it."""
    events, queues = client("events", account.url), client("sqs", account.url)
    queue = queues.create_queue(QueueName="ends")["QueueUrl"]
    pattern = {"source": ["aws.states"], "detail": {"status": ["SUCCEEDED"], "name": ["told"]}}
    events.put_rule(Name="ends", EventPattern=json.dumps(pattern))
    target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:123456789012:ends"}
    events.put_targets(Rule="ends", Targets=[target])
    execution = states.start(states.create(PASS), {"a": 1}, name="told")
    (message,) = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    events.remove_targets(Rule="ends", Ids=["q"])
    event = json.loads(message["Body"])

    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert event["resources"] == [event["detail"]["executionArn"]] == [execution]
    assert json.loads(event["detail"]["output"]) == {"a": 1}
    assert isinstance(event["detail"]["stopDate"], int)


def test_an_orderly_end_gives_executions_a_moment(tmp_path: Any) -> None:
    """What ends within three seconds is not lost; what goes on longer is aborted."""
    short = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": True}}}
    with running_endpoint(tmp_path / "stores.sqlite3", Options(control=True)) as endpoint:
        made = States(client("stepfunctions", endpoint.url))
        for definition in (short, WAIT):
            made.start(made.create(definition))
        running = [*endpoint.background.states.executions._all.values()]

    assert [str(one.status) for one in running] == ["SUCCEEDED", "ABORTED"]


def test_a_machine_made_through_the_api_survives_a_restart(tmp_path: Any) -> None:
    """Its executions do not."""
    path = tmp_path / "stores.sqlite3"
    with running_endpoint(path, Options(control=True)) as first:
        made = client("stepfunctions", first.url)
        arn = made.create_state_machine(name="kept", definition=json.dumps(PASS), roleArn=ROLE)[
            "stateMachineArn"
        ]
    with running_endpoint(path, Options(control=True)) as second:
        after = client("stepfunctions", second.url)
        execution = after.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
        listed = after.list_executions(stateMachineArn=arn)["executions"]

    assert [one["executionArn"] for one in listed] == [execution]
