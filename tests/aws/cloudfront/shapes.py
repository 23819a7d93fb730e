"""Inputs that several tests of the control API share."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
JS_2 = "cloudfront-js-2.0"
ROLE = "arn:aws:iam::123456789012:role/edge"


def listed(*items: Any) -> dict[str, Any]:
    """`{Quantity, Items}`."""
    return {"Quantity": len(items), "Items": list(items)}


def distribution(reference: str, *, enabled: bool = True, **behavior: Any) -> dict[str, Any]:
    """A DistributionConfig with one origin on this machine."""
    return {
        "CallerReference": reference,
        "Comment": "a test",
        "Enabled": enabled,
        "Origins": listed(
            {
                "Id": "api",
                "DomainName": "localhost",
                "CustomOriginConfig": {
                    "HTTPPort": 8081,
                    "HTTPSPort": 443,
                    "OriginProtocolPolicy": "http-only",
                },
            }
        ),
        "DefaultCacheBehavior": {
            "TargetOriginId": "api",
            "ViewerProtocolPolicy": "allow-all",
            "CachePolicyId": CACHING_DISABLED,
            **behavior,
        },
    }


def function(name: str, *, runtime: str = JS_2, stores: tuple[str, ...] = ()) -> dict[str, Any]:
    """What CreateFunction takes, but for the code."""
    config: dict[str, Any] = {"Comment": "a test", "Runtime": runtime}
    if stores:
        config["KeyValueStoreAssociations"] = listed(*({"KeyValueStoreARN": arn} for arn in stores))
    return {"Name": name, "FunctionConfig": config}


def code(answer: str = "v1") -> bytes:
    """A function that answers by itself."""
    return (
        "function handler(event) {"
        f" return {{ statusCode: 200, headers: {{}}, body: '{answer}' }}; }}"
    ).encode()


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip of some files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return buffer.getvalue()


def refusal(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Code, status and message of a call that is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"].get("Message", ""),
    )
