"""A true left ventricle that cannot be measured: the strip ends before the posterior wall."""

from inference.phantom.cavity import chordae
from inference.phantom.lookalikes.pieces import body_size, within
from inference.phantom.neighbours import around
from inference.phantom.parameters import Draw
from inference.phantom.scene import Scene, Timeline
from inference.phantom.ventricle import moving_walls


def no_posterior_wall(draw: Draw, time: Timeline) -> Scene:
    """Depth set too shallow: septum and part of the cavity, never the posterior endocardium."""
    size = body_size(draw)
    walls, above = moving_walls(draw, time, size)
    shallow, deep = float(walls.septum_inner.min()), float(walls.posterior_inner.min())
    depth = shallow + draw.between(0.35, 0.95) * (deep - shallow)
    layers, lines = around(draw, walls, above, size)
    layers, lines = within(layers, depth), [*chordae(draw, walls, above, size), *lines]
    return Scene(kind="no_posterior_wall", depth_cm=depth, layers=layers, lines=lines)
