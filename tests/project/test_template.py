"""A template, read as CloudFront reads it once it is deployed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.errors import ConfigError
from emulator.project.template import read_template, template_attribute
from emulator.rules.key_value_store import store_arn
from emulator.values.distribution import ALL_METHODS, Selection, ViewerProtocolPolicy
from emulator.values.functions import EventType, FunctionKind

Write = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]
DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

MINIMAL = f"""
Parameters:
  Api: {{Type: String, Default: api.example.com}}
Resources:
  Site:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: "true"
        Aliases: [WWW.example.com]
        Origins:
          - Id: Api
            DomainName: !Ref Api
            OriginPath: /v1
            OriginCustomHeaders: [{{HeaderName: X-Key, HeaderValue: k}}]
            CustomOriginConfig: {{OriginProtocolPolicy: http-only, HTTPPort: "8000"}}
        DefaultCacheBehavior:
          TargetOriginId: Api
          ViewerProtocolPolicy: allow-all
          CachePolicyId: {DISABLED}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a template and returns its path."""

    def make(text: str, name: str = "template.yaml") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return make


def test_our_own_template() -> None:
    """Three behaviors, one store, one function of each kind."""
    declared = read_template(ROOT / "template.yaml", {"ViewerProtocolPolicy": "allow-all"})
    (distribution,) = declared.distributions
    answers, lambda_answers, default = distribution.behaviors

    assert answers.path_pattern == "/answers/*"
    function = answers.function_at(EventType.VIEWER_REQUEST)
    assert function is not None
    assert function.kind is FunctionKind.CLOUDFRONT_FUNCTION
    assert function.arn == declared.functions[0].arn
    assert (
        declared.functions[0].store_arn == declared.stores[0].arn == store_arn("localpop-answers")
    )
    edge_lambda = lambda_answers.function_at(EventType.VIEWER_REQUEST)
    assert edge_lambda is not None
    assert (edge_lambda.arn,) == declared.lambdas[0].versions
    assert declared.lambdas[0].baked == {"config.json": {"store_arn": declared.stores[0].arn}}
    assert default.allowed_methods == ALL_METHODS
    assert not default.cache_policy.caching_disabled
    assert default.origin_request_policy is not None
    assert default.origin_request_policy.headers.selection is Selection.ALL_EXCEPT
    assert distribution.origins["Api"].read_timeout_s == 60


def test_a_minimal_distribution(write: Write) -> None:
    """Text numbers and booleans, defaults, parameters."""
    (distribution,) = read_template(write(MINIMAL), {"Api": "other.example.com"}).distributions
    origin = distribution.origins["Api"]

    assert distribution.id.startswith("E")
    assert distribution.domain_name.endswith(".cloudfront.net")
    assert distribution.aliases == ("www.example.com",)
    assert (origin.domain_name, origin.port, origin.https) == ("other.example.com", 8000, False)
    assert origin.custom_headers == (("X-Key", "k"),)
    assert distribution.behaviors[-1].viewer_protocol_policy is ViewerProtocolPolicy.ALLOW_ALL


def test_json_and_yaml_mean_the_same(write: Write) -> None:
    """A template may be JSON with long forms."""
    json_text = (
        '{"Resources": {"Store": {"Type": "AWS::CloudFront::KeyValueStore",'
        ' "Properties": {"Name": {"Fn::Sub": "${AWS::StackName}-x"}}}}}'
    )
    yaml_text = """
        Resources:
          Store:
            Type: AWS::CloudFront::KeyValueStore
            Properties: {Name: !Sub "${AWS::StackName}-x"}
        """

    first = read_template(write(json_text, "a.json"), {}).stores
    second = read_template(write(yaml_text, "b.yaml"), {}).stores

    assert first == second
    assert first[0].name == "localpop-x"


def test_intrinsics(write: Write) -> None:
    """Join, Select, Split, If, FindInMap, Base64, conditions, NoValue."""
    path = write(
        """
        Parameters: {Stage: {Type: String, Default: dev}}
        Mappings: {Names: {dev: {store: from-map}}}
        Conditions:
          IsDev: !Equals [!Ref Stage, dev]
          IsProd: !Not [!Condition IsDev]
        Resources:
          Absent:
            Type: AWS::CloudFront::KeyValueStore
            Condition: IsProd
            Properties: {Name: absent}
          Store:
            Type: AWS::CloudFront::KeyValueStore
            Properties:
              Name: !Join ["-", [!Select [1, !Split [",", "a,b"]], !FindInMap [Names, dev, store]]]
              Comment: !If [IsProd, prod, !Ref AWS::NoValue]
        """
    )
    stores = read_template(path, {}).stores

    assert [(store.name, store.comment) for store in stores] == [("b-from-map", "")]
    assert template_attribute(path, {}, "Store.Arn") == stores[0].arn


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            ("TargetOriginId: Api", "TargetOriginId: Nope"), r"No origin.*'Nope'.*Api", id="origin"
        ),
        pytest.param((DISABLED, "nonsense"), "No cache policy has the id 'nonsense'", id="policy"),
        pytest.param(("allow-all", "allow-some"), "no viewer protocol policy", id="protocol"),
        pytest.param(('HTTPPort: "8000"', "HTTPPort: many"), "not a whole number", id="number"),
        pytest.param(("!Ref Api", "!Ref Apy"), "Ref names 'Apy'", id="reference"),
        pytest.param(("Resources:", "Resourses:"), "has no Resources", id="sections"),
        pytest.param(("Origins:", "Origins: ["), "not valid YAML", id="syntax"),
        pytest.param(
            ("CachePolicyId", "AllowedMethods: [GET, POST]\n          CachePolicyId"),
            "no such set of methods",
            id="methods",
        ),
    ],
)
def test_a_mistake_says_what_where_and_how_to_mend(
    write: Write, change: tuple[str, str], message: str
) -> None:
    """The message is enough to mend it."""
    with pytest.raises(ConfigError, match=message) as caught:
        read_template(write(MINIMAL.replace(*change)), {})

    assert "template.yaml" in caught.value.where
    assert caught.value.mend


ASSOCIATIONS = """
          FunctionAssociations: [{EventType: viewer-request, FunctionARN: f}]
"""


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        pytest.param(
            "LambdaFunctionAssociations: [{EventType: viewer-request, LambdaFunctionARN: 'a:1'}]",
            "more than one edge function",
            id="two for one event",
        ),
        pytest.param(
            "FunctionAssociations: [{EventType: origin-request, FunctionARN: f}]",
            "no event of a CloudFront Function",
            id="wrong event",
        ),
        pytest.param(
            "LambdaFunctionAssociations: [{EventType: viewer-request, LambdaFunctionARN: a}]",
            "must reference a specific function version",
            id="no version",
        ),
    ],
)
def test_association_rules(write: Write, extra: str, message: str) -> None:
    """AWS: "Restrictions on all edge functions"."""
    both = "more than one" in message
    text = MINIMAL.rstrip() + (ASSOCIATIONS.rstrip() if both else "") + f"\n          {extra}\n"

    with pytest.raises(ConfigError, match=message):
        read_template(write(text), {})


def test_a_missing_handler_folder_names_the_place(write: Write) -> None:
    """`aws:asset:path` must be there."""
    path = write(
        """
        Resources:
          F:
            Type: AWS::CloudFront::Function
            Metadata: {"aws:asset:path": functions/nope.js}
            Properties: {Name: f, FunctionConfig: {Runtime: cloudfront-js-2.0}}
        """
    )

    with pytest.raises(ConfigError, match=r"There is no functions/nope.js") as caught:
        read_template(path, {})

    assert "Resources.F.Metadata" in caught.value.where


def test_a_missing_template_says_how_to_name_another(tmp_path: Path) -> None:
    """The first mistake of a newcomer."""
    with pytest.raises(ConfigError, match="There is no template") as caught:
        read_template(tmp_path / "template.yaml", {})

    assert "localpop.toml" in caught.value.mend
