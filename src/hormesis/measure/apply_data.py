"""The selection part and the proof part of a data set, which share no sample."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from hormesis.data.overlap import shared_samples
from hormesis.data.samples import Samples, take
from hormesis.data.sampling import draw_random, draw_stratified
from hormesis.errors import DataError, SettingError
from hormesis.results.study import Study
from hormesis.settings.apply import Proof

_FEWEST = 2


@dataclass(frozen=True)
class DataParts:
    """Samples for the choice of cells, and others for the proof.

    Args:
        selection: Those of the study.
        proof: The others.
        rows: Where the former are in the data set.
        proof_rows: Where the others are; None if they were given.
        notes: What a reader has to know, in sentences.
    """

    selection: Samples
    proof: Samples
    rows: Int[Tensor, " selection"]
    proof_rows: Int[Tensor, " proof"] | None = None
    notes: tuple[str, ...] = ()


def split_data(whole: Samples, study: Study, proof: Proof, given: Samples | None) -> DataParts:
    """Return the samples of a study, and others for the proof.

    Args:
        whole: The data set of the study, or exactly its samples.
        study: The study.
        proof: How many samples to take, and which.
        given: Samples for the proof; None takes those that the study left.

    Raises:
        DataError: If nothing is left, or a sample would be in both parts.
    """
    selection, rows, rest = _selection(whole, study)
    if given is not None:
        overlap = int(shared_samples(given, selection).sum())
        if overlap:
            raise DataError(
                f"{overlap} of the {len(given)} samples for the proof are among those that the "
                "study chose by: pass samples that it has not seen."
            )
        return DataParts(selection, take(given, _draw(given, proof)), rows)
    notes: tuple[str, ...] = ()
    if len(rest) >= _FEWEST:
        left = take(_placed(whole), rest)
        known = shared_samples(left, selection)
        if bool(known.any()):
            notes = (
                f"{int(known.sum())} samples that the study left equal some of its own, and were "
                "left out of the proof.",
            )
            rest = rest[~known]
    if len(rest) < _FEWEST:
        raise DataError(
            f"The study used all {len(whole)} samples of its data, so that none are left for the "
            "proof: pass others with `proof_data`, as `hormesis.Proof(data=...)` in Python, or "
            "analyse with `samples` to leave some."
        )
    rest = rest[_draw(take(whole, rest), proof)]
    return DataParts(selection, take(_placed(whole), rest), rows, rest, notes)


def _placed(samples: Samples) -> Samples:
    if samples.places is not None:
        return samples
    return replace(samples, places=torch.arange(len(samples)))


def _draw(samples: Samples, proof: Proof) -> Int[Tensor, " chosen"]:
    """Return the rows of as many samples as the proof takes, stratified by class."""
    if len(samples) <= proof.samples:
        return torch.arange(len(samples))
    if samples.classes:
        return draw_stratified(samples.labels, proof.samples, proof.seed)
    return draw_random(len(samples), proof.samples, proof.seed)


def _selection(
    whole: Samples, study: Study
) -> tuple[Samples, Int[Tensor, " selection"], Int[Tensor, " rest"]]:
    """Return the samples of a study as it was given them, their rows, and those that it left."""
    data = study.metadata.question.data
    if len(whole) < data.samples:
        raise DataError(
            f"The study has {data.samples} samples, but there are {len(whole)} in these data: pass "
            "the data set that was analysed."
        )
    if len(whole) == data.samples:
        return whole, torch.arange(data.samples), torch.arange(0)
    if study.samples is None:
        raise SettingError(
            "The study does not say which samples it used, as it is of an earlier version: pass "
            "exactly these as `data`, and others with `proof_data`."
        )
    rows = _rows_of(whole, torch.tensor(study.samples["place"].tolist()))
    first = torch.arange(data.samples)
    drawn = take(_placed(whole), rows)
    if torch.equal(rows.sort().values, first) and drawn.fingerprint() != data.fingerprint:
        # They came in their own order, of which the study made a random one.
        drawn, rows = take(_placed(whole), first), first
    left = torch.ones(len(whole), dtype=torch.bool)
    left[rows] = False
    return drawn, rows, left.nonzero().flatten()


def _rows_of(whole: Samples, places: Int[Tensor, " samples"]) -> Int[Tensor, " samples"]:
    """Return where samples of these places in the data set are."""
    if whole.places is None:
        row_of = {place: place for place in range(len(whole))}
    else:
        row_of = {place: row for row, place in enumerate(whole.places.tolist())}
    if not set(places.tolist()) <= row_of.keys():
        raise DataError(
            "The study used samples that are not in these data: pass the whole data set that was "
            "analysed."
        )
    return torch.tensor([row_of[place] for place in places.tolist()])
