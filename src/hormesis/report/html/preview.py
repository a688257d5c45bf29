"""What shows where a page is linked to or bookmarked: a description, a picture, an icon."""

import base64
import html
import io
from urllib.parse import quote

from PIL import Image, ImageDraw

from hormesis.report.views.figures import main_filter
from hormesis.report.views.findings import counts_sentence
from hormesis.report.views.palette import BAND, CLASS_LOOKS, PAGE, PAPER
from hormesis.report.views.retraining_text import answer
from hormesis.report.views.sources import ReportSources
from hormesis.results.study import Study

SIZE = 600, 315  # pixels: the proportions that previews have
_EDGE = 24
_WIDEST = 14.0  # pixels of a mark
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<path fill="{fragile}" d="M2 18H14L8 28Z"/><path fill="{antifragile}" d="M18 14H30L24 4Z"/>'
    '<path stroke="{robust}" stroke-width="3" d="M2 16H30"/></svg>'
)


def link_preview(sources: ReportSources, title: str, *, drawn: bool) -> str:
    """Return the part of a page's head that describes it to those who show a link to it.

    Everything is in the page itself. Some services show pictures at an address only; they show the
    title and the description.

    Args:
        sources: The studies and retrainings of the page.
        title: Its title.
        drawn: Whether to draw the picture.
    """
    description = _description(sources, title)
    tags = [f'<meta name="description" content="{html.escape(description)}">']
    properties = {"type": "article", "title": title, "description": description}
    if drawn and sources.studies:
        picture = base64.b64encode(preview_picture(sources.studies[-1])).decode()
        properties["image"] = f"data:image/png;base64,{picture}"
    tags += [
        f'<meta property="og:{name}" content="{html.escape(value)}">'
        for name, value in properties.items()
    ]
    return "\n".join([*tags, f'<link rel="icon" href="{icon()}">'])


def icon() -> str:
    """Return the icon of pages: a mark above a line, and one beneath it."""
    colours = {
        name: CLASS_LOOKS[name].colour.light for name in ("fragile", "robust", "antifragile")
    }
    return f"data:image/svg+xml,{quote(_ICON.format(**colours))}"


def _description(sources: ReportSources, title: str) -> str:
    if len(sources.studies) == 1:
        return counts_sentence(sources.studies[0])
    if sources.studies:
        return (
            f"{len(sources.studies)} studies of {title}: which parameters are fragile, robust "
            "or antifragile."
        )
    sentences = [sentence for each in sources.retrainings for sentence in answer(each)]
    return " ".join(sentences) or title


def preview_picture(study: Study) -> bytes:
    """Return every score of a study as a small picture, without any letters: a PNG.

    Args:
        study: Any study.
    """
    rows = study.scores.loc[study.scores["filter"] == main_filter(study.scores)]
    score = "adversarial" if study.stressed else "clean"
    rows = rows.loc[(rows["score"] == score) & rows["value"].notna()]
    values, names = rows["value"].tolist(), rows["class"].tolist()
    tolerance = study.scoring.tolerance
    low, high = min(-2 * tolerance, *values, 0.0), max(2 * tolerance, *values, 0.0)
    width, height = SIZE

    def y(value: float) -> float:
        return _EDGE + (high - value) / (high - low) * (height - 2 * _EDGE)

    picture = Image.new("RGB", SIZE, PAPER)
    canvas = ImageDraw.Draw(picture)
    canvas.rectangle([0, y(tolerance), width, y(-tolerance)], fill=BAND)
    canvas.line([0, y(0.0), width, y(0.0)], fill=PAGE["soft"].light, width=2)
    step = (width - 2 * _EDGE) / max(1, len(values))
    for number, (value, name) in enumerate(zip(values, names, strict=True)):
        x, half = _EDGE + step * (number + 0.5), max(2.0, min(_WIDEST, step) / 2)
        ends = sorted([y(0.0), y(value)])
        colour = CLASS_LOOKS[name].colour.light
        canvas.rectangle([x - half, ends[0], x + half, ends[1] + 1], fill=colour)
    content = io.BytesIO()
    picture.quantize(16).save(content, "PNG", optimize=True)
    return content.getvalue()
