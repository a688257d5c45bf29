"""``hormesis apply``: the best filters of a study, put into its network and proved."""

from pathlib import Path

from hormesis.cli.options import ApplyOptions
from hormesis.cli.parser import Arguments
from hormesis.measure.apply import apply_request
from hormesis.measure.apply_checks import applicable_study
from hormesis.measure.apply_request import ApplyRequest
from hormesis.measure.apply_source import NamedSource
from hormesis.report.plots.applied import draw_applied
from hormesis.report.text.applied import print_applied
from hormesis.results.applied import Applied
from hormesis.settings.apply import Aim, Proof
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.storage.applied_files import PICTURE, explained_writing
from hormesis.storage.atomic import replacing


def run(arguments: Arguments) -> int:
    """Apply, draw the path, print the result, and return the exit code."""
    options, proof = arguments[ApplyOptions], arguments[Proof]
    execution, aim = arguments[Execution], options.to_aim()
    study = applicable_study(options.study, aim, execution)
    source = NamedSource(
        arguments.overrides(ModelAndData),
        options.run,
        options.allow_code,
        options.stressed,
        options.proof_data,
        options.proof_stressed,
    )
    out = Path(options.out or Path("applied") / _name(options.study, aim)).expanduser()
    request = ApplyRequest(None, None, aim, out, None, proof, source, execution)
    applied = apply_request(study, request)
    print_applied(applied, picture=_draw(applied))
    return 0


def _draw(applied: Applied) -> Path | None:
    """Draw the path and the proof, and return the file."""
    if applied.folder is None:
        return None
    path = applied.folder / PICTURE
    with explained_writing(applied.folder), replacing(path) as temporary:
        draw_applied(applied, temporary)
    return path


def _name(study: str, aim: Aim) -> str:
    """Return the default name of a folder: that of the study with the aim behind it."""
    return f"{Path(study).expanduser().resolve().name}-{aim.name}"
