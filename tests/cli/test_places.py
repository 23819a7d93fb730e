"""`localpop places`: the list, its JSON, and the picture."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from emulator.cli.main import run
from emulator.cli.world_map import world_map_svg
from emulator.network.places import points_of_presence, regions


def test_every_point_of_presence_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """With its regional edge cache, its neighbour, and the way to the Region."""
    assert run(["places", "--region", "eu-central-1"]) == 0

    lines = capsys.readouterr().out.splitlines()
    (cape_town,) = [line for line in lines if line.startswith("CPT")]
    assert cape_town.split()[:8] == ["CPT", "Cape", "Town", "ZA", "JNB", "eu-west-2", "151", "ms"]
    assert sum(line[:3] in points_of_presence() for line in lines) == 44


def test_the_list_as_json_in_order_of_distance(capsys: pytest.CaptureFixture[str]) -> None:
    """`--sort region --json`."""
    assert run(["places", "--sort", "region", "--json"]) == 0

    rows = json.loads(capsys.readouterr().out)["points_of_presence"]
    distances = [row["to_region_ms"] for row in rows]
    assert rows[0]["code"] == "IAD"
    assert distances == sorted(distances)


def test_an_unknown_region_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the known ones."""
    assert run(["places", "--region", "moon-1"]) == 2
    assert "Known: af-south-1" in capsys.readouterr().err


def test_the_map_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An SVG file with a tooltip for every point of presence."""
    file = tmp_path / "map.svg"

    assert run(["places", "--map", str(file)]) == 0

    titles = [one.text or "" for one in ET.parse(file).iter("{http://www.w3.org/2000/svg}title")]
    assert {title[:3] for title in titles} >= set(points_of_presence())
    assert "44 points of presence" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["map.png", "no/such/folder/map.svg"])
def test_a_picture_that_cannot_be_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another kind of picture, or a folder that is not there."""
    assert run(["places", "--map", str(tmp_path / name)]) == 2
    assert "localpop:" in capsys.readouterr().err


@pytest.mark.parametrize("region", ["us-west-2", "ap-southeast-2", "af-south-1"])
def test_every_region_can_be_in_the_middle(region: str) -> None:
    """Ways break where they leave the map; nothing is drawn across it."""
    assert region in regions()
    root = ET.fromstring(world_map_svg(region))

    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        for part in path.get("d", "").split("M"):
            if "h" in part or "l" in part:
                # A dot or a sign, no way.
                continue
            points = [tuple(map(float, one.split())) for one in part.split("L") if one]
            steps = [abs(b[0] - a[0]) for a, b in itertools.pairwise(points)]
            assert not steps or max(steps) < 800
