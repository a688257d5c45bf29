"""Networks of torchvision and timm."""

from collections.abc import Callable
from functools import partial

import timm
import torch
import torchvision.models as tv
from torch import Tensor, nn

from benchmarks.zoo.entry import SAMPLES, Entry
from hormesis.data.evaluation import Evaluation


def images(side: int, *, channels: int = 3, frames: tuple[int, ...] = ()) -> Callable[[], Tensor]:
    """Return what makes images, or films, with pixels from 0 to 1."""
    return partial(torch.rand, SAMPLES, channels, *frames, side, side)


def _classifier(build: Callable[..., nn.Module], side: int, **options: object) -> Entry:
    name = build.__name__
    build = partial(build, weights=None, num_classes=10, **options)
    return Entry(name, "torchvision", 1, build, images(side), attack=True)


def _segmenter(build: Callable[..., nn.Module]) -> Entry:
    name = build.__name__
    build = partial(build, weights=None, weights_backbone=None, num_classes=5)
    return Entry(
        name, "torchvision", 2, build, images(32), "pixel_accuracy", attack=True, output="out"
    )


def _detected(network: nn.Module, numbers: list[int], stressed: bool) -> Tensor:
    """Return the sum of the scores of all that is found on each image."""
    generator = torch.Generator().manual_seed(3)
    pictures = torch.rand(SAMPLES, 3, 64, 64, generator=generator)[numbers]
    if stressed:
        pictures = (pictures + 0.2).clamp(max=1.0)
    with torch.no_grad():
        found = [network([picture])[0] for picture in pictures]
    return torch.stack([one["scores"].sum() for one in found])


def _detector(build: Callable[..., nn.Module]) -> Entry:
    name = build.__name__
    options = {"num_classes": 4, "min_size": 64, "max_size": 64}
    build = partial(build, weights=None, weights_backbone=None, **options)
    return Entry(name, "torchvision", 3, build, _detection, "accuracy")


def _detection() -> Evaluation:
    return Evaluation(_detected, samples=SAMPLES, stressed=True, name="scores")


def _vision_transformer() -> nn.Module:
    return tv.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10)


def _swin() -> nn.Module:
    return tv.SwinTransformer([4, 4], 16, [1, 1], [2, 4], [4, 4], num_classes=10)


def _densenet() -> nn.Module:
    return tv.DenseNet(8, (2, 2, 2), 16, num_classes=10)


def _maxvit() -> nn.Module:
    return tv.MaxVit((32, 32), 16, 4, [16, 32], [1, 1], 8, 0.0, num_classes=10)


TORCHVISION = (
    _classifier(tv.resnet18, 32),
    _classifier(tv.resnext50_32x4d, 32),
    Entry("DenseNet", "torchvision", 1, _densenet, images(32), attack=True),
    _classifier(tv.squeezenet1_1, 32),
    _classifier(tv.shufflenet_v2_x0_5, 32),
    _classifier(tv.mobilenet_v2, 32),
    _classifier(tv.mobilenet_v3_small, 32),
    _classifier(tv.mnasnet0_5, 32),
    _classifier(tv.efficientnet_b0, 32),
    _classifier(tv.regnet_y_400mf, 32),
    _classifier(tv.convnext_tiny, 32),
    _classifier(tv.googlenet, 32, aux_logits=False, init_weights=False),
    _classifier(tv.inception_v3, 80, aux_logits=False, init_weights=False),
    Entry("VisionTransformer", "torchvision", 1, _vision_transformer, images(32), attack=True),
    Entry("SwinTransformer", "torchvision", 1, _swin, images(32), attack=True),
    Entry("MaxVit", "torchvision", 1, _maxvit, images(32), attack=True),
    _segmenter(tv.segmentation.fcn_resnet50),
    _segmenter(tv.segmentation.deeplabv3_mobilenet_v3_large),
    _segmenter(tv.segmentation.lraspp_mobilenet_v3_large),
    Entry(
        "r3d_18",
        "torchvision",
        1,
        partial(tv.video.r3d_18, num_classes=6),
        images(16, frames=(4,)),
        attack=True,
    ),
    _detector(tv.detection.fasterrcnn_mobilenet_v3_large_320_fpn),
    _detector(tv.detection.retinanet_resnet50_fpn),
)


def _timm(name: str, side: int = 32, **options: object) -> Entry:
    build = partial(timm.create_model, name, num_classes=10, **options)
    return Entry(name, "timm", 1, build, images(side), attack=True)


def _features() -> nn.Module:
    return timm.create_model("resnet10t", features_only=True)


TIMM = (
    _timm("resnet10t"),
    _timm("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=3),
    _timm("deit_tiny_distilled_patch16_224", img_size=32, patch_size=8, depth=3),
    _timm("swin_tiny_patch4_window7_224", img_size=32, window_size=4, depths=(1, 1), embed_dim=24,
          num_heads=(2, 4)),
    _timm("swinv2_tiny_window8_256", img_size=32, window_size=4, depths=(1, 1), embed_dim=24,
          num_heads=(2, 4)),
    _timm("beit_base_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=48, num_heads=4),
    _timm("eva02_tiny_patch14_224", 28, img_size=28, patch_size=7, depth=2),
    _timm("cait_xxs24_224", img_size=32, patch_size=8, depth=2),
    _timm("xcit_nano_12_p16_224", 64, img_size=64, depth=2),
    _timm("pit_ti_224", 64, img_size=64),
    _timm("mixer_s32_224", 64, img_size=64),
    _timm("resmlp_12_224", img_size=32),
    _timm("gmlp_s16_224", img_size=32),
    _timm("mobilenetv3_small_050"),
    _timm("mobilenetv4_conv_small_050"),
    _timm("efficientnet_lite0"),
    _timm("tf_efficientnetv2_b0"),
    _timm("convnext_atto"),
    _timm("convnextv2_atto"),
    _timm("poolformer_s12"),
    _timm("ghostnet_050"),
    _timm("repvgg_a0"),
    _timm("mobilevit_xxs"),
    _timm("edgenext_xx_small"),
    _timm("levit_128s", 64, img_size=64),
    _timm("test_mambaout"),
    _timm("test_nfnet"),
    Entry("resnet10t, features_only", "timm", 2, _features, images(32), "cosine", attack=True,
          output=-1),
)  # fmt: skip
