"""Layout and drawing of tables: blocks of aligned columns on a dark, translucent panel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.report.canvas import BLACK, Canvas, Colour, line_height, text_width
from dicom_node.report.layout import Box

GRAY: Final[Colour] = (190, 190, 190)
PLATE_OPACITY: Final = 0.8

Cell = tuple[str, Colour]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows of cells in aligned columns; `align` has an "l" or "r" per column."""

    rows: Sequence[Sequence[Cell]]
    align: str
    text_px: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        widths = self._widths()
        return sum(widths) + self._gap * (len(widths) - 1), len(self.rows) * line_height(self.text_px)

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """Write the rows, the first one at (x, y)."""
        for number, row in enumerate(self.rows):
            left, top = x, y + number * line_height(self.text_px)
            for (text, colour), width, side in zip(row, self._widths(), self.align, strict=True):
                shift = width - text_width(text, self.text_px) if side == "r" else 0
                canvas.text(left + shift, top, text, colour=colour, text_px=self.text_px)
                left += width + self._gap

    @property
    def _gap(self) -> int:
        return round(self.text_px * 0.6)

    def _widths(self) -> list[int]:
        columns = zip(*self.rows, strict=True)
        return [max(text_width(text, self.text_px) for text, _ in column) for column in columns]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rows of blocks side by side, on a dark background."""

    lines: Sequence[Sequence[Block]]
    gap: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, with the gap around everything."""
        widths = [
            sum(block.size[0] for block in line) + 2 * self.gap * (len(line) - 1) for line in self.lines
        ]
        heights = [max(block.size[1] for block in line) for line in self.lines]
        return max(widths) + 2 * self.gap, sum(heights) + self.gap * (len(heights) + 1)

    def draw(self, canvas: Canvas, box: Box) -> None:
        """Draw background and texts into `box`, which has the size of the panel."""
        canvas.fill(box, BLACK, PLATE_OPACITY)
        canvas.outline(box, GRAY, 1, 0.5)
        y = box.y0 + self.gap
        for line in self.lines:
            x = box.x0 + self.gap
            for block in line:
                block.draw(canvas, x, y)
                x += block.size[0] + 2 * self.gap
            y += max(block.size[1] for block in line) + self.gap
