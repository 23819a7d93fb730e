"""What the endpoint can be told under `/_localpop/`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.aws.endpoint import Endpoint, send_raw

_FAULTS = "/_localpop/faults"
_BEDROCK = "/_localpop/bedrock"


@pytest.fixture(autouse=True)
def _as_before(endpoint: Endpoint) -> Iterator[None]:
    """Other tests share the endpoint."""
    yield
    send_raw(endpoint.port, "DELETE", _FAULTS)
    endpoint.bedrock.time_scale = 0.0


def test_faults_are_planned_listed_and_cleared(endpoint: Endpoint) -> None:
    """POST adds at the end, GET lists what is to come, DELETE clears."""
    for fault in ({"fault": "throttle", "count": 3}, {"fault": "mid-stream"}):
        body = json.dumps({"service": "bedrock-runtime"} | fault).encode()
        send_raw(endpoint.port, "POST", _FAULTS, body=body)

    listed = send_raw(endpoint.port, "GET", _FAULTS).json
    cleared = send_raw(endpoint.port, "DELETE", _FAULTS)

    assert listed == {
        "faults": [
            {"service": "bedrock-runtime", "fault": "throttle", "count": 3},
            {"service": "bedrock-runtime", "fault": "mid-stream", "count": 1},
        ]
    }
    assert cleared.status == 204
    assert send_raw(endpoint.port, "GET", _FAULTS).json == {"faults": []}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"", "JSON"),
        (b"[]", "object"),
        (b'{"service": "s3", "fault": "throttle"}', "service: one of bedrock-runtime"),
        (b'{"service": "bedrock-runtime", "fault": "explode"}', "fault: one of throttle"),
        (b'{"service": "bedrock-runtime", "fault": ["throttle"]}', "fault: one of"),
        (b'{"service": "bedrock-runtime", "fault": "throttle", "count": 0}', "count: "),
        (b'{"service": "bedrock-runtime", "fault": "throttle", "count": true}', "count: "),
        (b" " * 70_000, "too large"),
    ],
)
def test_a_bad_fault_is_refused_with_the_choices(
    endpoint: Endpoint, body: bytes, names: str
) -> None:
    """The message names the member and what it may be."""
    answer = send_raw(endpoint.port, "POST", _FAULTS, body=body)

    assert answer.status == 400
    assert names in answer.json["message"]


def test_the_models_speed_can_be_changed(endpoint: Endpoint) -> None:
    """PUT sets the scale, GET shows it with the tally."""
    changed = send_raw(endpoint.port, "PUT", _BEDROCK, body=b'{"time_scale": 0.5}')
    shown = send_raw(endpoint.port, "GET", _BEDROCK).json

    assert changed.status == 200
    assert shown["time_scale"] == 0.5
    assert set(shown["calls"]) == {"active", "completed", "cancelled", "failed", "output_tokens"}


@pytest.mark.parametrize("scale", ["-1", "1001", "true", '"fast"', "null"])
def test_a_bad_speed_is_refused(endpoint: Endpoint, scale: str) -> None:
    """A number from 0 to 1,000."""
    answer = send_raw(endpoint.port, "PUT", _BEDROCK, body=f'{{"time_scale": {scale}}}'.encode())

    assert answer.status == 400
    assert "time_scale: " in answer.json["message"]


def test_other_paths_name_the_ones_there_are(endpoint: Endpoint) -> None:
    """404 with the list."""
    answer = send_raw(endpoint.port, "GET", "/_localpop/nothing")

    assert answer.status == 404
    assert _FAULTS in answer.json["message"]
