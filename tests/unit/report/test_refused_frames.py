"""Frames of a clip that could not be decoded: every report says which, and so does the audit log."""

from dataclasses import replace

import pytest
from support import measured_strips
from support.reported import built, clip, code, plan, read, source, walk

from dicom_node.report.panel import panels, refusal_panels
from dicom_node.report.refusals import REFUSALS, refused_frames
from dicom_node.study.image_result import ImageResult
from dicom_node.tools.measure import image_entry
from inference.types import RefusedFrame, StripResult


def strip(*frames: int, **changes: object) -> StripResult:
    """Return a measured strip of a clip some of whose frames were refused."""
    refused = tuple(
        RefusedFrame(frame=each, reason="undecodable", detail="no JPEG stream") for each in frames
    )
    return replace(measured_strips.strip_result(frame=2), refused_frames=refused, **changes)


def texts(result: StripResult, text_px: int = 12) -> list[str]:
    """Return what the table of an overlay says, in each of its settings."""
    found = panels(result, measured_strips.MODEL, text_px)
    return [
        " ".join(cell for line in panel.lines for block in line for row in block.rows for cell, _ in row)
        for panel in found
    ]


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ((3,), "Frame 4 of the clip could not be decoded."),
        ((3, 6), "Frames 4, 7 of the clip could not be decoded."),
        (tuple(range(99_000, 99_012)), "12 frames of the clip could not be decoded."),
    ],
)
def test_people_count_from_one(frames: tuple[int, ...], sentence: str) -> None:
    """Numbers for people start at 1; a text for an LO has at most 64 characters."""
    assert refused_frames(strip(*frames)) == [sentence]
    assert len(sentence) <= 64


def test_two_strips_name_a_frame_once() -> None:
    """Strips of the same clip share its frames."""
    assert refused_frames(strip(1, 3), strip(3)) == ["Frames 2, 4 of the clip could not be decoded."]


@pytest.mark.parametrize("template", ["tid5200", "tid1500", "tid5300"])
def test_each_report_names_them(template: str) -> None:
    """As the description of its completeness, and beside the algorithm where the template has a place."""
    (report,) = read(*built(clip(), [strip(0)], plan=plan(template)))  # type: ignore[arg-type]
    parameters = [str(item.TextValue) for _, item in walk(report) if code(item) == "111002"]
    said = "Frame 1 of the clip could not be decoded."

    assert report.CompletionFlagDescription == said
    assert (said in parameters) == (template != "tid5300")


def test_a_report_without_refused_frames_says_nothing() -> None:
    """A still, and a clip whose frames are all readable, have the report that they had."""
    (report,) = read(*built(source(), plan=plan("tid5200")))

    assert "CompletionFlagDescription" not in report


def test_pictures_and_graphics_name_them() -> None:
    """In every setting of the table, on the plate of a refused strip, and in the presentation state."""
    assert all("Frame 1 of the clip could not be decoded." in each for each in texts(strip(0)))
    assert not any("decoded" in each for each in texts(strip()))
    refused = strip(0, status="not_measured", reason="no_cycle")
    (plate,) = refusal_panels(refused, REFUSALS["no_cycle"], measured_strips.MODEL, 12)
    rows = [row[0][0] for line in plate.lines for block in line for row in block.rows]
    assert "Frame 1 of the clip could not be decoded." in rows
    (graphics,) = read(*built(clip(), [strip(0)], plan=plan("presentation_state")))
    said = [
        text.UnformattedTextValue
        for layer in graphics.GraphicAnnotationSequence
        for text in layer.TextObjectSequence
    ]
    assert any("Frame 1 of the clip could not be decoded." in each for each in said)


def test_the_audit_log_and_json_name_them_by_index() -> None:
    """Data count from 0 as everywhere, with reason and detail; measured or not."""
    entry = {"frame": 3, "reason": "undecodable", "detail": "no JPEG stream"}
    for result in (strip(3), strip(3, status="not_measured", reason="no_cycle")):
        (audited,) = ImageResult(image=None, strips=[result]).detail()["strips"]  # type: ignore[arg-type, attr-defined]
        assert audited["refused_frames"] == [entry]
    (audited,) = ImageResult(image=None, strips=[strip()]).detail()["strips"]  # type: ignore[arg-type, attr-defined]
    assert "refused_frames" not in audited
    assert image_entry("a.dcm", clip(), strip(3))["refused_frames"] == [entry]  # type: ignore[arg-type]
    assert "refused_frames" not in image_entry("a.dcm", clip(), strip())  # type: ignore[arg-type]
