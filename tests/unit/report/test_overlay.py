"""The picture: what is drawn, and what is left alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from support import builders, measured_strips

from dicom_node.report.beats import DIASTOLE, SYSTOLE, Style, columns
from dicom_node.report.canvas import Canvas
from dicom_node.report.labels import draw_labels
from dicom_node.report.layout import Box, Cost
from dicom_node.report.overlay import draw_overlay
from dicom_node.report.panel import DISCLAIMER, panels
from dicom_node.report.quantities import BY_KEY
from inference.types import StripResult

GRAY = 90


def plain(rows: int = 400, columns_: int = 600) -> NDArray[np.uint8]:
    """Return an even gray picture."""
    return np.full((rows, columns_, 3), GRAY, np.uint8)


def said(result: StripResult) -> list[str]:
    """Return every text of the result table, of its tall setting."""
    panel = panels(result, measured_strips.MODEL, 12)[0]
    return [text for line in panel.lines for block in line for row in block.rows for text, _ in row]


@pytest.mark.parametrize("size", [(384, 512), (434, 636), (960, 1280)])
def test_matrix_stays(size: tuple[int, int]) -> None:
    """Whatever the size of the picture, the overlay has the same, and the input is not written to."""
    source = plain(*size)
    drawn = draw_overlay(source, [measured_strips.strip_result()], measured_strips.MODEL)

    assert drawn.shape == source.shape
    assert drawn.dtype == np.uint8
    assert (source == GRAY).all()


@pytest.mark.parametrize("size", [(60, 80), (5, 3)])
def test_the_tiniest_pictures_only_grow(size: tuple[int, int]) -> None:
    """Where no table fits there is room below; nothing fails and nothing is lost."""
    drawn = draw_overlay(plain(*size), [measured_strips.strip_result()], measured_strips.MODEL)

    assert drawn.shape[0] > size[0]
    assert drawn.shape[1] >= size[1]


def test_nothing_measured_nothing_drawn() -> None:
    """Refused strips leave the picture as it is."""
    source = np.repeat(builders.texture(100, 120)[..., np.newaxis], 3, axis=2)

    assert (draw_overlay(source, [measured_strips.refused()], measured_strips.MODEL) == source).all()


@pytest.mark.parametrize("reason", ["no_cycle", "implausible", "low_agreement"])
def test_a_strip_looked_at_in_vain_gets_its_reason(reason: str) -> None:
    """A plate says why; the picture keeps its size."""
    source = plain()
    drawn = draw_overlay(source, [measured_strips.looked_at_in_vain(reason)], measured_strips.MODEL)

    assert drawn.shape == source.shape
    assert (drawn != source).any()


@pytest.mark.parametrize("reason", ["undecodable", "too_large"])
def test_what_is_wrong_with_a_file_is_not_drawn(reason: str) -> None:
    """A region that could not be read says nothing of a heart, and leaves the picture as it is."""
    source = plain()

    assert (
        draw_overlay(source, [measured_strips.looked_at_in_vain(reason)], measured_strips.MODEL) == source
    ).all()


def test_calipers_sit_on_the_landmarks() -> None:
    """Each of the eight borders of the chosen beat is marked by a bar in its colour, sub-pixel exact."""
    result = measured_strips.strip_result()
    drawn = draw_overlay(plain(), [result], measured_strips.MODEL).astype(float)
    landmarks = result.cycles[result.chosen].landmarks
    for points, colour in ((landmarks.diastole, DIASTOLE), (landmarks.systole, SYSTOLE)):
        channel = 0 if colour is SYSTOLE else 2
        for x, y in points:
            beside = drawn[:, round(x) + 4, channel] - GRAY
            near = slice(round(y) - 2, round(y) + 3)
            ink = np.clip(beside[near], 0, None)
            assert (ink * np.arange(near.start, near.stop)).sum() / ink.sum() == pytest.approx(y, abs=0.3)


def test_labels_keep_off_the_landmarks() -> None:
    """No label touches either caliper, and both phases are labelled, wherever the beat lies."""
    for start in range(0, 440, 20):
        cycle = measured_strips.cycle(float(start))
        canvas = Canvas(plain())
        written = draw_labels(canvas, cycle, Style.of(*canvas.size))
        assert len(written) == 2
        for column in columns(cycle):
            caliper = Box(column.x, column.rows[0], column.x, column.rows[3]).grown(5)
            assert not any(caliper.meets(box) for box in written)
        assert not written[0].meets(written[1])


def test_the_table_says_everything() -> None:
    """Six lengths, FS, volumes, EF with its interval, rate, beats, probability, model, disclaimer."""
    result = measured_strips.strip_result()
    texts = said(result)
    for key in (
        "IVSd_cm",
        "LVIDd_cm",
        "LVPWd_cm",
        "IVSs_cm",
        "LVIDs_cm",
        "LVPWs_cm",
        "FS_percent",
        "EDV_ml",
        "ESV_ml",
        "EF_percent",
        "HR_bpm",
    ):
        assert BY_KEY[key].text(result.measurements[key].value) in texts
    low, high = (f"{limit:.1f}" for limit in result.measurements["EF_percent"].ci95)
    assert f"EF 95 % interval {low} to {high} %" in texts
    assert {"mean of 3 beats", "cycle probability 0.90", "model test-model 1.2.3", *DISCLAIMER} <= set(texts)


def test_settings_of_the_table_say_the_same() -> None:
    """Tall, wide and snug differ in shape only."""
    settings = panels(measured_strips.strip_result(), measured_strips.MODEL, 12)
    words = [
        sorted(
            " ".join(text for line in p.lines for block in line for row in block.rows for text, _ in row)
            .replace(",", "")
            .split()
        )
        for p in settings
    ]

    assert words[0] == words[1] == words[2]
    assert len({panel.size for panel in settings}) == 3


def test_a_single_beat_is_no_mean() -> None:
    """One used beat is said to be one."""
    texts = said(measured_strips.strip_result([measured_strips.cycle()]))

    assert "one beat" in texts
    assert "mean" not in texts


def test_a_missing_value_is_a_dash() -> None:
    """A number that was not measured is not shown as zero."""
    result = measured_strips.strip_result()
    known = {key: value for key, value in result.measurements.items() if key != "EF_percent"}

    assert {"-", "no EF"} <= set(said(replace(result, measurements=known)))


def test_the_table_prefers_empty_space() -> None:
    """With room beside the strip, the strip is left as it is but for its beats."""
    source = plain(600, 600)
    source[400:] = 0
    drawn = draw_overlay(source, [measured_strips.strip_result()], measured_strips.MODEL)
    changed = np.argwhere((drawn != source).any(axis=2))

    assert changed[changed[:, 0] >= 400].size > 0
    assert (drawn[:50] == source[:50]).all()


def test_a_table_never_hides_the_measured_beat() -> None:
    """On a picture too small for both the table goes below, and all pixels keep their places."""
    cycle = measured_strips.cycle(20.0, top_px=20.0)
    result = measured_strips.strip_result([cycle], region_px=(0, 0, 209, 239))
    drawn = draw_overlay(plain(240, 210), [result], measured_strips.MODEL)

    assert drawn.shape[0] > 240
    for x, y in (*cycle.landmarks.diastole, *cycle.landmarks.systole):
        assert (drawn[round(y), round(x)] != GRAY).any()
    box = drawn[40:200, 40:160]
    assert (box == GRAY).all(axis=2).mean() > 0.5


def test_nothing_is_put_where_it_is_forbidden() -> None:
    """A forbidden pixel is never hidden, however cheap, and there may be no place at all."""
    cost = Cost(plain(100, 200))
    cost.forbid(Box(0, 50, 200, 51))

    _, box = cost.cheapest([(40, 30)], near=(100, 50)) or (None, Box(0, 0, 200, 100))
    assert not box.meets(Box(0, 50, 200, 51))
    assert cost.cheapest([(40, 60)], near=(100, 50)) is None


def test_the_cheapest_place_avoids_what_must_be_seen() -> None:
    """Places are chosen by what they hide, among equals by nearness, and may not exist."""
    cost = Cost(plain(100, 200))
    cost.add(Box(0, 0, 200, 60), 5)

    index, box = cost.cheapest([(500, 10), (40, 30)], near=(100, 0)) or (None, None)
    assert index == 1
    assert box == Box(80, 60, 120, 90)
    assert cost.cheapest([(300, 10)], near=(0, 0)) is None


def test_fractional_edges_are_shared_between_pixels() -> None:
    """A rectangle that covers a third of a pixel colours it by a third."""
    canvas = Canvas(np.zeros((4, 4, 3), np.uint8))
    canvas.fill(Box(1, 1, 2 + 1 / 3, 2), (255, 255, 255))

    assert canvas.picture()[1, :, 0].tolist() == [0, 255, 85, 0]
    assert canvas.picture()[2].sum() == 0
