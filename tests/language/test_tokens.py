"""Texts as tokens and labels: padding, masks, lengths, and what no head can use."""

from pathlib import Path

import pytest
import torch

import hormesis as hm
import tiny_language as tiny
from hormesis.errors import DataError, HormesisError, ModelError, SettingError
from hormesis.language.tokens import tokenize
from hormesis.stress.losses import IGNORED

TEXTS = tiny.sentences(12)


def model(kind: str, *, pad: bool = True, **more: object) -> hm.LanguageModel:
    marks = kind in ("bert", "roberta")
    return hm.LanguageModel(tiny.network(kind, **more), tiny.tokenizer(pad=pad, marks=marks), kind)


def of(texts: object = TEXTS, **parts: object) -> hm.Texts:
    return hm.Texts(texts, name="mine", **parts)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_causal_tokens_are_those_of_the_tokenizer(kind: str) -> None:
    one = model(kind)
    task = hm.language_task(one, of())
    expected = one.tokenizer(TEXTS, padding=True, padding_side="right", return_tensors="pt")
    mask = expected["attention_mask"]
    assert set(task.samples.inputs) == {"input_ids", "attention_mask"}
    assert torch.equal(task.samples.inputs["attention_mask"], mask)
    assert torch.equal(task.samples.inputs["input_ids"] * mask, expected["input_ids"] * mask)
    labels = expected["input_ids"].masked_fill(mask == 0, IGNORED)
    assert torch.equal(task.samples.labels, labels)
    assert task.metric == "next_token_nll"
    assert task.network is one.network


@pytest.mark.parametrize("pairs", [False, True])
def test_a_classifier_gets_what_its_tokenizer_gives(pairs: bool) -> None:
    one = model("bert")
    texts = of(pairs=TEXTS[::-1] if pairs else (), labels=["good", "bad", "2"] * 4)
    task = hm.language_task(one, texts)
    second = TEXTS[::-1] if pairs else None
    expected = one.tokenizer(TEXTS, second, padding=True, return_tensors="pt")
    assert set(task.samples.inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    for name, values in task.samples.inputs.items():
        assert torch.equal(values, expected[name]), name
    assert task.samples.labels.tolist() == [2, 0, 2] * 4
    assert (task.samples.classes, task.metric) == (3, "accuracy")
    assert "bad, neutral, good" in task.reason


def test_one_output_is_a_number() -> None:
    one = model("bert", num_labels=1)
    task = hm.language_task(one, of(labels=[0.5, "2"] * 6))
    assert task.metric == "mse"
    assert task.samples.labels.tolist() == [0.5, 2.0] * 6
    assert task.samples.classes == 0


def test_a_decoder_that_classifies_finds_the_last_token(tmp_path: Path) -> None:
    """Its outputs for a padded text are those for the text alone."""
    folder = tiny.saved(tmp_path / "it", "gpt2-classifier", pad=False)
    one = hm.load_language_model(folder)
    task = hm.language_task(one, of(labels=[0, 1, 2] * 4))
    assert any("token for padding" in note for note in task.notes)
    with torch.no_grad():
        logits = task.network(**task.samples.inputs).logits
        for text, row in zip(TEXTS, logits, strict=True):
            alone = one.network(torch.tensor([one.tokenizer(text)["input_ids"]])).logits[0]
            torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "longest"), [("bert", 32), ("roberta", 23), ("llama", 32)])
def test_the_longest_text_that_fits_runs_and_the_next_is_refused(kind: str, longest: int) -> None:
    """RoBERTa's positions begin behind its padding, so that it has fewer than it says."""
    one = model(kind)
    assert one.longest == longest
    marks = 2 if kind != "llama" else 0
    labels = [0, 1] if marks else ()
    fits = of([" ".join(["a"] * (longest - marks)), "a a"], labels=labels)
    task = hm.language_task(one, fits)
    assert task.samples.inputs["input_ids"].shape == (2, longest)
    with torch.no_grad():
        task.network(**task.samples.inputs)
    long = of(["a a", " ".join(["a"] * (longest - marks + 1))], labels=labels)
    with pytest.raises(
        DataError, match=rf"{longest} tokens a text.*text 1.*`max_length` {longest}"
    ):
        hm.language_task(one, long)
    task = hm.language_task(one, long, max_length=longest)
    assert task.samples.inputs["input_ids"].shape == (2, longest)
    assert task.notes[-1] == f"1 of 2 texts of mine were cut to their first {longest} tokens."


def test_cutting_keeps_the_first_tokens_and_the_special_ones() -> None:
    one = model("bert")
    cut = tokenize(one, of(), 6)
    expected = one.tokenizer(TEXTS, truncation=True, max_length=6)["input_ids"]
    assert list(map(list, cut.ids)) == expected
    assert cut.cut == sum(len(one.tokenizer(text)["input_ids"]) > 6 for text in TEXTS)


def test_stressed_texts_are_the_corrupted_ones_at_one_width() -> None:
    one = model("llama")
    task = hm.language_task(one, of(), stressed="typos:5")
    assert task.stressed is not None
    assert task.stressed.name == "typos:5"
    assert task.stressed.inputs["input_ids"].shape == task.samples.inputs["input_ids"].shape
    corrupted = hm.corruptions.typos(TEXTS, 0.2)
    for number, text in enumerate(corrupted):
        ids = task.stressed.inputs["input_ids"][number]
        mask = task.stressed.inputs["attention_mask"][number].bool()
        assert ids[mask].tolist() == one.tokenizer(text)["input_ids"]


def test_a_draw_is_stratified_and_keeps_its_typos() -> None:
    texts = of(labels=["x", "y", "y", "y"] * 3)
    drawn = texts.draw(8, seed=1)
    assert sorted(drawn.labels) == ["x"] * 2 + ["y"] * 6
    assert texts.draw(4, seed=1).texts == drawn.texts[:4]
    whole = texts.corrupted(hm.corruptions.TextCorruption("typos", 5))
    some = drawn.corrupted(hm.corruptions.TextCorruption("typos", 5))
    assert list(some.texts) == [whole.texts[place] for place in drawn.places]


@pytest.mark.parametrize("kind", ["typos", "dropped_words"])
def test_nothing_is_left_empty(kind: str) -> None:
    corruption = hm.corruptions.TextCorruption(kind, 5)
    assert all(corruption.apply(["a"] * 60))


def refusals() -> list[tuple[str, type[HormesisError], str, object]]:
    one = ["good", "bad", "the"] * 4
    return [
        ("bert", DataError, "label for each text", {}),
        ("bert", DataError, "'awful' in text 1.*bad, neutral", {"labels": ["bad", "awful"] * 6}),
        ("bert", DataError, "label 3 in text 0.*0 to 2", {"labels": [3] * 12}),
        ("bert", DataError, "label True", {"labels": [True] * 12}),
        ("bert", ModelError, "choices.*classifies", {"choices": [["a", "b"]] * 12}),
        ("llama", DataError, "two: join", {"pairs": TEXTS}),
        ("llama", DataError, "at least 2 tokens.*text 0", {"texts": one}),
        ("llama", DataError, "label for each question", {"choices": [["a", "b"]] * 12}),
        ("llama", DataError, "0 to 1.*got 2", {"choices": [["a", "b"]] * 12, "labels": [2] * 12}),
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "error", "words", "parts"), refusals())
def test_refusals(
    kind: str, error: type[HormesisError], words: str, parts: dict[str, object]
) -> None:
    with pytest.raises(error, match=words):
        hm.language_task(model(kind), of(**{"texts": TEXTS, **parts}))


def test_settings_that_do_not_fit_are_refused() -> None:
    chosen = of(choices=[["a", "b"]] * 12, labels=[0] * 12)
    with pytest.raises(SettingError, match="no `max_length` for texts with choices"):
        hm.language_task(model("llama"), chosen, max_length=8)
    with pytest.raises(SettingError, match="texts with choices for `choice_score` 'bytes'"):
        hm.language_task(model("llama"), of(), choice_score="bytes")
    with pytest.raises(SettingError, match="Did you mean typos"):
        hm.language_task(model("llama"), of(), stressed="typo:2")
    with pytest.raises(SettingError, match=r"`max_length` to be from 3 to 32 tokens.*got 2"):
        hm.language_task(model("bert"), of(labels=[0] * 12), max_length=2)
    with pytest.raises(ModelError, match=r"another vocabulary size.*number 45.*of 20"):
        model("llama", vocab_size=20)
    with pytest.raises(ModelError, match="embeddings of tokens, got Linear"):
        hm.LanguageModel(torch.nn.Linear(1, 1), tiny.tokenizer())
