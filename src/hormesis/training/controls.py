"""The experiment: selective retraining and its controls, with the same budget and seeds."""

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from hormesis.analysis.effects import accuracy_table, effect_table
from hormesis.data.image_array import ImageArray
from hormesis.data.samples import Samples, check_classified, samples_from, take
from hormesis.data.sampling import draw_balanced, draw_stratified
from hormesis.engine.progress import Report, show_progress
from hormesis.errors import DataError, TrainingError
from hormesis.models.checkpoints import load_weights
from hormesis.models.fingerprint import network_fingerprint
from hormesis.results.retraining import ACCURACY, EFFECTS, OUTCOMES, Retraining, load_retraining
from hormesis.results.study import Study
from hormesis.results.training_run import load_run
from hormesis.storage.differences import first_difference
from hormesis.storage.environment import environment
from hormesis.storage.ownership import RETRAINING
from hormesis.storage.validation import plain_values
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.controls_config import Controls, EvaluationConfig
from hormesis.training.retrain import (
    PreparedRetraining,
    RetrainingRequest,
    prepare_retraining,
    train_arm,
)
from hormesis.training.retraining_plan import RetrainingPlan, plan_retraining
from hormesis.training.robustness import evaluate_robustness
from hormesis.training.run_folder import explaining_errors, locked_run
from hormesis.training.selection import Selection
from hormesis.training.source_lookup import SourceNetwork
from hormesis.training.trial_tables import MEASURED, TrialTables, check_out, open_tables
from hormesis.training.verify import verify_run


def retrain_with_controls(
    study: Study | str | Path,
    data: Any = None,  # noqa: ANN401
    *,
    out: str | Path,
    controls: Controls = Controls(),
    selection: Selection = Selection(),
    recipe: Recipe = Recipe(),
    source: SourceNetwork = SourceNetwork(),
    data_config: DataConfig | None = None,
    trainer_config: TrainerConfig = TrainerConfig(),
) -> Retraining:
    """Retrain the network of a study selectively and with every control, and compare the results.

    All arms start from the same network, with the same recipe; those of one seed see the same
    batches in the same order. Each is a run in its own folder. The same call resumes an
    interrupted experiment.

    Args:
        study: As ``retrain`` takes it.
        data: As ``retrain`` takes it.
        out: Folder for the arms, the tables and their manifest.
        controls: Which arms and seeds, and how they are evaluated.
        selection: Which parameters the arm ``selective`` trains.
        recipe: How all are trained; its seed is not used.
        source: Where the network comes from.
        data_config: Which part of the data is used.
        trainer_config: Settings that do not change the weights.

    Returns:
        The retraining, with ``accuracy`` and ``effects``.

    Raises:
        HormesisError: As ``retrain`` says, before the slow part wherever that can be known.

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
        >>> trial = EvaluationConfig(epsilons=(0.1,), steps=2)
        >>> with TemporaryDirectory() as folder:
        ...     made = retrain_with_controls(
        ...         study, (data, data), out=f"{folder}/run", selection=selection,
        ...         controls=Controls(("everything", "selective"), (1, 2), trial),
        ...         recipe=hm.Recipe(epochs=1),
        ...         source=hm.SourceNetwork(network=network), trainer_config=quiet,
        ...     )
        ...     made.effects["attack"].tolist()
        ['clean', 'fgsm', 'pgd']
    """
    folder = Path(out).expanduser()
    with explaining_errors(folder):
        check_out(folder)
    plan = plan_retraining(study, selection)
    request = RetrainingRequest(data, source, recipe, data_config, trainer_config)
    with explaining_errors(folder), show_progress(enabled=trainer_config.progress) as report:
        prepared = prepare_retraining(plan, request, report)
        samples, notes = evaluation_samples(prepared, controls)
        question = plain_values(_question(prepared, controls, samples))
        with locked_run(folder, RETRAINING):
            tables = _begin_tables(folder, question)
            _Experiment(prepared, controls.evaluation_config, samples, tables, report).run(
                controls, notes
            )
    return load_retraining(folder)


@dataclass(frozen=True)
class _Experiment:
    """All arms and seeds of a retraining with controls.

    Args:
        prepared: The plan, the network and the data.
        config: How robustness is evaluated.
        samples: Evaluation samples.
        tables: The results so far.
        report: Called with a stage, the work done and in all.
    """

    prepared: PreparedRetraining
    config: EvaluationConfig
    samples: Samples
    tables: TrialTables
    report: Report

    def run(self, controls: Controls, notes: list[str]) -> None:
        """Train and evaluate every arm with every seed, and write the tables."""
        plan, tables = self.prepared.plan, self.tables
        arms, missing = _available_arms(plan, controls)
        parts = []
        for seed in controls.seeds:  # all arms of a seed first, so that finished ones compare
            for name in arms:
                parts.append(self._evaluate_arm(name, seed))
        outcomes = pd.concat(parts, ignore_index=True)
        tables.write(OUTCOMES, outcomes)
        tables.write(ACCURACY, accuracy_table(outcomes))
        tables.write(EFFECTS, effect_table(outcomes))
        described = {
            name: [
                {"seed": seed, **plan.arm(name, seed).described(plan.classes)}
                for seed in controls.seeds
            ]
            for name in arms
        }
        tables.finish(described, [*notes, *missing], environment())

    def _evaluate_arm(self, name: str, seed: int) -> pd.DataFrame:
        """Train and evaluate one arm with one seed, or read its outcomes if they are stored."""
        tables, network, path = self.tables, self.prepared.job.network, f"{name}/seed-{seed}"
        stored = tables.read(f"{path}/{OUTCOMES}")
        if name != "none":
            if stored is not None and not verify_run(tables.folder / path).damaged:
                return stored
            network = self._train_arm(name, seed)
        if stored is not None:
            return stored
        if name == "none":  # the same network for every seed
            outcomes = tables.read(f"{name}/{MEASURED}")
            if outcomes is None:
                outcomes = evaluate_robustness(network, self.samples, self.config)
                tables.write(f"{name}/{MEASURED}", outcomes)
        else:
            outcomes = evaluate_robustness(
                network,
                self.samples,
                self.config,
                partial(self.report, f"Trying {name}, seed {seed}"),
            )
        outcomes.insert(0, "seed", seed)
        outcomes.insert(0, "arm", name)
        tables.write(f"{path}/{OUTCOMES}", outcomes)
        return outcomes

    def _train_arm(self, name: str, seed: int) -> nn.Module:
        """Train an arm with one seed, or resume it; return the network of its last epoch."""
        prepared, stage = self.prepared, f"{name}, seed {seed}"
        folder = self.tables.folder / name / f"seed-{seed}"
        recipe = replace(prepared.job.recipe, seed=seed)

        def report(_: str, done: int, total: int) -> None:
            self.report(f"Training {stage}", done, total)

        network = train_arm(prepared, folder, prepared.plan.arm(name, seed), recipe, report)
        self.tables.tell(f"{stage}: {note}" for note in _load_last(folder, network))
        return network


def evaluation_samples(
    prepared: PreparedRetraining, controls: Controls
) -> tuple[Samples, list[str]]:
    """Return the samples that networks are evaluated on, and notes about them for the reader.

    Raises:
        DataError: If there are fewer than asked for, or they do not fit the network.
    """
    config, parts = controls.evaluation_config, prepared.job.parts
    if controls.test is not None:
        samples = samples_from(controls.test)
        check_classified(samples, "an evaluation")
        if tuple(samples.inputs.shape[1:]) != parts.train.shape:
            raise DataError(
                f"Expected test inputs of shape {list(parts.train.shape)}, as those that are "
                f"trained on, got {list(samples.inputs.shape[1:])}."
            )
        return take(samples, _draw(samples.labels, config)), []
    unseen, note = _unseen_samples(parts.validation, prepared.plan.study)
    rest = parts.validation.subset(unseen)
    return rest.subset(_draw(rest.labels, config)).samples(), [note] if note else []


def _draw(labels: torch.Tensor, config: EvaluationConfig) -> torch.Tensor:
    if config.samples is None or config.samples >= len(labels):
        return torch.arange(len(labels))
    return draw_stratified(labels, config.samples, config.seed)


def _unseen_samples(validation: ImageArray, study: Study) -> tuple[torch.Tensor, str]:
    """Return the validation samples that the study has not used; else all, and a note why.

    A study records the number of its samples, the seed that drew them, and their fingerprint.
    """
    question = study.manifest["question"]
    data, seed = question["data"], question["sweep"]["seed"]
    indices, count = torch.arange(len(validation)), int(data["samples"])
    if validation.samples().fingerprint() == data["fingerprint"]:
        return indices, (
            "The study was made with all validation samples, on which the networks are compared "
            "here too: analyse with --samples to leave others."
        )
    for draw in (draw_balanced, draw_stratified) if 2 <= count <= len(validation) else ():
        seen = draw(validation.labels, count, seed)
        if validation.subset(seen).samples().fingerprint() == data["fingerprint"]:
            unseen = torch.ones(len(validation), dtype=torch.bool)
            unseen[seen] = False
            return indices[unseen], ""
    return indices, (
        "Nothing tells which samples the study was made with: if they are among the validation "
        "samples, the networks are compared on them too. Name others with `test`."
    )


def _available_arms(plan: RetrainingPlan, controls: Controls) -> tuple[list[str], list[str]]:
    """Return the arms that have targets, and a sentence for each that has none."""
    available, missing = [], []
    for name in controls.arms:
        if name == "none" or all(plan.arm(name, seed).targets for seed in controls.seeds):
            available.append(name)
        else:
            missing.append(f"The arm {name} was left out: there are no such targets.")
    return available, missing


def _load_last(folder: Path, network: nn.Module) -> list[str]:
    """Load the last checkpoint of a run into a network, and return what was damaged in the run."""
    run = load_run(folder)
    load_weights(network, run.whole(max(run.checkpoints)))
    return [*run.mended, *run.damaged]


def _question(prepared: PreparedRetraining, controls: Controls, samples: Samples) -> dict[str, Any]:
    """Return the question of an experiment, as its manifest holds it."""
    plan, job = prepared.plan, prepared.job
    train, description = job.parts.train, plan.described()
    description["selection"]["targets"] = sorted(plan.chosen)
    return {
        **description,
        "recipe": {**job.recipe.described(), "seed": None},
        "data": {
            "name": train.name,
            "split": job.data_config.split,
            "samples": len(train),
            "fingerprint": train.fingerprint(),
        },
        "controls": {
            "arms": list(controls.arms),
            "seeds": list(controls.seeds),
            "trial": asdict(controls.evaluation_config),
            "samples": len(samples),
            "samples_fingerprint": samples.fingerprint(),
        },
        "start": network_fingerprint(job.network),
    }


def _begin_tables(folder: Path, question: dict[str, Any]) -> TrialTables:
    """Write the manifest, or check that the one in the folder has the same question.

    Raises:
        TrainingError: If the folder holds another experiment; the first difference is named.
    """
    tables = open_tables(folder, question)
    if tables.stored is not None:
        stored = {key: tables.stored.get(key) for key in question}
        difference = first_difference(_fixed(question), _fixed(stored))
        if difference:
            raise TrainingError(
                f"The folder {folder} holds another retraining ({difference}); choose another one "
                "with `out`."
            )
    tables.begin()
    return tables


def _fixed(question: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a question that stays when arms or seeds are added."""
    controls = {**question["controls"], "arms": None, "seeds": None}
    config = controls["trial"]
    # Without a record, a step was 2.5 divided by their number, and at most 1.
    controls["trial"] = {"step_size": min(1.0, 2.5 / config["steps"]), **config}
    study = {**question["study"], "path": None}
    # Through JSON and back, tuples are lists.
    return json.loads(json.dumps({**question, "controls": controls, "study": study}))
