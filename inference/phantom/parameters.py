"""What the phantom varies, in one table: every number it draws lies uniformly in one of these ranges.

The ranges are wider than any clinic sees (domain randomisation): a network that has seen them meets
a real strip as just another phantom.
"""

from dataclasses import dataclass

import numpy as np

RANGES: dict[str, tuple[float, float]] = {
    # strip
    "height_px": (150, 420),
    "width_px": (220, 900),
    "seconds": (2.2, 7.0),
    "depth_margin_cm": (0.6, 6.0),
    # rhythm
    "rate_bpm": (45, 150),
    "rr_jitter": (0.0, 0.12),
    "ectopy_chance": (0.0, 0.12),
    "respiration_cm": (0.0, 0.25),
    # left ventricle, adult size; children are the same heart scaled down
    "LVIDd_cm": (3.2, 7.4),
    "FS": (0.10, 0.48),
    "IVSd_cm": (0.5, 1.9),
    "LVPWd_cm": (0.45, 1.7),
    "IVS_thickening": (0.1, 0.7),
    "LVPW_thickening": (0.3, 1.0),
    "septal_share": (0.15, 0.5),
    "child_scale": (0.4, 1.0),
    # neighbours
    "near_field_cm": (0.5, 1.8),
    "chest_wall_cm": (0.3, 2.6),
    "RV_wall_cm": (0.2, 0.6),
    "RV_cm": (0.4, 2.6),
    "pericardium_cm": (0.12, 0.55),
    "effusion_cm": (0.2, 1.4),
    # echo levels, dB below full white
    "near_field_dB": (-30, -8),
    "chest_wall_dB": (-42, -18),
    "septum_dB": (-32, -14),
    "posterior_wall_dB": (-38, -18),
    "pericardium_dB": (-10, 8),
    "cavity_dB": (-70, -44),
    "far_dB": (-42, -18),
    "chorda_dB": (-26, 2),
    "valve_dB": (-20, 2),
    "edge_dB": (-2, 16),
    "layering_dB": (1, 7),
    "dropout_dB": (0, 9),
    # machine
    "dynamic_range_dB": (42, 66),
    "gain_dB": (-8, 8),
    "tgc_dB": (-8, 8),
    "noise_dB": (-78, -42),
    "gamma": (0.75, 1.3),
    "blur_axial_px": (0.3, 1.1),
    "blur_lateral_px": (0.2, 1.4),
    "jpeg_quality": (35, 96),
}


@dataclass(frozen=True)
class Draw:
    """Draws numbers from `RANGES` with one random generator."""

    rng: np.random.Generator

    def __call__(self, name: str) -> float:
        """One number from the range called `name`."""
        low, high = RANGES[name]
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """One number from a range that belongs to one drawing only."""
        return float(self.rng.uniform(low, high))
