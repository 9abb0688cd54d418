"""What lies in the cavities and is no wall: chordae, papillary bands, trabeculae, ghosts."""

import numpy as np

from inference.phantom.motion import Curve
from inference.phantom.parameters import Draw
from inference.phantom.scene import Line
from inference.phantom.texture import smooth_noise
from inference.phantom.walls import Walls

HOW_MANY = (0.25, 0.25, 0.22, 0.16, 0.12)
"""Shares of ventricles with 0, 1, 2, 3, 4 chordal echoes."""
FLICK = 0.25
"""Share of chordae that the opening valve pulls towards the septum for a moment."""


def chordae(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> list[Line]:
    """Every free line of a ventricular strip."""
    count = int(draw.rng.choice(len(HOW_MANY), p=HOW_MANY))
    lines = [line for _ in range(count) for line in chorda(draw, walls, size)]
    if draw.chance(0.45):
        lines += fibres(draw, walls, size)
    if draw.chance(0.5):
        lines += trabeculae(draw, walls, above, size)
    if draw.chance(0.3):
        lines += ghosts(draw, walls, size)
    if draw.chance(0.12):
        lines.append(septal_band(draw, walls, size))
    return lines


def chorda(draw: Draw, walls: Walls, size: float) -> list[Line]:
    """A chordal or papillary echo, any brightness, often brighter than the endocardium it runs along.

    It rides towards the septum in systole, more or less than the wall; often only a part of the beat
    shows it, often it is doubled. It keeps within the lower two thirds of the cavity and never crosses
    to the septum and back: that would be a mitral leaflet.
    """
    rest = draw.between(0.04, 0.6)
    cavity = walls.cavity_cm
    level = flickering(draw, walls, draw("chorda_dB"))
    own_lift = size * (draw.between(-0.2, 0.7) * walls.contraction + flick(draw, walls))
    y = walls.posterior_inner - rest * cavity * draw.between(0.75, 1.0) - own_lift
    y = np.clip(y, walls.septum_inner + 0.25 * cavity, walls.posterior_inner - 0.03 * size)
    seen_from, sharp = draw.between(0.05, 0.5), size * draw("chorda_sigma_cm")
    if draw.chance(0.5):
        shown = walls.contraction > seen_from if draw.chance(0.75) else walls.contraction < seen_from
        level = np.where(shown, level, np.nan)
    lines = [Line(y_cm=y, level_dB=level, sigma_cm=sharp)]
    if draw.chance(0.35):
        beside = y - size * draw.between(0.12, 0.4)
        lines.append(Line(y_cm=beside, level_dB=level - draw.between(-3, 10), sigma_cm=sharp))
    return lines


def flick(draw: Draw, walls: Walls) -> Curve:
    """How far (cm, adult size) the chorda is pulled up while the ventricle relaxes fastest."""
    relaxing = np.clip(-np.gradient(walls.contraction), 0, None)
    most = draw.between(0.2, 1.2) if draw.chance(FLICK) else 0.0
    return np.asarray(most * (relaxing / max(float(relaxing.max()), 1e-6)) ** 2)


def trabeculae(draw: Draw, walls: Walls, above: dict[str, float], size: float) -> list[Line]:
    """Bits of the right ventricle that touch the septum's right side and make it ragged.

    They appear and vanish at different times; only that distinguishes them from the border.
    """
    lines = []
    room = max(float(np.min(walls.septum_outer)) - above["rv"], 0.1)
    for _ in range(int(draw.between(1, 5))):
        off = min(size * draw("trabecula_cm"), room)
        slow = draw.between(8, 60)
        noise, shown = smooth_noise(draw.rng, len(walls.septum_outer), slow, 2)
        wobble = 0.3 * off * noise
        level = flickering(draw, walls, draw("septum_dB") + draw.between(-8, 8))
        level = np.where(shown > draw.between(-0.5, 1.0), level, np.nan)
        y = walls.septum_outer - off + wobble * draw.between(0, 1)
        lines.append(Line(y_cm=y, level_dB=level, sigma_cm=size * draw("chorda_sigma_cm")))
    return lines


def septal_band(draw: Draw, walls: Walls, size: float) -> Line:
    """A false tendon or moderator band just left of the septum."""
    y = walls.septum_inner + size * draw.between(0.12, 0.5)
    level = flickering(draw, walls, draw("chorda_dB") - 6)
    return Line(
        y_cm=np.minimum(y, walls.posterior_inner - 0.3 * walls.cavity_cm),
        level_dB=level,
        sigma_cm=size * draw("chorda_sigma_cm"),
    )


def fibres(draw: Draw, walls: Walls, size: float) -> list[Line]:
    """Lines within the posterior wall, often brighter than the endocardium, never than the pericardium."""
    thick = walls.posterior_outer - walls.posterior_inner
    return [
        Line(
            y_cm=walls.posterior_inner + draw.between(0.4, 0.85) * thick,
            level_dB=flickering(draw, walls, draw("fibre_dB")),
            sigma_cm=size * draw("chorda_sigma_cm"),
        )
        for _ in range(int(draw.between(1, 3)))
    ]


def ghosts(draw: Draw, walls: Walls, size: float) -> list[Line]:
    """Reverberation of the pericardium: weaker copies behind it that move with it."""
    off = size * draw.between(0.4, 1.6)
    level = draw.between(-34, -12)
    return [
        Line(
            y_cm=walls.posterior_outer + k * off,
            level_dB=flickering(draw, walls, level - 6 * k),
            sigma_cm=size * draw.between(0.05, 0.2),
        )
        for k in range(1, int(draw.between(2, 4)))
    ]


def flickering(draw: Draw, walls: Walls, level_dB: float) -> Curve:
    """A level that comes and goes over time, now and then gone for a while."""
    columns = len(walls.contraction)
    noise = smooth_noise(draw.rng, columns, columns / draw.between(10, 80))[0]
    level = level_dB + draw.between(0.5, 6) * noise
    return np.where(noise < draw.between(-3, -0.8), np.nan, level) if draw.chance(0.5) else level
