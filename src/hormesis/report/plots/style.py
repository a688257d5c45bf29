"""The style of every picture: lines, letters and files; its colours are in ``views.palette``."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hormesis.report.views.palette import FILTERS, LINES, LineLook
from hormesis.stress.filters import display_filter

COLUMN_INCHES = {"single": 3.4, "double": 7.0}
"""Inches of one and of two columns of a printed page."""

_MOST_LETTERS = 34  # of a target's name; more would squeeze the panels
_PAPER_DPI = 300.0
_SCREEN_DPI = 192
_POINTS = 72


def _line(look: LineLook) -> dict[str, Any]:
    return {"color": look.colour.light, "linestyle": look.linestyle}


CLEAN, ADVERSARIAL, REFERENCE = map(_line, LINES.values())

_FILES: dict[Any, Any] = {
    "pdf.fonttype": 42,  # letters stay letters: publishers refuse Type 3 fonts
    "svg.fonttype": "none",
    "svg.hashsalt": "hormesis",  # the same picture has the same bytes
}
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a name may hold dollar signs
}
PAPER_STYLE: dict[Any, Any] = {
    **STYLE,
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.5,
    "hatch.linewidth": 0.4,
    "lines.linewidth": 1.0,
    "patch.linewidth": 0.4,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "axes.labelpad": 2,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.2,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
}


class Picture(Figure):
    """A Matplotlib figure that needs no pyplot, and that a notebook shows."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture for a notebook, fine enough for dense screens."""
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=_SCREEN_DPI)
        width, height = self.get_size_inches()
        # Half as large again as on paper: a screen is further away.
        return content.getvalue(), {
            "width": round(1.5 * _POINTS * width),
            "height": round(1.5 * _POINTS * height),
        }


def picture(width: float, height: float) -> Picture:
    """Return an empty picture whose parts make room for each other.

    Args:
        width: In inches.
        height: In inches.
    """
    figure = Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def paper() -> Iterator[None]:
    """Draw within the block as for a printed page; the user's own settings stay."""
    with mpl.rc_context(PAPER_STYLE):
        yield


def freeze_layout(figure: Picture) -> Picture:
    """Return the picture laid out, so that drawing it again needs none of the settings."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            size = axis.get_tick_params().get("labelsize", mpl.rcParams["font.size"])
            axis.set_tick_params(labelsize=size)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the layout is done: drawing takes half the time
    return figure


def save(figure: Figure, path: Path, *, dpi: float = _PAPER_DPI) -> None:
    """Write a figure; the same figure gives the same bytes.

    Args:
        figure: Any figure.
        path: File to write; its suffix (``.png``, ``.svg``, ``.pdf``) chooses the format.
        dpi: Dots per inch of a PNG.
    """
    undated: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None, "ModDate": None},
    }
    with mpl.rc_context(_FILES):
        figure.savefig(path, dpi=dpi, metadata=undated.get(path.suffix.lower()))


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG, in which text is text; the same figure gives the same text."""
    content = io.StringIO()
    with mpl.rc_context(_FILES):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def filter_look(name: str) -> dict[str, Any]:
    """Return the colour and the dashes of a filter's line.

    Example:
        >>> filter_look("low_pass")["linestyle"]
        (0, (4, 1.5))
    """
    if name in FILTERS:
        return _line(FILTERS[name])
    own = display_filter(name)
    return {
        "color": own.color or LINES["reference"].colour.light,
        "linestyle": (0, own.dashes) if own.dashes else "-",
    }


def short(name: str, most: int = _MOST_LETTERS) -> str:
    """Return the end of a long name, which tells targets apart.

    Example:
        >>> short("layer4.1.conv2", most=9)
        '….1.conv2'
    """
    return name if len(name) <= most else f"…{name[1 - most :]}"


def short_all(names: Sequence[str], most: int = _MOST_LETTERS) -> list[str]:
    """Return long names cut such that they stay apart, if their ends or beginnings tell them apart.

    Args:
        names: Names of targets, of which those that are the same may stay so.
        most: Letters of each.

    Example:
        >>> short_all(["net.layers.0.attention.query", "net.layers.1.attention.query"], most=13)
        ['0.atte….query', '1.atte….query']
    """
    ends = [short(name, most) for name in names]
    if len(set(ends)) == len(set(names)):
        return ends
    parts = [name.split(".") for name in names]
    same = 0
    while all(len(own) > same + 1 and own[same] == parts[0][same] for own in parts):
        same += 1
    half = (most - 1) // 2
    rests = [".".join(own[same:]) for own in parts]
    return [
        rest if len(rest) <= most else f"{rest[: most - 1 - half]}…{rest[-half:]}" for rest in rests
    ]
