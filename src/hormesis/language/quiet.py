"""transformers, imported when it is first needed, and kept from writing on the terminal."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from hormesis.errors import MissingExtraError

_PARALLEL = "TOKENIZERS_PARALLELISM"


def import_transformers() -> ModuleType:
    """Return the library.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            "Language models need transformers: run `pip install hormesis[transformers]`."
        ) from error
    return transformers


@contextmanager
def quiet() -> Iterator[ModuleType]:
    """Yield transformers; within the block it warns of nothing and shows no progress.

    Tokenizers use one thread, as they would warn of it when the process forks later.
    """
    transformers = import_transformers()
    logs = transformers.utils.logging
    level, bars, parallel = (
        logs.get_verbosity(),
        logs.is_progress_bar_enabled(),
        os.environ.get(_PARALLEL),
    )
    logs.set_verbosity(logging.CRITICAL)
    logs.disable_progress_bar()
    os.environ[_PARALLEL] = "false"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield transformers
    finally:
        logs.set_verbosity(level)
        if bars:
            logs.enable_progress_bar()
        if parallel is None:
            del os.environ[_PARALLEL]
        else:
            os.environ[_PARALLEL] = parallel
