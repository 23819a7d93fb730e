"""Policies, origin access controls, public keys and key groups as a real boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from tests.aws.cloudfront.shapes import CACHING_DISABLED, distribution, listed, refusal
from tests.aws.endpoint import Endpoint

KEYED = {
    "EnableAcceptEncodingGzip": True,
    "EnableAcceptEncodingBrotli": True,
    "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": listed("X-Tenant")},
    "CookiesConfig": {"CookieBehavior": "none"},
    "QueryStringsConfig": {"QueryStringBehavior": "all"},
}
PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"


def cache_policy(name: str, **more: Any) -> dict[str, Any]:
    """A CachePolicyConfig that caches nothing."""
    return {
        "Name": name,
        "MinTTL": 0,
        "DefaultTTL": 0,
        "MaxTTL": 0,
        "ParametersInCacheKeyAndForwardedToOrigin": KEYED,
        **more,
    }


def configs(name: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """By noun: the operations' suffix, and a configuration."""
    return {
        "CachePolicy": ("cache_policy", cache_policy(name)),
        "OriginRequestPolicy": (
            "origin_request_policy",
            {
                "Name": name,
                "HeadersConfig": {"HeaderBehavior": "allViewer"},
                "CookiesConfig": {"CookieBehavior": "all"},
                "QueryStringsConfig": {"QueryStringBehavior": "all"},
            },
        ),
        "ResponseHeadersPolicy": (
            "response_headers_policy",
            {
                "Name": name,
                "CustomHeadersConfig": listed({"Header": "X-A", "Value": "b", "Override": True}),
            },
        ),
        "OriginAccessControl": (
            "origin_access_control",
            {
                "Name": name,
                "SigningProtocol": "sigv4",
                "SigningBehavior": "always",
                "OriginAccessControlOriginType": "s3",
            },
        ),
        "PublicKey": (
            "public_key",
            {"CallerReference": name, "Name": name, "EncodedKey": PEM},
        ),
    }


NOUNS = tuple(configs(""))


@pytest.mark.parametrize("noun", NOUNS)
def test_a_configuration_lives_from_creation_to_deletion(
    cloudfront: Any, name: str, noun: str
) -> None:
    """Create, get, get its configuration, update, delete."""
    suffix, config = configs(name)[noun]
    created = getattr(cloudfront, f"create_{suffix}")(**{f"{noun}Config": config})
    identity = created[noun]["Id"]
    got = getattr(cloudfront, f"get_{suffix}")(Id=identity)
    only_config = getattr(cloudfront, f"get_{suffix}_config")(Id=identity)
    updated = getattr(cloudfront, f"update_{suffix}")(
        Id=identity, IfMatch=created["ETag"], **{f"{noun}Config": {**config, "Name": f"{name}-2"}}
    )
    stale = refusal(
        lambda: getattr(cloudfront, f"delete_{suffix}")(Id=identity, IfMatch=created["ETag"])
    )
    getattr(cloudfront, f"delete_{suffix}")(Id=identity, IfMatch=updated["ETag"])
    gone = refusal(lambda: getattr(cloudfront, f"get_{suffix}")(Id=identity))

    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["Location"].endswith(identity)
    assert got[noun] == created[noun]
    assert only_config[f"{noun}Config"] == config
    assert updated[noun][f"{noun}Config"]["Name"] == f"{name}-2"
    assert stale[:2] == ("PreconditionFailed", 412)
    assert gone[:2] == (f"NoSuch{noun}", 404)


@pytest.mark.parametrize("noun", NOUNS)
def test_a_name_is_taken_once(cloudfront: Any, name: str, noun: str) -> None:
    """409 …AlreadyExists."""
    suffix, config = configs(name)[noun]
    create = getattr(cloudfront, f"create_{suffix}")
    create(**{f"{noun}Config": config})

    again = refusal(lambda: create(**{f"{noun}Config": config}))

    assert again[:2] == (f"{noun}AlreadyExists", 409)


@pytest.mark.parametrize(
    ("noun", "suffix", "plural", "managed"),
    [
        ("CachePolicy", "cache_policy", "cache_policies", MANAGED_CACHE_POLICIES),
        (
            "OriginRequestPolicy",
            "origin_request_policy",
            "origin_request_policies",
            MANAGED_ORIGIN_REQUEST_POLICIES,
        ),
        (
            "ResponseHeadersPolicy",
            "response_headers_policy",
            "response_headers_policies",
            MANAGED_RESPONSE_HEADERS_POLICIES,
        ),
    ],
)
def test_managed_policies_have_awss_ids_and_stay_as_they_are(
    cloudfront: Any, noun: str, suffix: str, plural: str, managed: dict[str, Any]
) -> None:
    """Listed as managed, each can be got, none changed or deleted."""
    page = getattr(cloudfront, f"list_{plural}")(Type="managed")[f"{noun}List"]
    found = {one[noun]["Id"]: one[noun][f"{noun}Config"]["Name"] for one in page["Items"]}
    identity = next(iter(managed))
    got = getattr(cloudfront, f"get_{suffix}")(Id=identity)
    refused = refusal(
        lambda: getattr(cloudfront, f"delete_{suffix}")(Id=identity, IfMatch=got["ETag"])
    )

    assert found == {key: f"Managed-{policy.name}" for key, policy in managed.items()}
    assert all(one["Type"] == "managed" for one in page["Items"])
    assert refused[:2] == ("IllegalDelete", 400)


def test_a_policy_in_use_is_not_deleted(cloudfront: Any, name: str) -> None:
    """409 CachePolicyInUse, until the distribution lets go of it."""
    created = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy(name))
    identity = created["CachePolicy"]["Id"]
    used = cloudfront.create_distribution(
        DistributionConfig=distribution(name, CachePolicyId=identity)
    )

    def delete() -> None:
        cloudfront.delete_cache_policy(Id=identity, IfMatch=created["ETag"])

    in_use = refusal(delete)
    cloudfront.update_distribution(
        Id=used["Distribution"]["Id"],
        IfMatch=used["ETag"],
        DistributionConfig=distribution(name, CachePolicyId=CACHING_DISABLED),
    )
    delete()

    assert in_use[:2] == ("CachePolicyInUse", 409)


def test_a_changed_policy_is_deployed(account: Endpoint, cloudfront: Any, name: str) -> None:
    """Distributions that have it serve by it at once."""
    created = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy(name))
    before = account.deployments
    cloudfront.update_cache_policy(
        Id=created["CachePolicy"]["Id"],
        IfMatch=created["ETag"],
        CachePolicyConfig=cache_policy(name, Comment="changed"),
    )

    assert account.deployments == before + 1


def test_a_key_group_holds_its_keys(cloudfront: Any, name: str) -> None:
    """A key of a group is in use; a group of unknown keys is refused."""
    key = cloudfront.create_public_key(
        PublicKeyConfig={"CallerReference": name, "Name": name, "EncodedKey": PEM}
    )
    identity = key["PublicKey"]["Id"]
    group = cloudfront.create_key_group(KeyGroupConfig={"Name": name, "Items": [identity]})
    in_use = refusal(lambda: cloudfront.delete_public_key(Id=identity, IfMatch=key["ETag"]))
    unknown = refusal(
        lambda: cloudfront.create_key_group(KeyGroupConfig={"Name": "x", "Items": ["K0"]})
    )
    listed_groups = cloudfront.list_key_groups()["KeyGroupList"]["Items"]

    assert identity.startswith("K")
    assert in_use[:2] == ("PublicKeyInUse", 409)
    assert unknown[:2] == ("InvalidArgument", 400)
    assert group["KeyGroup"]["Id"] in [one["KeyGroup"]["Id"] for one in listed_groups]


def test_origin_access_controls_are_listed(cloudfront: Any, name: str) -> None:
    """Each with its type and signing behavior."""
    config = configs(name)["OriginAccessControl"][1]
    made = cloudfront.create_origin_access_control(OriginAccessControlConfig=config)
    page = cloudfront.list_origin_access_controls()["OriginAccessControlList"]
    found = {one["Id"]: one["SigningBehavior"] for one in page["Items"]}

    assert found[made["OriginAccessControl"]["Id"]] == "always"
    assert page["IsTruncated"] is False
