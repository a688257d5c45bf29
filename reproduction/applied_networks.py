"""Does a network get better when the best filters of its study are put in? With every baseline.

    python -m reproduction.applied_networks --data-root DATA --out FOLDER [--cases NAME ...]

Each case is trained and studied on 1,000 test images: with the paper's filters for the aim
``robust``, and by magnitude for ``sparse``. Both are applied and proved on 2,000 other test images.
Every stage is taken up where it was interrupted, and a table is written after each case.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import nn

import hormesis as hm
from hormesis.data.sampling import draw_stratified
from hormesis.measure.standing import masked
from hormesis.models.checkpoints import load_weights
from hormesis.models.normalization import normalized
from hormesis.report.plots.style import STYLE, picture, save
from hormesis.settings.apply import APPLIED, UNFILTERED_NETWORK
from hormesis.stress.kinds import own_network
from hormesis.stress.pruning import keep_largest
from hormesis.training.robustness import evaluate_robustness

Part = tuple[torch.Tensor, torch.Tensor]
"""Images and their classes."""
SEEDS = (0, 1, 2)
AS_FAR = "magnitude at the same clean loss"
SELECTION, PROOF = 1000, 2000
CROPPED = {"RandomCrop": {"size": 32, "padding": 4}, "RandomHorizontalFlip": {}}
SGD = hm.Recipe(
    epochs=12,
    batch_size=128,
    lr=0.1,
    optimizer="SGD",
    optimizer_options={"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
    schedule="OneCycleLR",
    augment=CROPPED,
)
ADAM = hm.Recipe(
    epochs=24,
    batch_size=128,
    optimizer_options={"fused": True},
    schedule="OneCycleLR",
    schedule_options={"max_lr": 0.002},
    augment=CROPPED,
)
RECIPES = {
    "resnet18-cifar10": SGD,
    "squeezenet1_1-cifar10": ADAM,
    "shufflenet_v2_x1_0-cifar10": replace(ADAM, epochs=21),
    "shufflenet_v2_x1_0-mnist": replace(ADAM, epochs=3, augment={}),
}
AIMS = {"robust": hm.Robust(clean_loss=1), "sparse": hm.Sparse(loss=0.5)}
SWEEPS = {
    "robust": hm.Sweep(),  # the paper's filters
    "sparse": hm.Sweep(filters=("high_pass",), by="magnitude", spacing="quantile"),
}
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "applied.png"
QUIET = hm.Execution(progress=False)


@dataclass(frozen=True)
class Case:
    """One network on one data set, from one initialisation."""

    name: str
    seed: int
    root: Path
    home: Path

    @property
    def model(self) -> str:
        return self.name.rpartition("-")[0]

    @property
    def data(self) -> str:
        return self.name.rpartition("-")[2]

    @property
    def folder(self) -> Path:
        return self.home / f"{self.name}-s{self.seed}"

    def trained(self) -> nn.Module:
        """Return the network, trained if it was not before."""
        recipe = replace(RECIPES[self.name], seed=self.seed)
        run = hm.train(
            self.model,
            self.data,
            out=self.folder,
            recipe=recipe,
            data_config=hm.DataConfig(root=str(self.root)),
            trainer_config=hm.TrainerConfig(checkpoint_every=3, progress=False),
        )
        images = self.images()
        channels = images.inputs.shape[1]
        network = hm.build_model(self.model, classes=images.classes, channels=channels)
        whole = normalized(network, images.mean, images.std)
        load_weights(whole, run.whole(recipe.epochs))
        return whole.eval()

    def images(self) -> hm.Samples:
        return hm.load_data(self.data, root=self.root)

    def parts(self) -> tuple[Part, Part]:
        """Return the images that cells are chosen by, and those of the proof."""
        images = self.images()
        chosen = draw_stratified(images.labels, SELECTION, self.seed)
        rest = torch.ones(len(images.labels), dtype=torch.bool)
        rest[chosen] = False
        left = rest.nonzero().flatten()
        proof = left[draw_stratified(images.labels[left], PROOF, self.seed)]
        first, second = ((images.inputs[part], images.labels[part]) for part in (chosen, proof))
        return first, second


def measured(case: Case) -> list[dict[str, Any]]:
    """Return the rows of a case: every network of both proofs."""
    network, (chosen, proof) = case.trained(), case.parts()
    rows = []
    for name, aim in AIMS.items():
        study = hm.analyze(
            network,
            chosen,
            sweep=SWEEPS[name],
            confirmation=hm.Confirmation("never"),
            execution=QUIET,
            out=case.home / "studies" / f"{case.folder.name}-{name}",
        )
        found = hm.apply(
            study,
            network,
            chosen,
            aim=aim,
            proof=hm.Proof(data=proof, samples=PROOF, steps=20, restarts=3),
            out=case.home / "applied" / f"{case.folder.name}-{name}",
            execution=QUIET,
        )
        print(f"{case.folder.name}, {name}: {found.summary}")
        about = {"case": case.name, "seed": case.seed, "aim": name}
        about |= {"steps": len(found.steps) - 1, "epsilon": study.manifest["attack"]["epsilon"]}
        about |= {"study_seconds": study.manifest["run"].get("seconds")}
        about |= {"seconds": found.manifest["run"]["seconds"] if found.helps else None}
        rows += [{**about, **row} for row in found.proof.to_dict("records")]
        if name == "sparse" and found.helps:
            far = pruned_as_far(network, chosen, proof, found, about["epsilon"])
            rows += [about | row for row in far]
    return rows


def pruned_as_far(
    network: nn.Module, chosen: Part, proof: Part, found: hm.Applied, epsilon: float
) -> list[dict[str, Any]]:
    """Return what magnitude pruning does when it goes as far as the clean loss allows.

    The number of values is found by halving, on the images that cells are chosen by.
    """
    targets, own = hm.load_study(str(found.metadata.study.path)).targets, own_network(network)
    names = targets.loc[targets["tested"], "target"]
    values = {name: own.get_parameter(name).detach().clone() for name in names}
    least = accuracy(network, chosen) - AIMS["sparse"].most
    low, high = 0, sum(one.numel() for one in values.values())
    while high - low > max(high // 500, 1):
        count = (low + high) // 2
        with masked(own, keep_largest(values, count)):
            low, high = (count, high) if accuracy(network, chosen) >= least else (low, count)
    config = hm.EvaluationConfig(epsilons=(epsilon,), steps=20, restarts=3)
    with masked(own, keep_largest(values, low)):
        outcomes = evaluate_robustness(network, hm.samples_from(proof), config)
    return [
        {"network": AS_FAR, "attack": attack, "removed": low, "accuracy": rows["right"].mean()}
        for attack, rows in outcomes.groupby("attack", sort=False)
    ]


@torch.no_grad()
def accuracy(network: nn.Module, part: Part) -> float:
    """Return the share of images whose class is found."""
    images, labels = part
    right = [
        (network(few).argmax(1) == truth).sum()
        for few, truth in zip(images.split(250), labels.split(250), strict=True)
    ]
    return float(torch.stack(right).sum()) / len(labels)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw what each network gains over the unfiltered one, clean and under PGD."""
    rows = table.loc[~table["network"].isin((UNFILTERED_NETWORK, AS_FAR))]
    with mpl.rc_context(STYLE):
        figure = picture(10.0, 6.0)
        axes = figure.subplots(2, 2, sharey="row", sharex="col", squeeze=False)
        for row, attack in enumerate(("clean", "pgd")):
            for column, aim in enumerate(AIMS):
                some = rows.loc[(rows["attack"] == attack) & (rows["aim"] == aim)]
                _points(axes[row][column], some)
                axes[row][column].set_title(f"{aim}, {'under PGD' if row else 'clean'}")
        save(figure, path, dpi=130.0)


def _points(axis: Axes, rows: pd.DataFrame) -> None:
    order = [APPLIED, *sorted(set(rows["network"]) - {APPLIED})]
    axis.axhline(0, color="0.6", lw=0.8)
    for place, name in enumerate(order):
        own = rows.loc[rows["network"] == name]
        spread = [place + 0.6 * (number / max(len(own) - 1, 1) - 0.5) for number in range(len(own))]
        middle = 100 * own["difference"].to_numpy()
        low, high = (100 * own[f"difference_{end}"].to_numpy() for end in ("low", "high"))
        axis.errorbar(spread, middle, [middle - low, high - middle], fmt="o", ms=3, lw=1)
    axis.set_xticks(range(len(order)), [name.replace(" by ", "\nby ") for name in order])
    axis.set_ylabel("points")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for name in options.cases:
            rows += measured(Case(name, seed, options.data_root, options.out))
            table = pd.DataFrame(rows)
            table.to_csv(options.out / "applied.csv", index=False)
    draw(pd.DataFrame(rows), PICTURE)


if __name__ == "__main__":
    main()
