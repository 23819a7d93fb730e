"""Names that AWS would make up, made up the same way at every start."""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

from emulator.project.intrinsics import ACCOUNT_ID, REGION

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def letters(seed: str, count: int) -> str:
    """Capital letters and digits that follow from a seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:count])


def distribution_id(logical_id: str) -> str:
    """Such as `EDFDVBD6EXAMPLE`."""
    return "E" + letters(f"distribution:{logical_id}", 13)


def distribution_domain_name(logical_id: str) -> str:
    """Such as `d111111abcdef8.cloudfront.net`."""
    return f"d{letters(f'domain:{logical_id}', 13).lower()}.cloudfront.net"


def policy_id(logical_id: str) -> str:
    """A policy's id, a UUID; a key group's too."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"localpop:policy:{logical_id}"))


def access_id(logical_id: str) -> str:
    """The id of an origin access control or identity, such as `E127EXAMPLE51Z`."""
    return "E" + letters(f"access:{logical_id}", 13)


def public_key_id(logical_id: str) -> str:
    """A public key's id, the Key-Pair-Id, such as `K2JCJMDEHXQW5F`."""
    return "K" + letters(f"key:{logical_id}", 13)


def function_url_id(logical_id: str) -> str:
    """The first label of a Lambda function URL's domain."""
    return letters(f"url:{logical_id}", 32).lower()


def rest_api_id(logical_id: str) -> str:
    """An API Gateway API's id."""
    return letters(f"api:{logical_id}", 10).lower()


def function_arn(name: str) -> str:
    """A CloudFront Function's ARN."""
    return f"arn:aws:cloudfront::{ACCOUNT_ID}:function/{name}"


def lambda_arn(name: str, region: str = REGION) -> str:
    """A Lambda function's ARN, without a version."""
    return f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}"


def state_machine_arn(name: str, region: str = REGION) -> str:
    """A state machine's ARN."""
    return f"arn:aws:states:{region}:{ACCOUNT_ID}:stateMachine:{name}"
