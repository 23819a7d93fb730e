"""No template, however broken, ends in anything but a finding or a clear error."""

from __future__ import annotations

import contextlib
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import LocalpopError
from emulator.project.local import Answers
from emulator.project.reading import Notes, Section
from emulator.project.template import inspect_templates

WHOLE: dict[str, Any] = {
    "Parameters": {"P": {"Type": "String", "Default": "api.example.com"}},
    "Mappings": {"M": {"a": {"b": "c"}}},
    "Conditions": {"C": {"Fn::Equals": [{"Ref": "P"}, "x"]}},
    "Outputs": {"O": {"Value": "v", "Export": {"Name": "n"}}},
    "Resources": {
        "Store": {
            "Type": "AWS::CloudFront::KeyValueStore",
            "Condition": "C",
            "Properties": {"Name": "s", "ImportSource": {"SourceArn": "arn:aws:s3:::b/k"}},
        },
        "Fn": {
            "Type": "AWS::CloudFront::Function",
            "Metadata": {"aws:asset:path": "x.js"},
            "Properties": {
                "Name": "f",
                "FunctionCode": {"Fn::Sub": ["${A}", {"A": {"Ref": "P"}}]},
                "FunctionConfig": {
                    "Runtime": "cloudfront-js-2.0",
                    "KeyValueStoreAssociations": [
                        {"KeyValueStoreARN": {"Fn::GetAtt": ["Store", "Arn"]}}
                    ],
                },
            },
        },
        "Lambda": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "nodejs22.x",
                "Handler": "index.handler",
                "Code": {"ZipFile": "x"},
                "Environment": {"Variables": {"A": "b"}},
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Statement": [{"Principal": {"Service": ["a"]}}]}
            },
        },
        "Version": {
            "Type": "AWS::Lambda::Version",
            "Properties": {"FunctionName": {"Ref": "Lambda"}},
        },
        "Cache": {
            "Type": "AWS::CloudFront::CachePolicy",
            "Properties": {
                "CachePolicyConfig": {
                    "Name": "p",
                    "ParametersInCacheKeyAndForwardedToOrigin": {
                        "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": ["A"]}
                    },
                }
            },
        },
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "b"}},
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": []}},
        },
        "Writer": {
            "Type": "Custom::CrossRegionExportWriter",
            "Properties": {"WriterProps": {"exports": {"/a": {"Ref": "Version"}}}},
        },
        "Reader": {"Type": "Custom::CrossRegionExportReader", "Properties": {}},
        "Site": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {
                "DistributionConfig": {
                    "Enabled": True,
                    "Origins": [
                        {
                            "Id": "Api",
                            "DomainName": {"Fn::Join": ["", [{"Ref": "P"}]]},
                            "CustomOriginConfig": {"HTTPSPort": "443"},
                            "OriginCustomHeaders": [
                                {
                                    "HeaderName": "A",
                                    "HeaderValue": {"Fn::FindInMap": ["M", "a", "b"]},
                                }
                            ],
                        }
                    ],
                    "OriginGroups": {
                        "Quantity": 1,
                        "Items": [
                            {
                                "Id": "G",
                                "FailoverCriteria": {"StatusCodes": {"Items": [500]}},
                                "Members": {"Items": [{"OriginId": "Api"}, {"OriginId": "Api"}]},
                            }
                        ],
                    },
                    "CustomErrorResponses": [{"ErrorCode": 404}],
                    "Restrictions": {"GeoRestriction": {"RestrictionType": "none"}},
                    "ViewerCertificate": {"AcmCertificateArn": "arn:aws:acm:us-east-1:1:c"},
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "Api",
                        "ViewerProtocolPolicy": {"Fn::If": ["C", "allow-all", "https-only"]},
                        "CachePolicyId": {"Ref": "Cache"},
                        "AllowedMethods": ["GET", "HEAD"],
                        "FunctionAssociations": [
                            {
                                "EventType": "viewer-request",
                                "FunctionARN": {"Fn::GetAtt": "Fn.FunctionARN"},
                            }
                        ],
                        "LambdaFunctionAssociations": [
                            {
                                "EventType": "origin-request",
                                "LambdaFunctionARN": {"Fn::GetAtt": ["Reader", "/a"]},
                            },
                            {
                                "EventType": "origin-response",
                                "LambdaFunctionARN": {"Ref": "Version"},
                            },
                        ],
                    },
                }
            },
        },
    },
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=5) | st.floats(0, 1),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["Ref", "Fn::GetAtt", "Fn::Sub", "Fn::If", "Fn::Join", "Fn::Select", "Items", "a"]
            ),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [path] if path else []
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        found += places(child, (*path, key))
    return found


PLACES = places(WHOLE)


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(PLACES), instead=anything)
def test_no_broken_template_is_more_than_an_error(place: tuple[Any, ...], instead: Any) -> None:
    """Any value anywhere: findings, or one of our errors; never another exception."""
    document = copy.deepcopy(WHOLE)
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = instead
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.json"
        path.write_text(json.dumps(document))

        with contextlib.suppress(LocalpopError):
            for finding in inspect_templates(path, Answers()).findings:
                assert finding.what


def test_a_wrong_value_has_a_harmless_stand_in() -> None:
    """So that reading goes on, and the next mistake is found too."""
    notes = Notes()
    section = Section(
        {"text": {}, "whole": "many", "list": 3, "truth": "perhaps", "section": []}, "here", notes
    )

    assert section.text("text", "x") == "x"
    assert section.whole("whole", 7) == 7
    assert section.texts("list") == []
    assert section.truth("truth", True)
    assert section.section("section").raw == {}
    assert [one.where for one in notes.found] == [
        "here.text",
        "here.whole",
        "here.list",
        "here.truth",
        "here.section",
    ]
