"""When the heart beats and how its walls move: beat times and contraction curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from inference.phantom.parameters import Draw

Curve = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """The beats of one recording: times of the R waves in seconds and the strength of each beat (0…1)."""

    r_s: Curve
    strength: Curve

    @property
    def rr_s(self) -> Curve:
        """Length of each beat but the last."""
        return np.diff(self.r_s)


def rhythm(draw: Draw, until_s: float) -> Rhythm:
    """Beats from before zero to after `until_s`: regular, irregular, or with premature beats."""
    rr_mean = 60.0 / draw("rate_bpm")
    jitter = draw("rr_jitter") if draw.chance(0.7) else draw.between(0.15, 0.4)
    ectopy = draw("ectopy_chance") if draw.chance(0.4) else 0.0
    times, strengths = [-rr_mean * draw.between(1.2, 2.2)], [1.0]
    late = 1.0
    while times[-1] < until_s + 2 * rr_mean:
        premature = draw.chance(ectopy)
        early = draw.between(0.5, 0.75)
        rr = rr_mean * (early if premature else late) * (1 + jitter * draw.between(-1, 1))
        late = draw.between(1.0, 1.5) if premature else 1.0
        times.append(times[-1] + max(rr, 0.28))
        strengths.append(draw.between(0.3, 0.85) if premature else 1 - jitter * draw.between(0, 0.6))
    return Rhythm(r_s=np.array(times), strength=np.array(strengths))


@dataclass(frozen=True, kw_only=True)
class Contraction:
    """Shape of one wall's motion over a beat, in shares of systole and of the beat."""

    systole: float
    rise: float
    hold: float
    drop: float
    plateau: float
    kick: float
    delay: float

    def curve(self, beats: Rhythm, t_s: Curve) -> Curve:
        """Contraction at times `t_s`: 0 relaxed, about 1 fully contracted.

        Slow rise in systole, a peak or a rounded dome, early-diastolic drop, plateau, small atrial kick.
        """
        knots: list[tuple[float, float]] = []
        for r, rr, strength in zip(beats.r_s[:-1], beats.rr_s, beats.strength[:-1], strict=True):
            systole = min(self.systole * np.sqrt(rr), 0.52 * rr)
            held = min(systole + self.hold * rr, 0.6 * rr)
            fill = min(held + self.drop * rr, 0.82 * rr)
            knots += [
                (r + self.delay * rr, 0.0),
                (r + 0.5 * systole, self.rise * strength),
                (r + systole, strength),
                (r + held + 1e-3, (1 - self.hold) * strength),
                (r + fill, self.plateau * strength),
                (r + 0.88 * rr, 0.7 * self.plateau * strength + 0.02),
                (r + 0.95 * rr, self.kick * self.plateau * strength),
            ]
        times, values = np.array(knots).T
        return np.asarray(PchipInterpolator(times, values, extrapolate=True)(t_s), dtype=np.float64)


def contraction(draw: Draw) -> Contraction:
    """One wall's shape."""
    return Contraction(
        systole=draw.between(0.29, 0.44),
        rise=draw.between(0.35, 0.8),
        hold=draw.between(0.01, 0.12) if draw.chance(0.5) else 0.0,
        drop=draw.between(0.05, 0.28),
        plateau=draw.between(0.0, 0.45),
        kick=draw.between(0.2, 0.9),
        delay=draw.between(0.0, 0.06),
    )


def wander(draw: Draw, t_s: Curve, amplitude: float, period_s: float) -> Curve:
    """A slow smooth wander (respiration, drifting probe) of about this amplitude."""
    phases = [draw.between(0, 2 * np.pi) for _ in range(3)]
    waves = [np.sin(2 * np.pi * t_s * k / period_s + p) / k for k, p in enumerate(phases, start=1)]
    return np.asarray(amplitude * 0.6 * np.sum(waves, axis=0), dtype=np.float64)
