"""XML as AWS's REST-XML services write and read it.

Documents with a DOCTYPE are refused, so there are no entities to expand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from xml.etree import ElementTree

from emulator.errors import ApiError

CLOUDFRONT_NAMESPACE: Final = "http://cloudfront.amazonaws.com/doc/2020-05-31/"

XmlShape: TypeAlias = "str | int | Mapping[str, XmlShape] | Sequence[tuple[str, XmlShape]]"
"""Text, a structure, or a list of (element name, value)."""


def dump_xml(root: str, shape: XmlShape, namespace: str) -> bytes:
    """A document.

    Args:
        root: The root element's name.
        shape: What it holds.
        namespace: Its namespace.
    """
    element = ElementTree.Element(root, {"xmlns": namespace})
    _fill(element, shape)
    document: bytes = ElementTree.tostring(element, encoding="UTF-8", xml_declaration=True)
    return document


def parse_xml(body: bytes, root: str) -> ElementTree.Element:
    """The root element of a document; names come without their namespace.

    Args:
        body: UTF-8.
        root: What the root element must be called.

    Raises:
        ApiError: 400 MalformedInput.
    """
    try:
        text = body.decode()
        if "<!DOCTYPE" in text:
            raise _malformed("a DOCTYPE is not allowed")
        # As text, so that the declaration cannot switch to an encoding that hides a DOCTYPE.
        element = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        raise _malformed(str(error)) from error
    for one in element.iter():
        one.tag = one.tag.rpartition("}")[2]
    if element.tag != root:
        raise _malformed(f"the root element must be {root}, not {element.tag}")
    return element


def _fill(element: ElementTree.Element, shape: XmlShape) -> None:
    if isinstance(shape, str | int):
        element.text = str(shape)
        return
    for name, value in shape.items() if isinstance(shape, Mapping) else shape:
        _fill(ElementTree.SubElement(element, name), value)


def _malformed(detail: str) -> ApiError:
    return ApiError(400, "MalformedInput", f"The request body is not the XML expected: {detail}")
