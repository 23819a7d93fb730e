"""The map: every place on it, no card on another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtests.world_map import (
    CARD_HEIGHT,
    CARD_WIDTH,
    HEIGHT,
    ON_MAP,
    WIDTH,
    arrange,
    map_section,
)
from tests.loadtests.making import recording

DEMO = ["LHR/fibre", "FRA/cable", "JFK/fibre", "GRU/4g", "NRT/fibre", "SYD/5g", "JNB/4g", "BOM/4g"]
EUROPE = ["LHR/fibre", "FRA/cable", "CDG/4g", "AMS/5g", "LHR/4g"]


@pytest.mark.parametrize("places", [DEMO, EUROPE, ["SYD/5g"]], ids=["demo", "europe", "one"])
def test_no_card_lies_on_another_one(places: list[str]) -> None:
    """Nor leaves the map, nor hides a dot."""
    cards = arrange(places)

    assert [card.place for card in cards] == sorted(places)
    for index, card in enumerate(cards):
        assert CARD_WIDTH / 2 <= card.x <= WIDTH - CARD_WIDTH / 2
        assert CARD_HEIGHT / 2 <= card.y <= HEIGHT - CARD_HEIGHT / 2
        for other in cards[:index]:
            apart_x, apart_y = abs(card.x - other.x), abs(card.y - other.y)
            assert apart_x >= CARD_WIDTH or apart_y >= CARD_HEIGHT
            assert (
                abs(card.x - other.dot[0]) > CARD_WIDTH / 2
                or abs(card.y - other.dot[1]) > CARD_HEIGHT / 2
            )


def test_west_is_left_and_north_is_up() -> None:
    """By the dots."""
    dots = {card.place[:3]: card.dot for card in arrange(DEMO)}

    assert dots["JFK"][0] < dots["LHR"][0] < dots["BOM"][0] < dots["NRT"][0]
    assert dots["LHR"][1] < dots["BOM"][1] < dots["SYD"][1]


def test_every_place_has_a_picture_with_words() -> None:
    """Also a place that is on no map; none without answers."""
    samples = recording(1).samples
    strange = [replace(sample, place="XXX/fibre") for sample in samples[:80]]
    html = map_section([*samples, *strange])

    assert html.count("<figure") == 3
    assert "London, fibre: edge " in html
    assert "<b>XXX</b> fibre" in html
    assert map_section([]) == ""


def test_too_many_places_stand_below_the_map() -> None:
    """Where they fit."""
    sample = recording(1).samples[0]
    codes = [
        "LHR",
        "FRA",
        "CDG",
        "AMS",
        "JFK",
        "IAD",
        "ATL",
        "MIA",
        "GRU",
        "NRT",
        "SYD",
        "JNB",
        "BOM",
        "SIN",
        "HKG",
    ]
    html = map_section([replace(sample, place=f"{code}/fibre") for code in codes])

    assert len(codes) > ON_MAP
    assert 'class="map crowded"' in html
    assert "left:" not in html
