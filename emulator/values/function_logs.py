"""What edge functions write, line by line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FunctionLogLine:
    """One line of a CloudWatch log.

    AWS: "Edge function logs", DG edge-functions-logs: a Lambda@Edge function's logs are written in
    the Region where it ran, in a group with the prefix `us-east-1.` everywhere; a CloudFront
    Function's are written in us-east-1 (read 2026-11-20).

    Args:
        group: The log group.
        stream: The log stream.
        region: Where it is kept.
        epoch_ms: When the line was collected.
        message: The line.
        function: The function that it is about.
    """

    group: str
    stream: str
    region: str
    epoch_ms: float
    message: str
    function: str = ""
