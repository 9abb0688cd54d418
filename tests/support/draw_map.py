"""Draws the rooms of the program as `deploy/map.svg`: floors from the contract, arrows from the imports.

`make map` runs this file. Equal sources give equal bytes.
"""

import ast
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import grimp

from support.map_layout import (
    BOX_HEIGHT,
    BOX_WIDTH,
    GAP,
    MARGIN,
    WIDTH,
    Box,
    Edge,
    Edges,
    Floor,
    best_order,
    curve,
    placed,
    routes,
)

ROOT = Path(__file__).parents[2]
MAP = ROOT / "deploy" / "map.svg"
NODE, LEAVES = "dicom_node", ("inference", "store")
WITHOUT_ARROWS = frozenset({"runtime", "settings", "process", "errors", "identity"})
"""Most rooms import these: their box says how many, in place of lines that would hide the others."""
LINE_CHARACTERS = 30
"""So many letters of a description fit into a line of a box, in wide fonts too."""
LINE_WIDTHS = {1: 0.9, 3: 1.4, 8: 2.1}
"""Pixels of an arrow for so many imports or more; in steps, so that one more rarely makes the map stale."""
COLOURS = {"inference": "#b4691f", "store": "#2c6e9b"}


def contract_floors(package: str) -> list[Floor]:
    """Return the floors of a package, from the roof down, as the `layers` contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    layers = next(
        each["layers"] for each in contracts if each["type"] == "layers" and each["containers"] == [package]
    )
    return [tuple(name.strip() for name in layer.split("|")) for layer in layers]


def imports() -> Counter[Edge]:
    """Return how many imports lead from one room to another; a leaf counts as one room."""
    graph = grimp.build_graph(NODE, *LEAVES, cache_dir=None)
    counts: Counter[Edge] = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            edge = _room(importer), _room(imported)
            if all(edge) and edge[0] != edge[1]:
                counts[edge] += 1
    return counts


def _room(module: str) -> str:
    package, *rest = module.split(".")
    return package if package in LEAVES else "".join(rest[:1])


def describe(package: str, room: str = "") -> str:
    """Return the first sentence of a room's docstring, without its full stop."""
    folder = ROOT / package / room
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    sentence = docstring.split("\n\n")[0].replace("\n", " ").split(". ")[0]
    return sentence.split("; ")[0].replace("`", "").removesuffix(".")


def shown_as(package: str, room: str) -> str:
    """Return `study/` for a folder, `errors.py` for a module."""
    return f"{room}/" if (ROOT / package / room).is_dir() else f"{room}.py"


def draw() -> str:
    """Return the map as SVG."""
    floors, counts = contract_floors(NODE), imports()
    drawn = {
        edge: number
        for edge, number in sorted(counts.items())
        if not {*edge} & set(LEAVES) and edge[1] not in WITHOUT_ARROWS
    }
    floors = best_order(floors, drawn)
    boxes = placed(floors, WITHOUT_ARROWS)
    bottom = max(box.y for box in boxes.values()) + BOX_HEIGHT
    parts = [
        *_head(),
        *_floor_marks(floors, boxes),
        *_arrows(floors, boxes, drawn),
        *(line for box in boxes.values() for line in _room_box(box, counts)),
        *_leaves(bottom + 34, counts),
    ]
    height = round(bottom + 34 + LEAF_HEIGHT + MARGIN)
    return "\n".join([OPENING.format(width=WIDTH, height=height), STYLE, *parts, "</svg>", ""])


OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">'
)
STYLE = """\
<style>
text { fill: #222; font-size: 11px }
.title { font-size: 17px; font-weight: bold }
.name { font-size: 13px; font-weight: bold }
.quiet { fill: #666 }
.box { fill: #fff; stroke: #777; stroke-width: 1.2 }
.floor { fill: #eef1f4 }
.line { fill: none; stroke: #8a929b }
.tag { font-size: 9.5px; fill: #fff }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" \
markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.6 L8 4 L0 7.4 z" fill="#6d757e"/></marker></defs>
<rect width="100%" height="100%" fill="#fbfbfa"/>"""


def _head() -> Iterator[str]:
    yield text(MARGIN, 30, f"The rooms of {NODE}/, from the roof down", "title")
    yield text(
        MARGIN,
        48,
        "An arrow is an import, thicker for more of them; rooms that most others import say how many do. "
        "Each floor imports only floors below it.",
        "quiet",
    )
    x = WIDTH - MARGIN - 2 * TAG_WIDTH - 6
    yield text(x - 8, 30, "imports", "quiet", anchor="end")
    for number, leaf in enumerate(LEAVES):
        yield from tag(x + number * (TAG_WIDTH + 6), 19, leaf)


def _floor_marks(floors: Sequence[Floor], boxes: Mapping[str, Box]) -> Iterator[str]:
    for level, floor in enumerate(floors):
        y = boxes[floor[0]].y
        yield (
            f'<rect class="floor" x="{MARGIN / 2:g}" y="{y - 7:g}" width="{WIDTH - MARGIN}" '
            f'height="{BOX_HEIGHT + 14}" rx="6"/>'
        )
        yield text(MARGIN / 2 + 8, y + 12, str(len(floors) - level), "quiet")


def _arrows(floors: Sequence[Floor], boxes: Mapping[str, Box], edges: Edges) -> Iterator[str]:
    for (start, end), points in routes(floors, boxes, edges).items():
        width = max(px for least, px in LINE_WIDTHS.items() if edges[start, end] >= least)
        yield (
            f'<path class="line" stroke-width="{width}" marker-end="url(#tip)" d="{curve(points)}">'
            f"<title>{start} imports {end}</title></path>"
        )


def _room_box(box: Box, counts: Edges) -> Iterator[str]:
    yield f'<rect class="box" x="{box.x:g}" y="{box.y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="4"/>'
    yield text(box.x + 9, box.y + 18, shown_as(NODE, box.room), "name")
    for number, line in enumerate(wrapped(describe(NODE, box.room))):
        yield text(box.x + 9, box.y + 34 + 13.5 * number, line)
    right = box.x + BOX_WIDTH - 6
    if box.room in WITHOUT_ARROWS:
        importers = len({start for start, end in counts if end == box.room})
        yield text(right, box.y + 17, f"used by {importers} rooms", "quiet", anchor="end")
        return
    for number, leaf in enumerate(leaf for leaf in reversed(LEAVES) if counts.get((box.room, leaf))):
        yield from tag(right - TAG_WIDTH - number * (TAG_WIDTH + 4), box.y + 6, leaf)


def wrapped(words: str) -> list[str]:
    """Return up to three lines for a box."""
    return textwrap.wrap(words, LINE_CHARACTERS, max_lines=3, placeholder=" …")


TAG_WIDTH = 48


def tag(x: float, y: float, leaf: str) -> Iterator[str]:
    """Draw the mark of a room that imports a leaf."""
    yield f'<rect x="{x:g}" y="{y:g}" width="{TAG_WIDTH}" height="15" rx="3" fill="{COLOURS[leaf]}"/>'
    yield text(x + TAG_WIDTH / 2, y + 11, leaf, "tag", anchor="middle")


LEAF_HEIGHT = 124
CHIP_HEIGHT = 22


def _leaves(y: float, counts: Edges) -> Iterator[str]:
    width = (WIDTH - MARGIN - GAP) / 2
    for number, leaf in enumerate(LEAVES):
        x = MARGIN / 2 + number * (width + GAP)
        importers = len({start for start, end in counts if end == leaf})
        yield (
            f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{LEAF_HEIGHT}" rx="4" '
            f'style="stroke: {COLOURS[leaf]}; stroke-width: 2"/>'
        )
        yield text(x + 12, y + 21, f"{leaf}/", "name")
        yield text(x + width - 12, y + 20, f"used by {importers} rooms, imports none", "quiet", anchor="end")
        yield text(x + 12, y + 38, describe(leaf))
        yield text(x + 12, y + 58, "Its rooms; each imports only those that come after it:", "quiet")
        yield from _inside(x + 12, y + 66, x + width - 12, leaf)


def _inside(left: float, y: float, right: float, leaf: str) -> Iterator[str]:
    """Write the floors of a leaf, from the roof down, into lines."""
    x = left
    for floor in contract_floors(leaf):
        words = " | ".join(shown_as(leaf, room) for room in floor)
        width = 6.6 * len(words) + 12
        if x + width > right:
            x, y = left, y + CHIP_HEIGHT + 5
        yield (
            f'<rect class="floor" x="{x:g}" y="{y:g}" width="{width:g}" height="{CHIP_HEIGHT}" rx="3" '
            f'style="stroke: {COLOURS[leaf]}"/>'
        )
        yield text(x + width / 2, y + 15, words, anchor="middle")
        x += width + 5


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "") -> str:
    """Return a line of text."""
    extra = f' class="{kind}"' * bool(kind) + f' text-anchor="{anchor}"' * bool(anchor)
    return f'<text x="{x:g}" y="{y:g}"{extra}>{escape(words)}</text>'


if __name__ == "__main__":
    MAP.write_text(draw(), encoding="utf-8")
    sys.stdout.write(f"{MAP.relative_to(ROOT)}\n")
