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
    """Beats from well before zero to well after `until_s`, with jitter and premature beats."""
    rr_mean = 60.0 / draw("rate_bpm")
    jitter, ectopy = draw("rr_jitter"), draw("ectopy_chance")
    times, strengths = [-rr_mean * draw.between(1.2, 2.2)], [1.0]
    while times[-1] < until_s + 2 * rr_mean:
        premature = draw.chance(ectopy)
        rr = rr_mean * (0.62 if premature else 1.0) * (1 + jitter * draw.between(-1, 1))
        times.append(times[-1] + rr)
        strengths.append(draw.between(0.35, 0.8) if premature else 1 - jitter * draw.between(0, 0.6))
    return Rhythm(r_s=np.array(times), strength=np.array(strengths))


@dataclass(frozen=True, kw_only=True)
class Contraction:
    """Shape of one wall's motion over a beat, in shares of systole and of the beat."""

    systole: float
    rise: float
    drop: float
    plateau: float
    kick: float

    def curve(self, beats: Rhythm, t_s: Curve) -> Curve:
        """Contraction at times `t_s`: 0 relaxed, about 1 fully contracted.

        Slow rise in systole, sharp early-diastolic drop, plateau, small atrial kick.
        """
        knots: list[tuple[float, float]] = []
        for r, rr, strength in zip(beats.r_s[:-1], beats.rr_s, beats.strength[:-1], strict=True):
            systole = min(self.systole * np.sqrt(rr), 0.52 * rr)
            fill = min(systole + self.drop * rr, 0.82 * rr)
            knots += [
                (r + 0.02 * rr, 0.0),
                (r + 0.5 * systole, self.rise * strength),
                (r + systole, strength),
                (r + fill, self.plateau * strength),
                (r + 0.88 * rr, 0.7 * self.plateau * strength + 0.02),
                (r + 0.95 * rr, self.kick * self.plateau * strength),
            ]
        times, values = np.array(knots).T
        return np.asarray(PchipInterpolator(times, values, extrapolate=True)(t_s), dtype=np.float64)


def contraction(draw: Draw) -> Contraction:
    """One wall's shape."""
    return Contraction(
        systole=draw.between(0.30, 0.44),
        rise=draw.between(0.4, 0.75),
        drop=draw.between(0.06, 0.24),
        plateau=draw.between(0.0, 0.4),
        kick=draw.between(0.2, 0.8),
    )


def wander(draw: Draw, t_s: Curve, amplitude: float, period_s: float) -> Curve:
    """A slow smooth wander (respiration, drifting probe) of about this amplitude."""
    phases = [draw.between(0, 2 * np.pi) for _ in range(3)]
    waves = [np.sin(2 * np.pi * t_s * k / period_s + p) / k for k, p in enumerate(phases, start=1)]
    return np.asarray(amplitude * 0.6 * np.sum(waves, axis=0), dtype=np.float64)
