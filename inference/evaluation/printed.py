"""Results on real pictures against the values their devices printed."""

from collections.abc import Collection, Mapping, Sequence
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
"""Greatest allowed difference of each length."""
MOST_OFF_EF = 5.0
"""Greatest allowed difference of EF, in percentage points."""
COUNT_TOLERANCE = 0.05
"""Greatest allowed difference of the number of beats, as a share."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One value as found and as printed by the device, in the unit of its name."""

    found: float
    printed: float

    @property
    def difference(self) -> float:
        """Found - printed."""
        return self.found - self.printed


@dataclass(frozen=True, kw_only=True)
class PictureScore:
    """One picture, its result, and the comparison with the printed values."""

    picture: RealPicture
    result: StripResult
    compared: Mapping[str, Compared]
    """Printed values beside the mean over the beats without burned-in calipers."""
    beats_compared: int
    counted: CountedBeats | None
    """Only for a picture without a scale."""

    @property
    def is_lv(self) -> bool:
        """True if the picture must be measured or, without a scale, its beats counted."""
        return self.picture.kind.endswith(LEFT_VENTRICLE)


def score_pictures(folder: Path, model: Model) -> list[PictureScore]:
    """Measure every picture of the folder.

    Raises:
        FileNotFoundError: there is no such folder, it has no `truth.json`, or a picture is missing.
    """
    return [score_picture(picture, model) for picture in read_pictures(folder)]


def score_picture(picture: RealPicture, model: Model) -> PictureScore:
    """Measure one picture; without a scale count its beats instead."""
    result = max(analyse(picture.dataset(), model), key=rank)
    free = beats_without_calipers(result, picture.caliper_columns_px)
    counted = None
    if not picture.has_scale:
        gray = np.asarray(Image.fromarray(picture.rgb()).convert("L"))
        counted = count_beats(gray, model)
    return PictureScore(
        picture=picture,
        result=result,
        compared=compare(free, picture.printed, result.withheld),
        beats_compared=len(free),
        counted=counted,
    )


def beats_without_calipers(result: StripResult, columns_px: Sequence[float]) -> list[CycleMeasurement]:
    """The averaged cycles whose box contains no burned-in caliper."""
    return [
        result.cycles[index]
        for index in result.used
        if not any(result.cycles[index].box.x0 <= x <= result.cycles[index].box.x1 for x in columns_px)
    ]


def compare(
    beats: Sequence[CycleMeasurement], printed: Mapping[str, float], withheld: Collection[str] = ()
) -> dict[str, Compared]:
    """Mean over the cycles beside each printed value that is measured too, and not withheld."""
    if not beats:
        return {}
    return {
        name: Compared(found=float(np.mean([beat.values[name] for beat in beats])), printed=value)
        for name, value in printed.items()
        if name in beats[0].values and name not in withheld
    }


def picture_targets(scores: Sequence[PictureScore]) -> list[Target]:
    """Targets of all pictures: outcome or number of beats, and differences from printed values."""
    lines: list[Target] = []
    for one in scores:
        lines += [outcome_target(one)] if one.counted is None else count_target(one, one.counted)
        lines += printed_targets(one)
    return lines


def printed_targets(one: PictureScore) -> list[Target]:
    """Differences of lengths and EF from the printed ones, where both exist."""
    lines = [
        Target(name=f"{one.picture.name}: {name}", required="reported", found="withheld", met=None)
        for name in one.result.withheld
        if name in one.picture.printed
    ]
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
    """The number of beats against a human reader's, where there is one."""
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
