"""Metrics as log lines: CloudWatch reads them out of a Lambda function's log.

Amazon CloudWatch User Guide "Specification: Embedded metric format",
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
A line costs nothing but its text: no call, no waiting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

NAMESPACE = "PrecomputedAnswers"


def metric_line(
    function: str, values: Mapping[str, float], *, units: Mapping[str, str], now_ms: int
) -> str:
    """One line with all metrics of one invocation.

    Args:
        function: The dimension: which function tells.
        values: By metric name.
        units: CloudWatch's unit by metric name; Count for those that are not there.
        now_ms: Epoch milliseconds.
    """
    metrics = [{"Name": name, "Unit": units.get(name, "Count")} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": metrics}
    head = {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": head, "Function": function, **values}, separators=(",", ":"))
