"""XML in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.wire.xml import dump_xml, parse_xml

_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=20)


@given(_text)
def test_text_survives(text: str) -> None:
    """Special characters are escaped, and a namespace does not hide a name."""
    root = parse_xml(dump_xml("Root", {"Name": text}, "http://example/"), "Root")

    assert (root.findtext("Name") or "") == text


def test_structures_and_lists_are_elements() -> None:
    """A mapping is a structure, pairs are a list."""
    document = dump_xml("R", {"A": 1, "Items": [("I", {"N": "x"}), ("I", {"N": "y"})]}, "urn:x")

    assert document.endswith(
        b'<R xmlns="urn:x"><A>1</A><Items><I><N>x</N></I><I><N>y</N></I></Items></R>'
    )


@given(st.binary(max_size=80))
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    """Whatever it is, it is refused as MalformedInput (random bytes never are the document)."""
    with pytest.raises(ApiError) as refusal:
        parse_xml(body, "CreateKeyValueStoreRequest")

    assert refusal.value.code == "MalformedInput"


def test_a_billion_laughs_is_refused() -> None:
    """No DOCTYPE, no entities."""
    with pytest.raises(ApiError, match="DOCTYPE"):
        parse_xml(b'<!DOCTYPE r [<!ENTITY a "ha">]><r>&a;</r>', "r")
