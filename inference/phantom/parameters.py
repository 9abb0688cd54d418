"""What the phantom varies, in one table: every number it draws lies in one of these ranges.

The ranges are wider than in clinical practice (domain randomisation), so that real strips lie within the
variation a network is trained on.
"""

from dataclasses import dataclass

import numpy as np

RANGES: dict[str, tuple[float, float]] = {
    # strip
    "height_px": (150, 520),
    "width_px": (150, 1500),
    "seconds": (1.6, 9.0),
    "depth_margin_cm": (0.5, 7.0),
    "least_depth_cm": (4.0, 20.0),
    # rhythm
    "rate_bpm": (40, 180),
    "rr_jitter": (0.0, 0.15),
    "ectopy_chance": (0.0, 0.25),
    "respiration_cm": (0.0, 0.35),
    # left ventricle, adult size; children are the same heart scaled down
    "LVIDd_cm": (3.0, 8.0),
    "FS": (0.06, 0.50),
    "IVSd_cm": (0.45, 2.4),
    "LVPWd_cm": (0.4, 2.0),
    "IVS_thickening": (0.02, 0.75),
    "LVPW_thickening": (0.15, 1.1),
    "septal_share": (0.08, 0.55),
    "paradox_share": (-0.3, 0.0),
    "outward_cm": (0.0, 0.2),
    "child_scale": (0.38, 1.0),
    # neighbours
    "near_field_cm": (0.3, 2.6),
    "chest_wall_cm": (0.2, 2.8),
    "RV_wall_cm": (0.15, 0.9),
    "RV_cm": (0.3, 3.6),
    "RV_motion_cm": (-0.2, 1.0),
    "pericardium_cm": (0.1, 0.6),
    "effusion_cm": (0.2, 2.0),
    "chorda_sigma_cm": (0.015, 0.075),
    "trabecula_cm": (0.03, 0.7),
    # echo levels, dB below full white
    "near_field_dB": (-34, -6),
    "chest_wall_dB": (-48, -16),
    "RV_dB": (-66, -24),
    "septum_dB": (-38, -14),
    "posterior_wall_dB": (-43, -18),
    "pericardium_dB": (-6, 8),
    "cavity_dB": (-74, -46),
    "far_dB": (-52, -18),
    "chorda_dB": (-38, 0),
    "fibre_dB": (-38, -13),
    "valve_dB": (-24, 2),
    "edge_dB": (-5, 13),
    "layering_dB": (1, 7),
    "dropout_dB": (0, 7),
    "systolic_dB": (-6, 9),
    "click_dB": (6, 26),
    "edge_flutter_dB": (0.5, 7),
    "edge_fade_dB": (0, 12),
    # texture
    "streak_share": (0.0, 0.95),
    "axial_scale": (0.55, 1.9),
    "column_step": (0.5, 3.0),
    "motion_decorrelation": (0, 6),
    # machine
    "dynamic_range_dB": (46, 72),
    "gain_dB": (-9, 9),
    "tgc_dB": (0, 4),
    "noise_dB": (-84, -48),
    "noise_rise_dB": (0, 14),
    "clutter_dB": (-84, -50),
    "gamma": (0.7, 1.35),
    "blur_axial_px": (0.2, 1.0),
    "blur_lateral_px": (0.2, 1.6),
    "jpeg_quality": (35, 96),
}
LOGARITHMIC = frozenset({"width_px", "seconds", "rate_bpm", "height_px"})
"""Drawn evenly in the logarithm: as many strips between 2 and 4 s as between 4 and 8 s."""


@dataclass(frozen=True)
class Draw:
    """Draws numbers from `RANGES` with one random generator, and knows in which manners to draw."""

    rng: np.random.Generator
    manners: frozenset[str] = frozenset()
    """In which to draw, see `manners`."""

    def __call__(self, name: str) -> float:
        """One number from the range called `name`."""
        low, high = RANGES[name]
        if name in LOGARITHMIC:
            return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """One number from a range that belongs to one drawing only."""
        return float(self.rng.uniform(low, high))
