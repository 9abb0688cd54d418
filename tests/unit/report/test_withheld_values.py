"""A value whose border is too doubtful: reports hold a coded reason instead, pictures a question mark."""

from dataclasses import replace

import pytest
from support import measured_strips
from support.reported import built, code, plan, read, source, walk

from dicom_node.report.panel import panels
from dicom_node.report.quantities import BY_KEY
from dicom_node.report.refusals import gaps
from dicom_node.report.reported import values_of_each_beat
from dicom_node.tools.measure import image_entry

SAID = "Border too doubtful for IVSd, IVSs."
CODES = {
    "tid5200": {"18154-5", "18158-6", "18087-7"},
    "tid5300": {"79968-4", "79970-0", "80022-7"},
}


STRIP = measured_strips.hidden_septum()


@pytest.mark.parametrize("template", list(CODES))
def test_reports_hold_a_reason_in_its_place(template: str) -> None:
    """NUM without a value, with "Value indeterminate" of CID 42 (PS3.3 C.18.1); all others as before."""
    (report,) = read(*built(source(PatientSize="1.7", PatientWeight="70"), [STRIP], plan=plan(template)))  # type: ignore[arg-type]
    items = [item for _, item in walk(report) if item.get("ValueType") == "NUM"]
    empty = [item for item in items if not item.MeasuredValueSequence]
    reasons = {code(item, "NumericValueQualifierCodeSequence") for item in empty}
    chosen = [item for item in empty for each in item.get("ContentSequence", []) if code(each) == "121404"]

    assert {code(item) for item in empty} == CODES[template]
    assert (reasons, chosen) == ({"114011"}, [])
    assert report.CompletionFlag == "PARTIAL"
    assert report.CompletionFlagDescription == SAID
    assert not any("NumericValueQualifierCodeSequence" in item for item in items if item not in empty)
    assert "80023-5" not in {code(item) for item in items}, "an index of a value that is withheld"


def test_tid_1500_says_it_of_the_group() -> None:
    """TID 300 asks for a value, so the item is left out, and the group has the code of the reason."""
    (report,) = read(*built(source(), [STRIP], plan=plan("tid1500")))
    items = [item for _, item in walk(report)]
    reasons = [code(item, "ConceptCodeSequence") for item in items if code(item) == "122144"]

    assert reasons == ["114011"]
    assert all(item.MeasuredValueSequence for item in items if item.get("ValueType") == "NUM")
    assert not CODES["tid5200"] & {code(item) for item in items}
    assert report.CompletionFlagDescription == SAID


def test_every_beat_withholds_it_too() -> None:
    """The numbers of single beats would be as doubtful as their mean."""
    keys = {each.quantity.key for each in values_of_each_beat(STRIP)}

    assert keys == set(BY_KEY) - set(STRIP.withheld)


@pytest.mark.parametrize("lengths", [("IVSd_cm",), tuple(key for key in BY_KEY if key.endswith("_cm"))[:5]])
def test_the_sentence_fits(lengths: tuple[str, ...]) -> None:
    """A text for an LO has at most 64 characters, however many lengths it names."""
    (sentence,) = gaps(replace(STRIP, withheld=lengths))

    assert len(sentence) <= 64
    assert all(BY_KEY[key].label in sentence for key in lengths)
    assert gaps(replace(STRIP, withheld=())) == []


def test_table_and_graphics_show_no_number() -> None:
    """A dash in the table with the sentence below it; a question mark at the caliper."""
    for panel in panels(STRIP, measured_strips.MODEL, 12):
        rows = [[cell for cell, _ in row] for line in panel.lines for block in line for row in block.rows]
        assert ["IVS", "-", "-", "cm"] in rows
        assert SAID in " ".join(cell for row in rows for cell in row)
    (graphics,) = read(*built(source(), [STRIP], plan=plan("presentation_state")))
    said = [
        text.UnformattedTextValue
        for each in graphics.GraphicAnnotationSequence
        for text in each.get("TextObjectSequence", [])
    ]

    assert "IVSd ? cm" in said
    assert any(text.startswith("LVIDd 4.") for text in said)


def test_the_command_names_it() -> None:
    """`measure --json` lists it, and holds its number nowhere."""
    entry = image_entry("a.dcm", source(), STRIP)  # type: ignore[arg-type]

    assert entry["withheld"] == list(STRIP.withheld)
    assert "IVSd_cm" not in entry["measurements"]
    assert not any("IVSd_cm" in cycle for cycle in entry["cycles"])
    assert "withheld" not in image_entry("a.dcm", source(), measured_strips.strip_result())  # type: ignore[arg-type]
