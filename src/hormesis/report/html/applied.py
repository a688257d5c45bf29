"""An applied network in a notebook: what it is in sentences, its picture, and its proof."""

import html

from hormesis.report.plots.applied import applied_picture
from hormesis.report.plots.style import svg_text
from hormesis.results.applied import Applied
from hormesis.results.applied_text import applied_sentences


def applied_html(applied: Applied) -> str:
    """Return sentences and the picture of an applied network.

    Args:
        applied: An applied network.
    """
    about = applied.metadata
    title = f"{about.study.network} on {about.study.data}, applied: {about.aim.name}"
    sentences = [*applied_sentences(about, applied.steps, applied.proof), *about.notes]
    paragraphs = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    drawn = svg_text(applied_picture(applied)) if applied.helps else ""
    drawn = drawn[drawn.find("<svg") :] if drawn else ""
    return f"<div><h4>{html.escape(title)}</h4>{paragraphs}{drawn}</div>"
