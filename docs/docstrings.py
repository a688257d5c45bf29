"""Docstrings as this project writes them, for the site's pages of the API."""

import re

import griffe


class Examples(griffe.Extension):
    """Take an ``Example`` for what it is: lines to run, with what they print."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        """Rename the section to the name that is looked for."""
        if obj.docstring is not None:
            value = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", value, flags=re.MULTILINE)
