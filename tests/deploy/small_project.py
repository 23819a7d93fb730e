"""A small project with one of everything that `localpop deploy` makes; no library to install."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LOOKUP = """
import cf from 'cloudfront';
const store = cf.kvs();

async function handler(event) {
    const request = event.request;
    const user = request.querystring.user;
    if (!user) return request;
    try {
        const body = await store.get(user.value);
        return { statusCode: 200, statusDescription: 'OK', headers: {}, body };
    } catch (missing) {
        return request;
    }
}
"""
HANDLER = """
import json
from pathlib import Path

BAKED = json.loads(Path(__file__).with_name("config.json").read_text())

def handler(event, context):
    return {"status": "200", "body": "made by Lambda " + BAKED["store"].split(":")[4]}
"""
TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Origin": {"Type": "String", "Default": "api.example.com"},
        "Protocol": {"Type": "String", "Default": "allow-all"},
    },
    "Resources": {
        "Store": {
            "Type": "AWS::CloudFront::KeyValueStore",
            "Properties": {
                "Name": "greetings",
                "Comment": "first",
                "ImportSource": {"SourceType": "S3", "SourceArn": "arn:aws:s3:::seeds/seed.json"},
            },
        },
        "Lookup": {
            "Type": "AWS::CloudFront::Function",
            "Metadata": {"aws:asset:path": "lookup.js", "aws:asset:property": "FunctionCode"},
            "Properties": {
                "Name": "lookup",
                "AutoPublish": True,
                "FunctionConfig": {
                    "Comment": "",
                    "Runtime": "cloudfront-js-2.0",
                    "KeyValueStoreAssociations": [
                        {"KeyValueStoreARN": {"Fn::GetAtt": ["Store", "Arn"]}}
                    ],
                },
                "FunctionCode": "function handler(event) { return event.request; }",
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {
                                "Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]
                            },
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "ManagedPolicyArns": [
                    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
                ],
                "Policies": [
                    {
                        "PolicyName": "Read",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [
                                {
                                    "Effect": "Allow",
                                    "Action": ["cloudfront-keyvaluestore:GetKey"],
                                    "Resource": {"Fn::GetAtt": ["Store", "Arn"]},
                                }
                            ],
                        },
                    }
                ],
            },
        },
        "Edge": {
            "Type": "AWS::Lambda::Function",
            "Metadata": {
                "aws:asset:path": "edge",
                "aws:asset:property": "Code",
                "localpop:baked-files": {
                    "config.json": {"store": {"Fn::GetAtt": ["Store", "Arn"]}}
                },
            },
            "Properties": {
                "FunctionName": "edge",
                "Runtime": "python3.13",
                "Handler": "handler.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Timeout": 5,
                "MemorySize": 128,
                "Code": {"S3Bucket": "b", "S3Key": "k"},
            },
        },
        "EdgeVersion": {
            "Type": "AWS::Lambda::Version",
            "Properties": {"FunctionName": {"Ref": "Edge"}},
        },
        "Caching": {
            "Type": "AWS::CloudFront::CachePolicy",
            "Properties": {
                "CachePolicyConfig": {
                    "Name": "an-hour",
                    "MinTTL": 0,
                    "DefaultTTL": 3600,
                    "MaxTTL": "3600",
                    "ParametersInCacheKeyAndForwardedToOrigin": {
                        "EnableAcceptEncodingGzip": False,
                        "HeadersConfig": {"HeaderBehavior": "none"},
                        "CookiesConfig": {"CookieBehavior": "none"},
                        "QueryStringsConfig": {
                            "QueryStringBehavior": "whitelist",
                            "QueryStrings": ["user", "page"],
                        },
                    },
                }
            },
        },
        "Access": {
            "Type": "AWS::CloudFront::OriginAccessControl",
            "Properties": {
                "OriginAccessControlConfig": {
                    "Name": "bodies",
                    "OriginAccessControlOriginType": "s3",
                    "SigningBehavior": "always",
                    "SigningProtocol": "sigv4",
                }
            },
        },
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "bodies"}},
        "Distribution": {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {
                "DistributionConfig": {
                    "Comment": "small",
                    "Enabled": True,
                    "Origins": [
                        {
                            "Id": "Api",
                            "DomainName": {"Ref": "Origin"},
                            "CustomOriginConfig": {
                                "OriginProtocolPolicy": "http-only",
                                "OriginSSLProtocols": ["TLSv1.2"],
                            },
                        },
                        {
                            "Id": "Bodies",
                            "DomainName": {"Fn::GetAtt": ["Bucket", "RegionalDomainName"]},
                            "OriginAccessControlId": {"Ref": "Access"},
                            "S3OriginConfig": {},
                        },
                    ],
                    "CacheBehaviors": [
                        {
                            "PathPattern": "/hello/*",
                            "TargetOriginId": "Api",
                            "ViewerProtocolPolicy": {"Ref": "Protocol"},
                            "AllowedMethods": ["GET", "HEAD", "OPTIONS"],
                            "CachedMethods": ["GET", "HEAD"],
                            "CachePolicyId": {"Ref": "Caching"},
                            "FunctionAssociations": [
                                {
                                    "EventType": "viewer-request",
                                    "FunctionARN": {"Fn::GetAtt": ["Lookup", "FunctionARN"]},
                                }
                            ],
                        },
                        {
                            "PathPattern": "/lambda/*",
                            "TargetOriginId": "Api",
                            "ViewerProtocolPolicy": {"Ref": "Protocol"},
                            "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                            "LambdaFunctionAssociations": [
                                {
                                    "EventType": "viewer-request",
                                    "LambdaFunctionARN": {"Ref": "EdgeVersion"},
                                }
                            ],
                        },
                    ],
                    "DefaultCacheBehavior": {
                        "TargetOriginId": "Api",
                        "ViewerProtocolPolicy": {"Ref": "Protocol"},
                        "CachePolicyId": {"Ref": "Caching"},
                        "Compress": "true",
                    },
                }
            },
        },
    },
    "Outputs": {"Domain": {"Value": {"Fn::GetAtt": ["Distribution", "DomainName"]}}},
}


def write_project(folder: Path, *, handler: str = HANDLER, lookup: str = LOOKUP) -> Path:
    """The project in a folder of its own."""
    (folder / "edge").mkdir(parents=True, exist_ok=True)
    (folder / "edge/handler.py").write_text(handler)
    (folder / "lookup.js").write_text(lookup)
    pairs = [{"key": f"user-{number}", "value": f"hello {number}"} for number in range(60)]
    (folder / "seed.json").write_text(json.dumps({"data": pairs}))
    (folder / "localpop.toml").write_text(
        'template = "template.json"\n[stores.Store]\nimport = "seed.json"\n'
    )
    write_template(folder, template())
    return folder


def template() -> dict[str, Any]:
    """The template, to be changed."""
    copied: dict[str, Any] = json.loads(json.dumps(TEMPLATE))
    return copied


def write_template(folder: Path, document: dict[str, Any]) -> None:
    """Another template for the project."""
    (folder / "template.json").write_text(json.dumps(document))


def config_of(document: dict[str, Any]) -> dict[str, Any]:
    """The DistributionConfig in a template."""
    config: dict[str, Any] = document["Resources"]["Distribution"]["Properties"][
        "DistributionConfig"
    ]
    return config
