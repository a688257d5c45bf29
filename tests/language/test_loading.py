"""Folders of models and files of texts, whole and damaged: a sentence for each damage."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hormesis as hm
import tiny_language as tiny
from hormesis.errors import DataError, ModelError

CONFIG = "config.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.saved(tmp_path_factory.mktemp("models") / "whole", "bert")


def changed(name: str, **entries: Any) -> Callable[[Path], None]:
    """Return what changes entries of a file of JSON; None removes one."""

    def change(folder: Path) -> None:
        content = {**json.loads((folder / name).read_text()), **entries}
        kept = {key: value for key, value in content.items() if value is not None}
        (folder / name).write_text(json.dumps(kept))

    return change


def written(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)

    return write


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def dangling(folder: Path) -> None:
    without(CONFIG)(folder)
    (folder / CONFIG).symlink_to(folder / "elsewhere.json")


def in_a_circle(folder: Path) -> None:
    without(CONFIG)(folder)
    (folder / CONFIG).symlink_to(CONFIG)


def piped(name: str) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        without(name)(folder)
        os.mkfifo(folder / name)

    return replace


def indexed(name: object) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        without("model.safetensors")(folder)
        content = {"metadata": {}, "weight_map": {"classifier.weight": name}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return replace


DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "no configuration": (r"no config\.json.*save_pretrained", without(CONFIG)),
    "a dangling link": (r"no config\.json", dangling),
    "links in a circle": (r"config\.json.*cannot be read", in_a_circle),
    "no JSON": (r"config\.json.*cannot be read: JSONDecodeError", written(CONFIG, "{")),
    "no text": (r"config\.json.*cannot be read: Unicode", written(CONFIG, b"\xff\xfe\x00")),
    "a list": ("JSON object", written(CONFIG, "[]")),
    "far too deep": ("cannot be read: RecursionError", written(CONFIG, "[" * 100_000)),
    "a huge number": ("cannot be read: ValueError", written(CONFIG, '{"a": ' + "9" * 9000 + "}")),
    "too large": ("at most 16,777,216 bytes", written(CONFIG, " " * (1 << 24) + "{}")),
    "remote code": (
        r"code of its own \(auto_map\)",
        changed(CONFIG, auto_map={"AutoModel": "a.B"}),
    ),
    "remote code of the tokenizer": (
        "auto_map",
        changed("tokenizer_config.json", auto_map={"AutoTokenizer": ["a.B", None]}),
    ),
    "no architecture": ("`architectures`", changed(CONFIG, architectures=None)),
    "architectures of numbers": ("`architectures`", changed(CONFIG, architectures=[3])),
    "another head": (
        "got BertForQuestionAnswering.*`hormesis.analyze`",
        changed(CONFIG, architectures=["BertForQuestionAnswering"]),
    ),
    "no class of theirs": ("got os", changed(CONFIG, architectures=["os.system"])),
    "pickled weights": (r"pickled.*safe_serialization=True", pickled),
    "no weights": (r"no weights, model\.safetensors", without("model.safetensors")),
    "damaged weights": (
        "network.*cannot be loaded: .*(rror|eader)",
        written("model.safetensors", b"\x08" + b"\0" * 30),
    ),
    "weights of another shape": ("cannot be loaded|lack", changed(CONFIG, hidden_size=32)),
    "weights of fewer layers": (
        r"weights in damaged lack 16 of .*layer\.2",
        changed(CONFIG, num_hidden_layers=3),
    ),
    "a network that is larger than its weights": (
        "network of 2,.* values, and its weights hold",
        changed(CONFIG, vocab_size=10**8 + 5 * 10**7),
    ),
    "too many layers": ("`num_hidden_layers` of at most", changed(CONFIG, num_hidden_layers=10**9)),
    "a pipe for a tokenizer": ("tokenizer.json .* to be a file", piped("tokenizer.json")),
    "a pipe for a configuration": ("config.json .* to be a file", piped(CONFIG)),
    "a pipe for weights": ("no weights", piped("model.safetensors")),
    "an index that leads elsewhere": (
        r"not in the folder: '\.\./whole",
        indexed("../whole/model.safetensors"),
    ),
    "an index of numbers": ("not in the folder: 3", indexed(3)),
    "an index of a file that is not there": (
        "lacks a part of its weights",
        indexed("b.safetensors"),
    ),
    "a size that is none": ("cannot be loaded", changed(CONFIG, hidden_size="many")),
    "no tokenizer": ("no tokenizer", without("tokenizer.json", "tokenizer_config.json")),
    "a damaged tokenizer": ("tokenizer.*cannot be loaded", written("tokenizer.json", "{")),
    "a tokenizer of numbers": ("tokenizer.*cannot be loaded", written("tokenizer.json", "[1, 2]")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_in_a_sentence(
    damage: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words, make = DAMAGES[damage]
    copy = Path(shutil.copytree(folder, tmp_path / "damaged"))
    make(copy)
    with pytest.raises(ModelError, match=words) as refused:
        hm.load_language_model(copy)
    assert len(str(refused.value)) < 350
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith(".")
    assert capfd.readouterr() == ("", "")


def test_a_folder_gives_what_was_saved(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = hm.load_language_model(f"hf:{folder}")
    assert capfd.readouterr() == ("", "")
    expected = tiny.network("bert").state_dict()
    for name, values in model.network.state_dict().items():
        assert torch.equal(values, expected[name])
    assert not model.network.training
    assert model.name == "whole"


def test_weights_are_read_in_full_precision(tmp_path: Path) -> None:
    half: Any = tiny.network("llama").bfloat16()
    half.save_pretrained(tmp_path, max_shard_size="8KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    tiny.tokenizer().save_pretrained(tmp_path)
    network = hm.load_language_model(tmp_path).network
    for name, values in network.named_parameters():
        assert values.dtype == torch.float32
        assert torch.equal(values, half.get_parameter(name).float())


def test_unused_weights_are_told(tmp_path: Path) -> None:
    tiny.saved(tmp_path, "bert", num_hidden_layers=3)
    changed(CONFIG, num_hidden_layers=2)(tmp_path)
    (note,) = hm.load_language_model(tmp_path).notes
    assert note.startswith("16 entries of the weights belong to no part")


def test_a_name_is_looked_up_in_the_cache_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "models--mine--tiny"
    shutil.copytree(folder, cache / "snapshots" / "abc")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert hm.load_language_model("hf:mine/tiny").name == "mine/tiny"
    for name in ("mine/other", "../../no-such-folder", "a b", "x" * 300):
        with pytest.raises(ModelError, match=r"no folder .* local cache"):
            hm.load_language_model(name)


FILES: dict[str, tuple[str, str, str | bytes]] = {
    "malformed JSON": ("a.jsonl", "line 2 of a.jsonl: Expecting", '{"text": "a"}\n{"text": '),
    "JSON of a list": ("a.jsonl", "got list in line 1", "[1]"),
    "JSON far too deep": ("a.jsonl", "line 1", "[" * 100_000),
    "no such column": ("a.jsonl", "'text' in line 3.*'body'", '{"text": "a"}\n\n{"body": "b"}'),
    "no column of texts": ("a.csv", "'text' in line 2.*'body'", "body,label\nx,1"),
    "no column of labels": ("a.jsonl", "'label' in line 2", '{"text":"a","label":1}\n{"text":"b"}'),
    "an empty text": ("a.jsonl", "an empty one in line 2 of", '{"text": "a"}\n{"text": " "}'),
    "a number": ("a.jsonl", "a text, got int in line 1", '{"text": 3}'),
    "half a letter": ("a.jsonl", "half of one in line 1", '{"text": "\\ud800"}'),
    "one choice": ("a.jsonl", "two `choices`.*line 1", '{"text": "a", "choices": ["b"]}'),
    "choices in one text": ("a.jsonl", "two `choices`.*'bcd'", '{"text": "a", "choices": "bcd"}'),
    "a choice of numbers": ("a.jsonl", "a text, got int", '{"text": "a", "choices": [1, 2]}'),
    "choices that are no JSON": ("a.csv", "list of JSON.*line 2", "text,choices\na,b|c"),
    "more columns": ("a.csv", "2 columns.*in line 3", "text,label\na,1\nb, c,1"),
    "fewer columns": ("a.csv", "2 columns.*in line 2", "text,label\na"),
    "an open quote": ("a.csv", "no table", 'text,label\n"a,1\n'),
    "no lines": ("a.txt", "holds no texts", "\n\n \n"),
    "nothing": ("a.csv", "holds no texts", ""),
    "a header alone": ("a.csv", "holds no texts", "text,label\n"),
    "no UTF-8": ("a.txt", "no text in UTF-8", b"caf\xe9"),
    "another kind": ("a.parquet", r"ends in \.jsonl, \.csv, \.txt", "x"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_damaged_file_is_refused_in_a_sentence(case: str, tmp_path: Path) -> None:
    name, words, content = FILES[case]
    written(name, content)(tmp_path)
    with pytest.raises(DataError, match=words) as refused:
        hm.load_texts(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_folder_is_no_file_of_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(DataError, match="a file of at most"):
        hm.load_texts(tmp_path / "a.txt")


def test_every_kind_of_file_gives_the_same(tmp_path: Path) -> None:
    rows = [
        {"text": 'a "quoted", film', "text_pair": "b", "choices": ["x", "y"], "answer": "1"},
        {"text": "two\nlines", "text_pair": "d", "choices": ["x", "y", "z"], "answer": "2"},
    ]
    tiny.write_lines(tmp_path / "a.jsonl", rows)
    lines = ["text,text_pair,choices,answer"]
    for row in rows:
        cells = [row["text"], row["text_pair"], json.dumps(row["choices"]), row["answer"]]
        lines.append(",".join('"' + str(cell).replace('"', '""') + '"' for cell in cells))
    written("a.csv", "\ufeff" + "\r\n".join(lines))(tmp_path)
    read = [hm.load_texts(tmp_path / f"a.{kind}") for kind in ("jsonl", "csv")]
    for part in ("texts", "pairs", "labels"):
        assert getattr(read[0], part) == getattr(read[1], part)
    assert [list(few) for few in read[1].choices] == [["x", "y"], ["x", "y", "z"]]
    assert read[0].labels == ("1", "2")
    written("a.txt", "one text\r\n\r\nanother text\n")(tmp_path)
    texts = hm.load_texts(tmp_path / "a.txt")
    assert (texts.texts, texts.where(1)) == (("one text", "another text"), "line 3 of a.txt")
    named = hm.load_texts(tmp_path / "a.jsonl", text="text_pair", label="text")
    assert (named.texts, named.labels[1]) == (("b", "d"), "two\nlines")


def test_transformers_is_imported_within_functions_alone() -> None:
    top = re.compile(r"^(import|from) (transformers|tokenizers|lm_eval|huggingface_hub)\b", re.M)
    for file in Path(hm.__file__).parent.rglob("*.py"):
        assert not top.search(file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("package", ["transformers", "lm_eval"])
def test_what_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.api.task", None)
    known = tiny.tokenizer()
    calls = {
        "transformers": lambda: hm.load_language_model("."),
        "lm_eval": lambda: hm.lm_eval("piqa", known),
    }
    with pytest.raises(hm.HormesisError, match=r"pip install hormesis\[(transformers|lm-eval)\]"):
        calls[package]()
