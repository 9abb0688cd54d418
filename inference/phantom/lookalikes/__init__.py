"""Strips that are not a left ventricle at chordal level, and that must be refused."""

from collections.abc import Callable

from inference.phantom.lookalikes.aorta import aorta, pulmonary
from inference.phantom.lookalikes.apical import four_chamber, mapse, tapse
from inference.phantom.lookalikes.flow import colour, doppler
from inference.phantom.lookalikes.mitral import mitral, tricuspid
from inference.phantom.lookalikes.still import air, liver, lung, noise, vena_cava, vessel
from inference.phantom.lookalikes.ventricular import no_posterior_wall
from inference.phantom.parameters import Draw
from inference.phantom.scene import Scene, Timeline

__all__ = ["LOOKALIKES", "WEIGHTS"]

LOOKALIKES: dict[str, Callable[[Draw, Timeline], Scene]] = {
    "mitral": mitral,
    "aorta": aorta,
    "TAPSE": tapse,
    "MAPSE": mapse,
    "apical": four_chamber,
    "tricuspid": tricuspid,
    "pulmonary": pulmonary,
    "no_posterior_wall": no_posterior_wall,
    "IVC": vena_cava,
    "liver": liver,
    "vessel": vessel,
    "lung": lung,
    "colour": colour,
    "doppler": doppler,
    "air": air,
    "noise": noise,
}
WEIGHTS = {
    "mitral": 0.23,
    "aorta": 0.19,
    "TAPSE": 0.14,
    "MAPSE": 0.04,
    "apical": 0.05,
    "tricuspid": 0.04,
    "pulmonary": 0.03,
    "no_posterior_wall": 0.08,
    "IVC": 0.06,
    "liver": 0.01,
    "vessel": 0.03,
    "lung": 0.02,
    "colour": 0.03,
    "doppler": 0.03,
    "air": 0.01,
    "noise": 0.01,
}
"""How often each kind is drawn when the kind is free: hard ones most."""
