"""The examples run, offline, and say what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_hugging_face_s_trainer_leaves_frozen_values_alone():
    pytest.importorskip("transformers", reason="an extra for development")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "huggingface_trainer.py"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert "frozen values are equal, bit for bit" in done.stdout
