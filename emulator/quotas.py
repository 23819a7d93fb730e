"""AWS's numbers, each with the page it comes from. All pages read 2026-11-20.

DG = https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/. AWS writes "KB" and "MB"
without a base; its own error messages count binary ones (facts/lambda-at-edge.md 4.1), so do we.
"""

from __future__ import annotations

from typing import Final

KB: Final = 1024
MB: Final = 1024 * KB

# --- Requests: DG cloudfront-limits, request-and-response-behavior-custom-origin ------------------
URL_MAX_BYTES: Final = 8_192
"""Longer: 414, then the connection is closed."""
REQUEST_HEADERS_MAX_BYTES: Final = 32_768
"""Request line and headers; larger: 494, then the connection is closed."""
ORIGIN_RESPONSE_HEADERS_MAX_BYTES: Final = 32_768

# --- Origins: DG distribution-web-values-specify (origin settings) --------------------------------
ORIGIN_CONNECTION_ATTEMPTS: Final = 3
ORIGIN_CONNECTION_TIMEOUT_S: Final = 10
ORIGIN_READ_TIMEOUT_S: Final = 30
ORIGIN_KEEPALIVE_TIMEOUT_S: Final = 5

# --- CloudFront Functions: DG cloudfront-limits, cloudfront-function-restrictions -----------------
FUNCTION_CODE_MAX_BYTES: Final = 10 * KB
FUNCTION_MEMORY_MAX_BYTES: Final = 2 * MB
FUNCTION_LOG_MAX_BYTES: Final = 10 * KB
FUNCTION_STORES_MAX: Final = 1
FUNCTION_URI_AND_QUERY_MAX_CHARS: Final = 8_192
"""DG edge-function-restrictions-all: URI and query string together, less than this."""
FUNCTION_TIME_BUDGET_MS: Final = 1.0
"""100 % compute utilization. The guide gives no number; AWS's launch material says under 1 ms."""

# --- Lambda@Edge: DG cloudfront-limits, lambda-at-edge-function-restrictions ----------------------
LAMBDA_TIMEOUT_MAX_S: Final = 30
LAMBDA_VIEWER_RESPONSE_MAX_BYTES: Final = 40 * KB
"""A generated response, headers and body, at viewer events."""
LAMBDA_ORIGIN_RESPONSE_MAX_BYTES: Final = 1 * MB
"""A generated response, headers and body, at origin events."""
LAMBDA_VIEWER_BODY_EXPOSED_BYTES: Final = 40 * KB
LAMBDA_ORIGIN_BODY_EXPOSED_BYTES: Final = 1 * MB
LAMBDA_CONCURRENCY_PER_REGION: Final = 1_000
LAMBDA_TMP_MAX_BYTES: Final = 512 * MB

# --- KeyValueStore: DG cloudfront-limits ----------------------------------------------------------
STORE_KEY_MAX_BYTES: Final = 512
STORE_VALUE_MAX_BYTES: Final = 1 * KB
STORE_MAX_BYTES: Final = 5 * MB
STORE_UPDATE_MAX_KEYS: Final = 50
STORE_UPDATE_MAX_BYTES: Final = 3 * MB
STORE_LIST_PAGE_DEFAULT: Final = 10
STORE_LIST_PAGE_MAX: Final = 50
STORE_COMMENT_MAX_CHARS: Final = 128
"""API reference, CreateKeyValueStore."""
STORES_PER_ACCOUNT: Final = 200
"""Adjustable at AWS; the newest text of the page."""
STORES_PER_ACCOUNT_2025: Final = 50
"""The same page around November 2025."""
