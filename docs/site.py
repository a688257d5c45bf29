"""What turns these pages, which read well as they are, into a site: a hook of MkDocs.

Equations become MathML, which browsers draw without a script. Files outside this folder that a page
links to come along.
"""

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_SEARCH = '<div class="md-search" data-md-component="search" role="dialog"'
_PART = re.compile(r'<nav class="md-nav" aria-label="[^"]*">')
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to outside this folder, and what those link to in turn."""
    waiting = [Path(page.abs_src_path or "") for page in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for name in _LINK.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / name).resolve()
            inside = path.is_relative_to(config.docs_dir) or not path.is_relative_to(ROOT)
            place = path.relative_to(ROOT).as_posix() if not inside else name
            if not inside and path.is_file() and files.get_file_from_path(place) is None:
                files.append(File.generated(config, place, abs_src_path=str(path)))
                waiting.extend([path] if path.suffix == ".md" else [])
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point such links to where those files are on the site: beside the pages of this folder."""
    if page.file.generated_by is not None:
        return markdown
    return markdown.replace("](../", "](")


def on_page_content(content: str, **_: object) -> str:
    """Replace equations in LaTeX by MathML."""

    def drawn(found: re.Match[str]) -> str:
        display = "block" if found[1] == "div" else "inline"
        return convert(html.unescape(found[2]).strip(), display=display)

    return _EQUATION.sub(drawn, content)


def on_post_page(output: str, **_: object) -> str:
    """Name the search for screen readers; parts of a table of contents are no landmarks."""
    output = output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"')
    return _PART.sub('<nav class="md-nav" role="none">', output)
