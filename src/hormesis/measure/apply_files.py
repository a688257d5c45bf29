"""An applied network as it is written: its question, and what an interrupted process has left."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import safetensors.torch
from torch import Tensor

from hormesis.errors import StudyError
from hormesis.results.applied import Applied, load_applied
from hormesis.results.study import Study
from hormesis.settings.apply import Aim, Proof
from hormesis.storage.applied_files import AppliedFiles, stored_manifest
from hormesis.storage.differences import first_difference
from hormesis.storage.schema import FINISHED
from hormesis.storage.table_checks import TABLE_ERRORS, parse_parquet
from hormesis.storage.validation import plain_values

_QUESTION = ("study", "aim", "proof")
_OF_DATA = ("samples", "fingerprint", "attacks", "epsilon")  # of a proof, known once data are read


def question_of(study: Study, aim: Aim, proof: Proof) -> dict[str, Any]:
    """Return what is asked, as far as it is known before data are read, as plain values."""
    question, metadata = study.manifest["question"], study.metadata
    data = question["data"]
    about = {
        "network": question["network"]["name"],
        "fingerprint": question["network"]["fingerprint"],
        "data": data["name"],
        "data_fingerprint": data["fingerprint"],
        "samples": data["samples"],
        "identity": metadata.study,
        "epoch": metadata.origin.epoch,
        "path": None if study.folder is None else str(study.folder.resolve()),
    }
    settings = proof.described()
    asked = {"most": settings.pop("samples"), **settings}
    return plain_values({"study": about, "aim": aim.described(), "proof": asked})


def finished_before(files: AppliedFiles, question: Mapping[str, Any]) -> Applied | None:
    """Return the applied network of a folder if it is whole; None if there is work left.

    Args:
        files: The folder, with its manifest.
        question: What is asked, see ``question_of``.

    Raises:
        StudyError: If the folder holds the answer to another question.
    """
    if files.folder is None or not files.manifest:
        return None
    check_same(files, question)
    return load_applied(files.folder) if files.manifest.get("state") == FINISHED else None


def check_same(files: AppliedFiles, question: Mapping[str, Any]) -> None:
    """Refuse to go on in a folder with another question; the first difference is named.

    Raises:
        StudyError: If it is another one.
    """
    asked = json.loads(json.dumps({name: question[name] for name in _QUESTION}))
    stored = {name: files.manifest.get(name, {}) for name in _QUESTION}
    known = asked["proof"]
    stored["proof"] = {
        key: value for key, value in stored["proof"].items() if key in known or key not in _OF_DATA
    }
    for one in (asked, stored):
        one["study"] = {key: value for key, value in one["study"].items() if key != "path"}
    difference = first_difference(asked, stored)
    if difference:
        raise StudyError(
            f"The folder {files.folder} holds another applied network ({difference}): choose "
            "another one with `out`."
        )


def look_into(folder: Any) -> AppliedFiles:  # noqa: ANN401  (a path, or None)
    """Return the files of a folder, which is not held; nothing may be written."""
    return AppliedFiles(folder, {} if folder is None else stored_manifest(folder))


def stored_table(files: AppliedFiles, name: str) -> pd.DataFrame | None:
    """Return a table that was written before; None if it has to be made."""
    content = files.get(name)
    if content is None:
        return None
    try:
        return parse_parquet(content)
    except TABLE_ERRORS:
        return None


def table_content(table: pd.DataFrame) -> bytes:
    """Return the file of a table."""
    return table.to_parquet(None, index=False)


def masks_content(masks: Mapping[str, Tensor]) -> bytes:
    """Return the file of masks."""
    return safetensors.torch.save({name: masks[name].contiguous() for name in sorted(masks)})
