"""The experiment: selective retraining beside its controls, with the same budget and seeds."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from hormesis.analysis.effects import accuracy_table, effect_table
from hormesis.data.samples import Samples, samples_from, take
from hormesis.data.sampling import drawn, stratified
from hormesis.engine.progress import Report, shown
from hormesis.errors import DataError, TrainingError
from hormesis.models.checkpoints import load_weights
from hormesis.models.fingerprint import network_fingerprint
from hormesis.results.retraining import ACCURACY, EFFECTS, OUTCOMES, Retraining, load_retraining
from hormesis.results.study import Study
from hormesis.results.training_run import load_run
from hormesis.storage.differences import first_difference
from hormesis.storage.environment import environment
from hormesis.storage.ownership import RETRAINING
from hormesis.storage.validation import plainly
from hormesis.training.config import DataConfig, Recipe, TrainerConfig
from hormesis.training.controls_config import Controls, EvaluationConfig
from hormesis.training.retrain import Ready, carry_out_arm, prepared
from hormesis.training.retraining_plan import opened_case
from hormesis.training.robustness import evaluated
from hormesis.training.run_folder import explaining_errors, locked_run
from hormesis.training.selection import Selection
from hormesis.training.source_network import SourceNetwork
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
    origin: SourceNetwork = SourceNetwork(),
    corpus: DataConfig | None = None,
    session: TrainerConfig = TrainerConfig(),
) -> Retraining:
    """Retrain the network of a study selectively and by every control, and compare what comes out.

    All arms start from the same network, with the same recipe; those of one seed see the same
    batches in the same order. Each is a run in a folder of its own. The same call goes on where it
    was interrupted.

    Args:
        study: As ``retrain`` takes it.
        data: As ``retrain`` takes it.
        out: Folder for the arms, the tables and their manifest.
        controls: Which arms and seeds, and how they are tried.
        selection: Which parameters the arm ``selective`` trains.
        recipe: How all are trained; its seed is not used.
        origin: Where the network is.
        corpus: Which part of the data.
        session: What the weights do not depend on.

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
        ...         origin=hm.SourceNetwork(network=network), session=quiet,
        ...     )
        ...     made.effects["attack"].tolist()
        ['clean', 'fgsm', 'pgd']
    """
    folder = Path(out).expanduser()
    with explaining_errors(folder):
        check_out(folder)
    case = opened_case(study, selection)
    with explaining_errors(folder), shown(enabled=session.progress) as report:
        ready = prepared(case, data, origin, (recipe, corpus, session), report)
        samples, notes = tried_on(ready, controls)
        about = plainly(_described(ready, controls, samples))
        with locked_run(folder, RETRAINING):
            kept = _settled(folder, about)
            _carry_out(ready, controls, samples, kept, notes, report)
    return load_retraining(folder)


def _carry_out(
    ready: Ready,
    controls: Controls,
    samples: Samples,
    kept: TrialTables,
    notes: list[str],
    report: Report,
) -> None:
    """Train and try every arm with every seed, and write what they come to."""
    arms, missing = _arms(ready, controls)
    found = []
    for seed in controls.seeds:  # all arms of a seed first: what is there can be compared
        for name in arms:
            found.append(_arm(ready, kept, (name, seed), (controls.trial, samples), report))
    outcomes = pd.concat(found, ignore_index=True)
    kept.write(OUTCOMES, outcomes)
    kept.write(ACCURACY, accuracy_table(outcomes))
    kept.write(EFFECTS, effect_table(outcomes))
    described = {
        name: [
            {"seed": seed, **ready.case.arm(name, seed).described(ready.case.classes)}
            for seed in controls.seeds
        ]
        for name in arms
    }
    kept.finish(described, [*notes, *missing], environment())


def tried_on(ready: Ready, controls: Controls) -> tuple[Samples, list[str]]:
    """Return the samples that networks are tried on, and what a reader has to know of them.

    Raises:
        DataError: If there are fewer than asked for, or they do not fit the network.
    """
    trial = controls.trial
    if controls.test is not None:
        samples = samples_from(controls.test)
        if tuple(samples.inputs.shape[1:]) != ready.parts.train.shape:
            raise DataError(
                f"Expected test inputs of shape {list(ready.parts.train.shape)}, as those that are "
                f"trained on, got {list(samples.inputs.shape[1:])}."
            )
        chosen = _drawn(samples.labels, trial)
        return take(samples, chosen), []
    pixels = ready.parts.validation
    unseen, note = _unseen(ready)
    rest = pixels.subset(unseen)
    return rest.subset(_drawn(rest.labels, trial)).samples(), [note] if note else []


def _drawn(labels: torch.Tensor, trial: EvaluationConfig) -> torch.Tensor:
    if trial.samples is None or trial.samples >= len(labels):
        return torch.arange(len(labels))
    return stratified(labels, trial.samples, trial.seed)


def _unseen(ready: Ready) -> tuple[torch.Tensor, str]:
    """Return the validation samples that the study was not made with, or a note that says why not.

    A study keeps the number of its samples and the seed that drew them, and their fingerprint.
    """
    pixels, manifest = ready.parts.validation, ready.case.study.manifest
    about, seed = manifest["question"]["data"], manifest["question"]["sweep"]["seed"]
    every, count = torch.arange(len(pixels)), int(about["samples"])
    if pixels.samples().fingerprint() == about["fingerprint"]:
        return every, (
            "The study was made with all validation samples, on which the networks are compared "
            "here too: analyse with --samples to leave others."
        )
    for draw in (drawn, stratified) if 2 <= count <= len(pixels) else ():
        seen = draw(pixels.labels, count, seed)
        if pixels.subset(seen).samples().fingerprint() == about["fingerprint"]:
            left = torch.ones(len(pixels), dtype=torch.bool)
            left[seen] = False
            return every[left], ""
    return every, (
        "Nothing tells which samples the study was made with: if they are among the validation "
        "samples, the networks are compared on them too. Name others with `test`."
    )


def _arms(ready: Ready, controls: Controls) -> tuple[list[str], list[str]]:
    """Return the arms that can be had, and a sentence for each that cannot."""
    there, missing = [], []
    for name in controls.arms:
        if name == "none" or all(ready.case.arm(name, seed).targets for seed in controls.seeds):
            there.append(name)
        else:
            missing.append(f"The arm {name} was left out: there are no such targets.")
    return there, missing


def _arm(
    ready: Ready,
    kept: TrialTables,
    which: tuple[str, int],
    tried: tuple[EvaluationConfig, Samples],
    report: Report,
) -> pd.DataFrame:
    """Train and try one arm with one seed, or read what was found before."""
    name, seed = which
    place = f"{name}/seed-{seed}"
    known = kept.read(f"{place}/{OUTCOMES}")
    if known is not None and (name == "none" or not verify_run(kept.folder / place).damaged):
        return known
    trial, samples = tried
    if name == "none":
        found = kept.read(f"{name}/{MEASURED}")
        if found is None:
            found = evaluated(ready.network, samples, trial)
            kept.write(f"{name}/{MEASURED}", found)
    else:
        stage = f"{name}, seed {seed}"
        network = _trained(ready, kept, which, report)
        if known is not None:
            return known
        found = evaluated(
            network, samples, trial, lambda done, total: report(f"Trying {stage}", done, total)
        )
    found.insert(0, "seed", seed)
    found.insert(0, "arm", name)
    kept.write(f"{place}/{OUTCOMES}", found)
    return found


def _trained(ready: Ready, kept: TrialTables, which: tuple[str, int], report: Report) -> nn.Module:
    """Train an arm with one seed, or go on with it, and return the network of its last epoch."""
    name, seed = which
    stage, folder = f"{name}, seed {seed}", kept.folder / name / f"seed-{seed}"
    recipe = replace(ready.recipe, seed=seed)

    def told(_: str, done: int, total: int) -> None:
        report(f"Training {stage}", done, total)

    network = carry_out_arm(ready, folder, ready.case.arm(name, seed), recipe, told)
    kept.tell(f"{stage}: {note}" for note in _load_last(folder, network))
    return network


def _load_last(folder: Path, network: nn.Module) -> list[str]:
    """Give a network the weights of its last checkpoint, also where nothing was left to train.

    Returns:
        What of the run was damaged, a sentence each.
    """
    run = load_run(folder)
    load_weights(network, run.whole(max(run.checkpoints)))
    return [*run.told, *run.lost]


def _described(ready: Ready, controls: Controls, samples: Samples) -> dict[str, Any]:
    """Return what an experiment asks, as its manifest holds it."""
    recipe, corpus, _ = ready.asked
    parts, about = ready.parts, ready.case.described()
    about["selection"]["targets"] = sorted(ready.case.chosen)
    return {
        **about,
        "recipe": {**recipe.described(), "seed": None},
        "data": {
            "name": parts.train.name,
            "split": corpus.split,
            "samples": len(parts.train),
            "fingerprint": parts.train.fingerprint(),
        },
        "controls": {
            "arms": list(controls.arms),
            "seeds": list(controls.seeds),
            "trial": asdict(controls.trial),
            "samples": len(samples),
            "samples_fingerprint": samples.fingerprint(),
        },
        "start": network_fingerprint(ready.network),
    }


def _settled(folder: Path, about: dict[str, Any]) -> TrialTables:
    """Write the manifest, or check that the folder's asks the same; return what is there of it.

    Raises:
        TrainingError: If the folder holds another experiment; the first difference is named.
    """
    kept = open_tables(folder, about)
    if kept.stored is not None:
        stored = {key: kept.stored.get(key) for key in about}
        difference = first_difference(_fixed(about), _fixed(stored))
        if difference:
            raise TrainingError(
                f"The folder {folder} holds another retraining ({difference}); choose another one "
                "with `out`."
            )
    kept.begin()
    return kept


def _fixed(about: dict[str, Any]) -> dict[str, Any]:
    """Return what must not change where arms or seeds are added."""
    controls = {**about["controls"], "arms": None, "seeds": None}
    trial = controls["trial"]
    # Without a record, a step was 2.5 divided by their number, and 1 at the most.
    controls["trial"] = {"step_size": min(1.0, 2.5 / trial["steps"]), **trial}
    study = {**about["study"], "path": None}
    # Through JSON and back, tuples are lists.
    return json.loads(json.dumps({**about, "controls": controls, "study": study}))
