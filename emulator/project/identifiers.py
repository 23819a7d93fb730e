"""Names that AWS would make up, made up the same way at every start."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

from emulator.project.intrinsics import ACCOUNT_ID, REGION

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _letters(seed: str, count: int) -> str:
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])


def distribution_id(logical_id: str) -> str:
    """Such as `EDFDVBD6EXAMPLE`."""
    return "E" + _letters(f"distribution:{logical_id}", 13)


def distribution_domain_name(logical_id: str) -> str:
    """Such as `d111111abcdef8.cloudfront.net`."""
    return f"d{_letters(f'domain:{logical_id}', 13).lower()}.cloudfront.net"


def policy_id(logical_id: str) -> str:
    """A policy's id, a UUID."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"localpop:policy:{logical_id}"))


def function_arn(name: str) -> str:
    """A CloudFront Function's ARN."""
    return f"arn:aws:cloudfront::{ACCOUNT_ID}:function/{name}"


def lambda_arn(name: str) -> str:
    """A Lambda function's ARN, without a version."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}"
