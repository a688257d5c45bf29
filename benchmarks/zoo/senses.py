"""Networks of transformers for images, sound, films and series."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers as hf
from torch import Tensor, nn

from benchmarks.zoo.entry import SAMPLES, Entry
from benchmarks.zoo.language import LENGTH, WORDS
from benchmarks.zoo.vision import images

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
_IMAGES = _SIZES | {"image_size": 32, "patch_size": 8, "num_labels": 5}
_SOUND = _SIZES | {
    "conv_dim": (16, 16),
    "conv_kernel": (4, 4),
    "conv_stride": (4, 4),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
    "num_labels": 5,
    "vocab_size": WORDS,
    "mask_time_prob": 0.0,
}
_WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "num_mel_bins": 16,
    "max_source_positions": 20,
    "max_target_positions": 20,
    "vocab_size": WORDS,
    "num_labels": 5,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def _network(kind: str, sizes: dict[str, Any]) -> nn.Module:
    network: Any = getattr(hf, kind)
    return network(network.config_class(**sizes))


def _entry(
    kind: str,
    sizes: dict[str, Any],
    inputs: Callable[[], Any],
    metric: Any = "accuracy",  # noqa: ANN401
    output: Any = None,  # noqa: ANN401
) -> Entry:
    build = partial(_network, kind, sizes)
    return Entry(kind, "transformers", 2, build, inputs, metric, attack=True, output=output)


def _sound(length: int) -> Callable[[], Tensor]:
    return partial(torch.rand, SAMPLES, length)


def _spectra() -> dict[str, Tensor]:
    return {"input_features": torch.rand(SAMPLES, 16, 40)}


def _text_and_image() -> dict[str, Tensor]:
    ids = torch.randint(3, WORDS, (SAMPLES, LENGTH))
    ids[:, -1] = WORDS - 1
    return {"input_ids": ids, "pixel_values": torch.rand(SAMPLES, 3, 32, 32)}


def agreement(outputs: Any) -> Tensor:  # noqa: ANN401
    """Return how well each text fits its image, and the image the next text's."""
    images, texts = outputs["image_embeds"], outputs["text_embeds"]
    return torch.stack([images @ texts[0] * 0 + (images * texts).sum(dim=1), images[:, 0]], dim=1)


def _whisper_encoder() -> nn.Module:
    return hf.WhisperModel(hf.WhisperConfig(**_WHISPER)).get_encoder()


def _clip(kind: str) -> nn.Module:
    text = _SIZES | {"vocab_size": WORDS, "max_position_embeddings": 20, "eos_token_id": WORDS - 1}
    parts = {"text_config": text, "vision_config": _SIZES | {"image_size": 32, "patch_size": 8}}
    network: Any = getattr(hf, kind)
    return network(network.config_class(**parts, projection_dim=16))


_STAGES = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4}
_SEGFORMER = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [2, 1],
    "hidden_sizes": [16, 32],
    "patch_sizes": [3, 3],
    "strides": [2, 2],
    "num_attention_heads": [1, 2],
    "mlp_ratios": [2, 2],
    "decoder_hidden_size": 16,
    "num_labels": 5,
}
_SWIN = {"image_size": 32, "patch_size": 4, "num_labels": 5} | _STAGES
_CONVNEXT = {"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2, "num_labels": 5}
_FILM = _IMAGES | {"num_frames": 4, "tubelet_size": 2, "image_size": 16}
_SERIES = {
    "num_input_channels": 3,
    "context_length": 16,
    "patch_length": 4,
    "patch_stride": 4,
    "prediction_length": 4,
    "d_model": 16,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "ffn_dim": 32,
}


def _series() -> dict[str, Tensor]:
    return {"past_values": torch.rand(SAMPLES, 16, 3)}


def _film() -> dict[str, Tensor]:
    return {"pixel_values": torch.rand(SAMPLES, 4, 3, 16, 16)}


def _spectrogram() -> dict[str, Tensor]:
    return {"input_values": torch.rand(SAMPLES, 24, 16)}


def _segmented(outputs: Any) -> Tensor:  # noqa: ANN401
    return outputs["logits"]


SENSES = (
    _entry("ViTForImageClassification", _IMAGES, images(32)),
    _entry("DeiTForImageClassificationWithTeacher", _IMAGES, images(32)),
    _entry("BeitForImageClassification", _IMAGES, images(32)),
    _entry("Dinov2ForImageClassification", _IMAGES, images(32)),
    _entry("SwinForImageClassification", _SWIN, images(32)),
    _entry("Swinv2ForImageClassification", _SWIN, images(32)),
    _entry("ConvNextForImageClassification", _CONVNEXT, images(32)),
    _entry("SegformerForSemanticSegmentation", _SEGFORMER, images(32), "mean_iou"),
    Entry("CLIPModel", "transformers", 2, partial(_clip, "CLIPModel"), _text_and_image, "cosine",
          attack=True, output="image_embeds"),
    Entry("SiglipModel", "transformers", 2, partial(_clip, "SiglipModel"), _text_and_image,
          "cosine", output="text_embeds"),
    _entry("Wav2Vec2ForSequenceClassification", _SOUND, _sound(320)),
    _entry("HubertForSequenceClassification", _SOUND, _sound(320)),
    _entry("WavLMForSequenceClassification", _SOUND, _sound(320)),
    _entry("Wav2Vec2ForCTC", _SOUND, _sound(320), "token_accuracy"),
    _entry("ASTForAudioClassification", _SIZES | {"num_labels": 5, "patch_size": 4,
           "max_length": 24, "num_mel_bins": 16, "frequency_stride": 4, "time_stride": 4},
           _spectrogram),
    Entry("WhisperEncoder", "transformers", 2, _whisper_encoder, _spectra, "cosine", attack=True),
    _entry("WhisperForAudioClassification", _WHISPER, _spectra),
    _entry("VideoMAEForVideoClassification", _FILM, _film),
    _entry("PatchTSTForPrediction", _SERIES, _series, "mse", "prediction_outputs"),
)  # fmt: skip
