"""A gallery: a folder with a page for each study, and an index with a table of them all."""

import html
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hormesis.analysis.classes import ANTIFRAGILE, CLASSES, FRAGILE, ROBUST, UNDECIDED
from hormesis.errors import StudyError
from hormesis.report.html.page import fill_page, write_report
from hormesis.report.views.findings import ClassCount
from hormesis.report.views.index_rows import Figure, IndexRow, index_rows, index_title
from hormesis.report.views.palette import CLASS_LOOKS
from hormesis.report.views.sources import ReportSources, gather
from hormesis.results.study import Study
from hormesis.storage.ownership import GALLERY, MARKER, claiming, owner
from hormesis.storage.safe_read import names_in
from hormesis.storage.user_files import replacing_user_file

INDEX = "index.html"
INDEX_SCRIPTS = ("index",)
_COLUMNS = (FRAGILE, ROBUST, ANTIFRAGILE, UNDECIDED)
_BAR = 120  # units that a bar is long
_MOST_LETTERS = 80  # of a page's name
_NO_LETTERS = re.compile(r"[^A-Za-z0-9]+")


def write_index(studies: Any, folder: str | Path, *, title: str = "") -> Path:  # noqa: ANN401
    """Write a page for each study into a folder, and an index of them that can be sorted.

    Args:
        studies: Studies, studies of several epochs, folders of these, or a list of them.
        folder: The folder; it is made. If it is one of this function, its pages are written anew.
        title: Heading of the index; by default the number of studies.

    Returns:
        The path of the index.

    Raises:
        StudyError: If there is no study, or a retraining among them, or the folder holds something
            else or cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> study = hm.analyze(network, data, execution=hm.Execution(progress=False))
        >>> with TemporaryDirectory() as folder:
        ...     index = write_index([study], f"{folder}/gallery")
        ...     sorted(path.name for path in index.parent.glob("*.html"))
        ['Sequential-on-custom-FGSM.html', 'index.html']
    """
    out = Path(folder).expanduser()
    check_gallery(out)
    sources = gather(studies)
    if sources.retrainings:
        raise StudyError(
            "An index lists studies, and one of these is a retraining: leave it out, and write its "
            "page without `index`."
        )
    rows = index_rows(sources)
    names = _page_names(rows)
    try:
        with claiming(out, GALLERY):
            for name, study, row in zip(names, sources.studies, rows, strict=True):
                write_report(study, out / name, title=row.heading)
            with replacing_user_file(out / INDEX, "index") as partial:
                partial.write_text(_index_text(sources, rows, names, title), encoding="utf-8")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The index cannot be written to {out}: {reason}. Choose another folder with `out`."
        ) from error
    return out / INDEX


def check_gallery(out: Path) -> None:
    """Refuse a folder that holds anything but a gallery.

    Args:
        out: Any path.

    Raises:
        StudyError: If it is a link, a file or a folder of something else.
    """
    try:
        if out.is_symlink():
            raise StudyError(
                f"Expected `out` to be a folder, but {out} is a link: name the folder."
            )
        if out.exists() and not out.is_dir():
            raise StudyError(f"Expected `out` to be the folder of an index, but {out} is a file.")
        foreign = [name for name in names_in(out) if name != MARKER]
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The folder {out} cannot be read: {reason}. Choose another one with `out`."
        ) from error
    ours = owner(out)
    if foreign and (ours is None or ours.kind != GALLERY):
        raise StudyError(
            f"The folder {out} holds something else, such as {foreign[0]!r}: choose another one "
            "with `out`."
        )


def _page_names(rows: Sequence[IndexRow]) -> list[str]:
    """Return the file name of each page: its heading and attack in letters that every system has.

    Names that are alike get a number, in the order of the studies.
    """
    names, seen = list[str](), dict[str, int]()
    for row in rows:
        attacked = f" {row.attack}" if row.attack and not math.isnan(row.epsilon.value) else ""
        stem = _NO_LETTERS.sub("-", row.heading + attacked).strip("-")[:_MOST_LETTERS] or "study"
        key = stem.lower()  # some systems do not tell large letters from small ones
        seen[key] = seen.get(key, 0) + 1
        names.append(f"{stem}{f'-{seen[key]}' if seen[key] > 1 or key == 'index' else ''}.html")
    return names


def _index_text(
    sources: ReportSources, rows: Sequence[IndexRow], names: Sequence[str], title: str
) -> str:
    """Return the page of the index: a table that reads well without scripts, too."""
    heading = title or index_title(rows)
    body = "\n".join(
        _table_row(row, name, study)
        for row, name, study in zip(rows, names, sources.studies, strict=True)
    )
    parts = {
        "heading": html.escape(heading),
        "heads": "".join(_heads(rows)),
        "rows": body,
        "says": html.escape(_says(rows)),
    }
    return fill_page("index", heading, INDEX_SCRIPTS, parts)


def _says(rows: Sequence[IndexRow]) -> str:
    scores = " or, without an attack, ".join(dict.fromkeys(row.score for row in rows))
    return (
        f"A row a study. Classes are those of its targets by the {scores} score of all filters "
        "together; the bar shows their shares of the filtered values. Click a heading to sort."
    )


def _heads(rows: Sequence[IndexRow]) -> Iterator[str]:
    metrics = list(dict.fromkeys(row.performance for row in rows))
    metric = metrics[0] if len(metrics) == 1 else "performance"
    for text in ("study", "network", "data", "attack"):
        yield f'<th scope="col">{text}</th>'
    for text in ("ε", "samples", f"clean {metric}", f"adversarial {metric}"):
        yield f'<th scope="col" class="number">{html.escape(text)}</th>'
    yield '<th scope="col" class="number" data-first="descending">share fragile</th>'
    for name in (*_COLUMNS, "other"):
        yield f'<th scope="col" class="number" data-first="descending">{_mark(name)}{name}</th>'


def _table_row(row: IndexRow, page: str, study: Study) -> str:
    texts = [row.network, row.data, row.attack]
    state = "" if study.finished else ' <span class="soft">not finished</span>'
    cells = [
        f'<th scope="row"><a href="{html.escape(page)}">{html.escape(row.heading)}</a>{state}</th>',
        *(f"<td>{html.escape(text)}</td>" for text in texts),
        *map(_number, (row.epsilon, row.samples, row.clean, row.adversarial)),
        _bar_cell(row.counts),
        *map(_number, _class_figures(row.counts)),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _number(figure: Figure) -> str:
    value = "" if math.isnan(figure.value) else f"{figure.value!r}"
    return f'<td class="number" data-value="{value}">{html.escape(figure.text)}</td>'


def _class_figures(counts: Iterable[ClassCount]) -> list[Figure]:
    """Return the number of targets in each of the main classes, and in all others."""
    targets = {count.name: count.targets for count in counts}
    numbers = [targets.pop(name, 0) for name in _COLUMNS]
    return [Figure(number, str(number)) for number in (*numbers, sum(targets.values()))]


def _bar_cell(counts: Sequence[ClassCount]) -> str:
    """Return the shares of values by class as a bar, with its text for those who cannot see it."""
    total = sum(count.values for count in counts) or 1
    fragile = sum(count.values for count in counts if count.name == FRAGILE) / total
    says = ", ".join(f"{100 * count.values / total:.1f} % {count.name}" for count in counts)
    parts, start = list[str](), 0.0
    for count in counts:
        length = _BAR * count.values / total
        look = "filled" if CLASS_LOOKS[count.name].filled else "outlined"
        parts.append(
            f'<rect class="{look} {CLASSES[count.name].slug}" x="{start:.2f}" y="1" '
            f'width="{length:.2f}" height="12"></rect>'
        )
        start += length
    bar = (
        f'<svg class="bar" role="img" aria-label="{html.escape(says)}" width="{_BAR}" height="14" '
        f'viewBox="0 0 {_BAR} 14">{"".join(parts)}</svg>'
    )
    text = f'<span class="percent">{100 * fragile:.1f} %</span>'
    return f'<td class="number" data-value="{fragile!r}">{bar}{text}</td>'


def _mark(name: str) -> str:
    """Return the mark of a class; nothing for what is no class."""
    if name not in CLASS_LOOKS:
        return ""
    look = CLASS_LOOKS[name]
    style = "filled" if look.filled else "outlined"
    return (
        '<svg class="mark" width="14" height="14" aria-hidden="true">'
        f'<path class="{style} {CLASSES[name].slug}" d="{look.mark.path}" '
        'transform="translate(7 7) scale(5.2)"></path></svg>'
    )
