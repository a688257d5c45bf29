"""A small decoder and a small classifier of text, trained on the documentation of Python packages.

    python -m reproduction.language_models --out DIR

Hormesis depends on NumPy, SciPy, pandas, scikit-learn, Matplotlib and PyTorch, so that their
docstrings are text which everybody has who runs this: some 14 million characters. The decoder
learns to continue them, the classifier to tell from a paragraph which of the packages it describes.
A twentieth of the modules is held out; nothing of them is trained on.

``DIR`` gets two folders that ``transformers`` reads, ``decoder`` and ``classifier``, each with its
tokenizer and the losses of its training; and held-out text, ``windows.jsonl`` for the decoder and
``paragraphs.jsonl`` for the classifier. A third one, ``copier``, holds a decoder of two blocks that
learnt nothing but to go on with random tokens that come back after a period of any length: it has
to have heads that look up what followed. A folder that is there already is not trained again.
"""

import argparse
import ast
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

PACKAGES = ("numpy", "scipy", "pandas", "sklearn", "matplotlib", "torch")
HELD_OUT = 20  # one module in so many
VOCABULARY = 2048
WINDOW = 128  # tokens
PARAGRAPH = 48  # tokens
WIDTH, HEADS = 128, 4
DECODER_BLOCKS, CLASSIFIER_BLOCKS = 4, 3
LONGEST, COPIED_IDS = 32, 64  # period of repeated tokens, and how many the copier knows
IGNORED = -100  # label of a token that does not count
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
BATCH, COPIER_STEPS = 64, 2000
UNKNOWN, PADDING, END = "<unk>", "<pad>", "<end>"
_NAMES = re.compile(
    r"\b(numpy|np|scipy|pandas|pd|scikit-?learn|sklearn|matplotlib|plt|torch)\b", re.I
)


@dataclass(frozen=True)
class Document:
    """The docstring of one module, class or function.

    Args:
        text: The docstring, its indentation removed.
        package: Number of the package in ``PACKAGES``.
        held_out: Whether its module is held out.
    """

    text: str
    package: int
    held_out: bool

    def paragraphs(self) -> list[str]:
        """Return its paragraphs of prose: no examples, no names of packages."""
        found = (" ".join(part.split()) for part in re.split(r"\n\s*\n", self.text))
        return [text for text in found if len(text) >= 80 and not _spoils(text)]


def _spoils(text: str) -> bool:
    return ">>>" in text or _NAMES.search(text) is not None


def documents() -> list[Document]:
    """Return every docstring of the packages once, in the order of packages and files."""
    found: dict[str, Document] = {}
    for number, package in enumerate(PACKAGES):
        for path in _sources(package):
            tree = ast.parse(path.read_text(encoding="utf-8", errors="ignore"))
            held_out = zlib.crc32(f"{package}/{path.stem}".encode()) % HELD_OUT == 0
            for text in _docstrings(tree):
                found.setdefault(text, Document(text, number, held_out))
    return list(found.values())


def _sources(package: str) -> Iterator[Path]:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        if "test" not in str(path.relative_to(root)):
            yield path


def _docstrings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) >= 80:
                yield text


def learn_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer of the texts."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[UNKNOWN, PADDING, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=PADDING,
        eos_token=END,
        model_max_length=WINDOW,
    )


def windows(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Tensor:
    """Return the texts one after the other, cut into windows of tokens ``[windows, WINDOW]``."""
    end = tokenizer.convert_tokens_to_ids(END)
    ids = [
        number for text in texts for number in (*tokenizer(text, truncation=False).input_ids, end)
    ]
    return torch.tensor(ids[: len(ids) // WINDOW * WINDOW]).view(-1, WINDOW)


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> dict[str, Tensor]:
    """Return paragraphs as ids and masks, ``[paragraphs, PARAGRAPH]``."""
    batch = tokenizer(
        texts, padding="max_length", truncation=True, max_length=PARAGRAPH, return_tensors="pt"
    )
    return {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}


def train(model: PreTrainedModel, rows: dict[str, Tensor], steps: int, rate: float) -> list[float]:
    """Train a model on rows with labels; return the mean loss of every hundred steps."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.05
    )
    generator = torch.Generator().manual_seed(0)
    count = len(rows["labels"])
    order = torch.empty(0, dtype=torch.int64)
    losses: list[float] = []
    for step in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(count, generator=generator)
        batch, order = order[:BATCH], order[BATCH:]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(**{name: values[batch] for name, values in rows.items()}).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 99:
            print(f"step {step + 1} of {steps}: loss {sum(losses[-100:]) / 100:.3f}", flush=True)
    model.eval()
    return [sum(losses[at : at + 100]) / len(losses[at : at + 100]) for at in range(0, steps, 100)]


def train_decoder(found: list[Document], tokens: int, out: Path) -> None:
    """Train the decoder, and write its folder and ``windows.jsonl``."""
    torch.manual_seed(0)
    kept = [document.text for document in found if not document.held_out]
    tokenizer = learn_tokenizer(kept)
    end = tokenizer.convert_tokens_to_ids(END)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=WINDOW,
            n_embd=WIDTH,
            n_layer=DECODER_BLOCKS,
            n_head=HEADS,
            bos_token_id=end,
            eos_token_id=end,
            **NO_DROPOUT,
        )
    )
    ids = windows(tokenizer, kept)
    print(f"decoder: {ids.numel():,} tokens, {model.num_parameters():,} parameters", flush=True)
    losses = train(model, {"input_ids": ids, "labels": ids}, tokens // (BATCH * WINDOW), 2e-3)
    held = windows(tokenizer, [document.text for document in found if document.held_out])
    chosen = torch.randperm(len(held), generator=torch.Generator().manual_seed(0))
    texts = tokenizer.batch_decode(held[chosen[:2000]])
    (out / "windows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    save(model, tokenizer, out / "decoder", {"tokens": ids.numel(), "losses": losses})


def train_classifier(found: list[Document], passes: int, out: Path) -> None:
    """Train the classifier, and write its folder and ``paragraphs.jsonl``."""
    torch.manual_seed(0)
    pairs = [(text, one) for one in found for text in one.paragraphs()]
    kept = {text: one.package for text, one in pairs if not one.held_out}
    held = {text: one.package for text, one in pairs if one.held_out and text not in kept}
    tokenizer = learn_tokenizer(list(kept))
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=CLASSIFIER_BLOCKS,
            num_attention_heads=HEADS,
            intermediate_size=4 * WIDTH,
            max_position_embeddings=WINDOW,
            pad_token_id=tokenizer.convert_tokens_to_ids(PADDING),
            id2label=dict(enumerate(PACKAGES)),
            label2id={name: number for number, name in enumerate(PACKAGES)},
        )
    )
    rows = encode(tokenizer, list(kept)) | {"labels": torch.tensor(list(kept.values()))}
    print(
        f"classifier: {len(kept):,} paragraphs, {model.num_parameters():,} parameters", flush=True
    )
    losses = train(model, rows, passes * len(kept) // BATCH, 1e-3)
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(0)).tolist()
    lines = list(held.items())
    text = "".join(
        json.dumps({"text": lines[at][0], "label": PACKAGES[lines[at][1]]}) + "\n" for at in order
    )
    (out / "paragraphs.jsonl").write_text(text)
    save(model, tokenizer, out / "classifier", {"paragraphs": len(kept), "losses": losses})


@dataclass(frozen=True)
class Repetition:
    """Random tokens that come back after a period.

    Args:
        ids: ``[sequences, tokens]``.
        labels: The same, -100 where nothing tells them: before the second token that came back.
        periods: Of each sequence.
    """

    ids: Tensor
    labels: Tensor
    periods: Tensor


def repeat_tokens(count: int, first: int, vocabulary: int, seed: int) -> Repetition:
    """Return sequences of random tokens from ``first`` on, each with a period of its own."""
    generator = torch.Generator().manual_seed(seed)
    once = torch.randint(first, vocabulary, (count, LONGEST), generator=generator)
    periods = torch.randint(LONGEST // 2, LONGEST + 1, (count, 1), generator=generator)
    places = torch.arange(2 * LONGEST)
    ids = once.gather(1, places % periods)
    return Repetition(ids, ids.masked_fill(places <= periods, IGNORED), periods[:, 0])


def train_copier(steps: int, out: Path) -> None:
    """Train a decoder to go on with repeated tokens, and write its folder."""
    torch.manual_seed(0)
    size = {"vocab_size": COPIED_IDS, "n_positions": 2 * LONGEST, "n_embd": 64, "n_layer": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    model = GPT2LMHeadModel(GPT2Config(**size, **ends, n_head=HEADS, **NO_DROPOUT))
    made = repeat_tokens(steps * BATCH, 0, COPIED_IDS, seed=1)
    train(model, {"input_ids": made.ids, "labels": made.labels}, steps, 2e-3)
    model.save_pretrained(out / "copier")


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, record: dict
) -> None:
    """Write a model, its tokenizer and a record of its training."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(record))


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=12_000_000, help="that the decoder sees")
    parser.add_argument(
        "--passes", type=int, default=3, help="of the classifier over its paragraphs"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not (arguments.out / "copier").exists():
        train_copier(COPIER_STEPS, arguments.out)
    found = documents()
    if not (arguments.out / "classifier").exists():
        train_classifier(found, arguments.passes, arguments.out)
    if not (arguments.out / "decoder").exists():
        train_decoder(found, arguments.tokens, arguments.out)


if __name__ == "__main__":
    main()
