"""The report: one file with everything in it, opened without a server or a network."""

import base64
import hashlib
import html
import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from hormesis.report.html.comparison_payload import compare_sources, comparison_payload
from hormesis.report.html.payload import FEWEST_CURVES, MOST_CURVES, study_payload
from hormesis.report.html.pictures import (
    comparison_pictures,
    retraining_pictures,
    study_pictures,
    surface_pictures,
)
from hormesis.report.html.preview import link_preview
from hormesis.report.html.retraining_payload import retraining_payload
from hormesis.report.plots.heat_drawing import score_scale
from hormesis.report.views.palette import MISSING_COLOUR, css_variables, page_classes
from hormesis.report.views.sources import ReportSources, gather, headings, page_title
from hormesis.results.comparison import Comparison
from hormesis.storage.user_files import replacing_user_file

SCRIPTS = (
    *("base", "axes", "profile", "answer", "network", "curves", "weights"),
    *("pictures", "heat", "table", "moves", "several", "retrain", "take", "live", "main"),
)
_SAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def write_report(
    studies: Any,  # noqa: ANN401
    path: str | Path,
    *,
    title: str = "",
    refresh: int | float | None = None,
) -> Path:
    """Write a report on studies as one HTML file, which needs no server and no network.

    Args:
        studies: A study, studies of several epochs, a retraining, a folder of any of these, or a
            list of them. An unfinished study is shown as far as it is measured.
        path: The file. An existing one is replaced when the new one is complete.
        title: Heading of the page; by default network, data and epoch.
        refresh: Seconds after which a browser reads the page again, for a study that is measured
            while one looks on; None for never.

    Returns:
        The path of the file.

    Raises:
        StudyError: If there is nothing to show, a folder holds something else or is damaged, or the
            file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> study = hm.analyze(network, data, execution=hm.Execution(progress=False))
        >>> with TemporaryDirectory() as folder:
        ...     write_report(study, f"{folder}/report.html").name
        'report.html'
    """
    path = Path(path).expanduser()
    text = report_text(gather(studies), title=title, refresh=refresh)
    with replacing_user_file(path, "report") as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")  # names of files
    return path


def report_text(
    sources: ReportSources, *, title: str = "", refresh: int | float | None = None
) -> str:
    """Return the page.

    Args:
        sources: The studies and retrainings of the page.
        title: Heading of the page; by default network, data and epoch.
        refresh: See ``write_report``.
    """
    given = [study.given for study in sources.studies]
    labels, comparison = sources.labels, compare_sources(sources)
    most = max(FEWEST_CURVES, MOST_CURVES // max(1, len(labels)))
    payloads = [
        study_payload(study, label, most_curves=most)
        for label, study in zip(labels, sources.studies, strict=True)
    ]
    shared = {
        "title": title,
        "headings": headings(sources) or [page_title(sources)],
        "classes": page_classes(attacked=not sources.studies or not all(given)),
        "scale": score_scale(),
        "missing": [MISSING_COLOUR, "black"],
        "studies": labels,
        "several": comparison_payload(sources, comparison),
        "retraining": [retraining_payload(payload) for payload in sources.retrainings],
        "version": version("hormesis"),
    }
    if refresh is not None or not all(study.finished for study in sources.studies):
        shared["as_of"] = time.time()
    pictures: list[str] = []
    if refresh is None:  # while a study grows, drawing would take the time of measuring
        pictures = [*study_pictures(sources.studies), *retraining_pictures(sources.retrainings)]
        pictures += comparison_pictures(comparison) if isinstance(comparison, Comparison) else []
        pictures += surface_pictures(sources.studies) if sources.over == "epsilons" else []
    blocks = [_block("shared", shared)]
    blocks += [_block(f"study-{number}", payload) for number, payload in enumerate(payloads)]
    again = "" if refresh is None else f'<meta name="again" content="{refresh:g}">'
    heading = title or page_title(sources)
    preview = link_preview(sources, heading, drawn=refresh is None)
    filled = {
        "refresh": again,
        "preview": preview,
        "data": "\n".join(blocks),
        "pictures": "\n".join(pictures),
    }
    return fill_page("page", heading, SCRIPTS, filled)


def fill_page(template: str, heading: str, scripts: Sequence[str], parts: Mapping[str, str]) -> str:
    """Return a page: a template with its style and scripts, under a policy that allows no others.

    Args:
        template: Name of the template.
        heading: Title of the window.
        scripts: Names of its scripts, in their order.
        parts: Values of the template's other markers.
    """
    return _fill(_template(f"{template}.html"), {**_frame(heading, scripts), **parts})


def _frame(heading: str, scripts: Sequence[str]) -> dict[str, str]:
    """Return the values of the template's markers that do not depend on a study."""
    style = css_variables() + _template("page.css")
    script = "\n".join(_template(f"{name}.js") for name in scripts)
    return {
        "title": html.escape(f"{heading} · Hormesis"),
        "policy": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "version": version("hormesis"),
    }


def _fill(template: str, parts: Mapping[str, str]) -> str:
    """Return the template with each ``{{marker}}`` replaced; values may hold ``{{`` themselves."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, text = piece.partition("}}")
        filled += [parts[name], text]
    return "".join(filled)


def _block(name: str, values: Mapping[str, Any]) -> str:
    return f'<script type="application/json" id="{name}">{to_script_json(values)}</script>'


def to_script_json(values: Any) -> str:  # noqa: ANN401
    r"""Return values as JSON that can stand in a page: no name in it can end the script.

    Example:
        >>> to_script_json({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_SAFE)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _template(name: str) -> str:
    return (files("hormesis.report.html") / "templates" / name).read_text(encoding="utf-8")
