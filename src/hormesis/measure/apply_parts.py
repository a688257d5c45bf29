"""The plans of both parts: what steps are chosen by, and what they are proved on."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hormesis.data.corruptions import Corruption
from hormesis.data.datasets import NAMED_DATASETS, load_data
from hormesis.data.evaluation import Evaluation
from hormesis.data.samples import Samples, samples_from, take
from hormesis.engine.progress import Report
from hormesis.errors import DataError, SettingError
from hormesis.measure.apply_data import DataParts, split_data
from hormesis.measure.apply_proof import ProofRun
from hormesis.measure.apply_request import ApplyRequest
from hormesis.measure.apply_source import FoundStudy, find_by_name, where_is
from hormesis.measure.preparation import prepare, read_data
from hormesis.measure.shard_worker import device_of
from hormesis.measure.study_again import planned_again, request_again
from hormesis.measure.study_plan import StudyPlan, make_study_plan
from hormesis.models.eval_mode import evaluation_mode
from hormesis.results.study import Study
from hormesis.settings.apply import Proof
from hormesis.settings.attacks import INDEPENDENT
from hormesis.settings.request import AnalysisRequest


@dataclass(frozen=True)
class PlannedParts:
    """Both parts, planned.

    Args:
        selection: The plan of the study, on its own samples.
        proof: The same on the samples of the proof.
        notes: What a reader has to know, in sentences.
    """

    selection: StudyPlan
    proof: StudyPlan
    notes: tuple[str, ...] = ()

    def described(self, proof: Proof) -> dict[str, Any]:
        """Return what is known of a proof once data are read, as plain values."""
        run = ProofRun(self.proof, proof, lambda stage, done, total: None)
        evaluation = self.proof.evaluation
        own = self.proof.samples.fingerprint() if evaluation is None else evaluation.fingerprint()
        return {
            "samples": len(self.proof.samples),
            "fingerprint": own,
            "attacks": list(run.attacks),
            "epsilon": run.epsilon,
        }

    def described_metric(self) -> dict[str, Any]:
        """Return what is measured, as plain values."""
        request = self.selection.request
        attacked = request.attacked and self.selection.evaluation is None
        return {
            "name": request.metric.name,
            "higher_is_better": request.metric.higher_is_better,
            "binary": request.metric.binary,
            "stressed": request.stressed,
            "stress": request.attack.name if attacked else "stressed" * request.stressed,
        }


def plan_parts(study: Study, asked: ApplyRequest, report: Report) -> PlannedParts:
    """Find network and data, split these, and plan both parts.

    Args:
        study: The study.
        asked: The request.
        report: Shows progress.

    Raises:
        HormesisError: One sentence on what is missing, differs, or overlaps.
    """
    found, where = _found(study, asked, report)
    if isinstance(found.data, Evaluation):
        return _evaluated(study, found, report, where)
    whole = found.data
    given = None if found.proof is None else _read(found.proof, found.request, report)
    parts = split_data(whole, study, asked.proof, given)
    _check_pairing(study, asked.proof, given)
    stressed = _read_stressed(study, found.request.stressed_data)
    found = _with_stressed(found, _of_selection(study, stressed, whole, parts))
    selection = _planned(study, found, parts.selection, report, where)
    if selection.request.sweep.until is not None:  # what was not measured chose nothing
        count = study.metadata.base.samples
        selection = replace(selection, samples=take(selection.samples, torch.arange(count)))
    found = _with_stressed(found, _of_proof(stressed, found, len(whole), parts))
    proof = _on(selection, found, parts, report)
    return PlannedParts(selection, proof, parts.notes)


def _with_stressed(found: FoundStudy, stressed: Any) -> FoundStudy:  # noqa: ANN401
    return replace(found, request=replace(found.request, stressed_data=stressed))


def _read_stressed(study: Study, stressed: Any) -> Any:  # noqa: ANN401
    """Return a second data set as samples, or a corruption as it is."""
    if stressed is None or isinstance(stressed, Corruption):
        return stressed
    name = study.manifest["question"]["attack"]["data"]
    read = stressed if isinstance(stressed, Samples) else samples_from(stressed, bounds=None)
    return replace(read, name=name)


def _of_selection(study: Study, stressed: Any, whole: Samples, parts: DataParts) -> Any:  # noqa: ANN401
    """Return the stressed data as the study was given them: all, or those of its samples."""
    if not isinstance(stressed, Samples) or len(stressed) != len(whole):
        return stressed
    if stressed.fingerprint() == study.metadata.attack.fingerprint:
        return stressed
    return take(stressed, parts.rows)


def _of_proof(stressed: Any, found: FoundStudy, whole: int, parts: DataParts) -> Any:  # noqa: ANN401
    """Return the stressed version of the samples of the proof."""
    if found.proof_stressed is not None:
        return found.proof_stressed
    if not isinstance(stressed, Samples):
        return stressed
    if parts.proof_rows is None:
        raise DataError(
            "Expected `stressed` of the proof, the stressed version of its `data`, got none."
        )
    if len(stressed) != whole:
        raise DataError(
            f"Expected a stressed version of every sample of the data, {whole}, some of "
            f"which are left for the proof, got {len(stressed)}."
        )
    return take(stressed, parts.proof_rows)


def _check_pairing(study: Study, proof: Proof, given: Samples | None) -> None:
    """Refuse independent stressed data, of which some would be in both parts."""
    attack = study.metadata.attack
    if study.given and attack.pairing == INDEPENDENT and (given is None or proof.stressed is None):
        raise DataError(
            "The study's stressed data are independent of its samples, so that nothing tells which "
            "of them are left for the proof: pass `data` and `stressed` of the proof."
        )


def _found(study: Study, asked: ApplyRequest, report: Report) -> tuple[FoundStudy, str]:
    """Return network and data as they were passed, or by name; and where the network is from."""
    by_text = asked.data is None or isinstance(asked.data, str)
    if asked.network is None:
        if not by_text:
            raise SettingError(
                "Expected the `network` beside data that came from Python, got none: pass the one "
                "that was analysed."
            )
        source = asked.source
        if isinstance(asked.data, str):
            source = replace(source, changed={**source.changed, "data": asked.data})
        found = find_by_name(study, source, asked.execution, report)
        if found.proof is None and asked.proof.data is not None:
            found = replace(found, proof=asked.proof.data, proof_stressed=asked.proof.stressed)
        return found, where_is(study, source)
    data = asked.data
    if by_text:
        data = _named_data(study, data)
    request = request_again(study, asked.execution, data, asked.stressed or asked.source.stressed)
    if not isinstance(data, Evaluation):
        data = _read(data, request, report)
    proof = asked.proof
    return FoundStudy(asked.network, data, request, proof.data, proof.stressed), "the one given"


def _named_data(study: Study, name: str | None) -> Samples:
    """Return the whole data set that a study or the user names."""
    own = study.manifest["question"]["data"]["name"]
    if (name or own) not in NAMED_DATASETS and not (name and Path(name).expanduser().is_dir()):
        raise SettingError(
            f"Expected `data`, the data set of the study, {own}, which has no name to read it by; "
            f"got {'none' if name is None else name}."
        )
    return load_data(name or own)


def _read(data: object, request: AnalysisRequest, report: Report) -> Samples:
    """Return samples from what a user passes, under the bounds of the request."""
    if isinstance(data, Evaluation):
        raise SettingError(
            "Expected samples for the proof, as the study was made with samples, got an evaluation."
        )
    read = partial(samples_from, progress=partial(report, "Reading the data"))
    return read_data(data, request, read)


def _planned(
    study: Study, found: FoundStudy, data: object, report: Report, where: str
) -> StudyPlan:
    """Return the plan of a study, made again and compared with it."""
    prepared = prepare(found.network, data, found.request, report)
    with evaluation_mode(prepared.network):
        planned = make_study_plan(prepared, device_of(prepared.network))
    return planned_again(study, planned, where)


def _on(selection: StudyPlan, found: FoundStudy, parts: DataParts, report: Report) -> StudyPlan:
    """Return a plan on the samples of the proof, with the attack as the study ran it."""
    prepared = prepare(found.network, parts.proof, found.request, report)
    settled = replace(prepared.request, attack=selection.request.attack)
    return replace(selection, samples=prepared.samples, request=settled)


def _evaluated(study: Study, found: FoundStudy, report: Report, where: str) -> PlannedParts:
    """Return both parts of a study that a function of the user's measured."""
    if not isinstance(found.proof, Evaluation):
        raise SettingError(
            "Expected `data` of the proof to be a `hormesis.Evaluation` of other samples, such as "
            "episodes of other seeds, as a function of yours measured the study; got "
            f"{'none' if found.proof is None else type(found.proof).__name__}."
        )
    selection = _planned(study, found, found.data, report, where)
    prepared = prepare(found.network, found.proof, found.request, report)
    assert prepared.evaluation is not None
    assert selection.evaluation is not None
    if prepared.evaluation.fingerprint() == selection.evaluation.fingerprint():
        raise DataError(
            "The proof has the samples of the study: pass an evaluation of others, such as "
            "episodes of other seeds."
        )
    proof = replace(
        selection,
        samples=prepared.samples,
        request=prepared.request,
        evaluation=prepared.evaluation,
    )
    note = "Whether the proof shares samples with the study is for its function to say."
    return PlannedParts(selection, proof, (note,))
