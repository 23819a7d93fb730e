"""Where templates come from: CDK's output, SAM, several files, the API's JSON."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import ConfigError, NotEmulated
from emulator.project.local import Answers, read_local
from emulator.project.template import inspect_templates, template_attribute
from emulator.values.distribution import OriginKind, Selection, ViewerProtocolPolicy
from emulator.values.functions import EventType, FunctionKind
from tests.project.conftest import Wrap, Write

FIXTURES = Path(__file__).parent / "fixtures"
TODAY = date(2026, 11, 21)

# --- CDK ----------------------------------------------------------------------------------------


def test_a_cdk_app_is_understood_whole(tmp_path: Path) -> None:
    """Four stacks in two Regions are one project, and nothing about it is wrong."""
    inspection = inspect_templates(FIXTURES / "cdk.out", Answers(state=tmp_path), TODAY)
    (distribution,) = inspection.declared.distributions
    chat, api, default = distribution.behaviors

    assert not inspection.findings
    assert [one.path_pattern for one in distribution.behaviors] == ["chat/*", "api/*", "*"]
    assert distribution.default_root_object == "index.html"
    assert default.viewer_protocol_policy is ViewerProtocolPolicy.REDIRECT_TO_HTTPS
    assert default.response_headers_policy is not None
    assert default.response_headers_policy.name == "SecurityHeadersPolicy"
    assert [one.event_type for one in default.functions] == [
        EventType.VIEWER_REQUEST,
        EventType.VIEWER_RESPONSE,
    ]
    assert api.cache_policy.headers.names == {"cloudfront-viewer-country"}
    assert api.cache_policy.default_ttl_s == 300
    assert chat.functions[0].include_body


def test_a_cdk_apps_origins(tmp_path: Path) -> None:
    """S3 with origin access control, a function URL by Fn::ImportValue, an HTTP origin."""
    declared = inspect_templates(FIXTURES / "cdk.out", Answers(state=tmp_path)).declared
    s3, url, http = declared.distributions[0].origins.values()

    assert (s3.kind, url.kind, http.kind) == (
        OriginKind.S3,
        OriginKind.LAMBDA_URL,
        OriginKind.CUSTOM,
    )
    assert s3.access_control is not None
    assert s3.access_control.origin_type == "s3"
    assert url.access_control is not None
    assert url.access_control.origin_type == "lambda"
    assert s3.domain_name == f"{declared.buckets[0].name}.s3.eu-west-1.amazonaws.com"
    assert declared.distributions[0].id in json.dumps(declared.buckets[0].policy)
    assert (http.path, http.read_timeout_s, http.custom_headers) == (
        "/v1",
        60,
        (("X-From", "edge"),),
    )
    (function_url,) = declared.function_urls
    assert function_url.domain_name == url.domain_name
    assert (function_url.function.path / "index.js").read_text().startswith("exports.handler")


def test_a_cdk_apps_functions(tmp_path: Path) -> None:
    """Assets are folders; versions come through both of CDK's cross-Region custom resources."""
    declared = inspect_templates(FIXTURES / "cdk.out", Answers(state=tmp_path)).declared
    chat, api, _ = declared.distributions[0].behaviors
    by_version = {one.versions[0]: one for one in declared.lambdas}

    for behavior in (chat, api):
        arn = behavior.functions[0].arn
        assert behavior.functions[0].kind is FunctionKind.LAMBDA_AT_EDGE
        assert arn.startswith("arn:aws:lambda:us-east-1:")
        assert (by_version[arn].path / "index.js").is_file()
    rewrite, stamp = declared.functions
    assert rewrite.store_arn == declared.stores[0].arn
    assert "cf.kvs()" in rewrite.code
    assert stamp.code.startswith("function handler")
    assert declared.stores[0].entries == {"old": "/new"}


def test_assets_are_found_without_metadata(tmp_path: Path) -> None:
    """A synthesis without the cdk command has no aws:asset:path; the asset manifests tell."""
    folder = tmp_path / "cdk.out"
    shutil.copytree(FIXTURES / "cdk.out", folder)
    for file in folder.glob("*.template.json"):
        template = json.loads(file.read_text())
        for resource in template["Resources"].values():
            resource.pop("Metadata", None)
        file.write_text(json.dumps(template))

    inspection = inspect_templates(folder, Answers(state=tmp_path))

    assert not inspection.findings
    assert all((one.path / "index.js").is_file() for one in inspection.declared.lambdas)


def test_what_is_watched(tmp_path: Path) -> None:
    """A new synthesis changes a file that is watched."""
    files = inspect_templates(FIXTURES / "cdk.out", Answers(state=tmp_path)).declared.files

    assert {"manifest.json", "Site.template.json", "Edge.assets.json"} <= {
        one.name for one in files
    }


def test_a_missing_stack_asks_for_one_line(tmp_path: Path) -> None:
    """An import from a stack that is not in the assembly; a mapped origin needs none."""
    folder = tmp_path / "cdk.out"
    shutil.copytree(FIXTURES / "cdk.out", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["artifacts"]["Api"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    answers = Answers(state=tmp_path)

    (error,) = inspect_templates(folder, answers).errors
    mapped = Answers(state=tmp_path, mapped_origins=frozenset({"SiteDistributionOrigin243001B31"}))

    assert "[origins.SiteDistributionOrigin243001B31] url =" in error.mend
    assert not inspect_templates(folder, mapped).errors


def test_a_folder_that_is_no_assembly(tmp_path: Path) -> None:
    """Said with what to name instead."""
    with pytest.raises(ConfigError, match=r"no manifest\.json") as caught:
        inspect_templates(tmp_path, Answers())

    assert "cdk synth" in caught.value.mend


# --- SAM ----------------------------------------------------------------------------------------

SAM: dict[str, Any] = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Globals": {"Function": {"Runtime": "python3.13", "CodeUri": "src/"}},
    "Parameters": {"Seconds": {"Type": "Number", "Default": "5"}},
    "Resources": {
        "Edge": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Handler": "app.handler",
                "Timeout": {"Ref": "Seconds"},
                "AutoPublishAlias": "live",
            },
        },
        "Site": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {
                "DistributionConfig": {
                    "Enabled": "true",
                    "Origins": [
                        {
                            "Id": "Api",
                            "DomainName": "api.example.com",
                            "CustomOriginConfig": {"OriginProtocolPolicy": "https-only"},
                        }
                    ],
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "Api",
                        "ViewerProtocolPolicy": "allow-all",
                        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                        "LambdaFunctionAssociations": [
                            {
                                "EventType": "origin-request",
                                "LambdaFunctionARN": {"Ref": "Edge.Version"},
                            }
                        ],
                    },
                }
            },
        },
    },
}


def test_sam_is_expanded_by_aws_itself(write: Write) -> None:
    """CodeUri of Globals is the folder, AutoPublishAlias makes the version."""
    path = write(SAM, "template.json")
    write("def handler(event, context): ...", "src/app.py")

    inspection = inspect_templates(path, Answers(parameters={"Seconds": "7"}))
    (edge,) = inspection.declared.lambdas
    (association,) = inspection.declared.distributions[0].behaviors[0].functions

    assert edge.path == path.parent / "src"
    assert (edge.handler, edge.runtime, edge.timeout_s) == ("app.handler", "python3.13", 7)
    assert edge.versions == (association.arn,)
    # SAM's own role trusts only Lambda: what CloudFront refuses, and its words.
    assert ["assumable with edgelambda" in one.what for one in inspection.errors] == [True]


def test_sam_speaks_for_itself(write: Write) -> None:
    """What SAM refuses is told in SAM's words."""
    broken = {**SAM, "Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {}}}}

    with pytest.raises(ConfigError, match=r"SAM refuses the template: .+"):
        inspect_templates(write({**broken, "Globals": {}}, "template.json"), Answers())


def test_a_macro_of_ones_own_is_refused(write: Write, distribution_of: Wrap) -> None:
    """Macros run at AWS."""
    path = write({**distribution_of(), "Transform": ["MyMacro"]}, "template.json")

    with pytest.raises(NotEmulated, match="The macro MyMacro"):
        inspect_templates(path, Answers())


# --- the API's JSON, and several files ----------------------------------------------------------


def api_config() -> dict[str, Any]:
    """What `aws cloudfront get-distribution-config` prints, every list with its Quantity."""
    return {
        "CallerReference": "2026-11-21",
        "Aliases": {"Quantity": 0},
        "DefaultRootObject": "",
        "Origins": {
            "Quantity": 1,
            "Items": [
                {
                    "Id": "Api",
                    "DomainName": "api.example.com",
                    "OriginPath": "",
                    "CustomHeaders": {
                        "Quantity": 1,
                        "Items": [{"HeaderName": "X-A", "HeaderValue": "b"}],
                    },
                    "CustomOriginConfig": {
                        "HTTPPort": 80,
                        "HTTPSPort": 8443,
                        "OriginProtocolPolicy": "https-only",
                        "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
                        "OriginReadTimeout": 45,
                        "OriginKeepaliveTimeout": 5,
                    },
                    "ConnectionAttempts": 2,
                    "ConnectionTimeout": 10,
                    "OriginShield": {"Enabled": False},
                    "OriginAccessControlId": "",
                }
            ],
        },
        "OriginGroups": {"Quantity": 0},
        "DefaultCacheBehavior": {
            "TargetOriginId": "Api",
            "TrustedSigners": {"Enabled": False, "Quantity": 0},
            "TrustedKeyGroups": {"Enabled": False, "Quantity": 0},
            "ViewerProtocolPolicy": "redirect-to-https",
            "AllowedMethods": {
                "Quantity": 2,
                "Items": ["HEAD", "GET"],
                "CachedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"]},
            },
            "SmoothStreaming": False,
            "Compress": True,
            "LambdaFunctionAssociations": {"Quantity": 0},
            "FunctionAssociations": {
                "Quantity": 1,
                "Items": [
                    {
                        "FunctionARN": "arn:aws:cloudfront::111122223333:function/rewrite",
                        "EventType": "viewer-request",
                    }
                ],
            },
            "FieldLevelEncryptionId": "",
            "CachePolicyId": "11111111-2222-3333-4444-555555555555",
            "GrpcConfig": {"Enabled": False},
        },
        "CacheBehaviors": {"Quantity": 0},
        "CustomErrorResponses": {"Quantity": 0},
        "Comment": "",
        "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
        "PriceClass": "PriceClass_All",
        "Enabled": True,
        "ViewerCertificate": {"CloudFrontDefaultCertificate": True},
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
        "WebACLId": "",
        "HttpVersion": "http2",
        "IsIPV6Enabled": True,
        "Staging": False,
    }


POLICY = {
    "ETag": "E1",
    "CachePolicy": {
        "Id": "11111111-2222-3333-4444-555555555555",
        "CachePolicyConfig": {
            "Name": "Mine",
            "DefaultTTL": 60,
            "MaxTTL": 600,
            "MinTTL": 0,
            "ParametersInCacheKeyAndForwardedToOrigin": {
                "EnableAcceptEncodingGzip": True,
                "HeadersConfig": {"HeaderBehavior": "none"},
                "CookiesConfig": {"CookieBehavior": "none"},
                "QueryStringsConfig": {
                    "QueryStringBehavior": "whitelist",
                    "QueryStrings": {"Quantity": 1, "Items": ["q"]},
                },
            },
        },
    },
}


def test_get_distribution_config_asks_for_two_lines_and_then_runs(write: Write) -> None:
    """What only AWS knows (a policy, a function) is one line each, with its own key named."""
    path = write({"ETag": "E2", "DistributionConfig": api_config()}, "distribution.json")
    arn = "arn:aws:cloudfront::111122223333:function/rewrite"
    policy_id = POLICY["CachePolicy"]["Id"]  # type: ignore[index]

    mends = [one.mend for one in inspect_templates(path, Answers()).errors]

    assert len(mends) == 2
    assert f'under [resources]: "{policy_id}" = ' in mends[0]
    assert "get-cache-policy" in mends[0]
    assert f'under [functions]: "{arn}" = ' in mends[1]

    write("function handler(event) { return event.request; }", "rewrite.js")
    local = path.parent / "localpop.toml"
    local.write_text(
        f"""
        template = "distribution.json"
        [resources]
        "{policy_id}" = "policy.json"
        [functions]
        "{arn}" = "rewrite.js"
        """
    )
    write(POLICY, "policy.json")
    settings = read_local(path.parent)
    inspection = inspect_templates(settings.templates, settings.answers)
    (behavior,) = inspection.declared.distributions[0].behaviors

    assert not inspection.findings
    assert behavior.cache_policy.query_strings.names == {"q"}
    assert behavior.cache_policy.query_strings.selection is Selection.WHITELIST
    assert inspection.declared.functions[0].arn == behavior.functions[0].arn == arn
    assert inspection.declared.distributions[0].origins["Api"].port == 8443


def test_get_distribution_keeps_what_aws_made_up(write: Write) -> None:
    """Id and domain name are the distribution's own."""
    config = api_config()
    config["DefaultCacheBehavior"]["CachePolicyId"] = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    config["DefaultCacheBehavior"]["FunctionAssociations"] = {"Quantity": 0}
    document = {
        "ETag": "E2",
        "Distribution": {
            "Id": "EDFDVBD6EXAMPLE",
            "ARN": "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE",
            "DomainName": "d111111abcdef8.cloudfront.net",
            "DistributionConfig": config,
        },
    }
    inspection = inspect_templates(write(document, "distribution.json"), Answers())
    (distribution,) = inspection.declared.distributions

    assert not inspection.findings
    assert distribution.id == "EDFDVBD6EXAMPLE"
    assert distribution.domain_name == "d111111abcdef8.cloudfront.net"


def test_several_templates_are_one_project(write: Write, distribution_of: Wrap) -> None:
    """One template exports what another imports; resources are told apart by their stack."""
    network = write(
        {
            "Resources": {"Store": {"Type": "AWS::CloudFront::KeyValueStore"}},
            "Outputs": {
                "Domain": {
                    "Value": "api.example.com",
                    "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:ApiDomain"}},
                }
            },
        },
        "network.json",
    )
    site = write(
        distribution_of(origin={"DomainName": {"Fn::ImportValue": "network:ApiDomain"}}),
        "site.json",
    )

    inspection = inspect_templates([site, network], Answers())

    assert not inspection.findings
    origin = inspection.declared.distributions[0].origins["Api"]
    assert origin.domain_name == "api.example.com"
    assert inspection.declared.stores[0].name == "network-Store"
    assert template_attribute([site, network], {}, "Store") == "network-Store"


# --- nested stacks ------------------------------------------------------------------------------


def test_nested_stacks_are_part_of_the_project(write: Write, distribution_of: Wrap) -> None:
    """Parameters go down, outputs come up; the child's template is watched."""
    child = {
        "Parameters": {"Name": {"Type": "String"}},
        "Resources": {
            "Store": {
                "Type": "AWS::CloudFront::KeyValueStore",
                "Properties": {"Name": {"Fn::Sub": "${Name}-store"}},
            }
        },
        "Outputs": {"Domain": {"Value": {"Fn::Sub": "${Name}.example.com"}}},
    }
    file = write(child, "nested/child.json")
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {
            "TemplateURL": "nested/child.json",
            "Parameters": {"Name": {"Fn::Join": ["", ["a", "pi"]]}},
        },
    }
    template = distribution_of(
        origin={"DomainName": {"Fn::GetAtt": ["Child", "Outputs.Domain"]}},
        resources={"Child": nested},
    )
    inspection = inspect_templates(write(template, "template.json"), Answers())

    assert not inspection.findings
    assert inspection.declared.stores[0].name == "api-store"
    origin = inspection.declared.distributions[0].origins["Api"]
    assert origin.domain_name == "api.example.com"
    assert file in inspection.declared.files


def test_a_nested_stack_in_s3_asks_for_one_line(write: Write, distribution_of: Wrap) -> None:
    """It is said that it is not read; an output of it is one line."""
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": "https://b.s3.amazonaws.com/child.json"},
    }
    secret = {"HeaderName": "X-Key", "HeaderValue": {"Fn::GetAtt": ["Child", "Outputs.Key"]}}
    template = distribution_of(
        origin={"OriginCustomHeaders": [secret]}, resources={"Child": nested}
    )
    path = write(template, "template.json")
    warning, error = inspect_templates(path, Answers()).findings
    answered = inspect_templates(path, Answers(imports={"Child.Outputs.Key": "k"}))

    assert "its template is in S3" in warning.what
    assert error.mend == 'Add to localpop.toml, under [imports]: "Child.Outputs.Key" = "…"'
    assert not answered.errors


def test_nesting_ends(write: Write) -> None:
    """Templates that nest each other are an error, no endless loop."""
    for name, other in (("a.json", "b.json"), ("b.json", "a.json")):
        nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": other}}
        path = write({"Resources": {"Child": nested}}, name)

    (error,) = inspect_templates(path, Answers()).errors

    assert "holds itself" in error.what


def test_expanding_is_quiet(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    """AWS's translator has nothing to say to a terminal."""
    path = write(SAM, "template.json")
    write("def handler(event, context): ...", "src/app.py")
    inspect_templates(path, Answers())

    assert capfd.readouterr() == ("", "")
