"""Studies of language models: metrics, choices, and the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
import tiny_language as tiny
from hormesis.cli.app import main
from hormesis.cli.parser import parse_arguments
from hormesis.stress.metrics import as_metric

TEXTS = tiny.sentences(12)
CHOICES = [["good", "very bad film", "b"][: 2 + n % 2] for n in range(len(TEXTS))]
QUESTIONS = [
    {"prompt": text, "choices": few, "answer": n % 2}
    for n, (text, few) in enumerate(zip(TEXTS, CHOICES, strict=True))
]
ONE = {
    "bert": "*0.attention.self.query.weight",
    "llama": "*0.self_attn.q_proj.weight",
    "gpt2": "*h.0.attn.c_attn.weight",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of models, and files of texts."""
    root = tmp_path_factory.mktemp("language")
    for kind in ("bert", "gpt2", "llama"):
        tiny.saved(root / kind, kind, pad=kind != "gpt2")
    rows = [{"text": text, "label": tiny.LABELS[n % 3]} for n, text in enumerate(TEXTS)]
    tiny.write_lines(root / "reviews.jsonl", rows)
    tiny.write_lines(root / "questions.jsonl", QUESTIONS)
    (root / "lines.txt").write_text("\n\n".join(TEXTS), encoding="utf-8")
    (root / "others.txt").write_text("\n".join(TEXTS[::-1]), encoding="utf-8")
    return root


def of_choices(
    kind: str, score: str = "sum", **more: Any
) -> tuple[hm.LanguageModel, hm.LanguageTask]:
    model = hm.LanguageModel(tiny.network(kind, **more), tiny.tokenizer(), kind)
    texts = hm.Texts(TEXTS, choices=CHOICES, labels=[n % 2 for n in range(len(TEXTS))])
    return model, hm.language_task(model, texts, choice_score=score)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_metrics_of_texts_are_those_of_the_networks_own_loss(kind: str) -> None:
    """Each text alone, without padding, through the loss of transformers."""
    model = hm.LanguageModel(tiny.network(kind), tiny.tokenizer(), kind)
    network: Any = model.network
    samples = hm.language_task(model, hm.Texts(TEXTS)).samples
    logits = network(**samples.inputs).logits
    found = {
        name: as_metric(name).measure(logits, samples.labels)
        for name in ("perplexity", "next_token_nll", "next_token_accuracy")
    }
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        alone = network(ids, labels=ids)
        right = (alone.logits[0, :-1].argmax(1) == ids[0, 1:]).float().mean()
        nll = float(alone.loss)
        assert float(found["next_token_nll"][number]) == pytest.approx(nll, rel=1e-4)
        assert float(found["perplexity"][number]) == pytest.approx(np.exp(nll), rel=1e-3)
        assert float(found["next_token_accuracy"][number]) == pytest.approx(float(right))


@torch.no_grad()
@pytest.mark.parametrize("score", ["sum", "characters", "bytes"])
def test_choices_are_scored_as_by_a_loop(score: str) -> None:
    model, task = of_choices("llama", score)
    scores = task.network(**task.samples.inputs)
    for number, (text, choices) in enumerate(zip(TEXTS, CHOICES, strict=True)):
        context = model.tokenizer(text)["input_ids"]
        for place, choice in enumerate(choices):
            ids = model.tokenizer(f"{text} {choice}")["input_ids"]
            logits = model.network(torch.tensor([ids])).logits[0].log_softmax(1)
            sums = sum(float(logits[at - 1, ids[at]]) for at in range(len(context), len(ids)))
            divisor = {"sum": 1, "characters": len(choice), "bytes": len(choice.encode())}[score]
            assert float(scores[number, place]) == pytest.approx(sums / divisor, rel=1e-4)
        absent = scores[number, len(choices) :]
        assert bool((absent <= scores[number, : len(choices)].min() - 99).all())


@pytest.mark.parametrize("kind", ["bert", pytest.param("llama", marks=pytest.mark.slow), "choices"])
def test_engines_agree(kind: str) -> None:
    if kind == "choices":
        task = of_choices("gpt2", n_layer=1)[1]
    else:
        known = tiny.tokenizer(marks=kind == "bert")
        model = hm.LanguageModel(tiny.network(kind, num_hidden_layers=1), known)
        texts = hm.Texts(TEXTS, labels=[0, 1, 2] * 4 if kind == "bert" else ())
        task = hm.language_task(model, texts, stressed="typos:5")
    found = [
        hm.analyze(
            task.network,
            task.samples,
            stressed=task.stressed,
            attack=None,
            metric="loss" if kind == "bert" else task.metric,  # which differs at every threshold
            targets=hm.Targets((ONE["gpt2" if kind == "choices" else kind],)),
            sweep=hm.Sweep(thresholds=2),
            execution=hm.Execution(progress=False, num_workers=1, engine=engine),
        )
        for engine in ("auto", "plain")
    ]
    assert [one.metadata.run.engine for one in found] == ["suffix", "plain"]
    for name in ("clean", "adversarial"):
        fast, slow = (one.responses[name].to_numpy() for one in found)
        np.testing.assert_allclose(fast, slow, rtol=1e-4)
        assert len(np.unique(fast)) > 1 or kind == "choices"


def options(folders: Path, kind: str, data: str, *more: str) -> list[str]:
    return [
        *("analyze", "--model", f"hf:{folders / kind}", "--data", str(folders / data)),
        *("--thresholds", "2", "--include", ONE.get(kind, "*"), "--engine", "plain"),
        *("--out", str(folders / "studies" / "-".join([kind, data, *more]).replace("/", "_"))),
        *more,
    ]


@pytest.mark.parametrize(
    ("kind", "data", "more", "metric"),
    [
        ("bert", "reviews.jsonl", ("--stressed", "dropped_words:5", "--samples", "9"), "accuracy"),
        ("gpt2", "lines.txt", ("--attack", "none", "--max-length", "4"), "next_token_nll"),
        ("gpt2", "lines.txt", ("--stressed", "others.txt", "--samples", "6"), "next_token_nll"),
        ("llama", "questions.jsonl", ("--attack", "none", "--choice-score", "bytes"), "accuracy"),
        ("llama", "lines.txt", ("--attack", "none", "--metric", "next_token_accuracy"), ""),
    ],
)
def test_the_command_has_the_numbers_of_python(
    kind: str,
    data: str,
    more: tuple[str, ...],
    metric: str,
    folders: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folders)
    words = options(folders, kind, data, *more)
    assert main(words) == 0
    printed = capfd.readouterr()
    asked = dict(zip(more[::2], more[1::2], strict=True))
    study = hm.load_study(Path(words[words.index("--out") + 1]))
    question = study.manifest["question"]
    assert question["network"]["name"] == f"hf:{kind}"
    assert question["performance"]["name"] == (metric or asked["--metric"])
    assert study.manifest["origin"]["language"]["class"].lower().startswith(kind)
    noise = ("Loading weights", "Warning", "[transformers]", "huggingface", "Traceback")
    assert not [word for word in noise if word in printed.err + printed.out]
    assert study.manifest["notes"][0] in printed.err or "--metric" in asked
    assert ("is measured" in study.manifest["notes"][0]) != ("--metric" in asked)

    model = hm.load_language_model(folders / kind)
    texts = hm.load_texts(folders / data)
    texts = texts.draw(int(asked["--samples"])) if "--samples" in asked else texts
    stressed: Any = asked.get("--stressed")
    if stressed is not None and stressed.endswith(".txt"):
        stressed = hm.load_texts(folders / stressed).take(texts.places)
    task = hm.language_task(
        model,
        texts,
        stressed=stressed,
        max_length=int(asked["--max-length"]) if "--max-length" in asked else None,
        choice_score=asked.get("--choice-score", "sum"),
    )
    measure = as_metric(asked.get("--metric", task.metric))
    both = {"clean": task.samples, "adversarial": task.stressed}
    for name, samples in both.items():
        if samples is not None:
            with torch.no_grad():
                outputs = task.network(**samples.inputs)
            logits = getattr(outputs, "logits", outputs)
            mean = float(measure.measure(logits, samples.labels).mean())
            assert getattr(study.base, name) == pytest.approx(mean, rel=1e-4)


def refused(folders: Path) -> list[tuple[str, list[str]]]:
    """Return what is said, and the words of a command."""
    none, gpt2 = ["--attack", "none"], ("gpt2", "lines.txt")
    return [
        ("a file of texts (.jsonl, .csv, .txt)", options(folders, "bert", "reviews", *none)),
        ("'{}/no.txt' cannot be read", options(folders, "gpt2", "no.txt", *none)),
        ("no `--weights` for the", options(folders, "gpt2", "lines.txt", "--weights", "w.pt")),
        ("no `--resize` for the", options(folders, "gpt2", "lines.txt", "--resize", "8")),
        ("one of images", options(folders, "gpt2", "lines.txt", "--stressed", "contrast:2")),
        ("from 1 to 5", options(folders, "gpt2", "lines.txt", "--stressed", "typos:x")),
        ("`--max-length` to be from 1 to 32", options(folders, *gpt2, "--max-length", "99")),
        ("column of the texts with `--text`", options(folders, *gpt2, "--text", "t")),
        ("no folder '", options(folders, "missing", "lines.txt", *none)),
        ("a label for each text", options(folders, "bert", "lines.txt", *none)),
        ("Expected a file of texts and an `hf:` model", [
            "analyze", "--stressed", "typos:2", "--out", str(folders / "other"),
        ]),
    ]  # fmt: skip


def test_the_command_refuses_in_a_sentence(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, arguments in refused(folders):
        assert main(arguments) == 2, words
        said = capsys.readouterr().err
        assert words.format(folders) in said, said
        assert "Traceback" not in said


def test_a_models_name_is_no_code() -> None:
    words = ["--model", "hf:tiny", "--data", "mine.jsonl"]
    assert parse_arguments("analyze", words).values["model"] == "hf:tiny"
    with pytest.raises(hm.HormesisError, match="load_language_model"):
        hm.build_model("hf:tiny", classes=2, channels=1)


def test_a_network_of_ones_own_is_a_module() -> None:
    """The scorer of choices gives away its embeddings, as networks of transformers do."""
    model, task = of_choices("gpt2")
    network: Any = task.network
    assert isinstance(network.get_input_embeddings(), nn.Embedding)
    assert network.network is model.network
