"""Language models of transformers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

from benchmarks.zoo.entry import SAMPLES, Entry

WORDS, LENGTH = 60, 10
_SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
_DECODER = _SIZES | {"num_key_value_heads": 2, "pad_token_id": 0}


def tokens() -> dict[str, Tensor]:
    """Return token ids, and a mask that ends some texts early."""
    ids = torch.randint(3, WORDS, (SAMPLES, LENGTH))
    mask = torch.ones_like(ids)
    mask[1::3, LENGTH - 3 :] = 0
    return {"input_ids": ids.masked_fill(mask == 0, 1), "attention_mask": mask}


def _whole() -> dict[str, Tensor]:
    return {"input_ids": torch.randint(3, WORDS, (SAMPLES, LENGTH))}


def _pairs() -> dict[str, Tensor]:
    return tokens() | {"decoder_input_ids": torch.randint(3, WORDS, (SAMPLES, 6))}


def _choices() -> dict[str, Tensor]:
    return {"input_ids": torch.randint(3, WORDS, (SAMPLES, 3, LENGTH))}


def _network(kind: str, sizes: dict[str, Any]) -> nn.Module:
    """Return a network of transformers by its class, with a configuration of these sizes."""
    network: Any = getattr(hf, kind)
    return network(network.config_class(**sizes))


def _entry(
    kind: str,
    sizes: dict[str, Any],
    metric: Any,  # noqa: ANN401
    inputs: Callable[[], dict[str, Tensor]] = tokens,
    output: Any = None,  # noqa: ANN401
) -> Entry:
    return Entry(
        kind, "transformers", 2, partial(_network, kind, sizes), inputs, metric, output=output
    )


def _classifier(kind: str, **sizes: object) -> Entry:
    return _entry(kind, _SIZES | {"num_labels": 4} | sizes, "accuracy")


def _decoder(kind: str, metric: str = "perplexity", **sizes: object) -> Entry:
    return _entry(kind, _DECODER | sizes, metric)


def span_score(outputs: Any, labels: Tensor) -> Tensor:  # noqa: ANN401
    """Return the score of a span that starts and ends at fixed places."""
    start = outputs["start_logits"].log_softmax(dim=1)
    return start[:, 2] + outputs["end_logits"].log_softmax(dim=1)[:, 5]


_GPT2 = {
    "vocab_size": WORDS,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 40,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_T5 = {"vocab_size": WORDS, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
_BART = {
    "vocab_size": WORDS,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 40,
}
_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
_XLNET = {
    "vocab_size": WORDS,
    "d_model": 32,
    "n_layer": 2,
    "n_head": 4,
    "d_inner": 48,
    "num_labels": 4,
}
_FUNNEL = {
    "vocab_size": WORDS,
    "block_sizes": [1, 1],
    "d_model": 32,
    "n_head": 4,
    "d_head": 8,
    "d_inner": 48,
    "num_labels": 4,
}
_ENCODERS = (
    _classifier("BertForSequenceClassification"),
    _classifier("DistilBertForSequenceClassification", dim=32, n_layers=2, n_heads=4,
                hidden_dim=48),
    _classifier("RobertaForSequenceClassification"),
    _classifier("AlbertForSequenceClassification", embedding_size=16),
    _classifier("ElectraForSequenceClassification", embedding_size=16),
    _classifier("DebertaV2ForSequenceClassification", relative_attention=True,
                pos_att_type=["p2c", "c2p"], position_buckets=8),
    _classifier("DebertaForSequenceClassification", relative_attention=True,
                pos_att_type=["p2c", "c2p"]),
    _classifier("MPNetForSequenceClassification"),
    _entry("XLNetForSequenceClassification", _XLNET, "accuracy"),
    _classifier("ConvBertForSequenceClassification", embedding_size=32),
    _classifier("SqueezeBertForSequenceClassification", embedding_size=32),
    _classifier("MobileBertForSequenceClassification", embedding_size=16, intra_bottleneck_size=16,
                true_hidden_size=16),
    _classifier("RoFormerForSequenceClassification", embedding_size=32),
    _entry("FunnelForSequenceClassification", _FUNNEL, "accuracy"),
    _classifier("LongformerForSequenceClassification", attention_window=4),
    _classifier("ModernBertForSequenceClassification", pad_token_id=0, bos_token_id=1,
                eos_token_id=2, cls_token_id=1, sep_token_id=2),
    _entry("FNetForSequenceClassification", _SIZES | {"num_labels": 4}, "accuracy", _whole),
    _entry("BertForTokenClassification", _SIZES | {"num_labels": 4}, "token_accuracy"),
    _entry("BertForQuestionAnswering", _SIZES, span_score, output="*"),
    _entry("BertForMaskedLM", _SIZES, "token_accuracy"),
    _entry("BertForMultipleChoice", _SIZES, "accuracy", _choices),
    _entry("BertModel", _SIZES, "cosine", output="pooler_output"),
)  # fmt: skip
_DECODERS = (
    _decoder("GPT2LMHeadModel", **_GPT2),
    _entry("GPT2ForSequenceClassification", _GPT2 | {"num_labels": 4, "pad_token_id": 1},
           "accuracy"),
    _decoder("GPTNeoForCausalLM", num_layers=2, num_heads=4,
             attention_types=[[["global", "local"], 1]], window_size=4),
    _decoder("GPTNeoXForCausalLM"),
    _decoder("GPTJForCausalLM", **_GPT2, rotary_dim=4),
    _decoder("OPTForCausalLM", "next_token_accuracy", ffn_dim=48, word_embed_proj_dim=32),
    _decoder("BloomForCausalLM", n_head=4, n_layer=2),
    _decoder("FalconForCausalLM"),
    _decoder("LlamaForCausalLM"),
    _decoder("LlamaForSequenceClassification", "accuracy", num_labels=4, pad_token_id=1),
    _decoder("MistralForCausalLM", sliding_window=4),
    _decoder("Qwen2ForCausalLM", "next_token_accuracy"),
    _decoder("Qwen3ForCausalLM", head_dim=8),
    _decoder("GemmaForCausalLM", head_dim=8),
    _decoder("Gemma2ForCausalLM", head_dim=8, sliding_window=4),
    _decoder("PhiForCausalLM", "next_token_accuracy"),
    _decoder("StableLmForCausalLM"),
    _decoder("OlmoForCausalLM"),
    _decoder("MixtralForCausalLM", **_EXPERTS),
    _decoder("Qwen2MoeForCausalLM", num_experts=4, num_experts_per_tok=2,
             moe_intermediate_size=16, shared_expert_intermediate_size=16),
    _decoder("MambaForCausalLM", state_size=4),
)  # fmt: skip
_BOTH = (
    _entry("T5EncoderModel", _T5, "cosine", output="last_hidden_state"),
    _entry("T5ForConditionalGeneration", _T5, "next_token_accuracy", _pairs),
    _entry("MT5ForConditionalGeneration", _T5, "perplexity", _pairs),
    _entry("BartForConditionalGeneration", _BART, "perplexity", _pairs),
    _entry("BartForSequenceClassification", _BART | {"num_labels": 4, "eos_token_id": 2},
           "accuracy", lambda: {"input_ids": _ended()}),
    _entry("MarianMTModel", _BART | {"pad_token_id": 0}, "next_token_accuracy", _pairs),
    _entry("PegasusForConditionalGeneration", _BART, "perplexity", _pairs),
)  # fmt: skip
LANGUAGE = (*_ENCODERS, *_DECODERS, *_BOTH)


def _ended() -> Tensor:
    """Return token ids that end, as BART's classifier wants them."""
    ids = torch.randint(3, WORDS, (SAMPLES, LENGTH))
    ids[:, -1] = 2
    return ids
