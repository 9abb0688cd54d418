"""Figures of an evaluation: worked examples with known answers."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.builders import mmode_region, save, texture, us_image
from support.measured_strips import MODEL, cycle, hidden_septum, refused, strip_result
from support.scored_strips import boxes, labelled, scored

from inference.evaluation.agreement import NOMINAL, Pairs, Rate, agreement, interval_reliability
from inference.evaluation.beats import beats_at_rhythm, windows
from inference.evaluation.beside import ALL, compared, difference_text
from inference.evaluation.by_manner import PLAIN, by_manner, error_text
from inference.evaluation.detection import (
    average_precision,
    best_box_hits,
    iou,
    matched_boxes,
    matches,
    probability_reliability,
)
from inference.evaluation.document import as_document
from inference.evaluation.evaluate import Evaluation
from inference.evaluation.figures import Timing, figures
from inference.evaluation.page import page
from inference.evaluation.pictures import read_pictures
from inference.evaluation.printed import PictureScore, beats_without_calipers, compare, picture_targets
from inference.evaluation.sample import Plan, Range, in_clinical_range, lookalike_sources, lv_sources
from inference.evaluation.scored_strips import ScoredStrip
from inference.evaluation.targets import targets
from inference.image.regions import mmode_regions
from inference.phantom.lookalikes import LOOKALIKES
from inference.phantom.manners import MANNERS
from inference.types import Calibration, CycleBox, Value

A, B = (0.0, 0.0, 10.0, 10.0), (20.0, 0.0, 30.0, 10.0)
NOWHERE = (50.0, 50.0, 60.0, 60.0)


def two_beats(*found: tuple[tuple[float, float, float, float], float]) -> ScoredStrip:
    """Return a strip with true cycles at A and B and these detector boxes."""
    strip = labelled(cycles=2)
    truths = tuple(replace(cycle, box_px=box) for cycle, box in zip(strip.cycles, (A, B), strict=True))
    return replace(scored(detected=boxes(*found)), truths=truths)


def values(true: list[float], found: list[float], half: float = 1.0) -> Pairs:
    """Return pairs with intervals of `half` to either side."""
    at = np.array(found)
    return Pairs(true=np.array(true), found=at, low=at - half, high=at + half)


# Detection


def test_intersection_over_union() -> None:
    """Half-shifted boxes overlap by a third, far ones not at all, equal ones wholly."""
    assert iou(A, (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou(A, B) == 0
    assert iou(A, A) == 1


def test_a_second_box_on_the_same_cycle_is_wrong() -> None:
    """Each true cycle is taken once, by the most probable box."""
    assert matches([A, A, B], [A, B]) == [True, False, True]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(A, 0.9), (B, 0.8)], 1.0),
        # A false box below every true one costs nothing.
        ([(A, 0.9), (B, 0.8), (NOWHERE, 0.1)], 1.0),
        # Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: 1/2 x 1 + 1/2 x 2/3.
        ([(A, 0.9), (NOWHERE, 0.8), (B, 0.7)], 5 / 6),
        ([(A, 0.9), (A, 0.8), (B, 0.7)], 5 / 6),
        ([(A, 0.9)], 0.5),
        ([(NOWHERE, 0.9)], 0.0),
        ([], 0.0),
    ],
)
def test_average_precision(
    found: list[tuple[tuple[float, float, float, float], float]], expected: float
) -> None:
    """Perfect, with false boxes, with duplicates, with misses: the area computed by hand."""
    assert average_precision(matched_boxes([two_beats(*found)])) == pytest.approx(expected)


def test_boxes_on_other_strips_count_against_average_precision() -> None:
    """A sure box on a strip that is no left ventricle ranks above all true ones."""
    other = scored(labelled(kind="TAPSE", cycles=0), refused(), boxes((A, 0.95)))

    # Precision 0, 1/2, 2/3 at recall 0, 1/2, 1; made falling: 2/3 throughout.
    found = matched_boxes([two_beats((A, 0.9), (B, 0.8)), other])

    assert average_precision(found) == pytest.approx(2 / 3)


def test_average_precision_of_nothing_is_unknown() -> None:
    """Without a true cycle there is no recall."""
    assert average_precision(matched_boxes([])) is None


def test_the_best_box_decides_the_hit() -> None:
    """Only the most probable box counts, and having none is a miss."""
    assert best_box_hits(two_beats((A, 0.9), (NOWHERE, 0.5)))
    assert not best_box_hits(two_beats((NOWHERE, 0.9), (A, 0.5)))
    assert not best_box_hits(two_beats())


def test_probability_reliability() -> None:
    """Boxes of one tenth of the scale, their mean probability and the share that are right."""
    bins = probability_reliability(matched_boxes([two_beats((A, 1.0), (NOWHERE, 0.92), (B, 0.25))]))

    assert [(one.count, one.observed) for one in bins] == [(1, 1.0), (2, 0.5)]
    assert [one.stated for one in bins] == pytest.approx([0.25, 0.96])


# Agreement


def test_bias_limits_and_mean_absolute_error() -> None:
    """Errors -1, 1, 3: mean 1, standard deviation 2, so limits at 1 -/+ 3.92."""
    found = agreement(values([10, 20, 30], [9, 21, 33]))

    assert found is not None
    assert found.mae == pytest.approx(5 / 3)
    assert found.bias == pytest.approx(1)
    assert found.limits == pytest.approx((1 - 3.92, 1 + 3.92))
    assert (found.inside_ci95.hits, found.inside_ci95.of) == (2, 3)


def test_agreement_of_nothing_is_unknown() -> None:
    """Nothing measured, nothing said."""
    assert agreement(values([], [])) is None


def test_intervals_are_scaled_as_a_normal_distribution() -> None:
    """A truth one standard deviation off lies inside from 68 % on: in 70 %, not in 60 %."""
    curve = interval_reliability({"EF_percent": values([1.0], [0.0], half=1.96)})["EF_percent"]

    assert dict(zip(NOMINAL, curve, strict=True)) == {p: float(p >= 0.7) for p in NOMINAL}


def test_either_half_of_an_interval_is_scaled_by_itself() -> None:
    """An interval 0…3 about 2 holds a truth of 1 from half its lower side on."""
    pairs = Pairs(true=np.array([1.0]), found=np.array([2.0]), low=np.array([0.0]), high=np.array([3.0]))

    curve = interval_reliability({"LVIDd_cm": pairs})["LVIDd_cm"]

    # Half the lower side is 0.98 standard deviations: 67 %.
    assert [p for p, inside in zip(NOMINAL, curve, strict=True) if inside] == [p for p in NOMINAL if p >= 0.7]


def test_a_rate_says_how_sure_it_is() -> None:
    """Wilson's interval: none of 1000 is at most 0.4 %, none of nothing is unknown."""
    assert Rate(hits=0, of=1000).ci95 == pytest.approx((0.0, 0.0038), abs=1e-4)
    assert Rate(hits=5, of=10).ci95 == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert Rate(hits=0, of=0).share is None


# Sample


def test_the_clinical_range() -> None:
    """Size, depth and resolution each decide (the strip has 0.04 cm per pixel, LVIDd 4.4 cm)."""
    tall = labelled(height=300)

    assert in_clinical_range(tall)
    assert not in_clinical_range(labelled(height=249))
    assert not in_clinical_range(labelled(height=300, cycles=0))
    assert not in_clinical_range(replace(tall, calibration=Calibration(cm_per_px_y=0.026, s_per_px_x=0.005)))
    assert not in_clinical_range(replace(tall, calibration=Calibration(cm_per_px_y=0.07, s_per_px_x=0.005)))


def test_a_plan_is_always_the_same_strips() -> None:
    """Sources of the test seeds give the same strip each time, lookalikes of every kind in turn."""
    plan = Plan(count=1, lookalikes=2 * len(LOOKALIKES), seed=7)
    first, again = (next(lv_sources(plan))() for _ in range(2))
    kinds = Counter(source.keywords["kind"] for source in lookalike_sources(plan))  # type: ignore[attr-defined]

    assert first.name == again.name
    assert np.array_equal(first.pixels, again.pixels)
    assert kinds == dict.fromkeys(LOOKALIKES, 2)


def test_a_plan_by_manner_holds_equally_many_of_each() -> None:
    """Ventricles without a manner and of each, no seed twice; look-alikes in manners of their own."""
    plan = Plan(count=2 * (1 + len(MANNERS)), lookalikes=30, by_manner=True)
    first = {name: next(lv_sources(plan, name)) for name in plan.groups}
    made = {name: source() for name, source in first.items()}

    assert plan.groups == dict.fromkeys(("", *MANNERS), 2)
    assert {name: strip.manners for name, strip in made.items()} == {
        name: (name,) if name else () for name in plan.groups
    }
    assert len({strip.name for strip in made.values()}) == len(made)
    assert any(source().manners for source in lookalike_sources(replace(plan, lookalikes=5)))


# Figures, document and page


def test_manners_are_told_apart() -> None:
    """Each manner has its own coverage and errors; a strip of two counts in both."""
    strips = [
        scored(),
        replace(scored(labelled(name="LV 2"), refused("no_cycle")), manners=("dropout",)),
        replace(scored(labelled(name="LV 3")), manners=("dropout", "specular")),
    ]

    found = by_manner([*strips, scored(labelled(name="IVC 1", kind="IVC", cycles=0), refused())])

    assert list(found) == [PLAIN, "dropout", "specular"]
    assert {name: (one.coverage.hits, one.coverage.of) for name, one in found.items()} == {
        PLAIN: (1, 1),
        "dropout": (1, 2),
        "specular": (1, 1),
    }
    assert found["dropout"].agreement["EF_percent"].count == 1
    assert error_text("EF_percent", found["dropout"]).endswith("%)")
    some = by_manner([scored(), replace(scored(), result=hidden_septum())])[PLAIN]
    assert error_text("IVSd_cm", some).endswith("% of 1)")
    html = page(evaluation([*mixed(), *strips]), [], {}, made=datetime.now(UTC))
    assert "strips of each manner" in html
    assert set(as_document(evaluation(strips))["by_manner"]) == set(found)


def off_by(share: float, number: int, **changes: str) -> ScoredStrip:
    """Return a measured strip whose values are all wrong by a share of themselves."""
    one = replace(scored(labelled(name=f"LV {number}")), **changes)  # type: ignore[arg-type]
    found = {name: Value(value=(1 + share) * v, ci95=(0.0, 9.0)) for name, v in one.values.items()}
    return replace(one, result=replace(one.result, measurements=found))


def test_other_weights_are_compared_strip_by_strip() -> None:
    """Errors of 1 to 3 % instead of 5 to 7 %: better, whichever way they err, and by how much; else equal."""
    mine = [off_by(share, n) for n, share in enumerate((0.01, -0.02, 0.03))]
    theirs = [off_by(share, n) for n, share in enumerate((-0.05, 0.06, -0.07))]
    LVIDd_cm = mine[0].values["LVIDd_cm"]

    beside = compared(mine, theirs, MODEL)
    found = beside.differences[ALL]["LVIDd_cm"]

    assert (found.count, found.mean, found.verdict) == (3, pytest.approx(-0.04 * LVIDd_cm), "better")
    assert compared(theirs, mine, MODEL).differences[PLAIN]["LVIDd_cm"].verdict == "worse"
    assert compared(mine, mine, MODEL).differences[ALL]["EF_percent"].verdict == "equal"
    assert difference_text("LVIDd_cm", beside.differences[ALL]).endswith(" better")
    assert set(as_document(replace(evaluation(mine), beside=beside))["beside"]["differences"]) == {ALL, PLAIN}


def test_what_one_of_two_models_withholds_is_not_compared() -> None:
    """Only strips on which both report a quantity count, and a single one tells nothing."""
    mine, theirs = [off_by(0.01, 1), off_by(0.01, 2)], [off_by(0.05, 1), scored(labelled(), refused())]

    beside = compared(mine, theirs, MODEL)

    assert beside.differences[ALL] == {}
    assert (beside.coverage.hits, beside.coverage.of) == (1, 2)


def mixed() -> list[ScoredStrip]:
    """Return two measured hearts, one refused, one look-alike refused and one measured."""
    off = strip_result()
    off = replace(
        off, measurements={k: Value(value=1.2 * v.value, ci95=v.ci95) for k, v in off.measurements.items()}
    )
    return [
        scored(),
        scored(labelled(name="LV 2"), off),
        scored(labelled(name="LV 3"), refused("no_cycle")),
        scored(labelled(name="IVC 1", kind="IVC", cycles=0), refused()),
        scored(labelled(name="TAPSE 1", kind="TAPSE", cycles=0)),
    ]


def evaluation(strips: list[ScoredStrip]) -> Evaluation:
    """Return what came out, as if it had been timed."""
    found, timing = figures(strips), Timing(median_s=0.2, p95_s=0.3, count=3)
    lines = tuple(targets(found, timing, Range.CLINICAL))
    return Evaluation(
        strips="made-up strips",
        model=MODEL,
        scored=tuple(strips),
        figures=found,
        timing=timing,
        targets=lines,
        by_manner=by_manner(strips),
    )


def test_coverage_refusals_and_false_measures() -> None:
    """Hearts and look-alikes are counted apart, false measures by kind."""
    found = figures(mixed())

    assert (found.coverage.hits, found.coverage.of) == (2, 3)
    assert found.refusals == {"no_cycle": 1}
    assert (found.false_measures.hits, found.false_measures.of) == (1, 2)
    assert {kind: rate.hits for kind, rate in found.false_measures_by_kind.items()} == {"IVC": 0, "TAPSE": 1}
    assert found.agreement["EF_percent"].count == 2


def test_targets_are_met_or_missed() -> None:
    """What is exact meets its target, what is not is said not to."""
    exact, wrong = evaluation([scored()]), evaluation(mixed())
    verdicts = {target.name: target.met for target in exact.targets}

    assert verdicts["EF, mean absolute error"] is True
    assert verdicts["Left ventricles measured"] is True
    assert verdicts["Measured although no left ventricle"] is None
    assert {t.name: t.met for t in wrong.targets}["Measured although no left ventricle"] is False


@pytest.mark.parametrize("strips", [mixed(), []])
def test_the_document_is_strict_json(strips: list[ScoredStrip]) -> None:
    """No NaN, nothing that JSON cannot say, with strips and without."""
    document = json.loads(json.dumps(as_document(evaluation(strips)), allow_nan=False))

    assert document["left_ventricles"]["measured"]["of"] == sum(one.is_lv for one in strips)


def test_the_page_holds_every_section_and_needs_no_other_file(tmp_path: Path) -> None:
    """Plots, worst cases, missed hearts, false measures and real pictures, all inside one file."""
    score = ge_score(tmp_path)
    html = page(
        evaluation(mixed()), [score], {"a.png": score.picture.path.read_bytes()}, made=datetime.now(UTC)
    )
    pictures = re.findall(r'src="([^"]{22})', html)

    for section in (
        "summary",
        "found",
        "agreement",
        "bland-altman",
        "reliability",
        "real",
        "worst",
        "missed",
        "false",
    ):
        assert f'<h2 id="{section}">' in html
    for name in ("LV 2", "LV 3", "TAPSE 1", "a.png", MODEL.sha256):
        assert name in html
    # Two plots, one real picture, two worst, one missed, one false.
    assert pictures == ["data:image/png;base64,"] * 7
    assert "http" not in html


def test_the_page_of_nothing_is_a_page() -> None:
    """No strip at all is no error: `--count 0` scores real pictures alone."""
    assert "Nothing was measured" in page(evaluation([]), [], {}, made=datetime.now(UTC))


def test_the_template_is_part_of_the_package() -> None:
    """An installed wheel finds it too."""
    assert files("inference.evaluation").joinpath("report.html").is_file()


# Real pictures


def ge_score(folder: Path) -> PictureScore:
    """Return a made-up picture with a printed EF, a caliper in its first beat, and three beats found."""
    Image.fromarray(texture(400, 600)).save(folder / "a.png")
    truth = {
        "kind": "LV",
        "mmode_region_px": {"x0": 0, "y0": 0, "x1": 599, "y1": 399},
        "cm_per_px": 0.04,
        "s_per_px": 0.005,
        "printed_by_device": {"LVIDd_cm": 4.5, "EF_Teich_pct": 60.0, "SV_Teich_ml": 1.0},
        "burned_in_calipers_px": {"ED_line_x": 100.0, "ED_rows": [1, 2], "ES_line_x": 140.0},
    }
    (folder / "truth.json").write_text(json.dumps({"a.png": truth}))
    (picture,) = read_pictures(folder)
    result = strip_result()
    free = beats_without_calipers(result, picture.caliper_columns_px)
    compared = compare(free, picture.printed)
    return PictureScore(
        picture=picture, result=result, compared=compared, beats_compared=len(free), counted=None
    )


def test_beats_under_burned_in_calipers_are_dropped(tmp_path: Path) -> None:
    """The first of three beats spans the calipers; means come from the two others."""
    early, late = cycle(40.0), cycle(300.0, length_px=200)
    result = strip_result([early, late])
    score = ge_score(tmp_path)

    assert beats_without_calipers(result, (100.0, 140.0)) == [late]
    assert beats_without_calipers(result, ()) == [early, late]
    assert score.beats_compared == 2
    assert score.compared["LVIDd_cm"].difference == pytest.approx(4.4 - 4.5)
    assert set(score.compared) == {"LVIDd_cm", "EF_percent"}


def cycles_at(*starts_px: float, long_px: float = 52.0) -> list[CycleBox]:
    """Cycles that the detector drew a little too long or too short, as it does."""
    return [CycleBox(x0=x, y0=0, x1=x + long_px, y1=9, probability=0.9) for x in starts_px]


def test_beats_too_faint_to_see_are_counted_at_the_rhythm_of_the_others() -> None:
    """Half of the beats of a regular heart are enough to know how many there are; four are the least."""
    assert beats_at_rhythm(cycles_at(104, 150, 203, 352, 401, 650), 1000) == 20
    assert beats_at_rhythm(cycles_at(104, 150, 203), 1000) == 3


def test_without_a_rhythm_only_the_detected_cycles_count() -> None:
    """Nobody knows how many beats an irregular heart makes while it is not seen."""
    assert beats_at_rhythm(cycles_at(100, 170, 244, 320, 394, 470), 1000) == 6


def test_beats_that_were_not_averaged_are_not_compared() -> None:
    """Only beats in `used` count."""
    result = replace(strip_result(), used=(2,))

    assert beats_without_calipers(result, (100.0,)) == [result.cycles[2]]


def test_a_picture_becomes_a_calibrated_image(tmp_path: Path) -> None:
    """Its one region has the place and scale of the truth."""
    picture = ge_score(tmp_path).picture
    (region,) = mmode_regions(picture.dataset())

    assert region.xyxy_px == (0, 0, 599, 399)
    assert region.calibration == Calibration(cm_per_px_y=0.04, s_per_px_x=0.005)


def test_a_dicom_object_is_measured_by_its_own_regions(tmp_path: Path) -> None:
    """It needs neither region nor scale in the table, and is no picture whose beats are counted."""
    save(us_image(texture(400, 600), [mmode_region(0, 0, 599, 399)]), tmp_path / "a.dcm")
    (tmp_path / "truth.json").write_text(json.dumps({"a.dcm": {"kind": "LV", "dicom": True}}))
    (picture,) = read_pictures(tmp_path)

    assert picture.has_scale
    assert len(mmode_regions(picture.dataset())) == 1
    assert picture.rgb().shape[2] == 3


def test_a_long_strip_is_looked_at_in_overlapping_windows() -> None:
    """Every column lies in a window, and each window starts half a width after the one before."""
    shown = list(windows(texture(40, 1000), 400, Calibration(cm_per_px_y=1.0, s_per_px_x=0.01)))

    assert [(one.region.x0, one.region.x1) for one in shown] == [(0, 399), (200, 599), (400, 799), (600, 999)]
    assert [one.pixels.shape for one in shown] == [(40, 400)] * 4
    (short,) = windows(texture(40, 100), 400, Calibration(cm_per_px_y=1.0, s_per_px_x=0.01))
    assert short.pixels.shape == (40, 100)


def test_a_real_ventricle_that_is_refused_misses_its_target(tmp_path: Path) -> None:
    """Refusing is no way to meet the printed values."""
    score = replace(ge_score(tmp_path), result=refused(), compared={}, beats_compared=0)

    assert [line.met for line in picture_targets([score])] == [False]
