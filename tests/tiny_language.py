"""Tiny language models with random weights, and their tokenizers, as ``save_pretrained`` writes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

WORDS = (
    *("the", "a", "good", "bad", "film", "book", "was", "is"),
    *("not", "very", "and", "but", "dull", "fine", "great", "poor"),
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[EOS]")
SIZE = 64
LABELS = {0: "bad", 1: "neutral", 2: "good"}


def tokenizer(*, pad: bool = True, marks: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokenizer of words, and of letters for all others."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    known = [*SPECIAL, *WORDS, *(one for one in letters if one not in WORDS)]
    made = Tokenizer(
        models.WordPiece(
            {word: number for number, word in enumerate(known)},
            unk_token="[UNK]",
            continuing_subword_prefix="",
        )
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if marks:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
    names = {"unk_token": "[UNK]", "eos_token": "[EOS]", "model_max_length": 32}
    if pad:
        names["pad_token"] = "[PAD]"
    if marks:
        names |= {"cls_token": "[CLS]", "sep_token": "[SEP]"}
        names["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


_SMALL = {
    "vocab_size": SIZE,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def network(kind: str, **more: Any) -> Any:
    """Return a network with the same random weights each time."""
    labels = {"num_labels": 3, "id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}
    ids = {"pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 4}
    gpt2 = {"vocab_size": SIZE, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "bert":
            config = {**_SMALL, **labels, "max_position_embeddings": 32, **more}
            made: Any = BertForSequenceClassification(BertConfig(**config))
        elif kind == "roberta":
            config = {**_SMALL, **labels, "max_position_embeddings": 24, "pad_token_id": 0, **more}
            made = RobertaForSequenceClassification(RobertaConfig(**config))
        elif kind == "gpt2-classifier":
            config = {**gpt2, **labels, "bos_token_id": 4, "eos_token_id": 4, **more}
            made = GPT2ForSequenceClassification(GPT2Config(**config))
        elif kind == "gpt2":
            made = GPT2LMHeadModel(
                GPT2Config(**{**gpt2, "bos_token_id": 4, "eos_token_id": 4, **more})
            )
        else:
            rotary = {"max_position_embeddings": 32, "num_key_value_heads": 1}
            made = LlamaForCausalLM(LlamaConfig(**{**_SMALL, **rotary, **ids, **more}))
    made = made.eval()
    for parameter in made.parameters():  # so that predictions differ from text to text
        parameter.data *= 4 if parameter.ndim > 1 else 1
    return made


def saved(folder: Path, kind: str, *, pad: bool = True, **more: Any) -> Path:
    """Return a folder with a network and its tokenizer."""
    network(kind, **more).save_pretrained(folder)
    tokenizer(pad=pad, marks=kind in ("bert", "roberta")).save_pretrained(folder)
    return folder


def sentences(count: int = 24) -> list[str]:
    """Return different texts of 3 to 9 words."""
    drawn = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        places = torch.randint(len(WORDS), (3 + number % 7,), generator=drawn)
        made.append(" ".join(WORDS[place] for place in places))
    return made


def write_lines(file: Path, rows: Sequence[Any]) -> Path:
    """Return a file of one JSON object a line."""
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file
