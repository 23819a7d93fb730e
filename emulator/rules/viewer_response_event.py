"""When a viewer-response function runs.

AWS: "CloudFront events that can trigger a Lambda@Edge function",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-cloudfront-trigger-events.html,
and "Restrictions on all edge functions", both read 2026-11-20. The API reference says "anything
other than 200"; the guide's 400 is followed (facts/lambda-at-edge.md 1.2).
"""

from __future__ import annotations

from emulator.values.lambda_edge import LambdaEdgeSwitches


def runs_viewer_response(
    origin_status: int, status: int, *, has_error_page: bool, switches: LambdaEdgeSwitches
) -> bool:
    """Whether the viewer-response function runs for an answer from the cache or the origin.

    Answers of a viewer-request function and CloudFront's own redirects never get here.

    Args:
        origin_status: What the origin itself sent; 0 when an origin-request function answered.
        status: The status now.
        has_error_page: Whether a custom error page stands in for the answer.
        switches: The two cases that AWS leaves open.
    """
    if has_error_page:
        return False
    if origin_status >= 400:
        return status < 400 and switches.viewer_response_after_rescued_error
    if origin_status == 0 and status >= 400:
        return switches.viewer_response_after_generated_error
    return True
