"""Result tables, loose text and small symbols."""

from PIL import Image, ImageDraw

from inference.phantom.overlay.canvas import Canvas, font

RESULTS = (
    ("IVSd", "cm", 0.4, 2.0),
    ("IVSs", "cm", 0.6, 2.4),
    ("LVIDd", "cm", 2.0, 7.5),
    ("LVIDs", "cm", 1.2, 6.5),
    ("LVPWd", "cm", 0.4, 2.0),
    ("LVPWs", "cm", 0.6, 2.4),
    ("EDV(Teich)", "ml", 40, 250),
    ("ESV(Teich)", "ml", 15, 180),
    ("EF(Teich)", "%", 20, 80),
    ("%FS", "%", 8, 50),
    ("SV(Teich)", "ml", 20, 120),
    ("HR", "BPM", 45, 150),
    ("Dist", "cm", 0.3, 9),
    ("Time", "ms", 40, 900),
    ("Slope", "cm/s", 2, 20),
    ("TAPSE", "cm", 0.8, 3.0),
    ("Ao Diam", "cm", 1.8, 4.5),
    ("LA Diam", "cm", 2, 6),
    ("EPSS", "mm", 1, 25),
    ("IVC", "mm", 5, 28),
)
"""Label, unit and range of results that a machine may list; the numbers are made up."""

EDGE_TEXTS = (
    "75mm/s",
    "50 mm/s",
    "100mm/s",
    "92 bpm",
    "HR 77",
    "77\nHR",
    "67bpm",
    "PR",
    "V",
    "M",
    "ECG",
    "x1",
    "0",
    "5",
    "10",
)


def table(canvas: Canvas) -> None:
    """A result box that hides a corner, solid or like smoked glass."""
    width = round(canvas.width * canvas.number("table_width_share"))
    height = round(canvas.height * canvas.number("table_height_share"))
    x, y = corner(canvas, width, height)
    box = Image.new("L", (width, height), canvas.whole("table_gray"))
    pen = ImageDraw.Draw(box)
    head = 3
    if canvas.happens("table_title"):
        head = canvas.whole("text_px") + 5
        pen.rectangle((0, 0, width, head - 3), fill=canvas.whole("title_gray"))
    write_rows(canvas, pen, (4, head), (width - 8, height - head))
    pen.rectangle((0, 0, width - 1, height - 1), outline=canvas.whole("table_border_gray"))
    if canvas.happens("table_glass"):
        under = canvas.image.crop((x, y, x + width, y + height))
        box = Image.blend(under, box, canvas.number("table_opacity"))
    canvas.image.paste(box, (x, y))


def corner(canvas: Canvas, width: int, height: int) -> tuple[int, int]:
    """Top-left of a box in one of the corners, the upper ones most often."""
    inset = canvas.whole("table_inset_px")
    x = canvas.one_of((inset, canvas.width - width - inset))
    y = canvas.one_of((inset, inset, inset, canvas.height - height - inset))
    return max(0, x), max(0, y)


def write_rows(canvas: Canvas, pen: ImageDraw.ImageDraw, at: tuple[int, int], size: tuple[int, int]) -> None:
    """Labels at the left and values at the right, as many rows of one font as the box of `size` takes."""
    (x, y), (width, height) = at, size
    letters, gray = min(canvas.whole("text_px"), max(6, width // 10)), canvas.whole("text_gray")
    pen.fontmode = "1" if canvas.happens("pixel_font") else "L"
    first, pitch = canvas.draw.rng.integers(len(RESULTS)), letters + canvas.one_of((2, 4, 6))
    for row in range((height - 2) // pitch):
        label, unit, low, high = RESULTS[(first + row) % len(RESULTS)]
        pen.text((x, y + row * pitch), label, fill=gray, font=font(letters))
        value = f"{canvas.draw.between(low, high):.3g} {unit}"
        pen.text((x + width, y + row * pitch), value, fill=gray, font=font(letters), anchor="ra")


def loose_text(canvas: Canvas) -> None:
    """One or more results in a corner with nothing behind them."""
    width = round(canvas.width * canvas.number("table_width_share"))
    height = min(canvas.whole("loose_lines") * 18, round(canvas.height * 0.45))
    write_rows(canvas, canvas.pen, corner(canvas, width, height), (width, height))


def edge_text(canvas: Canvas) -> None:
    """Sweep speed, heart rate or a number of the scale, close to a border."""
    canvas.pen.fontmode = "1" if canvas.happens("pixel_font") else "L"
    for _ in range(canvas.one_of((1, 1, 2, 3))):
        letters = canvas.whole("text_px")
        x = canvas.draw.between(-6, canvas.width)
        y = canvas.one_of((canvas.draw.between(-4, 4), canvas.height - letters - canvas.draw.between(-2, 6)))
        canvas.pen.text((x, y), canvas.one_of(EDGE_TEXTS), fill=canvas.whole("text_gray"), font=font(letters))


def arrows(canvas: Canvas) -> None:
    """Triangles of focus, sweep and base line, at the borders."""
    for _ in range(canvas.one_of((1, 1, 2))):
        size, gray = canvas.whole("arrow_px"), canvas.whole("text_gray")
        x, y = canvas.column(), canvas.draw.between(0, canvas.height)
        right, foot = canvas.width - 1, canvas.height - 1
        corners = canvas.one_of(
            (
                ((right, y - size / 2), (right, y + size / 2), (right - size, y)),
                ((0, y - size / 2), (0, y + size / 2), (size, y)),
                ((x - size / 2, foot), (x + size / 2, foot), (x, foot - size)),
                ((x - size / 2, 0), (x + size / 2, 0), (x, size)),
            )
        )
        canvas.pen.polygon(corners, fill=gray, outline=canvas.one_of((gray, 0)))
