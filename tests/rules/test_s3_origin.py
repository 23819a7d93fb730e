"""S3 as an origin: who signs, and what a missing object looks like."""

from __future__ import annotations

import pytest

from emulator.rules.s3_origin import SIGNATURE, access_denied, authorization, grants_list_bucket
from emulator.values.distribution import Origin, OriginAccessControl, OriginKind, SigningBehavior


def bucket(signing: SigningBehavior | None = None, identity: str = "") -> Origin:
    """An S3 origin."""
    control = OriginAccessControl("C1", "c", signing_behavior=signing) if signing else None
    return Origin(
        "Site",
        "site.s3.us-east-1.amazonaws.com",
        kind=OriginKind.S3,
        access_control=control,
        access_identity=identity,
    )


@pytest.mark.parametrize(
    ("origin", "viewers", "sent"),
    [
        pytest.param(bucket(SigningBehavior.ALWAYS), "viewer", SIGNATURE, id="always"),
        pytest.param(bucket(SigningBehavior.NEVER), "viewer", "viewer", id="never"),
        pytest.param(bucket(SigningBehavior.NO_OVERRIDE), "viewer", "viewer", id="no-override"),
        pytest.param(bucket(SigningBehavior.NO_OVERRIDE), "", SIGNATURE, id="nobody else signs"),
        pytest.param(bucket(identity="E1"), "viewer", SIGNATURE, id="access identity"),
        pytest.param(bucket(), "", "", id="public bucket"),
    ],
)
def test_who_signs(origin: Origin, viewers: str, sent: str) -> None:
    """Always, never, or only when the viewer did not."""
    assert authorization(origin, viewers) == sent


@pytest.mark.parametrize(
    ("actions", "granted"),
    [("s3:GetObject", False), (["s3:GetObject", "s3:ListBucket"], True), ("s3:*", True)],
)
def test_who_may_list_a_bucket(actions: object, granted: bool) -> None:
    """A missing object is 404 only to who may list."""
    policy = {"Statement": {"Effect": "Allow", "Action": actions}}

    assert grants_list_bucket([policy]) is granted
    assert not grants_list_bucket([{"Statement": [{"Effect": "Deny", "Action": actions}]}])


def test_the_denial_is_s3s_own() -> None:
    """403 AccessDenied, as XML."""
    denied = access_denied("abc==")

    assert denied.status == 403
    assert isinstance(denied.body, bytes)
    assert b"<Code>AccessDenied</Code>" in denied.body
