"""The map of the rooms is that of the sources it is shipped with."""

from xml.etree import ElementTree as ET

from support.draw_map import LEAVES, MAP, NODE, contract_floors, draw, shown_as

SVG = "{http://www.w3.org/2000/svg}"


def test_the_map_is_not_stale() -> None:
    """deploy/map.svg is what `make map` draws from the contract, the imports and the docstrings of now."""
    assert MAP.read_text(encoding="utf-8") == draw(), "deploy/map.svg is stale: run `make map`"


def test_every_room_is_on_the_map() -> None:
    """Each room that a contract names has its name on the picture, and nothing outside the file is needed."""
    picture = ET.fromstring(MAP.read_bytes())  # noqa: S314 - our own file
    words = " | ".join(each.text or "" for each in picture.iter(f"{SVG}text")).split(" | ")

    for package in (NODE, *LEAVES):
        for floor in contract_floors(package):
            for room in floor:
                assert shown_as(package, room) in words
    assert not [each for each in picture.iter() if any(name.endswith("href") for name in each.attrib)]
