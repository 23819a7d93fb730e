"""Policies written from templates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from emulator.deploy.permissions import (
    MANAGED_POLICY_MAX_CHARS,
    Names,
    deployer_policy,
    function_roles,
    policy_chars,
    read_needs,
    wide_statements,
)
from emulator.project.local import Answers, read_local
from tests.app.running import ROOT

ACCOUNT = "111122223333"
TEMPLATE = """
Resources:
  Answers:
    Type: AWS::CloudFront::KeyValueStore
    Properties:
      Name: answers
      ImportSource: {SourceType: S3, SourceArn: "arn:aws:s3:::seeds/answers.json"}
  Policy: {Type: AWS::CloudFront::CachePolicy}
  Requests: {Type: AWS::CloudFront::OriginRequestPolicy}
  Responses: {Type: AWS::CloudFront::ResponseHeadersPolicy}
  Access: {Type: AWS::CloudFront::OriginAccessControl}
  Key: {Type: AWS::CloudFront::PublicKey}
  Keys: {Type: AWS::CloudFront::KeyGroup}
  Rewrite:
    Type: AWS::CloudFront::Function
    Properties:
      Name: rewrite
      FunctionCode: "function handler(event) { return event.request; }"
      FunctionConfig: {Runtime: cloudfront-js-2.0, Comment: ""}
  Queue: {Type: AWS::SQS::Queue}
  Topic: {Type: AWS::SNS::Topic}
  WriterRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement:
          {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}
      Policies:
        - PolicyName: everything
          PolicyDocument: {Statement: {Effect: Allow, Action: "sqs:*", Resource: "*"}}
        - PolicyName: account
          PolicyDocument:
            Statement:
              - {Effect: Allow, Action: iam:PassRole, Resource: !GetAtt EdgeRole.Arn}
              - {Effect: Allow, Action: "sns:Publish", Resource: !GetAtt Topic.Thing}
              - {Effect: Allow, Action: "sns:Publish", Resource: [!ImportValue elsewhere]}
              - Effect: Allow
                Action: events:PutEvents
                Resource: !Sub "arn:aws:events:us-east-1:${AWS::AccountId}:event-bus/default"
  Writer:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: writer
      Role: !GetAtt WriterRole.Arn
      Handler: index.handler
      Runtime: python3.13
      Environment: {Variables: {STORE: !GetAtt Answers.Arn}}
      Code: {ZipFile: "def handler(event, context): ..."}
  EdgeRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: []}
  Edge:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: edge
      Role: !GetAtt EdgeRole.Arn
      Handler: index.handler
      Runtime: python3.13
      Code: {ZipFile: "def handler(event, context): ..."}
  EdgeVersion: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Edge}}
  Distribution:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - {Id: Api, DomainName: localhost, CustomOriginConfig: {OriginProtocolPolicy: http-only}}
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
          LambdaFunctionAssociations:
            - {EventType: viewer-request, LambdaFunctionARN: !Ref EdgeVersion}
"""
# What IAM checks is the name of an API's operation, but for these.
NO_OPERATIONS = {
    "iam:PassRole",
    "lambda:EnableReplication*",
    "lambda:DisableReplication*",
    "s3:GetObject",
    "s3:GetBucketLocation",
}


@pytest.fixture
def needs(tmp_path: Path) -> Any:
    """What the template above needs."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "seed.json").write_text('{"data": []}')
    answers = Answers(stores={"Answers": tmp_path / "seed.json"})
    return read_needs([tmp_path / "template.yaml"], answers)


def actions(policy: dict[str, Any]) -> list[tuple[str, str]]:
    """Every action with the statement's Sid."""
    return [(one["Sid"], action) for one in policy["Statement"] for action in one["Action"]]


def test_every_action_is_an_operation_of_its_api(needs: Any) -> None:
    """As botocore's models name them; no wildcard but Lambda@Edge's own."""
    operations: dict[str, set[str]] = {}
    found = [one for _, one in actions(deployer_policy(needs, Names(ACCOUNT)))]
    for action in found:
        service, _, name = action.partition(":")
        if action in NO_OPERATIONS:
            continue
        if service not in operations:
            client = boto3.client(service, region_name="us-east-1")
            operations[service] = set(client.meta.service_model.operation_names)
            client.close()
        # API versions of old services are part of their operations' names.
        assert name in {re.sub(r"\\d{4}_\\d\\d_\\d\\d$", "", one) for one in operations[service]}, (
            action
        )

    assert set(found) >= NO_OPERATIONS
    assert "cloudfront:UpdateDistribution" in found
    assert "iam:CreateServiceLinkedRole" in found
    assert {one for one in found if "*" in one} <= NO_OPERATIONS


def test_resources_are_the_template_s_names(needs: Any) -> None:
    """`*` alone only where there is no resource to name."""
    policy = deployer_policy(needs, Names(ACCOUNT, {"answers": "arn:the-store"}))
    wide = {one["Sid"] for one in policy["Statement"] if "*" in one["Resource"]}
    by_sid = {one["Sid"]: one for one in policy["Statement"]}

    assert wide == {"Lists", "PublicKey", "KeyGroup"}
    assert len(by_sid) == len(policy["Statement"])
    assert by_sid["Keys"]["Resource"] == ["arn:the-store"]
    assert by_sid["CloudFrontFunctions"]["Resource"] == [
        f"arn:aws:cloudfront::{ACCOUNT}:function/rewrite"
    ]
    assert by_sid["EdgeFunctions"]["Resource"] == [
        f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:edge",
        f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:edge:*",
    ]
    assert by_sid["PassRoles"]["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/localpop-EdgeRole*"]
    assert by_sid["ImportedFiles"]["Resource"] == ["arn:aws:s3:::seeds/answers.json"]
    assert needs.others == ("AWS::SNS::Topic", "AWS::SQS::Queue")


def test_functions_may_log_and_use_what_they_are_given(needs: Any) -> None:
    """Both principals at the edge; what the template's role says, with the account's id in it."""
    roles = function_roles(needs, Names(ACCOUNT))
    trusted = {
        name: role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for name, role in roles.items()
    }
    text = json.dumps(roles["writer"])
    wide = wide_statements(needs)

    assert trusted == {
        "writer": ["lambda.amazonaws.com"],
        "edge": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"],
    }
    assert f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/lambda/writer:*" in text
    assert f"arn:aws:logs:*:{ACCOUNT}:log-group:/aws/lambda/us-east-1.edge:*" in json.dumps(roles)
    assert "cloudfront-keyvaluestore:UpdateKeys" in text
    assert f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default" in text
    assert f'"arn:aws:iam::{ACCOUNT}:role/localpop-EdgeRole"' in text
    assert "123456789012" not in json.dumps(roles)
    assert wide == [
        "localpop-WriterRole allows sqs:*: name the actions.",
        "localpop-WriterRole allows sqs:* on *: name the resources.",
        "localpop-WriterRole: what Topic.Thing is, only CloudFormation knows.",
        wide[-1],
    ]
    assert wide[-1].startswith("localpop-WriterRole: a resource stands as *, because")


def test_our_own_template_fits_one_managed_policy() -> None:
    """And its Lambda@Edge function may read its store and log, no more."""
    settings = read_local(ROOT)
    needs = read_needs(settings.templates, settings.answers)
    edge = function_roles(needs, Names(ACCOUNT))["answer-lookup-lambda"]
    allowed = [one["Action"] for one in edge["PolicyDocument"]["Statement"]]

    assert policy_chars(deployer_policy(needs, Names(ACCOUNT))) <= MANAGED_POLICY_MAX_CHARS
    assert allowed[1:] == [["cloudfront-keyvaluestore:GetKey"]]
