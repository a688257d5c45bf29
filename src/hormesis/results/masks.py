"""Which values of a network stay when as much as a study allows is removed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hormesis.errors import ModelError, StudyError
from hormesis.results.ratios import ratios_per_layer
from hormesis.results.study import Study
from hormesis.settings.choices import UNFILTERED
from hormesis.storage.files import CELLS, REMOVALS, read_manifest, read_table
from hormesis.stress.filters import NAMED_FILTERS, Threshold

_PREFIX = "network."  # of the parameters behind a normalisation
_PART = re.compile(
    r"(?P<parameter>.+?),(?P<axis>None|\d+),(?P<index>None|\d+)(/(?P<slices>\d+))?"
    r"(,\((?P<box>.*)\))?"
)
_SPAN = re.compile(r"\((\d+), (\d+)\)")


def masks_per_layer(
    study: Study,
    weights: Mapping[str, Any],
    budget: float | int = 0.01,
    *,
    on: str = "clean",
) -> dict[str, Bool[np.ndarray, "..."]]:
    """Return the masks that belong to ``ratios_per_layer``.

    Args:
        study: A study in a folder, whose filters remove values.
        weights: The network's tensors by name, such as its ``state_dict()`` on the CPU.
        budget: As ``ratios_per_layer`` takes it.
        on: ``clean`` or ``adversarial``.

    Returns:
        By name of the parameter, one bool a value: True where it is kept. Parameters of which
        nothing is removed are left out; a value goes if one target that it belongs to says so.

    Raises:
        SettingError: For a budget or a side that is none.
        StudyError: As ``ratios_per_layer`` says, or if the study has no folder, or a filter that is
            not registered here.
        ModelError: If a parameter is missing, or its values are not those of the study.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch
        >>> import hormesis as hm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> data = torch.rand(8, 1, 2, 2), torch.arange(8) % 2
        >>> with TemporaryDirectory() as folder:
        ...     study = hm.analyze(
        ...         network, data, attack=None, sweep=hm.Sweep(thresholds=3),
        ...         execution=hm.Execution(progress=False), out=f"{folder}/study",
        ...     )
        ...     masks = masks_per_layer(study, network.state_dict(), budget=3)
        >>> {name: int(keep.sum()) for name, keep in masks.items()}
        {'1.weight': 0}
    """
    ratios = ratios_per_layer(study, budget, on=on)
    masks: dict[str, Bool[np.ndarray, ...]] = {}
    for row in _cells(study, ratios).to_dict("records"):
        _remove(row, weights, masks)
    return masks


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file of safetensors, as arrays by name.

    Raises:
        ModelError: If it cannot be read, or has values that NumPy does not know.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The weights {path} cannot be read as safetensors of single precision ({error}): "
            "write them so with `safetensors.torch.save_file`."
        ) from error


def _cells(study: Study, ratios: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of the ratios, with the key of their removal."""
    if study.folder is None:
        raise StudyError(
            "The study has no folder, which knows the parameters of each target: analyse with "
            "`out`."
        )
    columns = ["target", "filter", "alpha", "lower", "upper", "zeroed", "outcome"]
    seals = read_manifest(study.folder)["tables"]
    cells = read_table(study.folder, CELLS, tuple(columns), seals.get(CELLS))[columns]
    removals = read_table(study.folder, REMOVALS, ("key",), seals.get(REMOVALS))
    wanted = ratios.loc[ratios["zeroed"] > 0, ["target", "filter", "alpha"]]
    found = wanted.merge(cells, how="left", on=["target", "filter", "alpha"])
    found = found.loc[found["outcome"] != UNFILTERED]
    return found.assign(key=removals["key"].to_numpy()[found["outcome"].to_numpy()])


def _remove(
    cell: Mapping[Any, Any], weights: Mapping[str, Any], masks: dict[str, Bool[np.ndarray, "..."]]
) -> None:
    """Remove from the masks what a cell removes."""
    name, alpha = str(cell["filter"]), float(cell["alpha"])
    if name not in NAMED_FILTERS:
        raise StudyError(f"The filter {name!r} of the study is not registered here: register it.")
    threshold = Threshold(name, 0, alpha, float(cell["lower"]), float(cell["upper"]))
    described, compare, *_ = str(cell["key"]).split("|")
    removed = 0
    for part in map(_parse, described.split(";")):
        values = _values(part.parameter, weights)
        mask = masks.setdefault(_own_name(part.parameter, weights), np.ones(values.shape, bool))
        compared = np.abs(values) if compare == "magnitude" else values
        gone = ~NAMED_FILTERS[name].keep(part.of(compared), threshold)
        part.of(mask)[gone] = False
        removed += int(np.count_nonzero(gone))
    if removed != cell["zeroed"]:
        raise ModelError(
            f"The study is of another network: {name} at {alpha:g} removes {removed} values of "
            f"{cell['target']}, in the study {cell['zeroed']}. Name the weights that were analysed."
        )


@dataclass(frozen=True)
class _Part:
    """A parameter, or a part of one, as the key of a removal names it; see ``stress.parts``."""

    parameter: str
    places: tuple[slice, ...] = ()
    slices: int | None = None

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the part of an array, as a view."""
        if self.slices is None:
            return values[self.places]
        *before, at = self.places
        length = values.shape[len(before)] // self.slices
        return values[(*before, slice(at.start * length, at.stop * length))]


def _parse(key: str) -> _Part:
    found = _PART.fullmatch(key)
    if found is None:
        raise StudyError(f"The table of removals is damaged: {key[:80]!r} names no parameter.")
    if found["box"] is not None:
        spans = _SPAN.findall(found["box"])
        return _Part(found["parameter"], tuple(slice(int(low), int(high)) for low, high in spans))
    if found["axis"] == "None" or found["index"] == "None":
        return _Part(found["parameter"])
    before, index = (slice(None),) * int(found["axis"]), int(found["index"])
    slices = None if found["slices"] is None else int(found["slices"])
    return _Part(found["parameter"], (*before, slice(index, index + 1)), slices)


def _own_name(parameter: str, weights: Mapping[str, Any]) -> str:
    """Return the name of a parameter among the weights, which may come without normalisation."""
    bare = parameter.removeprefix(_PREFIX)
    return parameter if parameter in weights or bare not in weights else bare


def _values(parameter: str, weights: Mapping[str, Any]) -> np.ndarray:
    name = _own_name(parameter, weights)
    if name not in weights:
        raise ModelError(
            f"The weights have no {parameter}, which the study filtered: name those that were "
            "analysed."
        )
    try:
        return np.asarray(weights[name])
    except TypeError as error:  # half precision of another kind, or on another device
        raise ModelError(
            f"The values of {name} cannot be read here: pass them on the CPU, as float32."
        ) from error
