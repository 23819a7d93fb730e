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
WEBSOCKET_IDLE_TIMEOUT_S: Final = 10 * 60
"""Without bytes from the origin."""

# --- Caching: DG cloudfront-limits, ServingCompressedFiles, Expiration, real-time-logs ------------
CACHEABLE_MAX_BYTES: Final = 50 * 1024 * MB
"""A larger Content-Length with caching on: the connection is closed."""
COMPRESSIBLE_MIN_BYTES: Final = 1_000
COMPRESSIBLE_MAX_BYTES: Final = 10_000_000
ERROR_CACHING_MIN_TTL_S: Final = 10
MAX_AGE_MAX_S: Final = 100 * 365 * 86_400
"""AWS: 0 to 100 years."""
INVALIDATION_PATH_MAX_CHARS: Final = 4_000
INVALIDATION_PATHS_IN_PROGRESS_MAX: Final = 3_000
INVALIDATION_WILDCARDS_IN_PROGRESS_MAX: Final = 15
REAL_TIME_LOG_FIELDS_MAX: Final = 40
REAL_TIME_LOG_FIELD_MAX_BYTES: Final = 800
"""cs-cookie, cs-headers and cs-header-names are cut there."""
VIEWER_HEADER_ORDER_MAX_CHARS: Final = 7_680
"""DG adding-cloudfront-headers: CloudFront-Viewer-Header-Order is cut there."""

# --- CloudFront Functions: DG cloudfront-limits, cloudfront-function-restrictions -----------------
FUNCTION_CODE_MAX_BYTES: Final = 10 * KB
FUNCTIONS_PER_ACCOUNT: Final = 100
FUNCTIONS_PER_STORE: Final = 100
"""In the newest text of the page; 10 in that of around November 2025."""
FUNCTION_MEMORY_MAX_BYTES: Final = 2 * MB
FUNCTION_TEST_EVENT_MAX_BYTES: Final = 40 * KB
"""API reference, TestFunction: EventObject."""
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
LAMBDA_CODE_MAX_BYTES: Final = 50 * MB
"""The zip, compressed, with its libraries."""
LAMBDA_UNZIPPED_MAX_BYTES: Final = 250 * MB
"""AWS: "Lambda quotas"; Lambda counts it when a zip is uploaded."""
LAMBDA_CONCURRENCY_PER_REGION: Final = 1_000
LAMBDA_TMP_MAX_BYTES: Final = 512 * MB

# --- Lambda in a Region: Lambda guide, gettingstarted-limits; read 2026-11-21 ---------------------
LAMBDA_REGIONAL_TIMEOUT_MAX_S: Final = 900
LAMBDA_MEMORY_MAX_MB: Final = 10_240
LAMBDA_UNRESERVED_MIN: Final = 100
"""So much of the account's concurrency cannot be reserved."""
LAMBDA_ENVIRONMENT_MAX_BYTES: Final = 4 * KB
"""All variables of a function together."""
LAMBDA_EVENT_PAYLOAD_MAX_BYTES: Final = 1 * MB
"""Invoke with InvocationType Event; 256 KB until late 2025."""
LAMBDA_EVENT_RETRIES_MAX: Final = 2
LAMBDA_EVENT_AGE_MAX_S: Final = 6 * 3_600

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

# --- Amazon SQS: Developer Guide, "Amazon SQS message quotas", read 2026-11-21 -----
SQS_MESSAGE_MAX_BYTES: Final = 1_048_576
"""1 MiB, body and attributes; a batch has the same limit."""
SQS_BATCH_MAX_ENTRIES: Final = 10
SQS_VISIBILITY_MAX_S: Final = 43_200
SQS_DELAY_MAX_S: Final = 900
SQS_WAIT_MAX_S: Final = 20

# --- Amazon EventBridge: User Guide, eb-quota and API reference PutEvents, read 2026-11-21 ---
EVENTS_ENTRIES_MAX: Final = 10
EVENTS_REQUEST_MAX_BYTES: Final = 1_048_576
"""1 MiB for all entries of a call since 2026; it was 256 KB."""
EVENTS_TARGETS_PER_RULE_MAX: Final = 5
EVENTS_NESTING_MAX: Final = 1_000
EVENTS_RETRY_ATTEMPTS_MAX: Final = 185
EVENTS_EVENT_AGE_MAX_S: Final = 86_400
API_DESTINATION_TIMEOUT_S: Final = 5.0

# --- Bedrock batch inference: general reference bedrock (service quotas); read 2026-11-21 ---------
BEDROCK_BATCH_RECORDS_MIN: Final = 100
"""Minimum number of records of a job; the same for every model here, adjustable for some at AWS."""
BEDROCK_BATCH_RECORDS_MAX: Final = 50_000
"""Records per batch inference job."""
