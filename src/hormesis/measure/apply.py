"""From a study to a better network: cells are chosen, applied one after the other, and proved."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from hormesis.analysis.proof_table import proof_table
from hormesis.engine.plan import Removal
from hormesis.engine.progress import Report, show_progress
from hormesis.measure.apply_baselines import make_variants
from hormesis.measure.apply_checks import applicable_study
from hormesis.measure.apply_files import (
    check_same,
    finished_before,
    look_into,
    masks_content,
    question_of,
    stored_table,
    table_content,
)
from hormesis.measure.apply_parts import PlannedParts, plan_parts
from hormesis.measure.apply_path import PathSearch, taken_removals, target_pools
from hormesis.measure.apply_proof import Facts, ProofRun, as_numbers, prove
from hormesis.measure.apply_request import ApplyRequest
from hormesis.measure.apply_source import NamedSource
from hormesis.measure.standing import count_zeroed, standing, zeroed_masks
from hormesis.models.devices import strict_arithmetic
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.fingerprint import network_fingerprint
from hormesis.results.applied import Applied
from hormesis.results.applied_tables import OUTCOME_COLUMNS, PROOF_COLUMNS
from hormesis.results.study import Study
from hormesis.settings.apply import Aim, Proof, Robust, as_aim
from hormesis.settings.execution import Execution
from hormesis.storage.applied_files import (
    MASKS,
    NETWORK,
    OUTCOMES,
    PATH,
    PROOF,
    AppliedFiles,
    check_folder_of_applied,
    forget,
    held_files,
)
from hormesis.storage.environment import environment
from hormesis.storage.schema import FINISHED, UNFINISHED
from hormesis.stress.kinds import own_network
from hormesis.training.checkpoints import checkpoint_of
from hormesis.training.source_lookup import SourceNetwork


def apply(
    study: Study | str | Path,
    network: Any = None,  # noqa: ANN401
    data: Any = None,  # noqa: ANN401
    *,
    aim: Aim | str = Robust(),
    out: str | Path | None = None,
    stressed: Any = None,  # noqa: ANN401
    proof: Proof = Proof(),
    source: SourceNetwork = SourceNetwork(),
    execution: Execution = Execution(),
) -> Applied:
    """Put the best filters of a study into its network, and prove what that does on other samples.

    A step zeroes what one cell of the study zeroes, on top of the steps before. The study says
    which cells promise most; these are measured on the network as it stands, clean and attacked
    anew, on the samples of the study. The path ends where no cell serves the aim any more. The
    network that it leads to, the unfiltered one, and others with as many values zeroed by other
    rules are then measured once on samples that had no part in the choice, each under attacks of
    its own.

    Args:
        study: A finished study of filters, or its folder.
        network: The network as it was analysed; it is the same afterwards. None rebuilds it from
            what the study or ``source`` names.
        data: The data set of the study, in the forms of ``analyze``: the study's own samples are
            found in it, and others are left for the proof. None reads the data set that the study
            names.
        aim: ``Robust`` for a better performance under stress, ``Sparse`` for fewer values.
        out: Folder for the result; None keeps it in memory. The same call goes on where an
            interrupted one stopped.
        stressed: The second data set of the study, if that was its stress.
        proof: Samples and attacks of the proof, and the baselines.
        source: Where the network comes from, without ``network``.
        execution: Engine, workers and progress.

    Returns:
        The path, the masks and the proof. If no cell serves the aim, nothing is written, and
        ``helps`` is False.

    Raises:
        HormesisError: One sentence on what cannot be measured or written.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> import hormesis as hm
        >>> network = nn.Linear(3, 2, bias=False)
        >>> _ = network.weight.data.copy_(torch.tensor([[4.0, 0.0, 0.1], [0.0, 4.0, -0.1]]))
        >>> labels = torch.arange(80) % 2
        >>> images = nn.functional.one_hot(labels, 3) * 0.5 + 0.01 * torch.rand(80, 3)
        >>> quiet = Execution(progress=False)
        >>> study = hm.analyze(network, (images[:40], labels[:40]), attack=hm.FGSM(0.1),
        ...                    execution=quiet)
        >>> found = apply(study, network, (images, labels), aim=hm.Sparse(), execution=quiet)
        >>> found.steps["removed"].tolist()
        [0, 2]
    """
    names = NamedSource.of(
        source,
        stressed=stressed if isinstance(stressed, str) else None,
        proof_data=proof.data if isinstance(proof.data, str) else None,
        proof_stressed=proof.stressed if isinstance(proof.stressed, str) else None,
    )
    request = ApplyRequest(
        network if network is not None else source.network,
        data,
        as_aim(aim),
        None if out is None else Path(out).expanduser(),
        None if isinstance(stressed, str) else stressed,
        proof,
        names,
        execution,
    )
    return apply_request(study, request)


def apply_request(study: Study | str | Path, request: ApplyRequest) -> Applied:
    """Do the same with all settings in one request.

    Args:
        study: See ``apply``.
        request: The request.
    """
    began = time.monotonic()
    loaded = applicable_study(study, request.aim, request.execution)
    folder, question = request.out, question_of(loaded, request.aim, request.proof)
    if folder is not None:
        check_folder_of_applied(folder)
        finished = finished_before(look_into(folder), question)
        if finished is not None and request.proof.data is None:
            return finished
    with show_progress(enabled=request.execution.progress) as report, strict_arithmetic():
        parts = plan_parts(loaded, request, report)
        question["proof"] |= parts.described(request.proof)
        with evaluation_mode(parts.selection.network), held_files(folder) as files:
            if files.manifest:
                check_same(files, question)
                finished = finished_before(files, question)
                if finished is not None:
                    return finished
            return _Application(loaded, request, parts, files, report).result(question, began)


@dataclass(frozen=True)
class _Application:
    """The steps from the parts of a data set to a proved network."""

    study: Study
    request: ApplyRequest
    parts: PlannedParts
    files: AppliedFiles
    report: Report

    def result(self, question: dict[str, Any], began: float) -> Applied:
        """Return the applied network, after measuring what is missing."""
        self.files.write({"state": UNFINISHED, **question, "metric": self.parts.described_metric()})
        path = self._path()
        removals = taken_removals(self.parts.selection, path)
        if not removals:
            forget(self.files)
            nothing = pd.DataFrame(columns=list(PROOF_COLUMNS))
            outcomes = pd.DataFrame(columns=list(OUTCOME_COLUMNS))
            return Applied(self._manifest(), path, nothing, outcomes, {})
        masks = zeroed_masks(self.parts.selection.network, removals)
        self._keep_network(masks, removals)
        outcomes, facts, notes = self._prove(masks)
        metric, level = self.parts.selection.request.metric, self.request.proof.level
        proof = proof_table(
            outcomes,
            {name: as_numbers(one) for name, one in facts.items()},
            level=level,
            binary=metric.binary,
            higher_is_better=metric.higher_is_better,
        )
        self.files.put(PROOF, table_content(proof))
        seconds = round(time.monotonic() - began, 1)
        self.files.finish(
            {
                "state": FINISHED,
                "notes": [*self.parts.notes, *notes],
                "run": {"seconds": seconds, **environment()},
            }
        )
        kept = {name: keep.numpy() for name, keep in masks.items()}
        return Applied(self._manifest(), path, proof, outcomes, kept, self.files.folder)

    def _manifest(self) -> dict[str, Any]:
        return {"applied": 1, **self.files.manifest}

    def _path(self) -> pd.DataFrame:
        """Return the path, of which an interrupted process may have left the beginning."""
        search = PathSearch(
            self.study,
            self.parts.selection,
            self.request.aim,
            self.report,
            keep=lambda table: self.files.put(PATH, table_content(table)),
            stored=stored_table(self.files, PATH),
        )
        table = search.table()
        self.files.put(PATH, table_content(table))
        return table

    def _keep_network(self, masks: dict[str, Tensor], removals: Sequence[Removal]) -> None:
        """Write the filtered network and its masks."""
        planned = self.parts.selection
        own = own_network(planned.network)
        pools = target_pools(planned)
        with standing(planned.network, removals):
            content, fingerprint = checkpoint_of(own), network_fingerprint(own)
        result = {
            "steps": len(removals),
            "removed": count_zeroed(masks),
            "values": sum(int(pool.sum()) for pool in pools.values()),
            "fingerprint": fingerprint,
        }
        self.files.put(NETWORK, content)
        self.files.put(MASKS, masks_content(masks), result=result)

    def _prove(self, masks: dict[str, Tensor]) -> tuple[pd.DataFrame, dict[str, Facts], list[str]]:
        """Return the outcomes of all networks, what is known of each, and notes."""
        variants, notes = make_variants(self.parts.selection, masks, self.request.proof)
        run = ProofRun(self.parts.proof, self.request.proof, self.report)

        def keep(table: pd.DataFrame, facts: Any) -> None:  # noqa: ANN401
            self.files.put(OUTCOMES, table_content(table), facts=facts)

        stored = stored_table(self.files, OUTCOMES)
        known = self.files.manifest.get("facts", {}) if stored is not None else {}
        outcomes, facts = prove(run, variants, stored, keep, known)
        return outcomes, facts, notes
