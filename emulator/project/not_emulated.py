"""What CloudFront does and localpop's edge does not: the one table.

Reading a distribution is complete; refusing is separate. A feature leaves the table when the edge
can do it. `_REFUSED` would half work and is refused; `_ANNOUNCED` changes nothing that a developer
sees on localhost, or cannot be imitated at all, and is said aloud.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from emulator.errors import NotEmulated
from emulator.values.distribution import CacheBehavior, Distribution
from emulator.values.findings import Finding, Severity

BehaviorTest = Callable[[CacheBehavior], bool]
DistributionTest = Callable[[Distribution], bool]


_REFUSED_IN_BEHAVIOR: Final[tuple[tuple[str, BehaviorTest], ...]] = ()
_REFUSED: Final[tuple[tuple[str, DistributionTest], ...]] = (
    ("A multi-tenant distribution (TenantConfig)", lambda one: "TenantConfig" in one.beyond),
    (
        "Signed URLs and cookies by TrustedSigners",
        lambda one: "TrustedSigners" in one.beyond,
    ),
)
_ANNOUNCED: Final = {
    "WebACLId": "AWS WAF is not emulated: every request passes.",
    "ContinuousDeploymentPolicyId": "Continuous deployment is not emulated: all traffic goes to "
    "this distribution.",
    "Staging": "Continuous deployment is not emulated: the staging distribution answers by itself.",
    "FieldLevelEncryptionId": "Field-level encryption is not emulated: fields pass as they are.",
    "SmoothStreaming": "Smooth Streaming is not emulated.",
    "RealtimeLogConfigArn": "Real-time logs do not go to Kinesis.",
    "AnycastIpListId": "Anycast addresses are not emulated.",
    "ViewerMtlsConfig": "Mutual TLS with viewers is not emulated: no certificate is asked for.",
    "ConnectionFunctionAssociation": "Connection functions are not emulated: none runs.",
    "CacheTagConfig": "Cache tags are not emulated.",
}


def refuse_not_emulated(distribution: Distribution, where: str = "") -> None:
    """Refuse a distribution that asks for what the edge cannot do.

    Raises:
        NotEmulated: The first such feature, and where it is asked for.
    """
    for feature, place in _refused(distribution, where):
        raise NotEmulated(feature, where=place)


def find_not_emulated(distribution: Distribution, where: str = "") -> list[Finding]:
    """Every feature that a distribution asks for and does not get."""
    refused = [
        Finding(
            Severity.ERROR, place, f"{feature} is not emulated by localpop; see docs/fidelity.md."
        )
        for feature, place in _refused(distribution, where)
    ]
    return refused + announcements(distribution, where)


def announcements(distribution: Distribution, where: str = "") -> list[Finding]:
    """What is missing without being missed: said aloud, not refused."""
    found = [
        Finding(Severity.WARNING, f"{where}.{name}" if where else name, text)
        for name, text in _ANNOUNCED.items()
        if name in distribution.beyond
    ]
    for behavior in distribution.behaviors:
        if behavior.grpc:
            place = _behavior_place(behavior, where)
            found.append(Finding(Severity.WARNING, place, "gRPC is not emulated."))
    return found


def _refused(distribution: Distribution, where: str) -> Iterator[tuple[str, str]]:
    for feature, asked in _REFUSED:
        if asked(distribution):
            yield feature, where or distribution.id
    for feature, asked_by in _REFUSED_IN_BEHAVIOR:
        for behavior in distribution.behaviors:
            if asked_by(behavior):
                yield feature, _behavior_place(behavior, where or distribution.id)
                break


def _behavior_place(behavior: CacheBehavior, where: str) -> str:
    return f"{where}: behavior {behavior.path_pattern}" if where else behavior.path_pattern
