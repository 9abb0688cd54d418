"""Bland-Altman plots and reliability curves as PNG, in colours safe for colour blindness."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from inference.evaluation.agreement import NOMINAL, Agreement, Pairs
from inference.evaluation.figures import Figures
from inference.evaluation.units import shown
from inference.types import LENGTHS

PLOTTED = (*LENGTHS, "EDV_ml", "ESV_ml", "EF_percent")
COLUMNS = 3
BLUE, ORANGE, GREEN, GRAY, INK = "#0072B2", "#D55E00", "#009E73", "#9aa0a6", "#202124"
DPI = 120
STYLE: dict[str, Any] = {"color": INK, "fontsize": 9}


def bland_altman_png(figures: Figures) -> bytes:
    """Error over size for the six lengths, EDV, ESV and EF."""
    figure = Figure(figsize=(11.5, 9.9), layout=ConstrainedLayoutEngine(h_pad=0.12))
    axes = figure.subplots(len(PLOTTED) // COLUMNS, COLUMNS)
    for name, panel in zip(PLOTTED, axes.flat, strict=True):
        if name in figures.agreement:
            _bland_altman(panel, name, figures.compared[name], figures.agreement[name])
    return _png(figure)


def _bland_altman(panel: Axes, name: str, pairs: Pairs, agreement: Agreement) -> None:
    """One panel: mean of true and found across, found - true upwards (Bland and Altman 1986)."""
    label, unit, scale = shown(name)
    size, error = scale * (pairs.true + pairs.found) / 2, scale * pairs.error
    panel.plot(size, error, "o", color=BLUE, alpha=0.45, markersize=4, markeredgewidth=0)
    bias, limits = scale * agreement.bias, [scale * limit for limit in agreement.limits]
    reach = 1.25 * max(float(np.abs(error).max()), *map(abs, limits))
    panel.set_ylim(-reach, reach)
    panel.axhline(0, color=GRAY, linewidth=0.8)
    panel.axhspan(*limits, color=ORANGE, alpha=0.07)
    for level, style in ((bias, "-"), (limits[0], "--"), (limits[1], "--")):
        panel.axhline(level, color=ORANGE, linestyle=style, linewidth=1.3)
        where = (0.99, level)
        panel.annotate(
            f"{level:+z.1f}", where, xycoords=("axes fraction", "data"), ha="right", va="bottom", **STYLE
        )
    panel.set_title(f"{label}  (n = {agreement.count})", color=INK, fontsize=11, fontweight="bold")
    panel.set_xlabel(f"mean of found and true, {unit}", **STYLE)
    panel.set_ylabel(f"found - true, {unit}", **STYLE)
    _plain(panel)


def reliability_png(figures: Figures) -> bytes:
    """Left: coverage of the intervals. Right: share of boxes that are cycles, by stated probability."""
    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _interval_curves(left, figures)
    stated = [one.stated for one in figures.probability_reliability]
    observed = [one.observed for one in figures.probability_reliability]
    right.plot(stated, observed, "-", color=GREEN, linewidth=1)
    areas = [20 + 12 * np.sqrt(one.count) for one in figures.probability_reliability]
    right.scatter(stated, observed, areas, color=GREEN, alpha=0.75, label="boxes (area: how many)")
    _reliability_frame(right, "Detector", "stated probability of a cycle", "share that are cycles")
    return _png(figure)


def _interval_curves(panel: Axes, figures: Figures) -> None:
    """Every quantity thin, EF and the mean of all thick."""
    curves = figures.interval_reliability
    label = "each length and volume"
    for name, observed in curves.items():
        if name != "EF_percent":
            panel.plot(NOMINAL, observed, color=GRAY, linewidth=0.9, label=label)
            label = "_nolegend_"
    if curves:
        mean = np.mean(list(curves.values()), axis=0)
        panel.plot(NOMINAL, mean, "s-", color=BLUE, linewidth=2, markersize=4, label="mean of all")
    if "EF_percent" in curves:
        EF = curves["EF_percent"]
        panel.plot(NOMINAL, EF, "o--", color=ORANGE, linewidth=2, markersize=4, label="EF")
    _reliability_frame(panel, "Intervals", "stated share of truths inside", "observed share")


def _reliability_frame(panel: Axes, title: str, across: str, upwards: str) -> None:
    panel.plot([0, 1], [0, 1], ":", color=INK, linewidth=1, label="ideal")
    panel.set(xlim=(0, 1.01), ylim=(0, 1.01), aspect="equal")
    panel.set_title(title, color=INK, fontsize=11, fontweight="bold")
    panel.set_xlabel(across, **STYLE)
    panel.set_ylabel(upwards, **STYLE)
    panel.legend(frameon=False, fontsize=9, loc="lower right")
    _plain(panel)


def _plain(panel: Axes) -> None:
    """Without frame lines at the top and right."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8, colors=INK)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
    return stream.getvalue()
