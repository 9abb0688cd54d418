"""Real pictures against what their machines printed, and against what they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from inference.analyse import Model, analyse, rank
from inference.evaluation.beats import CountedBeats, count_beats
from inference.evaluation.pictures import RealPicture, read_pictures
from inference.evaluation.targets import Target, at_most
from inference.evaluation.units import MM_PER_CM
from inference.labelled import LEFT_VENTRICLE
from inference.types import LENGTHS, CycleMeasurement, StripResult

MOST_OFF_MM = {name: 2.0 if name.startswith("LVID") else 1.5 for name in LENGTHS}
MOST_OFF_EF = 5.0
COUNT_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One value as we and the device's user have it, in the unit its name says."""

    found: float
    printed: float

    @property
    def difference(self) -> float:
        """Found - printed."""
        return self.found - self.printed


@dataclass(frozen=True, kw_only=True)
class PictureScore:
    """One picture, what became of it, and how that compares."""

    picture: RealPicture
    result: StripResult
    compared: Mapping[str, Compared]
    """Printed values beside the mean over the beats without burned-in calipers."""
    beats_compared: int
    counted: CountedBeats | None
    """Only for a picture without a scale."""

    @property
    def is_lv(self) -> bool:
        """True when it must be measured, or at least its beats counted."""
        return self.picture.kind.endswith(LEFT_VENTRICLE)


def score_pictures(folder: Path, model: Model) -> list[PictureScore]:
    """Every picture of the folder.

    Raises:
        FileNotFoundError: there is no such folder, it has no truth, or a picture is missing.
    """
    return [score_picture(picture, model) for picture in read_pictures(folder)]


def score_picture(picture: RealPicture, model: Model) -> PictureScore:
    """One picture; its beats are counted only where it has no scale."""
    result = max(analyse(picture.dataset(), model), key=rank)
    free = beats_without_calipers(result, picture.caliper_columns_px)
    counted = None
    if picture.calibration is None:
        gray = np.asarray(Image.fromarray(picture.rgb()).convert("L"))
        counted = count_beats(gray, model)
    return PictureScore(
        picture=picture,
        result=result,
        compared=compare(free, picture.printed),
        beats_compared=len(free),
        counted=counted,
    )


def beats_without_calipers(result: StripResult, columns_px: Sequence[float]) -> list[CycleMeasurement]:
    """The averaged beats whose box spans no burned-in caliper: those show the network the answer."""
    return [
        result.cycles[index]
        for index in result.used
        if not any(result.cycles[index].box.x0 <= x <= result.cycles[index].box.x1 for x in columns_px)
    ]


def compare(beats: Sequence[CycleMeasurement], printed: Mapping[str, float]) -> dict[str, Compared]:
    """Mean over the beats beside each printed value that we measure too."""
    if not beats:
        return {}
    return {
        name: Compared(found=float(np.mean([beat.values[name] for beat in beats])), printed=value)
        for name, value in printed.items()
        if name in beats[0].values
    }


def picture_targets(scores: Sequence[PictureScore]) -> list[Target]:
    """What real pictures must give: measured, refused or counted, and close to what was printed."""
    lines: list[Target] = []
    for one in scores:
        lines += [outcome_target(one)] if one.counted is None else count_target(one, one.counted)
        lines += printed_targets(one)
    return lines


def printed_targets(one: PictureScore) -> list[Target]:
    """Lengths and EF against the printed ones, as far as both are there."""
    lines = []
    for name, most_mm in MOST_OFF_MM.items():
        if (pair := one.compared.get(name)) is not None:
            label = f"{one.picture.name}: {name.removesuffix('_cm')} against printed"
            lines.append(at_most(label, abs(pair.difference) * MM_PER_CM, most_mm, "{:.1f} mm"))
    if (EF := one.compared.get("EF_percent")) is not None:
        label = f"{one.picture.name}: EF against printed"
        lines.append(at_most(label, abs(EF.difference), MOST_OFF_EF, "{:.1f} points"))
    return lines


def outcome_target(one: PictureScore) -> Target:
    """A left ventricle is measured, anything else refused."""
    required = "measured" if one.is_lv else "refused"
    found = "measured" if one.result.measured else f"refused ({one.result.reason})"
    name = f"{one.picture.name} ({one.picture.kind})"
    return Target(name=name, required=required, found=found, met=one.result.measured == one.is_lv)


def count_target(one: PictureScore, counted: CountedBeats) -> list[Target]:
    """Beats within five percent of a human's count, where there is one."""
    beats = one.picture.beats
    if beats is None:
        return []
    found = counted.beats
    return [
        Target(
            name=f"{one.picture.name}: beats counted",
            required=f"{beats} ± {100 * COUNT_TOLERANCE:.0f} %",
            found=str(found),
            met=abs(found - beats) <= COUNT_TOLERANCE * beats,
        )
    ]
