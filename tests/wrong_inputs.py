"""Wrong inputs as users make them: what is passed, and the words that the refusal has to hold.

Each case is ``(id, words, what is passed)``: ``network``, ``data`` and other arguments of
``hm.analyze``, or a function that makes them where that takes time, a package, or may fail.
"""

# Types are among what users get wrong.
# pyright: reportArgumentType=false

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

import hormesis as hm
from wrong_episodes import EPISODES

Passed = dict[str, Any] | Callable[[], dict[str, Any]]
Case = tuple[str, str, Passed]

with torch.random.fork_rng():
    torch.manual_seed(0)
    ROWS, IMAGES = torch.rand(40, 5), torch.rand(40, 3, 8, 8)
    IDS = torch.randint(50, (40, 6))
    NET = nn.Linear(5, 3)
    PICTURES = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    BAGS = nn.Sequential(nn.EmbeddingBag(50, 4), nn.Linear(4, 3))
    TOKENS = nn.Sequential(nn.Embedding(50, 4), nn.Flatten(), nn.Linear(24, 3))
CLASSES = torch.arange(40) % 3


class Calls(nn.Module):
    """A network whose forward is a function of its linear layer and the inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(5, 3), function

    def forward(self, rows: Tensor) -> Any:
        return self.function(self.layer, rows)


class Named(nn.Module):
    """A network of named inputs, which returns its loss alone if it is given labels."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 4), nn.Linear(4, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        pooled = (self.embedding(input_ids) * attention_mask[..., None]).mean(dim=1)
        return functional.cross_entropy(self.head(pooled), labels)


class TwoPlaces(nn.Module):
    """A network of two positional inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.layer(left + right)


class TwoMatricesAttention(nn.Module):
    """An attention, by its name, of a layout that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.head = nn.Linear(5, 12), nn.Linear(12, 3)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.mixed(rows))


class Items:
    """A dataset of items made by a function."""

    def __init__(self, item: Callable[[int], Any]) -> None:
        self.item = item

    def __len__(self) -> int:
        return 40

    def __getitem__(self, number: int) -> Any:
        return self.item(number)


def quantised() -> dict[str, Any]:
    network = nn.Sequential(nn.Linear(5, 3))
    return {"network": torch.ao.quantization.quantize_dynamic(network, {nn.Linear})}


def exported() -> dict[str, Any]:
    return {"network": torch.export.export(NET, (ROWS,))}


def meta() -> dict[str, Any]:
    with torch.device("meta"):
        return {"network": nn.Linear(5, 3)}


def with_value(value: float) -> dict[str, Any]:
    network = nn.Linear(5, 3)
    network.weight.data[0, 0] = value
    return {"network": network}


def whole_numbers() -> dict[str, Any]:
    network = Calls(lambda layer, rows: functional.pad(rows, (0, 1))[:, :3])
    network.add_module("layer", nn.Identity())
    network.table = nn.Parameter(torch.arange(6), requires_grad=False)
    return {"network": network}


def raises(*_: object) -> Any:
    raise ZeroDivisionError("my own trouble\nof two lines")


NETWORKS: list[Case] = [
    ("function", "torch.nn.Module|function|wrap", {"network": lambda rows: rows}),
    ("class", "torch.nn.Module|class|Linear|call it", {"network": nn.Linear}),
    ("name", "'resnet18'|build_model", {"network": "resnet18"}),
    ("none", "torch.nn.Module|NoneType", {"network": None}),
    ("list", "torch.nn.Module|list", {"network": [NET, NET]}),
    ("state dict", "a dictionary|load_state_dict", {"network": NET.state_dict()}),
    ("tensor", "torch.nn.Module|Tensor", {"network": ROWS}),
    ("scripted", "torch.jit", lambda: {"network": torch.jit.trace(NET, ROWS)}),
    ("exported", "ExportedProgram|pass the module", exported),
    ("quantised", "quantised|before its quantisation", quantised),
    ("lazy", "'weight'|holds no values", {"network": nn.LazyLinear(3)}),
    ("lazy batch norm", "holds no values", {"network": nn.Sequential(NET, nn.LazyBatchNorm1d())}),
    ("meta", "'weight'|holds no values", meta),
    ("nan", "'weight'|NaN", with_value(float("nan"))),
    ("no weights at all", "no parameter", {"network": nn.Flatten(), "data": (ROWS, CLASSES)}),
    ("whole numbers", "No parameter", whole_numbers),
    ("no forward", "forward", {"network": nn.Module()}),
    ("module list", "forward", {"network": nn.ModuleList([NET])}),
    ("raises", "my own trouble", {"network": Calls(raises)}),
    (
        "batch statistics",
        "samples of a batch|BatchNorm1d",
        {"network": nn.Sequential(NET, nn.BatchNorm1d(3, track_running_stats=False))},
    ),
    (
        "functional dropout",
        "two answers|deterministic",
        {"network": Calls(lambda layer, rows: functional.dropout(layer(rows), training=True))},
    ),
    (
        "cut off by numpy",
        "differentiable|detach",
        {"network": Calls(lambda layer, rows: torch.from_numpy(layer(rows).detach().numpy()))},
    ),
    (
        "inference mode",
        "differentiable|no_grad()",
        {"network": Calls(torch.inference_mode()(lambda layer, rows: layer(rows)))},
    ),
    (
        "infinite outputs",
        "NaN or infinite",
        {"network": Calls(lambda layer, rows: layer(rows) / 0)},
    ),
]

OUTPUTS: list[Case] = [
    ("none returned", "logits|NoneType", {"network": Calls(lambda layer, rows: None)}),
    ("number returned", "logits|float", {"network": Calls(lambda layer, rows: 1.0)}),
    (
        "a loss returned",
        "one row|output",
        {"network": Calls(lambda layer, rows: layer(rows).mean())},
    ),
    (
        "predicted classes",
        "int64|`output`",
        {"network": Calls(lambda layer, rows: layer(rows).argmax(1))},
    ),
    (
        "softmax over the batch",
        "samples of a batch",
        {"network": Calls(lambda layer, rows: layer(rows).softmax(0))},
    ),
    (
        "time first",
        "one row for each",
        {
            "network": Calls(lambda layer, rows: layer(rows)[None].expand(7, -1, -1)),
            "metric": "token_accuracy",
            "data": (ROWS, CLASSES[:, None]),
        },
    ),
    (
        "time-first LSTM",
        "samples of a batch|batch_first=True",
        {
            "network": nn.LSTM(5, 3),
            "data": (torch.rand(40, 7, 5), CLASSES[:, None].expand(40, 7)),
            "metric": "token_accuracy",
            "targets": hm.Targets(kinds=("recurrent",)),
        },
    ),
    (
        "unnamed dictionary",
        "'one', 'two'|`output`",
        {"network": Calls(lambda layer, rows: {"one": layer(rows), "two": layer(rows)})},
    ),
    ("name not there", "'logit'|'logits'", {
        "network": Calls(lambda layer, rows: {"logits": layer(rows)}), "output": "logit",
    }),
    ("name of a tensor", "'logits'|Tensor", {"output": "logits"}),
    ("place not there", "place 4|tuple of 2", {
        "network": Calls(lambda layer, rows: (rows, layer(rows))), "output": 4,
    }),
    ("a wrong type", "`output`|float", {"output": 1.5}),
    ("a function that raises", "`output`|my own trouble", {"output": raises}),
    ("a function of a list", "`output`", {"output": lambda output: [output]}),
    ("too few classes", "3 output|5 classes", {"data": (ROWS, torch.arange(40) % 5)}),
    ("one output", "binary_accuracy", {"network": nn.Linear(5, 1), "data": (ROWS, CLASSES * 0)}),
    ("images for classes", "[2, 3, 5]|`output`", {
        "network": Calls(lambda layer, rows: layer(rows)[..., None].expand(-1, 3, 5)),
    }),
]  # fmt: skip

DATA: list[Case] = [
    ("none", "NoneType", {"data": None}),
    ("path", "'photos'|load_data", {"data": "photos"}),
    ("number", "int", {"data": 3}),
    ("function", "function", {"data": raises}),
    ("texts", "tokenise", {"data": ["good film", "bad film"]}),
    ("texts and labels", "tokenise", {"data": (["good", "bad"] * 20, CLASSES)}),
    ("pairs of texts", "tokenise", {"data": [("good film", 1), ("bad film", 0)] * 9}),
    ("generator of texts", "tokenise", lambda: {"data": (word for word in ["good", "bad"])}),
    ("generator of pairs", "empty", lambda: {"data": ((row, 1) for row in [])}),
    ("ragged lists", "different lengths|pad", {"data": ([[1.0, 2.0], [1.0]] * 20, CLASSES)}),
    ("ragged items", "pad", {"data": [(torch.rand(5 + n % 2), n % 3) for n in range(40)]}),
    ("text column", "'city'", {
        "data": pd.DataFrame({"a": np.zeros(9), "city": ["Rome"] * 9, "label": [0, 1, 2] * 3}),
    }),
    ("dates", "'day'", {
        "data": pd.DataFrame({"day": pd.date_range("2020", periods=9), "label": [0, 1, 2] * 3}),
    }),
    ("label that is no column", "'target'|'a', 'b'", {
        "data": pd.DataFrame({"a": np.zeros(9), "b": np.zeros(9)}), "label": "target",
    }),
    ("label of a pair", "`label`|'target'", {"data": (ROWS, CLASSES), "label": "target"}),
    ("label of another place", "`label`|7", {"data": (ROWS, CLASSES), "label": 7}),
    ("unlabelled loader", "'rows'|`label`", lambda: {
        "data": DataLoader([{"rows": row} for row in ROWS], batch_size=8),
    }),
    ("unlabelled tensor", "labels|class numbers", {"data": ROWS}),
    ("unlabelled pair", "labels|class numbers", {"data": (ROWS, None)}),
    ("numbers of other length", "40, 5|39", {"data": (ROWS, CLASSES[:39])}),
    ("labels all ignored", "-100", {"data": (ROWS, CLASSES * 0 - 100)}),
    ("real labels", "class numbers|float32", {"data": (ROWS, torch.rand(40))}),
    ("one-hot labels", "class number|argmax", {
        "data": (ROWS, functional.one_hot(CLASSES)),
    }),
    ("real one-hot labels", "class numbers|argmax", {
        "data": (ROWS, functional.one_hot(CLASSES).float()),
    }),
    ("labels from 1", "count from 0", {"data": (ROWS, CLASSES + 1)}),
    ("labels in a column", "squeeze", {"data": (ROWS, CLASSES[:, None])}),
    ("labels in words", "texts|number", {"data": (ROWS, ["cat", "dog"] * 20)}),
    ("labels of an array of words", "texts|number", {
        "data": (ROWS.numpy(), np.array(["cat", "dog"] * 20)),
    }),
    ("categories", "number", {"data": (ROWS, pd.Series(["cat", "dog"] * 20, dtype="category"))}),
    ("missing labels", "NaN", {"data": (ROWS, pd.Series([0, 1, None, 2] * 10))}),
    ("token ids as floats", "whole numbers|long", {
        "network": TOKENS, "data": (IDS.float(), CLASSES), "attack": None,
    }),
    ("token ids as floats, attacked", "whole numbers|long", {
        "network": TOKENS, "data": (IDS.float() / 50, CLASSES), "attack": hm.FGSM(0.1),
    }),
    ("token ids too large", "up to 88|vocabulary", {
        "network": TOKENS, "data": (IDS + 40, CLASSES), "attack": None,
    }),
    ("pixels of 8 bits", "0 to 255|255", {
        "network": PICTURES, "data": ((IMAGES * 255).byte(), CLASSES),
    }),
    ("channels last", "channel|last", {
        "network": PICTURES, "data": (IMAGES.permute(0, 2, 3, 1), CLASSES),
    }),
    ("another number of channels", "3 input|have 1", {
        "network": PICTURES, "data": (IMAGES[:, :1], CLASSES),
    }),
    ("another size", "[2, 3, 8, 9]", {
        "network": PICTURES, "data": (torch.rand(40, 3, 8, 9), CLASSES),
    }),
    ("another width", "inputs of shape [2, 4]", {"data": (ROWS[:, :4], CLASSES)}),
    ("a single image", "one label for each row|(3, 8, 8)", {
        "network": PICTURES, "data": (IMAGES[0], torch.tensor(1)),
    }),
    ("no batch axis", "inputs of shape [2, 8, 8]", {
        "network": PICTURES, "data": (IMAGES[0], torch.tensor([0, 1, 2])),
    }),
    ("no values", "shape", {"data": (torch.rand(40, 0), CLASSES)}),
    ("nan", "NaN in sample 0", {"data": (ROWS / 0 * 0, CLASSES)}),
    ("infinite", "infinity", {"data": (ROWS / 0, CLASSES)}),
    ("normalised", "normalized", {"data": (ROWS * 4 - 2, CLASSES)}),
    ("complex", "complex", {"data": (ROWS.to(torch.complex64), CLASSES)}),
    ("sparse", "sparse|to_dense", lambda: {"data": (ROWS.to_sparse(), CLASSES)}),
    ("nested", "nested", lambda: {
        "data": (torch.nested.nested_tensor([torch.rand(2, 5), torch.rand(3, 5)]), CLASSES[:2]),
    }),
    ("objects", "object", {"data": (np.array([object()] * 40), CLASSES)}),
    ("an item that raises", "item 0|my own trouble", {"data": Items(raises)}),
    ("a loader that raises", "my own trouble", lambda: {
        "data": DataLoader(Items(raises), batch_size=4),
    }),
    ("a loader of words", "tokenise", lambda: {
        "data": DataLoader([("good", 1), ("bad", 0)], batch_size=2),
    }),
    ("items of None", "None", {"data": Items(lambda number: None)}),
    ("items of one part", "labels", {"data": Items(lambda number: (ROWS[number],))}),
    ("items of strings", "tokenise", {"data": Items(lambda number: "text")}),
    ("empty list", "empty", {"data": []}),
    ("empty tuple", "empty tuple", {"data": ()}),
    ("empty dictionary", "empty dict", {"data": {}}),
    ("dictionary of texts", "tokenise", {"data": {"text": ["a", "b"], "label": [0, 1]}}),
]  # fmt: skip


def pictures() -> Iterator[Any]:
    from PIL import Image

    while True:
        yield Image.new("RGB", (8, 8)), 1


def photographs() -> dict[str, Any]:
    image = next(pictures())[0]
    return {"network": PICTURES, "data": [(image, number % 3) for number in range(9)]}


def from_datasets() -> dict[str, Any]:
    import datasets

    return {"data": datasets.Dataset.from_dict({"text": ["good", "bad"], "label": [1, 0]})}


DATA += [("pictures of PIL", "ToTensor", photographs), ("raw text", "tokenise", from_datasets)]

MASK = torch.ones_like(IDS)
INPUTS: list[Case] = [
    ("key that is not known", "'mask'|attention_mask", {
        "network": Named(), "data": ({"input_ids": IDS, "mask": MASK}, CLASSES), "attack": None,
    }),
    ("missing key", "labels", {
        "network": Named(), "data": ({"input_ids": IDS, "attention_mask": MASK}, CLASSES),
        "attack": None,
    }),
    ("too many inputs", "3 inputs|2", {
        "network": TwoPlaces(), "data": ((ROWS, ROWS, ROWS), CLASSES),
    }),
    ("too few inputs", "right", {"network": TwoPlaces(), "data": (ROWS, CLASSES)}),
    ("too few inputs in a tuple", "right", {"network": TwoPlaces(), "data": ((ROWS,), CLASSES)}),
    ("a loss only", "one row for each", {
        "network": Named(), "attack": None, "metric": "loss",
        "data": ({"input_ids": IDS, "attention_mask": MASK, "labels": CLASSES}, CLASSES),
    }),
    ("inputs of other length", "40|20", {
        "network": TwoPlaces(), "data": ((ROWS, ROWS[:20]), CLASSES),
    }),
]  # fmt: skip


def constant_list(outputs: Tensor, labels: Tensor) -> Any:
    return [1.0] * len(outputs)


METRICS: list[Case] = [
    ("mistyped", "'acuracy'|Did you mean accuracy", {"metric": "acuracy"}),
    ("none", "metric|NoneType", {"metric": None}),
    ("number", "metric|int", {"metric": 3}),
    ("list of names", "metric|list", {"metric": ["accuracy", "loss"]}),
    ("no module", "no_module", {"metric": "no_module:score"}),
    ("scalar", "one number a sample|per_sample", {"metric": lambda out, labels: out.mean()}),
    ("wrong shape", "one number a sample|[8, 3]", {"metric": lambda out, labels: out}),
    ("nan", "NaN", {"metric": lambda out, labels: out[:, 0] * float("nan")}),
    ("raises", "my own trouble", {"metric": raises}),
    ("list", "tensor|list", {"metric": constant_list}),
    ("array", "tensor|ndarray", {"metric": lambda out, labels: out[:, 0].numpy()}),
    ("none returned", "tensor|NoneType", {"metric": lambda out, labels: None}),
    ("one argument", "outputs|labels|2 were given", {"metric": lambda out: out[:, 0]}),
    ("no binary", "0 or 1", {
        "metric": hm.Metric("mine", lambda out, labels: out[:, 0], binary=True),
    }),
    ("torch loss", "per_sample", {"metric": nn.CrossEntropyLoss()}),
    ("auroc of three classes", "auroc|two classes", {"metric": "auroc"}),
    ("top5 of three classes", "top5|6 classes", {"metric": "top5"}),
    ("mse of classes", "squared error|[8, 3]", {"metric": "mse"}),
    ("tokens of classes", "token", {"metric": "token_accuracy"}),
    ("perplexity of classes", "token", {"metric": "perplexity", "attack": None}),
    ("segmentation of classes", "positions|'mean_iou'", {"metric": "mean_iou"}),
    ("multi-label of classes", "'multilabel_accuracy'|another `metric`", {
        "metric": "multilabel_accuracy",
    }),
    ("loss: mistyped", "'cross_entropi'|Did you mean", {"loss": "cross_entropi"}),
    ("loss: a metric's name", "loss 'accuracy'", {"loss": "accuracy"}),
    ("loss: number", "loss|int", {"loss": 3}),
    ("loss: scalar", "loss|reduction='none'", {"loss": functional.cross_entropy}),
    ("loss: raises", "loss|my own trouble", {"loss": raises}),
    ("loss: argmax", "loss|differentiable", {
        "loss": lambda out, labels: (out.argmax(1) == labels).float(),
    }),
    ("loss: integers", "loss|differentiable", {"loss": lambda out, labels: out.argmax(1)}),
    ("loss: nan", "loss|NaN", {"loss": lambda out, labels: out[:, 0] * float("nan")}),
    ("loss: without inputs", "loss|differentiable", {
        "loss": lambda out, labels: labels.float(),
    }),
]  # fmt: skip


class Foolbox:
    """Stands for an attack of another library."""

    def __call__(self, model: Any, inputs: Tensor, labels: Tensor) -> Tensor:
        return inputs


def of_foolbox() -> dict[str, Any]:
    import foolbox

    return {"attack": foolbox.attacks.LinfPGD()}


def own(function: Any, **settings: Any) -> Any:
    return lambda: {"attack": hm.CustomAttack(function, "mine", **settings)}


def changes_weights(network: nn.Module, rows: Tensor, labels: Tensor) -> Tensor:
    next(network.parameters()).data.add_(1)
    return 1 - rows


def draws_anew(network: nn.Module, rows: Tensor, labels: Tensor) -> Tensor:
    return torch.rand(rows.shape, generator=torch.Generator().manual_seed(time.time_ns() % 2**40))


def darker(network: nn.Module, rows: Tensor, labels: Tensor) -> Tensor:
    return rows * 0.5


def replacing(name: str, change: Callable[..., Any]) -> Any:
    return hm.Replacement(name, "changes values", change, (1,))


def fail(values: Tensor, at: Any) -> Tensor:
    raise ValueError("no such value")


ATTACKS: list[Case] = [
    ("on tokens without an embedding", "integers|attack=None|perturbed_embeddings", {
        "network": BAGS, "data": (IDS, CLASSES), "attack": hm.FGSM(1),
    }),
    ("on numbers that are no tokens", "integers|attack=None|input_ids", {
        "network": TOKENS, "data": ({"ids": IDS}, CLASSES),
    }),
    ("auto on tokens without an embedding", "integers|attack=None", {
        "network": BAGS, "data": (IDS, CLASSES),
    }),
    ("bounds of embeddings", "`bounds`|magnitude alone", {
        "network": TOKENS, "data": (IDS, CLASSES), "attack": hm.FGSM(1), "bounds": (0, 50),
    }),
    ("name mistyped", "'fgsn'|fgsm", {"attack": "fgsn"}),
    ("class", "class PGD|call it", {"attack": hm.PGD}),
    ("of Foolbox without epsilon", "LinfProjected|`epsilon`|CustomAttack", of_foolbox),
    ("object that does nothing", "Foolbox|as they were", {"attack": Foolbox()}),
    ("list", "Foolbox|function of network|got list", {"attack": [hm.FGSM(0.1)]}),
    ("does nothing", "as they were|attack=None", own(lambda network, rows, labels: rows)),
    ("two arguments", "failed|TypeError", own(lambda rows, labels: rows)),
    ("fails", "'mine'|failed|my own trouble", own(raises)),
    ("outside", "0 and 1|sample 0", own(lambda network, rows, labels: rows + 2)),
    ("nan", "NaN|sample 0", own(lambda network, rows, labels: rows * float("nan"))),
    ("another shape", "'mine'|shape", own(lambda network, rows, labels: rows[:1])),
    ("another type", "'mine'|float64", own(lambda network, rows, labels: rows.double())),
    ("an array", "'mine'|ndarray", own(lambda network, rows, labels: rows.numpy())),
    ("changes the network", "'mine'|leave the network|taken back", own(changes_weights)),
    ("forgets the seed", "'mine'|two results|seed", own(draws_anew)),
    ("too far", "0.01|`epsilon`", own(darker, epsilon=0.01)),
    ("auto for a function", "`epsilon`|'auto'", lambda: own(darker, epsilon="auto")()),
    ("a name that is taken", "'pgd'|taken", lambda: {
        "attack": hm.CustomAttack(darker, name="pgd"),
    }),
    ("per_sample in words", "`per_sample`|'yes'", lambda: own(darker, per_sample="yes")()),
    ("a number for a name", "`name`|3", lambda: {"attack": hm.CustomAttack(darker, name=3)}),
    ("target of no class", "`target`|3 classes", {"attack": hm.FGSM(0.1, target=7)}),
    ("target in words", "`target`|least_likely", lambda: {"attack": hm.FGSM(0.1, target="cat")}),
    ("norm", "'l1'|l2", lambda: {"attack": hm.PGD(0.1, norm="l1")}),
    ("number", "FGSM(0.1)", {"attack": 0.1}),
]  # fmt: skip


def spoilt(value: float) -> Tensor:
    """Return the inputs with one value that is another."""
    rows = ROWS.clone()
    rows[7, 2] = value
    return rows


STRESSED: list[Case] = [
    ("beside an attack", "no `attack`|takes its place", {
        "stressed": (ROWS, CLASSES), "attack": hm.PGD(0.1),
    }),
    ("fewer", "as many stressed samples|40|39|independent", {"stressed": (ROWS[1:], CLASSES[1:])}),
    ("another shape", "stressed inputs|shape [5]|shape [4]", {"stressed": (ROWS[:, :4], CLASSES)}),
    ("another type", "stressed inputs|float32|int64", {"stressed": ((9 * ROWS).long(), CLASSES)}),
    ("another structure", "stressed inputs", {"stressed": ({"rows": ROWS}, CLASSES)}),
    ("without labels", "stressed data|class numbers", {"stressed": ROWS}),
    ("labels of no class", "stressed data|from 0 to 2|3", {"stressed": (ROWS, CLASSES + 1)}),
    ("labels in parts", "stressed data|class numbers", {"stressed": (ROWS, CLASSES / 3)}),
    ("nan", "stressed data|NaN|sample 7", {"stressed": (spoilt(float("nan")), CLASSES)}),
    ("outside", "stressed data|bounds", {"stressed": (spoilt(3.0), CLASSES)}),
    ("a path", "stressed data|load_data", {"stressed": "some/folder"}),
    ("an attack", "stressed data|FGSM", {"stressed": hm.FGSM(0.1)}),
    ("a corruption of rows", "images|gaussian_blur:3", lambda: {
        "stressed": hm.corruptions.gaussian_blur(),
    }),
    ("a severity of 0", "`severity`|1 to 5", lambda: {"stressed": hm.corruptions.contrast(0)}),
    ("a corruption, independent", "paired", lambda: {
        "network": PICTURES, "data": (IMAGES, CLASSES), "pairing": "independent",
        "stressed": hm.corruptions.contrast(),
    }),
    ("adaptive", "`adversary` 'adaptive'|stressed data", {
        "stressed": (ROWS, CLASSES), "sweep": hm.Sweep(thresholds=3, adversary="adaptive"),
    }),
    ("to be confirmed", "`confirm` 'always'|stressed data", {
        "stressed": (ROWS, CLASSES), "confirmation": hm.Confirmation("always"),
    }),
    ("cross-checked", "`cross_check`|stressed data", {
        "stressed": (ROWS, CLASSES), "confirmation": hm.Confirmation(cross_check=True),
    }),
    ("pairing mistyped", "pairing|'pared'|paired", {
        "stressed": (ROWS, CLASSES), "pairing": "pared",
    }),
    ("pairing alone", "`stressed`|`pairing`", {"pairing": "independent"}),
    ("for an evaluation", "no `stressed`|Evaluation", lambda: {
        "data": hm.Evaluation(ones, 9), "stressed": (ROWS, CLASSES),
    }),
]  # fmt: skip

BOUNDS: list[Case] = [
    ("number", "`bounds`|(low, high)", {"bounds": 1}),
    ("reversed", "low to high", {"bounds": (1, 0)}),
    ("text", "`bounds`", {"bounds": "0-1"}),
    ("words", "`bounds`|numbers", {"bounds": ("low", "high")}),
    ("three", "(low, high)", {"bounds": (0, 1, 2)}),
    ("nan", "NaN", {"bounds": (0, float("nan"))}),
    ("another shape", "[5]|[4]", {"bounds": (np.zeros(4), np.ones(4))}),
    (
        "unknown name",
        "'right'|'left'",
        {
            "network": TwoPlaces(),
            "data": ({"left": ROWS}, CLASSES),
            "bounds": {"right": (0, 1)},
        },
    ),
    ("names for one tensor", "(low, high)", {"bounds": {"rows": (0, 1)}}),
    ("too narrow", "bounds", {"bounds": (0.4, 0.6)}),
    ("complex", "numbers", {"bounds": (0j, 1j)}),
]

TARGETS: list[Case] = [
    ("pattern of nothing", "'layer9.*'|`include`", lambda: {"targets": hm.Targets(("layer9.*",))}),
    ("excluded to nothing", "No parameter", lambda: {"targets": hm.Targets(exclude=("*",))}),
    ("a text", "`include`", lambda: {"targets": hm.Targets(include="layer4.*")}),
    ("unknown kind", "'conv'|convolution", lambda: {"targets": hm.Targets(kinds=("conv",))}),
    ("group of nothing", "'body.*'|'body'", lambda: {
        "targets": hm.Targets(groups={"body": ["body.*"]}),
    }),
    ("group of a number", "'body'", lambda: {"targets": hm.Targets(groups={"body": 3})}),
    ("groups of no such word", "`groups`|'haeds'|heads", lambda: {
        "targets": hm.Targets(groups="haeds"),
    }),
    ("heads of a network without any", "Linear|heads|`groups`", lambda: {
        "targets": hm.Targets(groups="heads"),
    }),
    ("heads of an attention that is not known", "TwoMatrices|layout|`groups`", lambda: {
        "network": TwoMatricesAttention(), "targets": hm.Targets(groups="heads"),
    }),
    ("groups in a list", "`groups`", lambda: {"targets": hm.Targets(groups=["body.*"])}),
    ("a part that does not divide", "weight|7", lambda: {
        "targets": hm.Targets(groups={"a": [hm.part("weight", axis=0, of=7, index=0)]}),
    }),
    ("a part of no axis", "weight|5", lambda: {
        "targets": hm.Targets(groups={"a": [hm.part("weight", axis=5, of=3, index=0)]}),
    }),
    ("names", "`targets`|Targets", {"targets": ["weight"]}),
    ("sweep of a number", "`sweep`|Sweep", {"sweep": 5}),
    ("sweep of a dictionary", "`sweep`|Sweep", {"sweep": {"thresholds": 5}}),
    ("scoring of a text", "`scoring`|Scoring", {"scoring": "density"}),
    ("execution of a text", "`execution`|Execution", {"execution": "plain"}),
    ("confirmation of a text", "`confirmation`|Confirmation", {"confirmation": "never"}),
    ("origin of a text", "`origin`", {"origin": "a page"}),
    ("out of a number", "`out`", {"out": 3}),
    ("thresholds in words", "thresholds", lambda: {"sweep": hm.Sweep(thresholds="many")}),
    ("thresholds among words", "`thresholds` to be finite", lambda: {
        "sweep": hm.Sweep(thresholds=(0.1, "some")),
    }),
    ("levels in words", "`levels` to be finite numbers, got 'many'", lambda: {
        "sweep": hm.Sweep(filters=("quantization",), levels=("many",)),
    }),
    ("half a bit", "`levels` of 'quantization' to be whole", lambda: {
        "sweep": hm.Sweep(filters=("quantization",), levels=(2.5,)),
    }),
    ("draws in words", "`draws`", lambda: {
        "sweep": hm.Sweep(filters=(hm.replacements.sign_flips(draws="many"),)),
    }),
    ("levels of other numbers", "as many levels, got 1 and 5", lambda: {
        "sweep": hm.Sweep(filters=("quantization", hm.replacements.sign_flips((1,)))),
    }),
    ("a replacement of another shape", r"'flat' to return values of shape", lambda: {
        "sweep": hm.Sweep(filters=(replacing("flat", lambda values, at: values.flatten()[:3]),)),
    }),
    ("a replacement that fails", "'broken' failed on weight at level 1|no such value", lambda: {
        "sweep": hm.Sweep(filters=(replacing("broken", fail),)),
    }),
    ("a replacement by density", "'base' for replacements", lambda: {
        "sweep": hm.Sweep(filters=("quantization",)), "scoring": hm.Scoring(reference="density"),
    }),
    ("no checkpoint to go back to", "`checkpoint`", lambda: {
        "sweep": hm.Sweep(filters=(hm.replacements.rewinding(3),)),
    }),
    ("epsilon in words", "`epsilon`", lambda: {"attack": hm.FGSM("large")}),
    ("epsilon none", "`epsilon`", lambda: {"attack": hm.FGSM(None)}),
    ("steps in words", "`steps`", lambda: {"attack": hm.PGD(0.1, steps="ten")}),
]  # fmt: skip


def ones(network: nn.Module, numbers: list[int], stressed: bool) -> Any:
    return [1.0] * len(numbers)


EVALUATIONS: list[Case] = [
    ("no function", "function|Tensor", lambda: {"data": hm.Evaluation(ROWS, samples=9)}),
    ("no samples", "`samples`", lambda: {"data": hm.Evaluation(ones, samples=0)}),
    ("samples in words", "`samples`", lambda: {"data": hm.Evaluation(ones, samples="all")}),
    ("two arguments", "network|numbers|stressed", lambda: {
        "data": hm.Evaluation(lambda network, numbers: numbers, samples=9),
    }),
    ("none returned", "one number a sample", lambda: {
        "data": hm.Evaluation(lambda *given: None, samples=9),
    }),
    ("a mean", "one number a sample", lambda: {"data": hm.Evaluation(lambda *given: 1.0, 9)}),
    ("words", "'mine'|failed", lambda: {
        "data": hm.Evaluation(lambda *given: ["yes"] * len(given[1]), 9, name="mine"),
    }),
    ("raises", "my own trouble", lambda: {"data": hm.Evaluation(raises, 9)}),
    ("nan", "NaN", lambda: {
        "data": hm.Evaluation(lambda *given: [float("nan")] * len(given[1]), samples=9),
    }),
    ("with labels", "Evaluation", lambda: {"data": (hm.Evaluation(ones, 9), CLASSES)}),
    ("with a metric", "no `metric`", lambda: {"data": hm.Evaluation(ones, 9), "metric": "mse"}),
    ("with an attack", "no `attack`", lambda: {
        "data": hm.Evaluation(ones, 9), "attack": hm.PGD(0.1),
    }),
    ("with bounds", "`bounds`", lambda: {"data": hm.Evaluation(ones, 9), "bounds": (0, 1)}),
    ("more samples than there are", "failed|IndexError", lambda: {
        "data": hm.Evaluation(lambda net, numbers, stressed: [[1.0, 2.0][n] for n in numbers], 9),
    }),
    ("no forward at all", "forward", lambda: {
        "network": nn.ModuleList([NET]),
        "data": hm.Evaluation(lambda net, numbers, stressed: net(ROWS[numbers])[:, 0], 40),
    }),
]  # fmt: skip


def late(outputs: Tensor, labels: Tensor) -> Any:
    """Fail at the second call and later ones, as code of a user does on a rare sample."""
    CALLS.append(1)
    return torch.ones(len(outputs)) if len(CALLS) < 4 else raises()


CALLS: list[int] = []


def rare_ids() -> dict[str, Any]:
    ids = IDS.clone()
    ids[39, 0] = 50
    return {"network": TOKENS, "data": (ids, CLASSES), "attack": None}


def rare_rows(layer: nn.Module, rows: Tensor) -> Tensor:
    return layer(rows) if not bool((rows[:, 0] == ROWS[39, 0]).any()) else raises()


def rare_items() -> dict[str, Any]:
    return {"data": Items(lambda number: (ROWS[number], 0) if number < 30 else raises())}


def first_rows(outputs: Tensor, labels: Tensor) -> Tensor:
    """Fail on a filtered network, which is no longer as sure of itself."""
    return outputs[:, 0] if float(outputs.abs().max()) > 0.9 else raises()


LATE: list[Case] = [
    ("a rare token", "vocabulary", rare_ids),
    ("a rare sample", "my own trouble", {"network": Calls(rare_rows)}),
    ("a rare sample, plain loop", "my own trouble", lambda: {
        "network": Calls(rare_rows), "execution": hm.Execution("plain", progress=False),
    }),
    ("a rare sample, no attack", "my own trouble", {"network": Calls(rare_rows), "attack": None}),
    ("a rare item", "item 30|my own trouble", rare_items),
    ("a metric that fails later", "metric 'late'|my own trouble", {"metric": late}),
    ("a filtered network", "metric 'first_rows'|my own trouble", {"metric": first_rows}),
    ("an evaluation", "failed|my own trouble", lambda: {
        "data": hm.Evaluation(lambda net, n, s: ROWS[n, 0] if 39 not in n else raises(), 40),
    }),
]  # fmt: skip


def of_texts(kind: str = "llama", texts: Any = ("a good film", "b"), **parts: Any) -> Passed:
    """Return what makes a task of a tiny language model; some parts go to the task itself."""

    def make() -> dict[str, Any]:
        import tiny_language as tiny

        known = tiny.tokenizer(marks=kind == "bert")
        network = tiny.network(kind, vocab_size=parts.pop("vocab_size", tiny.SIZE))
        model = hm.LanguageModel(network, known, kind)
        asked = {name: parts.pop(name) for name in ("stressed", "max_length") if name in parts}
        task = hm.language_task(model, hm.Texts(texts, **parts), **asked)
        return {"network": task.network, "data": task.samples, "metric": task.metric}

    return make


def of_folder(*names: str) -> Passed:
    """Return what loads a tiny language model, of which only files of these names are there."""

    def make() -> dict[str, Any]:
        import tempfile

        import tiny_language as tiny

        with tempfile.TemporaryDirectory() as folder:
            for file in tiny.saved(Path(folder), "llama").iterdir():
                if file.name not in names:
                    file.unlink()
            return {"network": hm.load_language_model(folder).network}

    return make


_TWO = {"labels": [0, 1]}
LANGUAGE: list[Case] = [
    ("no text", "not empty|text 1", of_texts(texts=["a film", " "])),
    ("one text for a list", "`texts`|list", of_texts(texts="a film")),
    ("numbers for texts", "a text, got int|text 0", of_texts(texts=[1, 2])),
    ("fewer labels", "as many `labels`|2|1", of_texts("bert", labels=[1])),
    ("no labels", "label for each text", of_texts("bert")),
    ("a label that the head does not know", "'awful'|text 1|bad, neutral, good", of_texts(
        "bert", labels=["good", "awful"],
    )),
    ("a class that there is not", "label 7|0 to 2", of_texts("bert", labels=[0, 7])),
    ("longer than the positions", "32 tokens|40|`max_length`", of_texts(
        texts=["a film", "a " * 40],
    )),
    ("a length that the network does not have", "from 1 to 32|99", of_texts(max_length=99)),
    ("a single token", "at least 2 tokens|text 1", of_texts()),
    ("another vocabulary size", "number 45|embeddings of 20", of_texts(vocab_size=20)),
    ("pairs for a language model", "one text a sample", of_texts(pairs=["a", "b"])),
    ("a single choice", "two `choices`|text 0", of_texts(choices=[["a"], ["a", "b"]], **_TWO)),
    ("choices for a classifier", "classifies", of_texts("bert", choices=[["a", "b"]] * 2, **_TWO)),
    ("a corruption of images", "typos or dropped_words", of_texts(stressed="contrast:2")),
    ("no weights", "model.safetensors|save_pretrained", of_folder("config.json")),
    ("no tokenizer", "no tokenizer", of_folder("config.json", "model.safetensors")),
    ("no model", "no config.json", of_folder("tokenizer.json")),
    ("no folder", "no folder 'nowhere'|cache", lambda: {
        "network": hm.load_language_model("nowhere"),
    }),
]  # fmt: skip

APPLIED: list[Case] = [
    ("aim", "`aim`|Robust|'fast'", {"apply": {"aim": "fast"}}),
    ("none left", "none are left for the proof|proof_data", {"apply": {"data": (ROWS, CLASSES)}}),
    ("fewer samples", "has 40 samples|there are 9", {"apply": {"data": (ROWS[:9], CLASSES[:9])}}),
    ("other network", "another network|checkpoint", {"apply": {"network": nn.Linear(5, 3)}}),
    ("no network", "`network`|came from Python", {"apply": {"network": None}}),
    ("no data", "`data`|custom|no name", {"apply": {"data": None}}),
    (
        "overlap",
        "40 of the 40|for the proof are among",
        {"apply": {"proof": hm.Proof((ROWS, CLASSES))}},
    ),
    ("no attack", "'sparse'|'robust'", {"attack": None, "apply": {}}),
    (
        "replacements",
        "replaced values|--filters",
        {"sweep": hm.Sweep(("weight_noise",), levels=(0.5, 1.0)), "apply": {}},
    ),
    ("set metric", "'macro_f1'|'accuracy'", {"metric": "macro_f1", "apply": {}}),
    (
        "own metric",
        "register_metric",
        {"metric": lambda outputs, labels: outputs[:, 0], "loss": "cross_entropy", "apply": {}},
    ),
    (
        "own attack",
        "FGSM or PGD",
        {"attack": lambda net, inputs, labels: 0.9 * inputs, "apply": {}},
    ),
]

CASES = {
    f"{kind}: {name}": (words, passed)
    for kind, cases in {
        "network": NETWORKS,
        "output": OUTPUTS,
        "data": DATA,
        "inputs": INPUTS,
        "metric": METRICS,
        "attack": ATTACKS,
        "stressed": STRESSED,
        "bounds": BOUNDS,
        "settings": TARGETS,
        "evaluation": EVALUATIONS,
        "episodes": EPISODES,
        "late": LATE,
        "language": LANGUAGE,
        "applied": APPLIED,
    }.items()
    for name, words, passed in cases
}


def sentence(passed: Passed) -> tuple[str, str]:
    """Return the kind of the error that a case ends in, and what it says."""
    try:
        given = passed() if callable(passed) else dict(passed)
        network, data = given.pop("network", NET), given.pop("data", (ROWS, CLASSES))
        given.setdefault("execution", hm.Execution(progress=False))
        given.setdefault("sweep", hm.Sweep(thresholds=3))
        applied = given.pop("apply", None)
        study = hm.analyze(network, data, **given)
        if applied is not None:
            twice = torch.cat([ROWS, ROWS.flip(1)]), CLASSES.repeat(2)
            own = {"network": network, "data": twice, "execution": given["execution"]} | applied
            hm.apply(study, own.pop("network"), own.pop("data"), **own)
    except hm.HormesisError as error:
        return "HormesisError", str(error)
    except BaseException as error:
        return type(error).__name__, str(error)
    return "none", ""


if __name__ == "__main__":
    said = {name: sentence(passed) for name, (_, passed) in CASES.items()}
    Path(sys.argv[1]).write_text(json.dumps(said), encoding="utf-8")
