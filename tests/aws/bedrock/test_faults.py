"""Failures on demand."""

from __future__ import annotations

from emulator.aws.bedrock.faults import Fault, FaultPlan, PlannedFault


def test_each_call_meets_the_first_fault_that_fits() -> None:
    """Counts run down, mid-stream waits for a stream, other services are spared."""
    plan = FaultPlan()
    plan.add(PlannedFault("bedrock-runtime", Fault.MID_STREAM, 1))
    plan.add(PlannedFault("bedrock-runtime", Fault.THROTTLE, 2))

    met = [
        plan.take("s3", streaming=True),
        plan.take("bedrock-runtime", streaming=False),
        plan.take("bedrock-runtime", streaming=True),
        plan.take("bedrock-runtime", streaming=True),
        plan.take("bedrock-runtime", streaming=True),
    ]

    assert met == [None, Fault.THROTTLE, Fault.MID_STREAM, Fault.THROTTLE, None]
    assert plan.planned == ()
