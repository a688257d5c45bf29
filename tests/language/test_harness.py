"""Tasks of lm-evaluation-harness as evaluations, from files made on the spot."""

import json
from typing import Any

import pytest
import torch

import hormesis as hm
import tiny_language as tiny

pytest.importorskip("lm_eval", reason="needs lm-evaluation-harness")

TEXTS = tiny.sentences(12)
CHOICES = [["good", "very bad film", "b"][: 2 + n % 2] for n in range(len(TEXTS))]
QUESTIONS = [
    {"prompt": text, "choices": few, "answer": n % 2}
    for n, (text, few) in enumerate(zip(TEXTS, CHOICES, strict=True))
]


def of_choices(kind: str, score: str) -> tuple[hm.LanguageModel, hm.LanguageTask]:
    model = hm.LanguageModel(tiny.network(kind), tiny.tokenizer(), kind)
    texts = hm.Texts(TEXTS, choices=CHOICES, labels=[n % 2 for n in range(len(TEXTS))])
    return model, hm.language_task(model, texts, choice_score=score)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("harness")
    (root / "documents.json").write_text(json.dumps(QUESTIONS), encoding="utf-8")
    return {
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": str(root / "documents.json"),
            "cache_dir": str(root / "cache"),
        },
        "test_split": "train",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "answer",
        "doc_to_choice": "choices",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}, {"metric": "acc_bytes"}],
    }


def test_ours_agrees_with_the_harness(task: dict[str, Any]) -> None:
    for metric, score in (("acc", "sum"), ("acc_norm", "characters"), ("acc_bytes", "bytes")):
        model, ours = of_choices("gpt2", score)
        evaluation = hm.lm_eval(task, model.tokenizer, metric=metric)
        assert (evaluation.binary, evaluation.higher_is_better) == (True, True)
        theirs = evaluation.measure(model.network, range(len(TEXTS)), stressed=False)
        with torch.no_grad():
            chosen = ours.network(**ours.samples.inputs).argmax(1)
        assert (chosen == ours.samples.labels).tolist() == theirs.astype(bool).tolist()
        assert 0 < theirs.mean() < 1


@pytest.mark.slow
def test_its_own_evaluation_has_the_same_mean(task: dict[str, Any]) -> None:
    from lm_eval import simple_evaluate  # pyright: ignore[reportMissingImports]
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

    network: Any = tiny.network("llama")
    known = tiny.tokenizer()
    evaluation = hm.lm_eval(task, known)
    mine = evaluation.measure(network, range(len(TEXTS)), stressed=False)
    make: Any = HFLM
    told: Any = simple_evaluate(
        make(pretrained=network, tokenizer=known, backend="causal"),
        tasks=[hm.lm_eval(task, known).function.args[0][0].task],  # pyright: ignore
        bootstrap_iters=0,
    )
    assert told["results"]["mine"]["acc,none"] == pytest.approx(float(mine.mean()))


def test_it_is_measured_with_a_stressed_task(task: dict[str, Any]) -> None:
    network, known = tiny.network("gpt2"), tiny.tokenizer()
    harder = {**task, "task": "harder", "doc_to_text": "not {{prompt}}"}
    evaluation = hm.lm_eval(task, known, samples=6, stressed=harder)
    study = hm.analyze(
        network,
        evaluation,
        targets=hm.Targets(("*.h.1.attn.c_attn.weight",)),
        sweep=hm.Sweep(thresholds=3, filters=("low_pass",)),
        execution=hm.Execution(progress=False, num_workers=1),
    )
    assert study.manifest["question"]["performance"]["name"] == "acc"
    for stressed, mean in ((False, study.base.clean), (True, study.base.adversarial)):
        alone = evaluation.measure(network, range(6), stressed=stressed).mean()
        assert mean == pytest.approx(float(alone))
    other = hm.lm_eval(harder, known, samples=6)
    assert other.fingerprint() != hm.lm_eval(task, known, samples=6).fingerprint()


def test_refusals(task: dict[str, Any]) -> None:
    known = tiny.tokenizer()
    for words, arguments in (
        ("'f1'.*acc", {"task": task, "metric": "f1"}),
        ("from 2 to 12", {"task": task, "samples": 1}),
        ("could not load.*nowhere", {"task": {**task, "dataset_path": "/nowhere"}}),
        ("a mapping or a task.*got int", {"task": 3}),
        ("`batch_size`", {"task": task, "batch_size": 0}),
    ):
        with pytest.raises(hm.HormesisError, match=words):
            hm.lm_eval(**{"tokenizer": known, **arguments})
