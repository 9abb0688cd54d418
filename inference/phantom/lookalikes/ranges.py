"""What the look-alikes vary beyond the phantom's own table: every number lies uniformly in its range.

Lengths in cm, levels in dB below full white, shares without unit. Whatever anatomy leaves free
(near field, chest wall, levels, rates, depth) comes from `inference.phantom.parameters` instead, so
that a look-alike differs from a left ventricle by its anatomy only.
"""

from dataclasses import dataclass

from inference.phantom.parameters import Draw

Range = tuple[float, float]

RANGES: dict[str, Range] = {
    # leaflets of mitral and tricuspid valve
    "leaflet_opens": (0.34, 0.50),  # seconds after the R wave, times the root of RR in seconds
    "leaflet_rise_s": (0.015, 0.08),
    "leaflet_closes_s": (-0.02, 0.05),
    "leaflet_fall_s": (0.012, 0.06),
    "leaflet_last": (0.15, 0.7),
    "leaflet_dB": (-18, 4),
    "posterior_leaflet_fainter_dB": (0, 16),
    "stroke_fainter_dB": (0, 8),
    "echo_below_leaflet_cm": (0.12, 0.6),
    "basal_motion": (0.05, 0.8),  # of the posterior wall's motion at chordal level
    # aortic root, left atrium, pulmonary valve
    "root_motion_cm": (0.25, 1.5),
    "root_parallel": (0.85, 1.1),
    "root_cm": (1.6, 4.6),
    "root_wall_cm": (0.12, 0.45),
    "calcified_wall_cm": (0.4, 0.9),
    "atrium_cm": (1.6, 4.5),
    "dilated_atrium_cm": (4.5, 8.0),
    "atrial_wall_motion_cm": (-0.1, 0.25),
    "atrial_wall_cm": (0.15, 0.6),
    "cusp_opening": (0.35, 0.97),  # share of half the lumen
    "ejection_starts_s": (0.04, 0.12),
    "ejection": (0.22, 0.34),  # seconds, times the root of RR in seconds
    "cusp_stroke_s": (0.008, 0.035),
    "cusp_dB": (-26, 0),
    "pulmonary_leaflet_cm": (0.6, 2.0),
    # annulus and apical cursors
    "annulus_motion_cm": (0.6, 2.8),
    "annulus_at_cm": (6.5, 14.0),
    "annulus_cm": (0.4, 2.4),
    "apex_motion_share": (0.1, 0.8),
    "apical_bands": (2, 7),
    "apical_band_dB": (-44, -10),
    "band_swing_dB": (-16, 10),
    "atrial_far_cm": (1.5, 6.0),
    # abdomen, vessels, lung
    "liver_cm": (3.5, 9.0),
    "liver_dB": (-36, -14),
    "breath_cm": (0.05, 0.9),
    "breath_s": (2.0, 6.0),
    "vena_cava_cm": (0.5, 2.8),
    "collapse": (0.0, 0.95),
    "vessel_cm": (0.4, 2.6),
    "vessel_pulse": (0.01, 0.12),
    "vessel_wall_cm": (0.06, 0.25),
    "pleura_cm": (0.9, 3.5),
    "air_band_cm": (0.25, 1.6),
    # flow
    "doppler_depth_cm": (5, 22),
    "doppler_reach": (0.3, 0.95),
    "flow_delay_s": (0.0, 0.16),
    # blood and bright walls anywhere
    "blood_swing_dB": (-14, 14),
    "bright_wall_dB": (-16, 6),
}


def vary(draw: Draw, name: str) -> float:
    """One number from the range called `name`."""
    return draw.between(*RANGES[name])


@dataclass(frozen=True, kw_only=True)
class MitralForm:
    """One picture of the mitral valve, as ranges; shares are of the left ventricular cavity."""

    chance: float
    excursion: Range
    """Opening of the anterior leaflet: never below 0.35, where a chordal level would begin."""
    mid: Range
    """Opening that is left between E and A wave, as a share of the full one."""
    a_wave: Range
    sigma_cm: Range
    posterior: Range
    """Opening of the posterior leaflet as a share of the anterior's; negative when it is tied to it."""
    systolic: Range = (0.0, 0.05)
    """Bulge of the closed leaflets towards the septum in mid-systole, as a share of the gap; negative
    where they sag towards the atrium."""


MITRAL: dict[str, MitralForm] = {
    "normal": MitralForm(
        chance=0.46,
        excursion=(0.45, 0.78),
        mid=(0.1, 0.75),
        a_wave=(0.35, 0.9),
        sigma_cm=(0.04, 0.13),
        posterior=(0.15, 0.6),
    ),
    "stenotic": MitralForm(
        chance=0.16,
        excursion=(0.35, 0.6),
        mid=(0.72, 0.97),
        a_wave=(0.7, 0.95),
        sigma_cm=(0.1, 0.28),
        posterior=(-0.5, -0.1),
    ),
    "SAM": MitralForm(
        chance=0.12,
        excursion=(0.42, 0.7),
        mid=(0.1, 0.6),
        a_wave=(0.35, 0.9),
        sigma_cm=(0.05, 0.16),
        posterior=(0.1, 0.5),
        systolic=(0.4, 1.0),
    ),
    "low_flow": MitralForm(
        chance=0.12,
        excursion=(0.35, 0.46),
        mid=(0.1, 0.6),
        a_wave=(0.4, 1.0),
        sigma_cm=(0.04, 0.13),
        posterior=(0.4, 0.9),
    ),
    "subvalvular": MitralForm(
        chance=0.08,
        excursion=(0.35, 0.55),
        mid=(0.1, 0.5),
        a_wave=(0.3, 0.8),
        sigma_cm=(0.03, 0.09),
        posterior=(0.05, 0.3),
    ),
    "prolapse": MitralForm(
        chance=0.06,
        excursion=(0.42, 0.7),
        mid=(0.1, 0.6),
        a_wave=(0.35, 0.9),
        sigma_cm=(0.05, 0.18),
        posterior=(0.2, 0.6),
        systolic=(-0.35, -0.1),
    ),
}
