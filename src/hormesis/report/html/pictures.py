"""Pictures of Matplotlib as a part of a page: no style, no font and no name of their own.

They are those of ``study.plot``, ``hormesis compare --out`` and ``hormesis retrain``. The page's
policy allows no styles in attributes, and several pictures share a page: styles become attributes,
and only the names that are referred to stay, with a prefix.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence

from hormesis.report.plots.comparison import pictures_of
from hormesis.report.plots.heatmap import draw_heatmap
from hormesis.report.plots.retraining import arms_picture
from hormesis.report.plots.style import Picture, svg_text
from hormesis.report.plots.surface import draw_surface
from hormesis.report.plots.target_selection import PAGE_ROWS
from hormesis.report.views.comparison_text import invariants
from hormesis.report.views.figures import extreme_targets, main_filter, moved_targets
from hormesis.report.views.findings import counts_sentence
from hormesis.report.views.turns import magnitude_series
from hormesis.results.comparison import Comparison
from hormesis.results.retraining import Retraining
from hormesis.results.study import Study

MOST_HEATMAPS = 4
"""Studies on one page that have a heat map of their own: drawing one takes a second or two."""

_PAGE_INCHES = 8.0  # the width of the page, at which letters have the size of its own
_TITLES = {
    "heatmap": "Heat map of the studies' scores",
    "ranks": "Order of the targets in each study",
    "pooled": "Means over trainings, with intervals",
}
_REFERENCE = re.compile(r"#([\w-]+)")


def study_pictures(studies: tuple[Study, ...]) -> Iterator[str]:
    """Yield the heat map of each study, unless they are many.

    Args:
        studies: All that the page shows.
    """
    for number, study in enumerate(studies if len(studies) <= MOST_HEATMAPS else ()):
        picture = draw_heatmap(study, extreme_targets(study, PAGE_ROWS), "single")
        label = f"Heat map of scores. {counts_sentence(study)} The table below has the numbers."
        yield inline_svg(picture, f"heatmap-{number}", label)


def comparison_pictures(comparison: Comparison) -> Iterator[str]:
    """Yield the pictures of a comparison, for each score.

    Args:
        comparison: Of the studies that the page shows.
    """
    invariant_texts = dict(line.split(":", 1) for line in invariants(comparison))
    for score, text in invariant_texts.items():
        for name, picture in pictures_of(comparison, score, list(_TITLES), least=_PAGE_INCHES):
            label = f"{_TITLES[name]} by {score} score: {' '.join(text.split())}."
            yield inline_svg(picture, f"{name}-{score}", label)


def surface_pictures(studies: Sequence[Study]) -> Iterator[str]:
    """Yield the surface of the targets whose scores move most as the attack grows.

    Args:
        studies: Of one network under several magnitudes.
    """
    series = magnitude_series(studies)
    scores = series.scores
    targets = moved_targets(scores.loc[scores["filter"] == main_filter(scores)], series.axis)
    if targets:
        label = "Adversarial performance over thresholds and magnitudes, a row a target."
        yield inline_svg(draw_surface(series, targets, "double"), "surface", label)


def retraining_pictures(retrainings: tuple[Retraining, ...]) -> Iterator[str]:
    """Yield the picture of each retraining with controls."""
    for number, retraining in enumerate(retrainings):
        if retraining.outcomes is not None:
            label = "Accuracy against ε, a line an arm; the table below has the differences."
            yield inline_svg(arms_picture(retraining), f"retraining-{number}", label)


def inline_svg(picture: Picture, name: str, label: str) -> str:
    """Return a picture as markup that a page may hold.

    Args:
        picture: Any picture.
        name: Its name on the page; also the prefix of the names within.
        label: Its description, for screen readers.
    """
    tree = ElementTree.fromstring(svg_text(picture))
    ids = {element.get("id") for element in tree.iter()}
    referred = ids & set(_REFERENCE.findall(" ".join(_attributes(tree))))
    size = tree.get("width", "").removesuffix("pt")
    _to_html_svg(tree, referred, name)
    for key in ("width", "height", "version"):
        tree.attrib.pop(key, None)
    tree.attrib |= {"role": "img", "aria-label": label, "data-picture": name}
    tree.attrib |= {"class": "picture", "data-points": size, "stroke-linejoin": "round"}
    return ElementTree.tostring(tree, encoding="unicode")


def _attributes(tree: ElementTree.Element) -> Iterator[str]:
    for element in tree.iter():
        yield from (value for key, value in element.attrib.items() if _local_name(key) != "id")


def _to_html_svg(element: ElementTree.Element, referred: set[str | None], prefix: str) -> None:
    """Turn an element, and all in it, into SVG within HTML: attributes, no namespaces."""
    element.tag = _local_name(element.tag)
    attributes = {
        _local_name(key): " ".join(value.split()) for key, value in element.attrib.items()
    }
    for declaration in attributes.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        attributes[key.strip()] = value.strip()
    element.attrib = {
        key: _prefix_names(key, value, referred, prefix)
        for key, value in attributes.items()
        if key and key != "font-family" and (key != "id" or value in referred)  # the page has one
    }
    for child in list(element):
        if _local_name(child.tag) in ("metadata", "style"):
            element.remove(child)
        else:
            _to_html_svg(child, referred, prefix)
            child.tail = None
    if element.tag not in ("text", "tspan"):
        element.text = None


def _prefix_names(key: str, value: str, referred: set[str | None], prefix: str) -> str:
    """Return an attribute in which names have a prefix; an image's lines are joined."""
    if key == "id":
        return f"{prefix}-{value}"
    if value.startswith(("#", "url(#")) and _REFERENCE.findall(value)[0] in referred:
        return value.replace("#", f"#{prefix}-")
    return value.replace(" ", "") if key == "href" else value


def _local_name(name: str) -> str:
    return name.rpartition("}")[2]
