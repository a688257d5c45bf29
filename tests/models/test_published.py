"""What published weights expect, against torchvision's and timm's own transforms."""

from typing import Any

import pytest
import torch
import torchvision
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.transforms import CenterCrop, Normalize, Resize

from hormesis.models.published import published_weights


def test_every_network_of_torchvision_with_weights_has_an_entry():
    for name in list_models(module=torchvision.models):
        entries = published_weights(name)
        weights = [each for each in get_model_weights(name) if each.meta["categories"]]
        assert len(entries) == len(weights) >= 1  # VGG-16 also has some without a last layer
        for entry in entries:
            assert len(entry.class_index) == 1000
            assert len(entry.mean) == len(entry.std) == 3


def test_the_family_s_default_comes_first_unless_the_file_says_otherwise():
    assert published_weights("resnet50")[0].name == "ResNet50_Weights.IMAGENET1K_V2"
    named = published_weights("resnet50", "/home/me/resnet50-0676ba61.pth")
    assert [entry.name for entry in named] == [
        "ResNet50_Weights.IMAGENET1K_V1",
        "ResNet50_Weights.IMAGENET1K_V2",
    ]


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_torchvision_normalises_twice_get_the_result_of_both(name):
    (entry,) = published_weights(name)
    preset = next(iter(get_model_weights(name))).transforms()
    options = {"weights": None, "aux_logits": False, "init_weights": False}
    theirs: Any = get_model(name, transform_input=True, **options)
    pixels = torch.rand(2, 3, 8, 8)
    twice = theirs._transform_input(Normalize(preset.mean, preset.std)(pixels))
    assert torch.allclose(Normalize(entry.mean, entry.std)(pixels), twice, rtol=0, atol=1e-5)


def test_networks_of_one_s_own_have_none():
    assert published_weights("my.module:build") == []


@pytest.mark.parametrize(
    "name", ["resnet50", "vit_base_patch16_224", "convnext_tiny", "efficientnet_b0", "tresnet_m"]
)
def test_timm_s_configuration_is_that_of_its_transform(name):
    timm = pytest.importorskip("timm")
    from timm.data.config import resolve_data_config
    from timm.data.transforms_factory import create_transform

    (entry,) = published_weights(f"timm:{name}")
    config = timm.get_pretrained_cfg(name)
    transform: Any = create_transform(**resolve_data_config(pretrained_cfg=config.to_dict()))
    steps = {type(step): step for step in transform.transforms}
    resize, crop, normalize = steps[Resize], steps[CenterCrop], steps[Normalize]
    size = entry.preprocessing
    assert list(size.resize) == ([resize.size] if isinstance(resize.size, int) else resize.size)
    assert size.crop == tuple(crop.size)
    assert size.interpolation == resize.interpolation.value
    assert torch.equal(torch.tensor(entry.mean), torch.as_tensor(normalize.mean))
    assert torch.equal(torch.tensor(entry.std), torch.as_tensor(normalize.std))
    assert len(entry.class_index) == config.num_classes


def test_timm_s_names_of_classes_are_found():
    pytest.importorskip("timm")
    (entry,) = published_weights("timm:resnet50")
    assert entry.class_index.find(["n02123045", "goldfish"]) == {"n02123045": 281, "goldfish": 1}
