"""S3 origins, from a folder on disk and from a bucket of the AWS endpoint."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.app.running import localpop

TEMPLATE = """
Resources:
  Control:
    Type: AWS::CloudFront::OriginAccessControl
    Properties:
      OriginAccessControlConfig:
        Name: c
        OriginAccessControlOriginType: s3
        SigningBehavior: always
        SigningProtocol: sigv4
  Site:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        DefaultRootObject: index.html
        Origins:
          - Id: Files
            DomainName: files.s3.us-east-1.amazonaws.com
            S3OriginConfig: {OriginAccessIdentity: ""}
            OriginAccessControlId: !GetAtt Control.Id
        DefaultCacheBehavior:
          TargetOriginId: Files
          ViewerProtocolPolicy: allow-all
          CachePolicyId: 658327ea-f89d-4fab-a63d-7e88639e58f6
"""


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_objects_are_served_cached_and_hidden_when_missing(tmp_path: Path, kind: str) -> None:
    """The root object, a nested key, a hit, and S3's 403 for what is not there."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    if kind == "folder":
        (tmp_path / "dist" / "css").mkdir(parents=True)
        (tmp_path / "dist" / "index.html").write_text("<h1>hello</h1>")
        (tmp_path / "dist" / "css" / "a b.css").write_text("body {}")
        (tmp_path / "localpop.toml").write_text('[origins.Files]\nfolder = "dist"\n')
    with localpop(tmp_path, "--latency", "off") as running:
        if kind == "bucket":
            s3 = boto3.client(
                "s3",
                endpoint_url=running.aws_url,
                region_name="us-east-1",
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(s3={"addressing_style": "path"}),
            )
            s3.create_bucket(Bucket="files")
            s3.put_object(Bucket="files", Key="index.html", Body=b"<h1>hello</h1>")
            s3.put_object(Bucket="files", Key="css/a b.css", Body=b"body {}")
        root = [running.get("/") for _ in range(2)]
        nested = running.get("/css/a%20b.css")
        missing = running.get("/nothing.html")

    assert [one.body for one in root] == [b"<h1>hello</h1>"] * 2
    assert [one.x_cache for one in root] == ["Miss", "Hit"]
    assert nested.body == b"body {}"
    assert (missing.status, missing.x_cache) == (403, "Error")
    assert b"<Code>AccessDenied</Code>" in missing.body
