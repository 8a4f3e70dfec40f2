"""Curves as pictures: SVG text, drawn by matplotlib without a display.

``bench.page`` puts them into the report.
"""

from __future__ import annotations

import io
from typing import Final

import matplotlib as mpl

from bench.outcome import Curve

_SIZE: Final = (6.4, 3.6)
"""Inches."""
_COLOURS: Final = ("#d08700", "#3a6ea5", "#5f8f3f", "#a04040", "#705090", "#606060")
_MARKERS: Final = ("o", "s", "^", "D", "v", "x")


def svg(curve: Curve) -> str:
    """One picture; the same curve gives the same text."""
    mpl.use("svg")
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": curve.title, "svg.fonttype": "none"}):
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.add_subplot()
        for at, line in enumerate(curve.lines):
            slope = f", slope {line.grows}" if line.grows and curve.growth else ""
            axes.plot(
                [x for x, _ in line.points],
                [y for _, y in line.points],
                color=_COLOURS[at % len(_COLOURS)],
                marker=_MARKERS[at % len(_MARKERS)],
                label=line.name + slope,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(curve.x)
        axes.set_ylabel(curve.y)
        axes.set_title(curve.title)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
