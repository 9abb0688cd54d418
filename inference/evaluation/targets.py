"""The targets of an evaluation, and whether they are met."""

from collections.abc import Iterator
from dataclasses import dataclass

from inference.evaluation.agreement import Rate
from inference.evaluation.figures import Figures, Timing
from inference.evaluation.sample import Range
from inference.evaluation.units import MM_PER_CM
from inference.types import LENGTHS

CAVITIES = ("LVIDd_cm", "LVIDs_cm")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One row of the summary, as text, and whether the target is met."""

    name: str
    required: str
    found: str
    met: bool | None
    """None: there was nothing to compare."""


def at_least(name: str, found: float | None, least: float, form: str) -> Target:
    """A figure with a lower limit."""
    met = None if found is None else found >= least
    return Target(name=name, required=f"≥ {form.format(least)}", found=_text(found, form), met=met)


def at_most(name: str, found: float | None, most: float, form: str) -> Target:
    """A figure with an upper limit."""
    met = None if found is None else found <= most
    return Target(name=name, required=f"≤ {form.format(most)}", found=_text(found, form), met=met)


def percent(rate: Rate) -> float | None:
    """0…100; None without strips."""
    return None if rate.share is None else 100.0 * rate.share


def _text(found: float | None, form: str) -> str:
    return "—" if found is None else form.format(found)


def targets(figures: Figures, timing: Timing | None, range_: Range) -> list[Target]:
    """All targets for this range of left ventricles."""
    of_range = clinical_targets if range_ is Range.CLINICAL else full_range_targets
    milliseconds = timing.median_s * 1000 if timing else None
    return [
        *of_range(figures),
        inside_target(figures),
        at_most("Measured although no left ventricle", percent(figures.false_measures), 0.5, "{:.2f} %"),
        at_most("Time for one strip, median, two cores", milliseconds, 400, "{:.0f} ms"),
    ]


def clinical_targets(figures: Figures) -> Iterator[Target]:
    """Targets for depth 8-18 cm, strips at least 250 pixels tall, LVIDd 3-7.5 cm."""
    yield at_least("Cycles found, average precision at IoU 0.5", figures.average_precision, 0.97, "{:.3f}")
    yield at_least("Left ventricles measured", percent(figures.coverage), 97, "{:.1f} %")
    for name in LENGTHS:
        one = figures.agreement.get(name)
        most_mm = 1.2 if name in CAVITIES else 0.8
        off_mm = one.mae * MM_PER_CM if one else None
        yield at_most(f"{name.removesuffix('_cm')}, mean absolute error", off_mm, most_mm, "{:.2f} mm")
    EF = figures.agreement.get("EF_percent")
    yield at_most("EF, mean absolute error", EF.mae if EF else None, 2.5, "{:.2f} points")
    yield within("EF, bias", (EF.bias,) if EF else (), 0.7)
    yield within("EF, 95 % limits of agreement", EF.limits if EF else (), 7.0)


def full_range_targets(figures: Figures) -> Iterator[Target]:
    """Targets for all phantoms, among them children, depths to 24 cm and strips of 150 pixels."""
    EF = figures.agreement.get("EF_percent")
    yield at_least("Left ventricles measured", percent(figures.coverage), 90, "{:.1f} %")
    yield at_most("EF, mean absolute error", EF.mae if EF else None, 4.0, "{:.2f} points")


def within(name: str, found: tuple[float, ...], reach: float) -> Target:
    """Signed figures that must all lie between -reach and +reach, in points of EF."""
    return Target(
        name=name,
        required=f"within ± {reach:g} points",
        found=" … ".join(f"{one:+z.2f}" for one in found) or "—",
        met=all(abs(one) <= reach for one in found) if found else None,
    )


def inside_target(figures: Figures) -> Target:
    """Coverage of the stated 95 % intervals, with a lower and an upper limit."""
    low, high = 92.0, 98.0
    shares = [percent(one.inside_ci95) or 0.0 for one in figures.agreement.values()]
    return Target(
        name="Truths inside the stated 95 % interval, lowest and highest of all quantities",
        required=f"{low:g} … {high:g} %",
        found=f"{min(shares):.1f} … {max(shares):.1f} %" if shares else "—",
        met=low <= min(shares) and max(shares) <= high if shares else None,
    )
