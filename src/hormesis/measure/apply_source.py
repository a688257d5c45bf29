"""The network and the data of a study by name: where its manifest says, or where the user does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import nn

from hormesis.data.corruptions import KINDS, by_name
from hormesis.data.evaluation import Evaluation
from hormesis.data.samples import Samples
from hormesis.engine.progress import Report
from hormesis.errors import SettingError
from hormesis.measure.by_name import resolve, resolve_run, stressed_named
from hormesis.measure.language import resolve_language
from hormesis.measure.study_again import request_again
from hormesis.models.checkpoints import load_weights
from hormesis.models.devices import find_device
from hormesis.models.fingerprint import network_fingerprint
from hormesis.models.normalization import Normalized, restore_normalization
from hormesis.results.study import Study
from hormesis.results.training_run import TrainingRun
from hormesis.settings.attacks import Given
from hormesis.settings.execution import Execution
from hormesis.settings.factory import HUGGING_FACE, is_code, is_factory
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.training.source_lookup import (
    SourceNetwork,
    find_training,
    is_trained_on_digits,
    refuse_manifest_code,
)

_NETWORK = ("weights", "model", "stem", "weights_key", "weights_ignore")


@dataclass(frozen=True)
class NamedSource:
    """Where network and data of a study are, by name.

    Args:
        changed: What the user said, by the fields of ``ModelAndData``; all else is the study's.
        run: Folder of the training that the study is of; None takes the one that it records.
        allow_code: Import the ``module:factory`` that only a manifest names.
        stressed: Name of the second data set, if that was the stress.
        proof_data: Name of the data for the proof.
        proof_stressed: Name of its stressed version.
    """

    changed: Mapping[str, Any] = field(default_factory=dict)
    run: Any = None
    allow_code: bool = False
    stressed: str | None = None
    proof_data: str | None = None
    proof_stressed: str | None = None

    @staticmethod
    def of(source: SourceNetwork, **names: Any) -> "NamedSource":  # noqa: ANN401
        """Return the same of a ``SourceNetwork``.

        Args:
            source: Where the network is.
            names: Other fields.
        """
        default = SourceNetwork()
        changed = {name: getattr(source, name) for name in _NETWORK}
        changed = {
            name: value for name, value in changed.items() if value != getattr(default, name)
        }
        if "weights" in changed:
            changed["weights"] = str(changed["weights"])
        return NamedSource(changed, source.run, source.allow_code, **names)

    @property
    def network(self) -> SourceNetwork:
        """Where the network is."""
        own = {name: self.changed[name] for name in _NETWORK if name in self.changed}
        return SourceNetwork(run=self.run, allow_code=self.allow_code, **own)


@dataclass(frozen=True)
class FoundStudy:
    """The network and the data of a study, and the request that measures them again.

    Args:
        network: The network, where it is computed.
        data: The whole data set.
        request: The request.
        proof: Data for the proof, if they were named.
        proof_stressed: Their stressed version.
    """

    network: nn.Module
    data: Samples | Evaluation
    request: AnalysisRequest
    proof: Any = None
    proof_stressed: Any = None


def find_by_name(
    study: Study, source: NamedSource, execution: Execution, report: Report
) -> FoundStudy:
    """Return network and data by their names.

    Args:
        study: The study.
        source: Where they are.
        execution: How to measure.
        report: Shows progress.

    Raises:
        HormesisError: One sentence on what cannot be found or read.
    """
    question = study.manifest["question"]
    own = {"model": question["network"]["name"], "data": question["data"]["name"]}
    named = ModelAndData(**{**own, **source.changed})
    stress = question["attack"]
    second = source.stressed or (stress["data"] if stress["name"] == Given.name else None)
    _refuse_code(study, named, source, second)
    training = _training(study, named, source)
    request = request_again(study, execution, None, second)
    if named.model.startswith(HUGGING_FACE):
        return _language(study, named, request, source, report)
    if training is not None:
        root, epoch = named.data_root, study.metadata.origin.epoch
        resolved = resolve_run(training, None, root, request.sweep.seed, report)
        epoch = max(training.checkpoints, default=0) if epoch is None else epoch
        training.chosen([epoch])
        load_weights(resolved.network, training.whole(epoch))
    else:
        resolved = resolve(named, request, report)
    network = _as_recorded(study, resolved.network)
    data = resolved.samples
    read = partial(_more, named, request, report)
    if second is not None:
        stressed = stressed_named(named, request, data, report)
        request = replace(request, stressed_data=stressed)
    proof = None if source.proof_data is None else read(source.proof_data)
    proof_stressed = None if source.proof_stressed is None else read(source.proof_stressed)
    device = find_device(named.device)
    return FoundStudy(network.to(device), data, request, proof, proof_stressed)


def _training(study: Study, named: ModelAndData, source: NamedSource) -> TrainingRun | None:
    """Return the training of the network, unless it comes from elsewhere."""
    trained = source.run or (study.manifest.get("origin") or {}).get("run")
    elsewhere = is_factory(named.model) or named.model.startswith(HUGGING_FACE)
    return None if elsewhere and not trained else find_training(study, source.network)


def _refuse_code(
    study: Study, named: ModelAndData, source: NamedSource, second: str | None
) -> None:
    """Refuse to import code that only a manifest names, unless that is allowed.

    Raises:
        SettingError: It names the setting, the code and the remedy.
    """
    trained = source.run or (study.manifest.get("origin") or {}).get("run")
    if trained and "weights" not in source.changed:
        refuse_manifest_code(study, source.network, source.changed.get("data"))
    given = {**source.changed, "stressed": source.stressed}
    names = {"model": named.model, "data": named.data, "stressed": second}
    for setting, name in names.items():
        if name and not given.get(setting) and is_code(setting, name) and not source.allow_code:
            raise SettingError(
                f"The study names code for its {setting}, {name!r}, which would run with your "
                f"rights: name it as `{setting}`, or pass `allow_code` if you trust its folder."
            )


def _more(
    named: ModelAndData, request: AnalysisRequest, report: Report, name: str
) -> Samples | Evaluation | Any:  # noqa: ANN401
    """Return further data by name, read as those of the study."""
    if name.partition(":")[0] in KINDS:
        return by_name(name)
    own = AnalysisRequest(stressed_data=name, sweep=request.sweep)
    empty = Evaluation(lambda network, numbers, stressed: numbers, samples=2, name="none")
    return stressed_named(named, own, empty, report)


def _as_recorded(study: Study, network: nn.Module) -> nn.Module:
    """Return the network with the normalisation that it had when it was measured."""
    recorded = study.manifest["question"]["network"]
    inner = network.network if isinstance(network, Normalized) else network
    if "normalization" in recorded:
        return restore_normalization(inner, recorded["normalization"])
    if network_fingerprint(network) == recorded["fingerprint"]:
        return network
    return inner if network_fingerprint(inner) == recorded["fingerprint"] else network


def _language(
    study: Study,
    named: ModelAndData,
    request: AnalysisRequest,
    source: NamedSource,
    report: Report,
) -> FoundStudy:
    """Return a language model and its texts as tokens."""
    found = resolve_language(named, replace(request, stressed_data=source.stressed), report)
    settled = replace(found.request, name=study.manifest["question"]["network"]["name"])
    proof = None
    if source.proof_data is not None:
        proof = resolve_language(replace(named, data=source.proof_data), request, report).samples
    return FoundStudy(found.network.to(find_device(named.device)), found.samples, settled, proof)


def where_is(study: Study, source: NamedSource) -> str:
    """Return where a network came from, for a message."""
    if "weights" in source.changed:
        return str(source.changed["weights"])
    origin = study.manifest.get("origin") or {}
    if source.run or origin.get("run"):
        return str(source.run or origin["run"])
    return "that trained on the digits" if is_trained_on_digits(study) else "the one named"
