"""Training goes on with a part of the parameters: those whose class a selection keeps."""

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hormesis.data.splits import Parts
from hormesis.engine.progress import Report, shown
from hormesis.errors import SettingError
from hormesis.results.retraining import Retraining, load_retraining, write_retraining
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun
from hormesis.storage.validation import plainly
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.freezing import Freezing
from hormesis.training.retraining_plan import Arm, Case, opened_case
from hormesis.training.run_folder import explaining_errors
from hormesis.training.run_state import check_folder
from hormesis.training.selection import Selection
from hormesis.training.source_network import (
    SourceNetwork,
    corpus_of,
    network_again,
    refuse_code,
    trained_on_the_spot,
    training_of,
)
from hormesis.training.train import Task, carry_out, parts_of
from hormesis.training.trainable_masks import Share


def retrain(
    study: Study | str | Path,
    data: Any = None,  # noqa: ANN401
    *,
    out: str | Path,
    selection: Selection = Selection(),
    recipe: Recipe = Recipe(),
    origin: SourceNetwork = SourceNetwork(),
    corpus: DataConfig | None = None,
    session: TrainerConfig = TrainerConfig(),
) -> Retraining:
    """Go on training the network of a study, but only the parameters that the selection keeps.

    All others are frozen, bit for bit: the run compares them at its end, and its manifest says how
    many there were. The folder is a run like those of ``train``, which can be analysed again and is
    taken up where it was interrupted.

    Args:
        study: A study of single targets or channels, or its folder.
        data: As ``train`` takes it; None takes the data of the training that the study is of.
        out: Folder of the run.
        selection: Which parameters are trained.
        recipe: How; its seed decides the order of the samples. The stem is the network's.
        origin: Where the network is; by default where the study says.
        corpus: Which part of the data; None takes that of the training that the study is of.
        session: What the weights do not depend on.

    Returns:
        The retraining.

    Raises:
        SettingError: If nothing would be trained, or nothing frozen.
        StudyError: If the study cannot be read, or is of all targets at once.
        ModelError: If the network is not that of the study.
        DataError: If the data are missing, damaged, or of another shape than the study's.
        TrainingError: If the network is not at hand, ``out`` holds something else, or the training
            diverges; and if a frozen value has changed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> first, last = (torch.nn.Linear(2, 2, bias=False) for _ in range(2))
        >>> for layer in (first, last):
        ...     _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [-0.5, 0.5]]))
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), first, last)
        >>> images = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).repeat(9, 1)
        >>> data = images, torch.arange(18) % 2
        >>> study = hm.analyze(network, data, attack=hm.FGSM(0.01), sweep=hm.Sweep(thresholds=5),
        ...                    execution=hm.Execution(progress=False))
        >>> selection = hm.Selection(("antifragile",), undecided="estimate",
        ...                          scoring=hm.Scoring(reference="density", tolerance=0.4))
        >>> quiet = hm.TrainerConfig(progress=False, loggers={}, device="cpu")
        >>> with TemporaryDirectory() as folder:
        ...     made = retrain(
        ...         study, (data, data), out=f"{folder}/run", selection=selection,
        ...         recipe=hm.Recipe(epochs=1),
        ...         origin=hm.SourceNetwork(network=network), session=quiet,
        ...     )
        >>> made
        Retraining(Sequential, no controls)
    """
    folder = Path(out).expanduser()
    with explaining_errors(folder):
        check_folder(folder)
    case = opened_case(study, selection)
    with explaining_errors(folder), shown(enabled=session.progress) as report:
        ready = prepared(case, data, origin, (recipe, corpus, session), report)
        carry_out_arm(
            ready, folder, ready.case.arm("selective", ready.recipe.seed), ready.recipe, report
        )
    return load_retraining(folder)


@dataclass(frozen=True)
class Ready:
    """A case with its network and data at hand.

    Args:
        case: The study and the selection.
        model: What the network is built by.
        network: The network, as it was measured; it is copied before it is trained.
        parts: Training and validation data.
        source: The name of the data, or None.
        asked: Recipe, corpus and session.
    """

    case: Case
    model: str | nn.Module
    network: nn.Module
    parts: Parts
    source: str | None
    asked: tuple[Recipe, DataConfig, TrainerConfig]

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return self.asked[0]


def prepared(
    case: Case,
    data: Any,  # noqa: ANN401
    origin: SourceNetwork,
    asked: tuple[Recipe, DataConfig | None, TrainerConfig],
    report: Report,
) -> Ready:
    """Read the data, and find the network of the study.

    Args:
        case: The study and the selection.
        data: As ``retrain`` takes it.
        origin: Where the network is.
        asked: Recipe, corpus and session.
        report: Called with a stage, the work done and in all.

    Raises:
        HormesisError: As ``retrain`` says.
    """
    recipe, corpus, session = asked
    refuse_code(case.study, origin, data)
    training = training_of(case.study, origin)
    corpus = corpus or _corpus(training)
    source = _source(case, data, training)
    parts = parts_of(source, corpus, report)
    model, network, stem = network_again(case.study, origin, parts, corpus, training)
    name = source if isinstance(source, str) else None
    recipe = replace(recipe, stem=stem)
    return Ready(case, model, network, parts, name, (recipe, corpus, session))


def carry_out_arm(
    ready: Ready, folder: Path, arm: Arm, recipe: Recipe, report: Report
) -> nn.Module:
    """Train an arm, and return the network that came out.

    Args:
        ready: Network and data.
        folder: Folder of the run.
        arm: What is trained.
        recipe: How.
        report: Called with a stage, the work done and in all.

    Raises:
        TrainingError: As ``retrain`` says.
    """
    _, corpus, session = ready.asked
    network = deepcopy(ready.network)
    freezing = Freezing(network, arm.shares, batchnorm=ready.case.selection.batchnorm)
    about = plainly(ready.case.described())
    described = {"arm": arm.name, **arm.described(ready.case.classes)}
    selection = {**about["selection"], **described}
    fixed = {
        "study": about["study"]["fingerprint"],
        "batchnorm": ready.case.selection.batchnorm,
        "trained": {share.parameter: _spelled(share) for share in arm.shares if share.trained},
    }
    task = Task(
        ready.model,
        network,
        ready.parts,
        ready.source,
        (recipe, corpus, session),
        freezing,
        {"retraining": fixed},
    )
    run = carry_out(task, folder, report)
    manifest = {
        **run.manifest,
        **about,
        "selection": selection,
        "recipe": recipe.described(),
        "frozen": {
            "values": freezing.values,
            "equal": "bit for bit, compared at the end of the run",
            "statistics": sorted(freezing.statistics),
        },
    }
    write_retraining(folder, manifest)
    return network


def _spelled(share: Share) -> str:
    """Return ``all``, or a letter a channel: 1 where it is trained."""
    return "".join(str(int(on)) for on in share.channels) if share.partly else "all"


def _corpus(training: TrainingRun | None) -> DataConfig:
    return DataConfig() if training is None else corpus_of(training)


def _source(case: Case, data: Any, training: TrainingRun | None) -> Any:  # noqa: ANN401
    """Return the data that were asked for, or those of the training that the study is of."""
    if data is not None:
        return data
    if training is not None and training.source is not None:
        return training.source
    name = case.study.manifest["question"]["data"]["name"]
    if trained_on_the_spot(case.study):
        return name
    raise SettingError(
        f"Expected `data`, to train on: the study is of {name}, which came without a training."
    )
