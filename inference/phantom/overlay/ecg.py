"""The ECG and the breathing curve."""

import numpy as np
from numpy.typing import NDArray

from inference.phantom.motion import Curve
from inference.phantom.overlay.canvas import Canvas

WAVES = {
    "P": (-0.16, 0.022, 0.03, 0.25),
    "Q": (-0.030, 0.010, -0.2, 0.0),
    "R": (0.0, 0.011, 0.4, 1.0),
    "S": (0.034, 0.013, -0.35, 0.0),
    "T": (0.27, 0.05, -0.15, 0.7),
}
"""Time after R in seconds, width (sigma) in seconds, lowest and highest height of each wave."""


def ecg(canvas: Canvas, rate_bpm: float) -> None:
    """A trace at the head, the foot or across the strip.

    It beats at a rate of the heart but not with it: no network shall lean on an ECG, which many strips lack.
    """
    r_s = made_up_r_waves(canvas, rate_bpm)
    place = canvas.one_of(("head", "head", "head", "foot", "foot", "foot", "middle"))
    base = canvas.height * canvas.number(f"ecg_{place}_share")
    tall = canvas.height * canvas.number("ecg_tall_share")
    if place != "middle" and canvas.happens("ecg_on_black"):
        black_bar(canvas, head=place == "head", edge_px=base + tall / 2 if place == "head" else base - tall)
    gray = canvas.whole("ecg_gray")
    trace(canvas, base - tall * shape(canvas, r_s), gray, canvas.one_of((1, 1, 1, 2, 2, 3)))
    if canvas.happens("ecg_r_marks"):
        r_marks(canvas, r_s, base - tall * 1.2, gray)


def black_bar(canvas: Canvas, *, head: bool, edge_px: float) -> None:
    """Black from the head or from the foot of the strip to `edge_px`, but not over the heart."""
    first, last = canvas.heart_px or (canvas.height, 0)
    start, stop = (0, min(edge_px, first)) if head else (max(edge_px, last), canvas.height)
    if start < stop:
        canvas.pen.rectangle((0, start, canvas.width, stop), fill=0)


def made_up_r_waves(canvas: Canvas, rate_bpm: float) -> NDArray[np.float64]:
    """Times in seconds of R waves at this rate, independent of the strip's beats."""
    rr = 60 / rate_bpm
    start, stop = canvas.time.t_s.min() - rr, canvas.time.t_s.max() + rr
    even = np.arange(start + canvas.draw.between(0, rr), stop, rr)
    return np.asarray(even + rr * canvas.number("ecg_rr_jitter") * canvas.draw.rng.uniform(-1, 1, len(even)))


def shape(canvas: Canvas, r_s: NDArray[np.float64]) -> Curve:
    """Height of the trace at each column in units of a tall R wave, upwards."""
    after = canvas.time.t_s - r_s[:, np.newaxis]
    size, stretch = beats(canvas, len(r_s))
    total = np.zeros(canvas.width)
    for name, (at_s, sigma_s, low, high) in WAVES.items():
        height = canvas.draw.between(low, high)
        if name == "S" and canvas.happens("ecg_biphasic"):
            height = -canvas.draw.between(0.5, 1.1)
        sigma = max(sigma_s * canvas.draw.between(0.8, 1.5), 0.6 * canvas.time.s_per_px)
        total += height * (size * np.exp(-0.5 * ((after - at_s) / (sigma * stretch)) ** 2)).sum(axis=0)
    if canvas.happens("ecg_inverted"):
        total = -total
    if canvas.happens("ecg_saturated"):
        limit = canvas.number("ecg_saturation")
        total = np.clip(total, -limit, limit)
    return total + unrest(canvas)


def beats(canvas: Canvas, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Size and width of each beat against the first, two (count, 1) arrays: an ectopic beat is wide."""
    size = canvas.draw.rng.normal(1, 0.05, (count, 1))
    if not canvas.happens("ecg_ectopy"):
        return size, np.ones((count, 1))
    ectopic = canvas.draw.rng.random((count, 1)) < 0.2
    return np.where(ectopic, -0.9, 1) * size, np.where(ectopic, 2.5, 1.0)


def unrest(canvas: Canvas) -> Curve:
    """Baseline wander and muscle noise, in units of a tall R wave."""
    total = np.zeros(canvas.width)
    if canvas.happens("ecg_wander"):
        total += canvas.number("ecg_wander_share") * slow_wave(canvas, "wander_s")
    if canvas.happens("ecg_noise"):
        total += canvas.number("ecg_noise_share") * canvas.draw.rng.standard_normal(canvas.width)
    return total


def slow_wave(canvas: Canvas, period: str) -> Curve:
    """A sine of the period in the range called `period`, from -1 to 1."""
    turns = canvas.time.t_s / canvas.number(period) + canvas.draw.between(0, 1)
    return np.asarray(np.sin(2 * np.pi * turns))


def respiration(canvas: Canvas) -> None:
    """A slow breathing curve anywhere."""
    base, tall = (
        canvas.height * canvas.draw.between(0.03, 0.97),
        canvas.height * canvas.draw.between(0.01, 0.05),
    )
    wave = slow_wave(canvas, "respiration_s")
    trace(canvas, base - tall * np.abs(wave) * wave, canvas.whole("ecg_gray"), canvas.one_of((1, 1, 2)))


def trace(canvas: Canvas, y_px: Curve, gray: int, thick_px: int) -> None:
    """A curve that breaks at the sweep gap."""
    for start, stop in canvas.time.segments:
        if stop - start > 1:
            xy = np.column_stack([np.arange(start, stop), y_px[start:stop]])
            canvas.pen.line(xy.ravel().tolist(), fill=gray, width=thick_px)


def r_marks(canvas: Canvas, r_s: NDArray[np.float64], y_px: float, gray: int) -> None:
    """A small tick where the machine saw each R wave."""
    long = canvas.whole("tick_px")
    for r in r_s:
        x = int(np.argmin(np.abs(canvas.time.t_s - r)))
        if abs(canvas.time.t_s[x] - r) < canvas.time.s_per_px:
            canvas.pen.line((x, y_px, x, y_px - long), fill=gray, width=canvas.one_of((1, 2)))
