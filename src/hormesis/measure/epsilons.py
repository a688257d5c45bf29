"""A study for each of several magnitudes of one attack, in one folder.

Samples as they are do not depend on the magnitude: each study takes over the clean outcomes of the
first, and measures its own perturbed inputs through the same suffixes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.errors import SettingError, StudyError
from hormesis.measure.pipeline import planned_analysis
from hormesis.results.series import StudySeries, load_series
from hormesis.settings.attacks import FGSM
from hormesis.settings.choices import RAY
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.execution import Execution
from hormesis.settings.magnitudes import check_epsilons
from hormesis.settings.request import AnalysisRequest, as_attack
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.attack_schema import UNSCALED
from hormesis.storage.differences import first_difference
from hormesis.storage.files import read_manifest
from hormesis.storage.folders import creating_folder
from hormesis.storage.ownership import SERIES, claiming
from hormesis.storage.series_folders import EPSILON, member_folder, series_folders
from hormesis.storage.series_output import check_series_out


def analyze_epsilons(
    network: nn.Module,
    data: Any,  # noqa: ANN401
    epsilons: Iterable[float | int | str],
    *,
    out: str | Path,
    attack: Any = FGSM(),  # noqa: ANN401
    targets: Targets = Targets(),
    sweep: Sweep = Sweep(),
    scoring: Scoring = Scoring(),
    metric: Any = "accuracy",  # noqa: ANN401
    execution: Execution = Execution(),
    confirmation: Confirmation = Confirmation(),
    **options: Any,  # noqa: ANN401
) -> StudySeries:
    """Analyse a network under an attack of several magnitudes: the surface of both stresses.

    With a fixed adversary, each further magnitude costs its perturbed inputs only: clean outcomes
    are measured once. Every study is complete in itself.

    Args:
        network: As ``analyze`` takes it.
        data: As ``analyze`` takes them.
        epsilons: Magnitudes in input units, at least two, as numbers or as ``"8/255"``.
        out: Folder for the studies, one folder a magnitude. Finished studies of the same question
            are opened, not measured again.
        attack: The adversary, whose own ``epsilon`` plays no part.
        targets: Which parameters are filtered.
        sweep: Filters, thresholds, adversary, control and seed.
        scoring: Base, reference and tolerance.
        metric: What is measured, as ``analyze`` takes it.
        execution: Engine, workers and progress.
        confirmation: How claims that a target is antifragile under attack are put to the test.
        options: The other arguments of ``analyze``: ``loss``, ``output``, ``bounds``, ``label``,
            ``name`` and ``origin``.

    Returns:
        The studies by magnitude, in ascending order. ``scores`` and ``responses`` have a column
        ``epsilon``; ``turns`` says at which magnitude the class of a target turns.

    Raises:
        HormesisError: As ``analyze`` does.
        SettingError: For fewer than two magnitudes, ``"auto"``, or an attack without a magnitude.
        StudyError: If ``out`` holds something else.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> data = torch.rand(30, 1, 2, 2), torch.arange(30) % 2
        >>> with TemporaryDirectory() as folder:
        ...     surface = analyze_epsilons(network, data, ("8/255", "16/255"), out=folder,
        ...                                execution=Execution(progress=False))
        ...     surface
        StudySeries(Study(Sequential on custom, fgsm, 1 targets), ε 8/255, 16/255)
    """
    request = AnalysisRequest(
        attack=as_attack(attack),
        targets=targets,
        sweep=sweep,
        scoring=scoring,
        metric=metric,
        out=Path(out),
        execution=execution,
        confirmation=confirmation,
        **options,
    )
    return analyze_magnitudes(network, data, request, check_epsilons(epsilons))


def analyze_magnitudes(
    network: nn.Module,
    data: Any,  # noqa: ANN401
    request: AnalysisRequest,
    epsilons: tuple[float, ...],
) -> StudySeries:
    """Analyse at several magnitudes as ``analyze_epsilons`` does, with all settings in one request.

    Args:
        network: See ``analyze``.
        data: See ``analyze``.
        request: The request for each; ``out`` is the folder of all studies.
        epsilons: The magnitudes, in ascending order.

    Raises:
        HormesisError: As ``analyze_epsilons`` says.
    """
    if request.out is None:
        raise SettingError("Expected `out`, a folder for the studies of all magnitudes.")
    folder, execution = request.out, request.execution
    earlier = {} if execution.extend is None else series_folders(Path(execution.extend)).members
    first, held = member_folder(folder, EPSILON, epsilons[0]), check_series_out(folder)
    planned = replace(request, out=None, execution=replace(execution, extend=None))
    with planned_analysis(network, data, planned) as analysis:
        attack = analysis.planned.request.attack
        fixed = isinstance(attack, CustomAttack) and not attack.scalable
        if attack.name in UNSCALED or fixed:
            raise SettingError(
                "Expected an attack whose magnitude can be set for several of them, got "
                f"{attack.name!r}."
            )
        _check_same(held.values(), analysis.planned.question)
        with creating_folder(folder), claiming(folder, SERIES):
            for epsilon in epsilons:
                out = member_folder(folder, EPSILON, epsilon)
                # A cluster has no folder to take clean outcomes from.
                before = first if out != first and execution.engine != RAY else None
                own = replace(execution, extend=earlier.get(epsilon, before))
                analysis.at(epsilon, out, own).study()
    members = load_series(folder).members
    return StudySeries({place: members[place] for place in epsilons}, folder, EPSILON)


def _check_same(members: Iterable[Path], question: Mapping[str, Any]) -> None:
    """Refuse studies of another network or of other samples."""
    for member in members:
        recorded = read_manifest(member)["question"]
        asked, held = (
            {key: one[key] for key in ("network", "data")} for one in (question, recorded)
        )
        difference = first_difference(asked, held)
        if difference:
            raise StudyError(
                f"The folder {member.parent} holds studies of something else ({difference}); "
                "choose another one with `out`."
            )
