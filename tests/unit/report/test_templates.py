"""What the three templates say beyond the bare numbers, and how each reader of its own finds them."""

from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sr._snomed_dict import mapping
from pydicom.sr.codedict import codes
from support import measured_strips
from support.reported import built, clip, code, coded, numbers, plan, read, source, walk

from dicom_node.report.quantities import BY_KEY, LV_MASS_INDEX, QUANTITIES, calipers
from dicom_node.report.snomed import SRT
from dicom_node.report.tid5300 import POST_COORDINATED, PRE_COORDINATED
from inference.types import LENGTHS

ONE_BEAT = [measured_strips.strip_result([measured_strips.cycle()])]
TID5300_PRE = {
    "IVSd": "79968-4",
    "LVIDd": "80008-6",
    "LVPWd": "80031-8",
    "IVSs": "79970-0",
    "LVIDs": "80012-8",
    "LVPWs": "80033-4",
    "FS": "29435-5",
    "EF": "18049-7",
    "LV mass": "80022-7",
}


def values(report: Dataset) -> dict[str, float]:
    """Return number by concept."""
    return {
        concept: float(item.MeasuredValueSequence[0].NumericValue)
        for concept, item in numbers(report).items()
    }


def test_the_size_of_the_patient_is_told() -> None:
    """Height, weight and body surface (its formula named) come before the values and index the mass."""
    (report,) = read(*built(source(PatientSize="1.75", PatientWeight="70"), plan=plan("tid5200")))
    said = values(report)
    surface = next(item for _, item in walk(report) if code(item) == "8277-6")

    assert (said["8302-2"], said["29463-7"]) == (175, 70)
    assert said["8277-6"] == pytest.approx(0.024265 * 175**0.3964 * 70**0.5378, abs=0.005)
    assert code(surface.ContentSequence[0], "ConceptCodeSequence") == "122243"
    assert said["80023-5"] == pytest.approx(said["18087-7"] / said["8277-6"], abs=1)
    unit = numbers(report)["80023-5"].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    assert unit.CodeValue == "g/m2"


def test_an_unknown_size_is_left_out() -> None:
    """Without height and weight there is neither a container for them nor an index."""
    (report,) = read(*built(source(), plan=plan("tid5200")))

    assert "121118" not in {code(item) for _, item in walk(report)}
    assert "80023-5" not in numbers(report)


def test_beats_follow_the_mean_when_asked_for() -> None:
    """The mean comes first and is the only one that is marked as chosen."""
    result = measured_strips.strip_result()
    (report,) = read(*built(source(), [result], plan=plan("tid5200", per_beat=True)))
    found = [item for _, item in walk(report) if item.ValueType == "NUM" and code(item) == "29436-3"]

    assert [coded(item, "121404") for item in found] == ["121412", None, None, None]
    assert [coded(item, "121401") for item in found] == ["373098007", None, None, None]
    lengths = [float(item.MeasuredValueSequence[0].NumericValue) for item in found[1:]]
    assert lengths == [round(cycle.values["LVIDd_cm"], 2) for cycle in result.cycles]


def test_one_beat_is_not_repeated() -> None:
    """Of a single beat there is nothing to add."""
    (report,) = read(*built(source(), ONE_BEAT, plan=plan("tid5200", per_beat=True)))
    concepts = [code(item) for _, item in walk(report) if item.ValueType == "NUM"]

    assert len(concepts) == len(set(concepts)) == len(QUANTITIES)


def test_tid_1500_by_highdicoms_own_reader() -> None:
    """Every number, unit and caliper comes back, with the model that made them."""
    result = measured_strips.strip_result()
    (made,) = built(source(), [result], plan=plan("tid1500"))
    report = highdicom.sr.srread(BytesIO(made.data))
    (group,) = report.content.get_image_measurement_groups()
    measurements = {each.name.value: each for each in group.get_measurements()}

    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert set(measurements) == {quantity.concept.value for quantity in QUANTITIES}
    for quantity in QUANTITIES:
        found = measurements[quantity.concept.value]
        assert found.value == float(quantity.text(result.measurements[quantity.key].value))
        assert found.unit.value == quantity.unit.value
    for key in LENGTHS:
        lines = measurements[BY_KEY[key].concept.value].referenced_coordinates
        for line, cycle in zip(lines, result.cycles, strict=True):
            assert np.allclose(line.value, np.array(calipers(cycle.landmarks)[key]) + 0.5, atol=1e-4)
    texts = {code(i): str(i.TextValue) for _, i in walk(report) if i.ValueType == "TEXT"}
    assert (texts["111001"], texts["111003"]) == ("test-model", "1.2.3")
    parameters = [str(i.TextValue) for _, i in walk(report) if code(i) == "111002"]
    assert any(measured_strips.MODEL.sha256 in text for text in parameters)


def test_intervals_are_ranges_about_the_value() -> None:
    """Value plus and minus the ranges are the limits of the 95 % interval, in the unit of the value."""
    result = measured_strips.strip_result()
    (report,) = read(*built(source(), [result], plan=plan("tid1500")))
    ef = numbers(report)["18043-0"]
    ranges = {code(i): i.MeasuredValueSequence[0] for i in ef.ContentSequence if i.ValueType == "NUM"}
    shown = float(ef.MeasuredValueSequence[0].NumericValue)
    low, high = (round(limit, 1) for limit in result.measurements["EF_percent"].ci95)

    assert {i.RelationshipType for i in ef.ContentSequence if i.ValueType == "NUM"} == {"HAS PROPERTIES"}
    assert shown + float(ranges["371886008"].NumericValue) == pytest.approx(high)
    assert shown - float(ranges["371885007"].NumericValue) == pytest.approx(low)
    assert {each.MeasurementUnitsCodeSequence[0].CodeValue for each in ranges.values()} == {"%"}


def test_tracking_survives_another_model() -> None:
    """A new revision by a new model tracks the same things; another image tracks others."""

    def tracked(**arguments: object) -> list[str]:
        ds = arguments.pop("ds", source())
        assert isinstance(ds, Dataset)
        (report,) = read(*built(ds, plan=plan("tid1500"), **arguments))
        return [str(item.UID) for _, item in walk(report) if code(item) == "112040"]

    first = tracked()
    assert len(first) == len(set(first)) == 1 + len(QUANTITIES)
    newer = replace(measured_strips.MODEL, sha256="f" * 64, version="2")
    assert tracked(revision=2, model=newer) == first
    assert not set(tracked(ds=source(InstanceNumber=7))) & set(first)


@pytest.mark.parametrize(
    ("reason", "said"),
    [("no_cycle", "114007"), ("implausible", "114009"), ("low_agreement", "114011")],
)
def test_a_refusal_is_a_code(reason: str, said: str) -> None:
    """A strip looked at in vain says why in TID 1500, where the plan asks for it, and has no numbers."""
    refused = [measured_strips.looked_at_in_vain(reason)]
    asked = plan("tid5200", "tid1500", "tid5300", overlay_refusals=True)
    (made,) = built(source(), refused, plan=asked)
    report = highdicom.sr.srread(BytesIO(made.data))
    (group,) = report.content.get_image_measurement_groups()

    (evaluation,) = group.get_qualitative_evaluations(codes.DCM.QuantitativeAnalysis)
    assert evaluation.value.value == said
    assert group.get_measurements() == []
    assert report.CompletionFlag == "PARTIAL"
    assert built(source(), refused, plan=plan("tid5200", "tid1500")) == []


@pytest.mark.parametrize("beats", [1, 3])
def test_tid_5300_has_a_code_for_everything(beats: int) -> None:
    """M-mode codes for what has one; the rest in the second container with every aspect coded."""
    result = measured_strips.strip_result([measured_strips.cycle(180.0 * n) for n in range(beats)])
    (report,) = read(*built(source(), [result], plan=plan("tid5300")))
    containers = {code(item): item for _, item in walk(report) if item.ValueType == "CONTAINER"}
    pre = {label(item): code(item) for item in containers["125301"].ContentSequence}
    post = {code(item): item for item in containers["125302"].ContentSequence}

    assert pre == TID5300_PRE
    assert set(post) == {"18026-5", "18148-7", "90096001", "RWT", "8867-4", "82799009"}
    for item in post.values():
        assert [coded(item, aspect) for aspect in ("125306", "363698007", "399264008")] == [
            "125315",
            "87878005",
            "399155008",
        ]
        assert coded(item, "125305") is not None
        assert coded(item, "125307") is not None
    assert (coded(post["18026-5"], "272518008"), coded(post["18148-7"], "272518008")) == (
        "416190007",
        "416430001",
    )
    marked = [coded(item, "121404") for item in (*containers["125301"].ContentSequence, *post.values())]
    assert set(marked) == ({"121412"} if beats > 1 else {None})
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "5300"
    assert report.TimezoneOffsetFromUTC == "+0000"


def label(item: Dataset) -> str:
    """Return the short label of a NUM, without its (MM)."""
    texts = [str(c.TextValue) for c in item.ContentSequence if code(c) == "125309"]
    return texts[0].removesuffix(" (MM)")


def test_only_one_value_of_a_kind_is_the_chosen_one() -> None:
    """Two strips of one image may be means both, but TID 5300 allows one Selection Status per concept."""
    results = [measured_strips.strip_result(frame=frame) for frame in (0, 2)]
    (report,) = read(*built(clip(), results, plan=plan("tid5300")))
    found = [item for _, item in walk(report) if item.ValueType == "NUM" and code(item) == "80008-6"]

    assert [coded(item, "121404") for item in found] == ["121412", None]


def test_every_quantity_has_its_place_in_tid_5300() -> None:
    """Either a pre-coordinated code or a post-coordinated meaning, never both, never none."""
    keys = {quantity.key for quantity in (*QUANTITIES, LV_MASS_INDEX)}

    assert set(PRE_COORDINATED) | set(POST_COORDINATED) == keys
    assert not set(PRE_COORDINATED) & set(POST_COORDINATED)


def test_retired_codes_are_the_twins_of_the_current_ones() -> None:
    """Pydicom's table of both says the same."""
    assert {sct: mapping["SCT"][sct] for sct in SRT} == dict(SRT)


@pytest.mark.parametrize("template", ["tid5200", "tid1500", "tid5300"])
def test_snomed_in_retired_form(template: str) -> None:
    """With SRT no SCT code is left in the tree, and what was copied from the source stays as it is."""
    procedure = Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator = "40701008", "SCT"
    procedure.CodeMeaning = "Echocardiography"
    ds = source(ProcedureCodeSequence=[procedure], PatientSize="1.75", PatientWeight="70")
    (current,) = read(*built(ds, plan=plan(template)))
    (retired,) = read(*built(ds, plan=plan(template, snomed="SRT")))

    assert "SRT" not in schemes(current)
    assert {"SCT"} <= schemes(current)
    assert "SCT" not in schemes(retired)
    assert retired.ProcedureCodeSequence[0].CodeValue == "40701008"
    assert retired.SOPInstanceUID != current.SOPInstanceUID


def schemes(report: Dataset) -> set[str]:
    """Return the coding schemes of all names and values of a tree."""
    sequences = [
        item[keyword].value[0]
        for item in (report, *(item for _, item in walk(report)))
        for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence")
        if keyword in item
    ]
    return {str(each.CodingSchemeDesignator) for each in sequences}
