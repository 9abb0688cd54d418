"""The softcopy presentation state: graphics that a viewer draws on the untouched image."""

from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from support import builders, measured_strips
from support.reported import built, clip, plan, source

from inference.types import StripResult

GRAY_STATE, COLOUR_STATE = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.11.2"


def state(ds: Dataset, results: list[StripResult] | None = None) -> Dataset:
    """Return the presentation state of an image."""
    (made,) = built(ds, results, plan=plan("presentation_state"))
    return dcmread(BytesIO(made.data))


def test_a_gray_image_gets_a_gray_state_and_a_colour_one_a_colour_state() -> None:
    """The kind follows the image; the colour one brings its profile, the same bytes every time."""
    colour = builders.us_image(np.repeat(builders.texture(400, 600)[..., np.newaxis], 3, axis=2))
    gray, coloured = state(source()), state(colour)

    assert (gray.SOPClassUID, gray.PresentationLUTShape) == (GRAY_STATE, "IDENTITY")
    assert "ICCProfile" not in gray
    assert (coloured.SOPClassUID, coloured.ColorSpace) == (COLOUR_STATE, "SRGB")
    assert coloured.ICCProfile[36:40] == b"acsp"
    assert not any(coloured.ICCProfile[24:36])
    assert "PixelData" not in gray


def test_bars_lie_on_the_eight_borders_of_every_used_beat() -> None:
    """In pixels from the upper left corner: per phase a line and four bars, in a layer with a colour."""
    result = measured_strips.strip_result()
    found = state(source(), [result])
    layers = {each.GraphicLayer: each for each in found.GraphicLayerSequence}
    drawn = {each.GraphicLayer: each for each in found.GraphicAnnotationSequence}

    assert set(layers) == set(drawn) == {"DIASTOLE", "SYSTOLE", "RESULTS"}
    assert "GraphicLayerRecommendedDisplayCIELabValue" in layers["DIASTOLE"]
    for phase in ("diastole", "systole"):
        lines = [np.reshape(each.GraphicData, (-1, 2)) for each in drawn[phase.upper()].GraphicObjectSequence]
        bars = [line for line in lines if line[0][1] == line[1][1]]
        rows = {round(float(bar[0][1]), 2) for bar in bars}
        borders = {round(y + 0.5, 2) for cycle in result.cycles for _, y in getattr(cycle.landmarks, phase)}
        assert rows == borders
        assert len(lines) == 5 * len(result.used)


def test_it_says_what_the_overlay_says() -> None:
    """The six lengths stand beside their calipers; EF with interval, beats, model, disclaimer in a corner."""
    result = measured_strips.strip_result()
    drawn = {each.GraphicLayer: each for each in state(source(), [result]).GraphicAnnotationSequence}
    chosen = result.cycles[result.chosen]
    labels = [each.UnformattedTextValue for each in drawn["DIASTOLE"].TextObjectSequence]
    said = drawn["RESULTS"].TextObjectSequence[0].UnformattedTextValue

    (_, upper), (_, lower) = chosen.landmarks.diastole[1:3]
    anchors = {
        each.UnformattedTextValue.split()[0]: each.AnchorPoint
        for each in drawn["DIASTOLE"].TextObjectSequence
    }
    assert anchors["LVIDd"][1] == pytest.approx((upper + lower) / 2 + 0.5, abs=0.01)
    assert f"LVIDd {chosen.values['LVIDd_cm']:.2f} cm" in labels
    assert len(labels) == 3
    for part in ("EF 95 % interval", "mean of 3 beats", "test-model 1.2.3", "not verified", "Research use"):
        assert part in said


def test_of_a_clip_only_the_measured_frame_is_drawn_on() -> None:
    """Graphics name the frame they belong to."""
    found = state(clip(), [measured_strips.strip_result(frame=2)])

    frames = {
        each.ReferencedImageSequence[0].ReferencedFrameNumber for each in found.GraphicAnnotationSequence
    }
    assert frames == {3}


@pytest.mark.parametrize("left", [0.0, 420.0])
def test_nothing_is_drawn_outside_the_image(left: float) -> None:
    """Bars of a beat at the very edge are cut there."""
    found = state(source(), [measured_strips.strip_result([measured_strips.cycle(left)])])

    for annotation in found.GraphicAnnotationSequence:
        for each in annotation.get("GraphicObjectSequence", []):
            points = np.reshape(each.GraphicData, (-1, 2))
            assert (points >= 0).all()
            assert (points <= [600, 400]).all()
