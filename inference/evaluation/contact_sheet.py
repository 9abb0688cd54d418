"""Strips of every manner side by side, with their true borders, as one picture."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from inference.evaluation.by_manner import names_of
from inference.evaluation.drawing import TRUE_RGB, png
from inference.evaluation.scored_strips import ScoredStrip

COLUMNS = 3
"""Strips of each manner, which has a row."""
CELL_PX, TITLE_PX = (360, 240), 18


def contact_sheet(scored: Sequence[ScoredStrip]) -> bytes | None:
    """Return a PNG of the first strips of each manner, found landmarks left out; None without manners."""
    lv_strips = [one for one in scored if one.is_lv]
    if not any(one.manners for one in lv_strips):
        return None
    names = list(dict.fromkeys(name for one in lv_strips for name in names_of(one)))
    width, height = CELL_PX
    sheet = Image.new("RGB", (COLUMNS * width, len(names) * (height + TITLE_PX)))
    for row, name in enumerate(names):
        y = row * (height + TITLE_PX)
        font = ImageFont.load_default(TITLE_PX - 4)
        ImageDraw.Draw(sheet).text((4, y), name.replace("_", " "), "white", font)
        shown = [one for one in lv_strips if name in names_of(one)][:COLUMNS]
        for column, one in enumerate(shown):
            sheet.paste(cell(one), (column * width, y + TITLE_PX))
    return png(sheet)


def cell(one: ScoredStrip) -> Image.Image:
    """Return a strip with a dot on each border every few columns."""
    strip = one.source()
    height, width = strip.pixels.shape
    picture = Image.fromarray(strip.pixels).convert("RGB").resize((CELL_PX[0] - 4, CELL_PX[1] - 4))
    pen = ImageDraw.Draw(picture)
    for wall in strip.walls_px if strip.walls_px is not None else ():
        for x in range(0, picture.width, 8):
            y = wall[min(int(x * width / picture.width), width - 1)] * picture.height / height
            pen.point((x, float(y)), fill=TRUE_RGB)
    return picture
