"""No raw Python error: whatever is passed, one sentence says what is wrong and what to do.

The cases run in a process of their own, without the run-time checks of types that the suite has, as
users run them.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wrong_inputs import CASES

LONGEST = 350  # characters of a refusal
INTERNALS = ("torch.export", "torch._", "aten", "Traceback", "default_collate", "0x7f")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each case ends in: the kind of the error, and its sentence."""
    out = tmp_path_factory.mktemp("wrong") / "said.json"
    script = Path(__file__).with_name("wrong_inputs.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text(encoding="utf-8"))


def test_there_are_many():
    assert len(CASES) > 180


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_input_is_refused_in_a_sentence(case, said):
    kind, text = said[case]
    assert kind == "HormesisError", text
    missing = [word for word in CASES[case][0].split("|") if word not in text]
    assert not missing, text
    assert len(text) < LONGEST, text
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert not text.endswith("..")
    assert not [word for word in INTERNALS if word in text], text
    sentences = re.split(r"[.?] (?=[A-Z])", text.removesuffix("."))
    assert len(sentences) <= 3, text


def test_every_case_names_culprit_or_remedy():
    assert all(word for words, _ in CASES.values() for word in words.split("|"))
