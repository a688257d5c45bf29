"""All that is asked of the package: every call of it by name is in this file."""

from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pandas as pd

import hormesis as hm
from frozen import subject
from hormesis.results.series import load_study_or_series

HERE = Path(__file__).parent
STUDIES, SERIES, TABLES = HERE / "studies", HERE / "series", HERE / "tables"
TRAINING, RETRAINING = HERE / "training", HERE / "retraining"
EPOCHS = (1, 2)
NEVER = hm.Confirmation("never")

SMALL = hm.Confirmation("always", 32, steps=2, restarts=2, draws=1, cross_check=True)
CASES: dict[str, dict[str, Any]] = {
    "signed": {
        "attack": hm.FGSM(1 / 16),
        "sweep": hm.Sweep(thresholds=4, control=2),
    },
    "other": {  # the same of another network, to compare over seeds
        "network": 1,
        "attack": hm.FGSM(1 / 16),
        "sweep": hm.Sweep(thresholds=4, control=2),
    },
    "confirmed": {
        "attack": hm.FGSM(1 / 16),
        "targets": hm.Targets(kinds=("linear",)),
        "sweep": hm.Sweep(thresholds=3),
        "confirmation": SMALL,
    },
    "magnitude": {
        "attack": hm.PGD(1 / 16, steps=2, restarts=2),
        "targets": hm.Targets(include=("second.*", "last.weight")),
        "sweep": hm.Sweep(("high_pass",), 4, by="magnitude", adversary="adaptive"),
        "metric": "top5",
        "confirmation": SMALL,
    },
    "channel": {
        "attack": hm.FGSM("auto"),
        "targets": hm.Targets(per="channel", include=("second.*", "norm.weight", "last.bias")),
        "sweep": hm.Sweep(thresholds=3),
        "metric": "loss",
    },
    "global": {
        "attack": hm.PGD(1 / 16, steps=2, random_start=False),
        "targets": hm.Targets(scope="global"),
        "sweep": hm.Sweep(thresholds=6, span=None, adversary="adaptive", control=1),
    },
    "margin": {
        "attack": hm.FGSM(1 / 16),
        "targets": hm.Targets(exclude=("first.*",)),
        "sweep": hm.Sweep(("pulse_wave", "low_pass"), thresholds=4, control=2, seed=3),
        "metric": hm.Metric("margin", subject.margin, chance=-1.5),
    },
    "until": {  # two targets are settled at sample 256, and keep what they have up to there
        "attack": hm.FGSM(1 / 64),
        "sweep": hm.Sweep(("high_pass",), 4, seed=2, until="certain"),
        "scoring": hm.Scoring(tolerance=0.7),
        "samples": None,
    },
    "width": {  # stops at sample 256
        "attack": hm.FGSM(1 / 16),
        "sweep": hm.Sweep(("high_pass",), 4, seed=2, until=0.4),
        "samples": None,
    },
    "extended": {
        "attack": hm.PGD(1 / 16, steps=2),
        "sweep": hm.Sweep(thresholds=7, control=2),
        "extend": "signed",
    },
}


def measured(name: str, engine: str, out: Path, **execution: Any) -> hm.Study:
    """Measure a case anew."""
    asked = dict(CASES[name])
    extended = asked.pop("extend", None)
    data = subject.samples() if asked.pop("samples", 1) else subject.every_sample()
    return hm.analyze(
        subject.network(asked.pop("network", 0)),
        data,
        **{"confirmation": NEVER, **asked},
        out=out,
        name="frozen",
        execution=hm.Execution(
            engine=engine,
            progress=False,
            extend=None if extended is None else STUDIES / extended,
            **{"num_workers": 1, **execution},
        ),
    )


def trained(out: Path) -> None:
    """Train a network that has a name, on data that have one."""
    hm.train(
        "frozen.subject:start",
        "frozen.subject:every_sample",
        out=out,
        recipe=hm.Recipe(epochs=max(EPOCHS), batch_size=48, lr=0.02),
        trainer_config=hm.TrainerConfig(progress=False, loggers={}, device="cpu"),
    )


def measured_series(engine: str, run: Path, out: Path) -> hm.StudySeries:
    """Measure every epoch of a training."""
    found, damaged = hm.analyze_epochs(
        hm.CheckpointSelection(run, epochs=EPOCHS, device="cpu", allow_code=True),
        out=out,
        attack=hm.FGSM(1 / 16),
        sweep=hm.Sweep(thresholds=5),
        execution=hm.Execution(engine=engine, num_workers=1, progress=False),
        confirmation=NEVER,
    )
    assert not damaged
    return found


def retrained(out: Path) -> hm.Retraining:
    """Train selectively and by every control."""
    return hm.retrain_with_controls(
        STUDIES / "other",
        (subject.others(), subject.samples()),
        out=out,
        controls=hm.Controls(
            seeds=(1, 2),
            evaluation_config=hm.EvaluationConfig(epsilons=(1 / 32, 1 / 16), steps=2, restarts=1),
        ),
        selection=hm.Selection(("antifragile",), undecided="estimate"),
        recipe=hm.Recipe(epochs=1, batch_size=48, lr=0.01),
        source=hm.SourceNetwork(network=subject.network(1)),
        trainer_config=hm.TrainerConfig(progress=False, loggers={}, device="cpu"),
    )


def opened(folder: Path) -> Any:
    """Open a study or a series."""
    return load_study_or_series(folder)


def scorings(interval: str, *, random: bool) -> Iterator[tuple[str, hm.Scoring]]:
    """Yield every combination of what scores depend on, with a name, multiplicities in turn."""
    references = ("base", "density", "random")[: 3 if random else 2]
    choices = product(("network", "first"), references, (False, True), ("infinite", "finite"))
    multiplicities = cycle(("none", "holm", "bh"))
    for base, reference, corrected, population in choices:
        scoring = hm.Scoring(
            base=base,
            reference=reference,
            tolerance=0.04,
            interval=interval,
            level=0.9,
            multiplicity=next(multiplicities),
            chance_corrected=corrected,
            population=population,
        )
        chance = "corrected" if corrected else "as measured"
        yield f"{base}, {reference}, {chance}, {population}", scoring


def scored(study: Any, interval: str) -> pd.DataFrame:
    """Return the scores by every scoring, and what is said where one is refused."""
    parts = []
    for name, scoring in scorings(interval, random="random_clean" in study.responses):
        try:
            parts.append(study.scores_with(scoring).assign(scoring=name))
        except hm.HormesisError as error:
            parts.append(pd.DataFrame({"scoring": [name], "refused": [str(error)]}))
    return pd.concat(parts, ignore_index=True)


def bootstrapped(name: str) -> dict[str, pd.DataFrame]:
    """Return the scores of a study by every scoring, with intervals by bootstrap."""
    return {"every-scoring": scored(opened(STUDIES / name), "bootstrap")}


def study_tables(study: Any, *, every: bool) -> dict[str, pd.DataFrame]:
    """Return what is computed of a study or a series when it is read.

    Args:
        study: The study, or the series.
        every: By every scoring, not only by its own.
    """
    found = {"scores": study.scores}
    if every:
        found["every-scoring"] = scored(study, "delta")
    for name in ("readings", "base"):
        if isinstance(table := getattr(study, name, None), pd.DataFrame):
            found[name] = table
    return found


def stored_tables(study: Any) -> dict[str, pd.DataFrame]:
    """Return what a study holds, by the name of its file."""
    names = ("targets", "responses", "samples", "confirmation")
    found = {name: getattr(study, name) for name in names}
    return {name: table for name, table in found.items() if table is not None}


def compared(which: str) -> dict[str, pd.DataFrame]:
    """Return the tables of a comparison of committed studies, and its notes."""
    folders, options = {
        "seeds": ([STUDIES / "signed", STUDIES / "other"], {"over": "seeds"}),
        "seeds-by-density": (
            [STUDIES / "signed", STUDIES / "other"],
            {"over": "seeds", "scoring": hm.Scoring(reference="density")},
        ),
        "epochs": ([SERIES], {"over": "epochs"}),
    }[which]
    found = hm.compare(folders, **options)
    return {**found.tables, "notes": pd.DataFrame({"note": list(found.notes)})}


EVERY_SCORING = ("signed", "channel", "margin", "until")
BOOTSTRAPPED = ("confirmed", "global")
COMPARISONS = ("seeds", "seeds-by-density", "epochs")


def retraining_tables(folder: Path) -> dict[str, Any]:
    """Return the tables of a finished retraining, by the name of their file."""
    found = hm.load_retraining(folder)
    return {"accuracy": found.accuracy, "effects": found.effects, "outcomes": found.outcomes}
