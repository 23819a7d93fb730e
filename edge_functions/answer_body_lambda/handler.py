"""Lambda@Edge, origin-request: fetches the body of an answer that is too long for the store.

answer_lookup_lambda, at viewer-request of the same behavior (/lambda-answers/*), turns a request
whose answer lies in S3 into one for `/answer-bodies/<name>/<json or sse>/<ActionID>`; a viewer
cannot, because a path of that form belongs to another behavior. The object is read with this
function's own role: "OAC doesn't support origin redirect by using Lambda@Edge" (Developer Guide,
"Restrict access to an Amazon S3 origin"), so the request cannot simply be sent to the bucket. A
response made at origin-request may have 1 MB, one made at viewer-request 40 KB.

Every other request, and one whose object is not to be had, goes on to the origin, which answers
at the same path.
"""

from __future__ import annotations

import json
import re
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

_PATH = re.compile(r"/(answer-bodies/[A-Za-z0-9_-]{32}/(?:json|sse)/[a-z0-9-]{1,64})")
# After a failed read the bucket is left alone for this long.
_PAUSE_S = 2.0

Event = dict[str, Any]


def _read_config() -> tuple[str, str]:
    """Bucket and Region, baked into the package: Lambda@Edge has no environment variables."""
    file = Path(__file__).with_name("config.json")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return str(config["bucket"]), str(config["region"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"{file.name} is written beside {Path(__file__).name} when the function is packaged, "
            f'as {{"bucket": "…", "region": "…"}}: {error!r}'
        ) from None


BUCKET, REGION = _read_config()
# One quick attempt: the origin is there for whoever cannot be answered here.
S3 = boto3.client(
    "s3",
    region_name=REGION,
    config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1}),
)
_paused_until_s = 0.0


def handler(event: Event, context: object) -> Event:
    """Answer with the object, or pass the request on as it is."""
    request: Event = event["Records"][0]["cf"]["request"]
    path = _PATH.fullmatch(request["uri"])
    if path is None or time.monotonic() < _paused_until_s:
        return request
    found = _fetch(path[1])
    return request if found is None else found


def _fetch(key: str) -> Event | None:
    global _paused_until_s
    try:
        found = S3.get_object(Bucket=BUCKET, Key=key)
        body = found["Body"].read().decode()
        return _response(found["ContentType"], found["Metadata"], body)
    except (S3.exceptions.NoSuchKey, KeyError, ValueError, OverflowError) as error:
        print(f"[ERROR] no answer at {key}: {type(error).__name__}: {error}")
    # Whatever the SDK raises, the viewer gets the origin's answer instead of an error.
    except Exception as error:
        print(f"[ERROR] the bucket cannot be read: {type(error).__name__}: {error}")
        _paused_until_s = time.monotonic() + _PAUSE_S
    return None


def _response(content_type: str, metadata: dict[str, str], body: str) -> Event:
    """The same headers as those of an answer from the store."""
    headers = {
        "content-type": content_type,
        "cache-control": "private, no-store",
        "x-answer-source": "edge",
        "x-answer-age": str(max(0, int(time.time()) - int(metadata["generated"]))),
        "x-answer-expires": formatdate(int(metadata["expires"]), usegmt=True),
    }
    if "version" in metadata:
        headers["x-answer-version"] = metadata["version"]
    return {
        "status": "200",
        "statusDescription": "OK",
        "headers": {name: [{"value": value}] for name, value in headers.items()},
        "body": body,
    }
