"""Does selective retraining improve adversarial accuracy? Real data, three networks, three seeds.

    python reproduction/selective_retraining.py --data-root DATA --out FOLDER

Every stage is taken up where it was interrupted; seed 1 of all pairs comes before seed 2.

1. base      trains each network and analyses it after its last epoch
2. search    tries forms of the selection with seed 1, on training images that no network has seen
3. final     the arms of the plain and of the chosen form, tried once on test images
4. hardened  the same by adversarial training, with seed 1
5. table     writes the tables and the picture
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import torch
from scipy.stats import t

import hormesis as hm
from hormesis.analysis.effects import effect_table, pooled_accuracy
from hormesis.data.splits import load_parts
from hormesis.errors import SettingError
from hormesis.report.plots.retraining import draw_attack
from hormesis.report.plots.style import STYLE, picture, save
from hormesis.results.retraining import EFFECTS
from hormesis.training.config import training_attack
from hormesis.training.selection import ARMS
from hormesis.training.source_network import data_config_of

SEEDS = (1, 2, 3)
TRAINED, STUDIED, SEARCHED = 4000, 150, 150
RETRAINED, TRIED = 2000, 150
# Epochs of the base training and learning rate: SqueezeNet does not learn at 1e-3.
BASES = {
    ("mnist", "resnet18"): (3, 1e-3),
    ("mnist", "shufflenet_v2_x1_0"): (5, 2e-3),
    ("mnist", "squeezenet1_1"): (6, 3e-4),
    ("cifar10", "resnet18"): (5, 1e-3),
    ("cifar10", "shufflenet_v2_x1_0"): (8, 2e-3),
    ("cifar10", "squeezenet1_1"): (12, 3e-4),
}
EPSILONS = {"mnist": (0.02, 0.04, 0.08), "cifar10": (0.5 / 255, 1 / 255, 2 / 255)}
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "selective-retraining.png"
SHARED = ("everything", "none")  # arms that are the same for any selection
QUIET = hm.TrainerConfig(
    progress=False, loggers={}, device="cpu", validation_samples=200, checkpoint_every=1000
)
PLAIN = hm.Selection(undecided="estimate", scoring=hm.Scoring(reference="base"))


@dataclass(frozen=True)
class Case:
    """One network on one data set, from one initialisation."""

    data: str
    model: str
    seed: int
    home: Path
    root: Path

    @property
    def name(self) -> str:
        return f"{self.data}-{self.model}-{self.seed}"

    @property
    def run(self) -> Path:
        return self.home / "runs" / self.name

    @property
    def recipe(self) -> hm.Recipe:
        epochs, rate = BASES[self.data, self.model]
        return hm.Recipe(epochs=epochs, lr=rate, seed=self.seed)

    @property
    def study(self) -> Path:
        return self.home / "studies" / self.name / f"epoch-{self.recipe.epochs:04d}"


def cases(home: Path, root: Path, seeds: tuple[int, ...] = SEEDS) -> Iterator[Case]:
    for seed in seeds:
        for data, model in BASES:
            yield Case(data, model, seed, home, root)


def base(case: Case) -> None:
    hm.train(
        case.model,
        case.data,
        out=case.run,
        recipe=case.recipe,
        data_config=hm.DataConfig(root=str(case.root), samples=TRAINED),
        trainer_config=replace(QUIET, validation_samples=500),
    )
    hm.analyze_epochs(
        hm.CheckpointSelection(
            case.run,
            epochs=(case.recipe.epochs,),
            samples=STUDIED,
            data_root=str(case.root),
            device="cpu",
        ),
        out=case.study.parent,
        sweep=hm.Sweep(thresholds=9),
        execution=hm.Execution(num_workers=1, progress=False),
    )


@dataclass(frozen=True)
class Variant:
    """A form of selective retraining: what is trained, and how."""

    form: str
    batchnorm: str = "frozen"
    slower: int = 1

    @property
    def name(self) -> str:
        slower = f", rate by {self.slower}" if self.slower > 1 else ""
        return f"{self.form}, statistics {self.batchnorm}{slower}"

    def selection(self, study: hm.Study) -> hm.Selection:
        by = self.form.split()[1]
        if "half" in self.form:
            return replace(half(study, by, "density"), batchnorm=self.batchnorm)
        return replace(PLAIN, by=by, batchnorm=self.batchnorm)


PLAINLY = Variant("base adversarial")
VARIANTS = (
    PLAINLY,
    Variant("base clean"),
    Variant("half adversarial"),
    Variant("half difference"),
    Variant("base adversarial", batchnorm="follow"),
    Variant("base adversarial", slower=10),
)


def half(study: hm.Study, by: str, reference: str) -> hm.Selection:
    """The selection whose tolerance is the median of the scores, so that it splits them evenly."""
    scores = study.scores_with(hm.Scoring(reference=reference))
    chosen = (scores["filter"] == "combined") & (scores["score"] == by)
    middle = float(scores.loc[chosen, "value"].median())
    keep = ("antifragile",) if middle > 0 else ("robust", "antifragile")
    scoring = hm.Scoring(reference=reference, tolerance=abs(middle))
    return hm.Selection(keep=keep, by=by, undecided="estimate", scoring=scoring)


def unused(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Training images that the base training has not seen, to choose a form on."""
    whole = load_parts(case.data, root=case.root).train
    seen = whole.draw(TRAINED, 0).rows
    left = torch.ones(len(whole), dtype=torch.bool)
    left[torch.from_numpy(seen)] = False
    samples = whole.subset(left.nonzero().flatten()).draw(SEARCHED, 0).samples()
    return samples.inputs, samples.labels


def retrained(
    case: Case,
    out: Path,
    variant: Variant,
    controls: hm.Controls,
    *,
    images: int = TRAINED,
    **recipe: Any,  # noqa: ANN401
) -> hm.Retraining:
    usual = {"epochs": 1, "rate": case.recipe.lr / variant.slower} | recipe
    corpus = replace(data_config_of(hm.load_run(case.run), str(case.root)), samples=images)
    return hm.retrain_with_controls(
        case.study,
        out=out,
        controls=controls,
        selection=variant.selection(hm.load_study(case.study)),
        recipe=hm.Recipe(**usual),
        source=hm.SourceNetwork(run=case.run),
        data_config=corpus,
        trainer_config=QUIET,
    )


def search(case: Case) -> None:
    """Try every variant, and regular training at the same rates."""
    trial = hm.EvaluationConfig(epsilons=EPSILONS[case.data][:2], steps=10, restarts=1)
    controls = hm.Controls(
        arms=("selective",), seeds=(case.seed,), evaluation_config=trial, test=unused(case)
    )
    home = case.home / "search" / case.name
    for slower in (1, 10):
        regular = replace(controls, arms=("everything",))
        variant = replace(PLAINLY, slower=slower)
        retrained(case, home / f"everything, rate by {slower}", variant, regular)
    for variant in VARIANTS:
        retrained(case, home / variant.name, variant, controls)


def choose(home: Path, root: Path) -> Variant:
    """Return the variant that PGD likes best beside regular training, over all pairs."""
    gains = []
    for case in cases(home, root, SEEDS[:1]):
        there = case.home / "search" / case.name
        for variant in VARIANTS:
            regular = pgd(there / f"everything, rate by {variant.slower}")
            gains.append((variant.name, case.name, pgd(there / variant.name) - regular))
    table = pd.DataFrame(gains, columns=["variant", "case", "gain"])
    table.to_csv(home / "search.csv", index=False)
    mean = table.groupby("variant")["gain"].mean()
    print(mean.sort_values(), flush=True)
    return next(variant for variant in VARIANTS if variant.name == mean.idxmax())


def pgd(folder: Path) -> float:
    """Mean accuracy under PGD over epsilons, of a folder with a single arm."""
    accuracy = hm.load_retraining(folder).accuracy
    assert accuracy is not None
    return float(accuracy.loc[accuracy["attack"] == "pgd", "accuracy"].mean())


def final(case: Case, variant: Variant) -> None:
    """Every arm, tried on test images that the study has not seen."""
    trial = hm.EvaluationConfig(epsilons=EPSILONS[case.data], steps=10, restarts=2, samples=TRIED)
    there = case.home / "final" / case.name
    arms = ARMS
    if variant != PLAINLY:
        arms = ("selective", "random-size")
        if variant.slower > 1 or not (there / PLAINLY.name / EFFECTS).is_file():
            arms = (*arms, *SHARED)
    if (there / variant.name / EFFECTS).is_file():
        return
    controls = hm.Controls(arms=arms, seeds=(case.seed,), evaluation_config=trial)
    try:
        retrained(case, there / variant.name, variant, controls, images=RETRAINED)
    except SettingError as error:  # all targets of the study are of one class
        print(f"{case.name}, {variant.name}: {error}", flush=True)


def hardened(case: Case, variant: Variant) -> None:
    """Adversarial training of the selection and of everything, as a yardstick."""
    trial = hm.EvaluationConfig(epsilons=EPSILONS[case.data], steps=10, restarts=2, samples=TRIED)
    controls = hm.Controls(
        arms=("selective", "everything"), seeds=(case.seed,), evaluation_config=trial
    )
    attack = training_attack("pgd", EPSILONS[case.data][1], steps=3)
    out = case.home / "hardened" / case.name
    harder = {"attack": attack, "adversarial": True}
    retrained(case, out, variant, controls, images=RETRAINED, **harder)


def gathered(home: Path, variant: Variant) -> pd.DataFrame:
    """The outcomes of all cases that are finished, with columns ``data`` and ``model``."""
    parts = []
    for case in cases(home, home):
        there = home / "final" / case.name
        if not (there / variant.name / EFFECTS).is_file():
            continue
        table = hm.load_retraining(there / variant.name).outcomes
        if not set(SHARED) <= set(table["arm"]):
            shared = hm.load_retraining(there / PLAINLY.name).outcomes
            shared = shared[shared["arm"].isin(SHARED)]
            table = pd.concat([table, shared], ignore_index=True)
        parts.append(table.assign(data=case.data, model=case.model))
    return pd.concat(parts, ignore_index=True)


def effects(outcomes: pd.DataFrame, against: str) -> pd.DataFrame:
    """Differences of the arms over all epsilons above 0, a row for each pair, arm and attack."""
    rows = []
    for (data, model), pair in outcomes.groupby(["data", "model"], sort=False):
        keys = ["arm", "seed", "attack", "sample"]
        mean = pair.assign(right=pair["right"].astype(float)).groupby(keys)["right"].mean()
        table = mean.reset_index().assign(epsilon=0.0)
        found = effect_table(table, against)
        seeds = pair["seed"].nunique()
        rows.append(found.assign(data=data, model=model, seeds=seeds).drop(columns="epsilon"))
    return pd.concat(rows, ignore_index=True)


def tables(home: Path, out: Path, chosen: Variant) -> None:
    """Write what was found as CSV and Markdown, and draw it."""
    out.mkdir(parents=True, exist_ok=True)
    outcomes = {"plain": gathered(home, PLAINLY), "chosen": gathered(home, chosen)}
    for label, found in outcomes.items():
        accuracy = [
            pooled_accuracy(part).assign(data=data, model=model)
            for (data, model), part in found.groupby(["data", "model"], sort=False)
        ]
        table = pd.concat(accuracy, ignore_index=True)
        table.to_csv(out / f"{label}-accuracy.csv", index=False, float_format="%.4f")
        compared = [effects(found, arm).assign(against=arm) for arm in ARMS if arm != "selective"]
        table = pd.concat(compared, ignore_index=True)
        table.to_csv(out / f"{label}-effects.csv", index=False, float_format="%.4f")
        overall(found).to_csv(out / f"{label}-overall.csv", index=False, float_format="%.4f")
        (out / f"{label}.md").write_text(markdown(table), encoding="utf-8")
    draw(outcomes, PICTURE)


def overall(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Mean difference over all cases, each of which is a network of its own, with a t interval.

    Returns:
        Columns ``group``, ``attack``, ``against``, ``cases``, ``mean``, ``low`` and ``high``.
    """
    keys = ["data", "model", "seed", "attack", "arm"]
    means = outcomes.groupby(keys)["right"].mean().unstack("arm").reset_index()
    claimed = means["model"].isin(("resnet18", "shufflenet_v2_x1_0"))
    rows = []
    for group, part in (("all", means), ("ResNet and ShuffleNet", means[claimed])):
        for attack, cases in part.groupby("attack"):
            for against in (arm for arm in ARMS if arm in cases and arm != "selective"):
                found = (cases["selective"] - cases[against]).dropna()
                half = float(t.ppf(0.975, len(found) - 1) * found.std() / len(found) ** 0.5)
                mean = float(found.mean())
                rows.append((group, attack, against, len(found), mean, mean - half, mean + half))
    columns = ["group", "attack", "against", "cases", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def markdown(compared: pd.DataFrame) -> str:
    """Differences of the selective arm from others, in percentage points, a row for each pair."""
    columns = (
        ("clean", "everything"),
        ("fgsm", "everything"),
        ("pgd", "everything"),
        ("pgd", "random-size"),
        ("pgd", "random-layers"),
        ("pgd", "none"),
    )
    ours = compared[compared["arm"] == "selective"]
    columns = [each for each in columns if each[1] in set(ours["against"])]
    lines = [
        "| network, data, seeds | " + " | ".join(f"{a}, − {arm}" for a, arm in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for (data, model, seeds), rows in ours.groupby(["data", "model", "seeds"], sort=False):
        cells = []
        for attack, arm in columns:
            found = rows[(rows["attack"] == attack) & (rows["against"] == arm)].iloc[0]
            mean, low, high = (100 * found[name] for name in ("difference", "low", "high"))
            text = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
            cells.append(f"**{text}**" if low > 0 or high < 0 else text)
        lines.append(f"| {model}, {data}, {seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(outcomes: dict[str, pd.DataFrame], path: Path) -> None:
    """Accuracy under PGD against epsilon, a panel for each pair, a line for each arm."""
    second = outcomes["chosen"].query("arm == 'selective'").assign(arm="selective, chosen form")
    every = pd.concat([outcomes["plain"], second], ignore_index=True)
    pairs = [key for key, _ in every.groupby(["data", "model"], sort=False)]
    with mpl.rc_context(STYLE):
        figure = picture(10.0, 6.0)
        panels = figure.subplots(2, 3, squeeze=False).flatten()
        for axes, (data, model) in zip(panels, pairs, strict=False):
            part = every[(every["data"] == data) & (every["model"] == model)]
            draw_attack(axes, pooled_accuracy(part), "pgd")
            axes.set_ylim(-0.02, 1.02 if data == "mnist" else 0.72)
            axes.set_title(f"{model} on {data}, {part['seed'].nunique()} seed(s)", fontsize=9)
        panels[0].set_ylabel("accuracy under PGD, 95% interval")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False)
        save(figure, path, dpi=130.0)


STAGES = ("base", "search", "final", "hardened", "table")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    given = parser.parse_args()
    home, root = given.out, given.data_root
    torch.set_num_threads(1)
    first = SEEDS[:1]
    chosen = None
    for seed in SEEDS:
        if "base" in given.stages:
            each("base", cases(home, root, (seed,)), base)
        if "search" in given.stages and seed in first:
            each("search", cases(home, root, first), search)
        chosen = chosen or choose(home, root)
        for variant in dict.fromkeys((PLAINLY, chosen)) if "final" in given.stages else ():
            each("final", cases(home, root, (seed,)), partial(final, variant=variant))
    if "hardened" in given.stages:
        each("hardened", cases(home, root, first), partial(hardened, variant=PLAINLY))
    if "table" in given.stages and chosen is not None:
        tables(home, Path(__file__).parent / "selective_retraining", chosen)


def each(stage: str, found: Iterator[Case], run: Callable[[Case], None]) -> None:
    for case in found:
        started = time.monotonic()
        run(case)
        print(f"{stage} {case.name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
