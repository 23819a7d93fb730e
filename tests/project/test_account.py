"""What stacks know of each other, and what only AWS knows."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.project.local import Answers
from emulator.project.template import inspect_templates
from emulator.values.distribution import Selection
from tests.project.conftest import Wrap, Write


def header(value: Any) -> dict[str, Any]:
    """An origin's secret header."""
    return {"OriginCustomHeaders": [{"HeaderName": "X-Key", "HeaderValue": value}]}


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"Fn::ImportValue": "net-stack:Key"}, "net-stack:Key"),
        ({"Fn::ImportValue": {"Fn::Sub": "${AWS::Region}:Key"}}, "us-east-1:Key"),
        ("{{resolve:ssm:/net/key}}", "ssm:/net/key"),
        ({"Fn::Sub": "{{resolve:secretsmanager:${Name}:SecretString}}"}, None),
    ],
)
def test_what_only_aws_knows_is_one_line(
    write: Write, distribution_of: Wrap, value: Any, key: str | None
) -> None:
    """Exactly one line, with its table and its key; and with the line all is well."""
    key = key or "secretsmanager:mine:SecretString"
    template = distribution_of(origin=header(value))
    template["Parameters"] = {"Name": {"Type": "String", "Default": "mine"}}
    path = write(template, "template.json")

    (error,) = inspect_templates(path, Answers()).errors
    answered = inspect_templates(path, Answers(imports={key: "secret"}))

    assert error.mend == f'Add to localpop.toml, under [imports]: "{key}" = "…"'
    assert "OriginCustomHeaders[0].HeaderValue" in error.where
    assert not answered.findings
    (origin,) = answered.declared.distributions[0].origins.values()
    assert origin.custom_headers == (("X-Key", "secret"),)


def test_what_is_not_read_is_not_asked_for(write: Write, distribution_of: Wrap) -> None:
    """A role's import, an output's macro: nobody needs them here."""
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": {"Fn::ImportValue": "x"}, "Path": {"Fn::Cidr": ["a", 1, 2]}},
    }
    template = distribution_of(
        config={"Comment": {"Fn::ImportValue": "y"}}, resources={"Role": role}
    )

    assert not inspect_templates(write(template, "template.json"), Answers()).findings


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Fn::Transform": {"Name": "AWS::Include", "Parameters": {}}}, "The macro AWS::Include"),
        ({"Fn::Cidr": ["10.0.0.0/16", 1, 8]}, "The intrinsic function Fn::Cidr"),
        ({"Fn::GetAZs": ""}, "The intrinsic function Fn::GetAZs"),
    ],
)
def test_what_runs_only_at_aws_is_refused_where_it_is_read(
    write: Write, distribution_of: Wrap, value: Any, words: str
) -> None:
    """Clearly, with its place."""
    path = write(distribution_of(origin=header(value)), "template.json")
    (error,) = inspect_templates(path, Answers()).errors

    assert error.what.startswith(f"{words}")
    assert "HeaderValue" in error.where


def test_ssm_parameters_of_the_templates_are_known(write: Write, distribution_of: Wrap) -> None:
    """By dynamic reference, and as a template parameter's type."""
    stored = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "/net/key", "Type": "String", "Value": "secret"},
    }
    template = distribution_of(
        origin=header({"Fn::Join": ["-", [{"Ref": "Key"}, "{{resolve:ssm:/net/key:1}}"]]}),
        resources={"Stored": stored},
    )
    template["Parameters"] = {
        "Key": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/net/key"},
        "Unused": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/aws/ami"},
    }
    inspection = inspect_templates(write(template, "template.json"), Answers())

    assert not inspection.findings
    (origin,) = inspection.declared.distributions[0].origins.values()
    assert origin.custom_headers == (("X-Key", "secret-secret"),)


def test_an_ssm_parameter_of_aws_asks_for_its_value(write: Write, distribution_of: Wrap) -> None:
    """Its default is a name, not a value."""
    template = distribution_of(origin=header({"Ref": "Key"}))
    template["Parameters"] = {
        "Key": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/net/key"}
    }
    path = write(template, "template.json")
    (error,) = inspect_templates(path, Answers()).errors

    assert error.mend == 'Add to localpop.toml, under [parameters]: Key = "…"'
    assert not inspect_templates(path, Answers(parameters={"Key": "k"})).findings


def test_policies_of_ones_own(write: Write, distribution_of: Wrap) -> None:
    """Cache, origin request and response headers policy by Ref and by GetAtt."""
    resources = {
        "Cache": {
            "Type": "AWS::CloudFront::CachePolicy",
            "Properties": {
                "CachePolicyConfig": {
                    "Name": "Mine",
                    "MinTTL": "1",
                    "DefaultTTL": 60,
                    "MaxTTL": 600,
                    "ParametersInCacheKeyAndForwardedToOrigin": {
                        "EnableAcceptEncodingGzip": "true",
                        "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": ["Accept"]},
                        "CookiesConfig": {"CookieBehavior": "allExcept", "Cookies": ["ads"]},
                        "QueryStringsConfig": {"QueryStringBehavior": "all"},
                    },
                }
            },
        },
        "ToOrigin": {
            "Type": "AWS::CloudFront::OriginRequestPolicy",
            "Properties": {
                "OriginRequestPolicyConfig": {
                    "Name": "ToOrigin",
                    "HeadersConfig": {
                        "HeaderBehavior": "allViewerAndWhitelistCloudFront",
                        "Headers": ["CloudFront-Viewer-City"],
                    },
                    "CookiesConfig": {"CookieBehavior": "none"},
                    "QueryStringsConfig": {"QueryStringBehavior": "none"},
                }
            },
        },
        "Headers": {
            "Type": "AWS::CloudFront::ResponseHeadersPolicy",
            "Properties": {
                "ResponseHeadersPolicyConfig": {
                    "Name": "Headers",
                    "CorsConfig": {
                        "AccessControlAllowCredentials": False,
                        "AccessControlAllowHeaders": {"Items": ["*"]},
                        "AccessControlAllowMethods": {"Items": ["GET"]},
                        "AccessControlAllowOrigins": {"Items": ["https://a.example.com"]},
                        "AccessControlMaxAgeSec": 600,
                        "OriginOverride": True,
                    },
                    "SecurityHeadersConfig": {
                        "ContentTypeOptions": {"Override": True},
                        "StrictTransportSecurity": {
                            "AccessControlMaxAgeSec": 60,
                            "IncludeSubdomains": True,
                            "Preload": True,
                            "Override": False,
                        },
                        "XSSProtection": {"Protection": True, "ModeBlock": True, "Override": True},
                    },
                    "ServerTimingHeadersConfig": {"Enabled": True, "SamplingRate": 50.5},
                    "CustomHeadersConfig": {
                        "Items": [{"Header": "X-A", "Value": "1", "Override": False}]
                    },
                    "RemoveHeadersConfig": {"Items": [{"Header": "X-Powered-By"}]},
                }
            },
        },
    }
    behavior = {
        "CachePolicyId": {"Ref": "Cache"},
        "OriginRequestPolicyId": {"Fn::GetAtt": ["ToOrigin", "Id"]},
        "ResponseHeadersPolicyId": {"Ref": "Headers"},
    }
    template = distribution_of(behavior=behavior, resources=resources)
    inspection = inspect_templates(write(template, "template.json"), Answers())
    (found,) = inspection.declared.distributions[0].behaviors
    headers = found.response_headers_policy

    assert not inspection.findings
    assert (found.cache_policy.name, found.cache_policy.min_ttl_s) == ("Mine", 1)
    assert found.cache_policy.headers.names == {"accept"}
    assert found.cache_policy.cookies.selection is Selection.ALL_EXCEPT
    assert found.cache_policy.gzip
    assert found.origin_request_policy is not None
    assert found.origin_request_policy.headers.names == {"cloudfront-viewer-city"}
    assert headers is not None
    assert headers.cors is not None
    assert (headers.cors.max_age_s, headers.cors.origin_override) == (600, True)
    assert [(one.name, one.value, one.override) for one in headers.headers] == [
        ("X-XSS-Protection", "1; mode=block", True),
        ("X-Content-Type-Options", "nosniff", True),
        ("Strict-Transport-Security", "max-age=60; includeSubDomains; preload", False),
        ("X-A", "1", False),
    ]
    assert headers.remove == ("x-powered-by",)
    assert headers.server_timing_rate == 50.5


def test_what_leads_back_to_itself_ends(write: Write, distribution_of: Wrap) -> None:
    """A circle of exports is one error, no endless recursion."""
    template = distribution_of(origin=header({"Fn::ImportValue": "a"}))
    template["Outputs"] = {"A": {"Value": {"Fn::ImportValue": "a"}, "Export": {"Name": "a"}}}
    (error,) = inspect_templates(write(template, "template.json"), Answers()).errors

    assert "leads back to itself" in error.what
