"""localpop.toml, the environment and the flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.app.settings import Overrides, read_settings
from emulator.errors import ConfigError
from emulator.network.latency import ApiFront
from emulator.project.local import read_local
from emulator.rules.propagation import Propagation

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, text: str) -> Path:
    """A folder with this localpop.toml."""
    (folder / "localpop.toml").write_text(text, encoding="utf-8")
    return folder


def test_our_own_file() -> None:
    """Ports, place, the origin's address, Region and front."""
    settings = read_local(ROOT)

    assert (settings.viewer_port, settings.aws_port, settings.dashboard_port) == (8080, 4566, 8090)
    assert str(settings.place) == "LHR/fibre"
    assert settings.origins["Api"].front is ApiFront.REST_API
    assert settings.origins["Api"].command[0] == "python"
    assert settings.host == "127.0.0.1"


def test_without_a_file_every_default_holds(tmp_path: Path) -> None:
    """Loopback, 8080, 4566."""
    settings = read_local(tmp_path)

    assert (settings.host, settings.viewer_port, settings.aws_port) == ("127.0.0.1", 8080, 4566)
    assert settings.template == tmp_path / "template.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("viewer = {prot = 1}", r"\[viewer\] has no key 'prot' \(known: .*port"),
        ("[viewer]\nport = 'x'", "viewer.port is 'x', but must be int"),
        ("[viewer]\nport = 99999", "a port is 0 to 65535"),
        ("[viewer]\nplace = 'XXX'", "viewer.place: no point of presence is called 'XXX'"),
        ("[latency]\nseed = 'x'", "latency.seed is 'x'"),
        ("[latency]\nshape = 'square'", "latency.shape is 'square'"),
        ("[origins.Api]\nregion = 'us-east-1'", r"\[origins.Api\] needs a url"),
        ("[origins.Api]\nurl = 'nope'", "'nope' is not the URL of an origin"),
        ("[origins.Api]\nurl = 'http://h:1'\nregion = 'mars-1'", "'mars-1', which is no Region"),
        ("[origins.Api]\nurl = 'http://h:1'\nfront = 'x'", r"known: none, http-api, rest-api"),
        ("[origins.Api]\nurl = 'http://h:1'\ncommand = 'x'", "must be a list of words"),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_bad_value_names_its_key(tmp_path: Path, text: str, message: str) -> None:
    """What, where, and how to mend it."""
    with pytest.raises(ConfigError, match=message) as caught:
        read_local(written(tmp_path, text))

    assert "localpop.toml" in str(caught.value)
    assert caught.value.mend


def test_flag_beats_environment_beats_file(tmp_path: Path) -> None:
    """As uvicorn's settings do."""
    folder = written(tmp_path, "[viewer]\nport = 1\n[aws]\nport = 2\n[dashboard]\nport = 3\n")
    environ = {"LOCALPOP_VIEWER_PORT": "10", "LOCALPOP_AWS_PORT": "20", "LOCALPOP_LATENCY": "off"}

    settings = read_settings(folder, Overrides(viewer_port=100), environ)

    assert (settings.viewer_port, settings.aws_port, settings.dashboard_port) == (100, 20, 3)
    assert not settings.latency.enabled


@pytest.mark.parametrize(
    ("variable", "value"), [("LOCALPOP_VIEWER_PORT", "many"), ("LOCALPOP_LATENCY", "maybe")]
)
def test_a_bad_variable_is_named(tmp_path: Path, variable: str, value: str) -> None:
    """The message names the variable."""
    with pytest.raises(ConfigError, match=f"{variable} is '{value}'"):
        read_settings(tmp_path, Overrides(), {variable: value})


def test_what_only_aws_knows_is_answered_here(tmp_path: Path) -> None:
    """Imports, printed resources, functions, stores, folders, several templates."""
    (tmp_path / "dist").mkdir()
    settings = read_local(
        written(
            tmp_path,
            """
            template = ["site.yaml", "cdk.out"]
            [imports]
            "net:Domain" = "api.example.com"
            [resources]
            "1111" = "policy.json"
            [functions]
            rewrite = "functions/rewrite.js"
            auth = { code = "auth", handler = "app.handler", runtime = "python3.13" }
            [stores.Answers]
            import = "seed.json"
            [origins.Assets]
            folder = "dist"
            [origins.Web]
            remote = true
            [origins.Api]
            url = "http://127.0.0.1:8081"
            """,
        )
    )
    answers = settings.answers

    assert settings.templates == (tmp_path / "site.yaml", tmp_path / "cdk.out")
    assert answers.imports == {"net:Domain": "api.example.com"}
    assert answers.resources == {"1111": tmp_path / "policy.json"}
    assert answers.functions["rewrite"].code == tmp_path / "functions" / "rewrite.js"
    assert answers.functions["auth"].handler == "app.handler"
    assert answers.stores == {"Answers": tmp_path / "seed.json"}
    assert settings.folders == {"Assets": tmp_path / "dist"}
    assert settings.remotes == {"Web"}
    assert set(settings.origins) == {"Api"}
    assert answers.mapped_origins == {"Api", "Assets"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("template = 1", "template is 1, but must be a path or a list"),
        ("template = []", "must be a path or a list"),
        ("[functions]\nf = 1", "functions.f must be a table"),
        ("[functions]\nf = {runtime = 'x'}", "functions.f needs the path of its code"),
        ("[stores.A]\nimprt = 'x'", r"\[stores.A\] has no key 'imprt'"),
        ("[origins.A]\nfolder = 'nope'", "there is no folder nope"),
        ("[origins.A]\nfolder = '.'\nurl = 'http://h:1'", "is a folder and cannot have url"),
        ("origins = 1", "origins must hold tables"),
    ],
)
def test_a_bad_answer_names_its_key(tmp_path: Path, text: str, message: str) -> None:
    """As every other key."""
    with pytest.raises(ConfigError, match=message):
        read_local(written(tmp_path, text))


def test_the_aws_endpoint_has_switches(tmp_path: Path) -> None:
    """Signatures, deployment time and propagation; tables of stores stand beside the last."""
    settings = read_local(
        written(
            tmp_path,
            '[aws]\nrequire_auth = true\ndeployment_s = 1.5\n[stores]\npropagation = "docs"\n'
            '[stores.answers]\nimport = "seed.json"\n',
        )
    )

    assert (settings.require_auth, settings.deployment_s) == (True, 1.5)
    assert settings.propagation is Propagation.DOCS
    assert settings.stores == {"answers": tmp_path / "seed.json"}
    assert read_local(tmp_path / "nowhere").propagation is Propagation.INSTANT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[stores]\npropagation = "slow"', r"stores.propagation is 'slow' \(known: instant, docs"),
        ("[aws]\nrequire_auth = 1", "aws.require_auth is 1, but must be bool"),
        ("[aws]\ndeployment_s = -1", "aws.deployment_s is -1"),
        ("[aws]\ndeployment_s = true", "aws.deployment_s is True"),
    ],
)
def test_a_bad_switch_names_its_key(tmp_path: Path, text: str, message: str) -> None:
    """With what may stand there."""
    with pytest.raises(ConfigError, match=message):
        read_local(written(tmp_path, text))


@pytest.mark.parametrize(("runner", "interprets"), [("native", False), ("interpreter", True)])
def test_who_runs_state_machines(runner: str, interprets: bool, tmp_path: Path) -> None:
    """The native runner unless the interpreter is asked for."""
    (tmp_path / "localpop.toml").write_text(f'[step_functions]\nrunner = "{runner}"\n')

    assert read_local(tmp_path).interprets_state_machines is interprets


def test_a_runner_that_there_is_not(tmp_path: Path) -> None:
    """Says which there are."""
    (tmp_path / "localpop.toml").write_text('[step_functions]\nrunner = "moto"\n')
    with pytest.raises(ConfigError, match="known: native, interpreter"):
        read_local(tmp_path)
