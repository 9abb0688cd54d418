"""The texts of the overlay's result table."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from dicom_node.report.beats import DIASTOLE, SYSTOLE
from dicom_node.report.canvas import WHITE
from dicom_node.report.quantities import BY_KEY, known
from dicom_node.report.refusals import Refusal, gaps
from dicom_node.report.table import GRAY, Block, Panel
from inference.types import ModelIdentity, StripResult

DISCLAIMER: Final = ("AI measurement, not verified.", "Research use.")
REFUSAL_COLUMNS: Final = 44
DERIVED: Final = ("EF_percent", "FS_percent", "EDV_ml", "ESV_ml", "HR_bpm")


def panels(result: StripResult, model: ModelIdentity, text_px: int) -> list[Panel]:
    """Return the table of one strip in a tall, a wide and a compact layout with equal content."""
    lengths, derived = _lengths(result, text_px), _derived(result, text_px)
    interval, beats, probability = _interval(result), _beats(result), _probability(result)
    made_by, disclaimer = _made_by(model), " ".join(DISCLAIMER)
    missing = _gaps(result)
    small, gap = _small(text_px), text_px // 2
    tall = _notes([interval, beats, probability, *missing, made_by, *DISCLAIMER], small)
    wide = _notes([f"{interval}, {beats}", f"{probability}, {made_by}", *missing, disclaimer], small)
    compact = _notes([interval, f"{beats}, {probability}", *missing, made_by, disclaimer], small)
    return [
        Panel(lines=[[lengths], [derived], [tall]], gap=gap),
        Panel(lines=[[lengths, derived], [wide]], gap=gap),
        Panel(lines=[[lengths, derived], [compact]], gap=gap),
    ]


def refusal_panels(result: StripResult, why: Refusal, model: ModelIdentity, text_px: int) -> list[Panel]:
    """Return the panel with the reason why a strip was not measured."""
    reasons = [line for text in (why.sentence, result.detail) for line in wrap(text, REFUSAL_COLUMNS)]
    head = Block(rows=[(("Not measured", WHITE),)], align="l", text_px=text_px)
    notes = _notes([*reasons, *_gaps(result), _made_by(model), " ".join(DISCLAIMER)], _small(text_px))
    return [Panel(lines=[[head], [notes]], gap=text_px // 2)]


def summary(result: StripResult, model: ModelIdentity) -> list[str]:
    """Return the content of the table without the six lengths, as lines of text."""
    derived = [f"{BY_KEY[key].label} {_number(result, key)} {BY_KEY[key].unit_label}" for key in DERIVED]
    notes = [_interval(result), _beats(result), _probability(result), *_gaps(result), _made_by(model)]
    return [*derived, *notes, *DISCLAIMER]


def _gaps(result: StripResult) -> list[str]:
    return [line for sentence in gaps(result) for line in wrap(sentence, REFUSAL_COLUMNS)]


def _made_by(model: ModelIdentity) -> str:
    return f"model {model.name} {model.version}"


def _small(text_px: int) -> int:
    return max(8, round(text_px * 0.85))


def _lengths(result: StripResult, text_px: int) -> Block:
    head = (("mean" if len(result.used) > 1 else "", GRAY), ("d", DIASTOLE), ("s", SYSTOLE), ("", WHITE))
    rows = [
        (
            (wall, WHITE),
            (_number(result, f"{wall}d_cm"), DIASTOLE),
            (_number(result, f"{wall}s_cm"), SYSTOLE),
            ("cm", GRAY),
        )
        for wall in ("IVS", "LVID", "LVPW")
    ]
    return Block(rows=[head, *rows], align="lrrl", text_px=text_px)


def _derived(result: StripResult, text_px: int) -> Block:
    rows = [
        ((BY_KEY[key].label, WHITE), (_number(result, key), WHITE), (BY_KEY[key].unit_label, GRAY))
        for key in DERIVED
    ]
    return Block(rows=rows, align="lrl", text_px=text_px)


def _notes(lines: Sequence[str], text_px: int) -> Block:
    return Block(rows=[((line, GRAY),) for line in lines], align="l", text_px=text_px)


def _number(result: StripResult, key: str) -> str:
    value = known(result, BY_KEY[key])
    return "-" if value is None else BY_KEY[key].text(value)


def _interval(result: StripResult) -> str:
    if known(result, BY_KEY["EF_percent"]) is None:
        return "no EF"
    low, high = (BY_KEY["EF_percent"].text(limit) for limit in result.measurements["EF_percent"].ci95)
    return f"EF 95 % interval {low} to {high} %"


def _beats(result: StripResult) -> str:
    count = len(result.used)
    return "one beat" if count == 1 else f"mean of {count} beats"


def _probability(result: StripResult) -> str:
    return f"cycle probability {result.cycles[result.chosen].box.probability:.2f}"
