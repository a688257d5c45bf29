"""A pretrained network on one's own photos, from the command line, in one command."""

import json
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import SqueezeNet1_1_Weights

import hormesis as hm
from hormesis.cli.app import main
from hormesis.engine.progress import silent
from hormesis.errors import DataError, ModelError, SettingError
from hormesis.measure.by_name import resolve
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest

PRESET = SqueezeNet1_1_Weights.IMAGENET1K_V1
FOLDERS = {"tabby": 281, "golden_retriever": 207, "goldfish": 1}


def network(classes: int = 1000) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        return torchvision.models.squeezenet1_1(num_classes=classes).eval()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Photos of several sizes and formats, and checkpoints with random weights."""
    home = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name in FOLDERS:
        (home / "photos" / name).mkdir(parents=True)
        for number, suffix in enumerate(("png", "jpg")):
            height, width = random.integers(230, 330, 2)
            pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / "photos" / name / f"{number}.{suffix}")
    (home / "photos" / ".thumbnails").mkdir()
    torch.save({"state_dict": network().state_dict(), "epoch": 3}, home / "net.pth")
    torch.save(network(3).state_dict(), home / "three.pth")
    return home


def resolved(home, **settings) -> Any:
    given = {"model": "squeezenet1_1", "weights": str(home / "net.pth"), **settings}
    return resolve(ModelAndData(data=str(home / "photos"), **given), AnalysisRequest(), silent)


def photos(home):
    return sorted(path for path in (home / "photos").rglob("*/*.*") if path.suffix != "")


def test_one_command_measures_a_pretrained_network_on_photos(home, capsys):
    code = main(
        f"analyze --model squeezenet1_1 --weights {home}/net.pth --data {home}/photos "
        f"--epsilon 2/255 --thresholds 2 --filters low_pass --include classifier.1.weight "
        f"--out {home}/study".split()
    )
    printed = capsys.readouterr()
    assert code == 0
    assert "as SqueezeNet1_1_Weights.IMAGENET1K_V1 expects" in " ".join(printed.out.split())
    assert "256 pixels on the shorter side (bilinear) and cropped to 224x224" in printed.err
    study = hm.load_study(home / "study")
    assert study.notes[0].startswith("Pictures are resized to 256 pixels on the shorter side")
    assert study.notes[1] == (
        "Classes are numbered by the categories of SqueezeNet1_1_Weights.IMAGENET1K_V1: goldfish "
        "is 1, golden_retriever is 207, tabby is 281."
    )
    assert study.metadata.question.network.normalization.mean == [0.485, 0.456, 0.406]
    with torch.no_grad():
        logits = torch.cat(
            [network()(PRESET.transforms()(Image.open(path))[None]) for path in photos(home)]
        )
    labels = torch.tensor([FOLDERS[path.parent.name] for path in photos(home)])
    assert study.base.clean == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_logits_are_those_of_torchvision_s_own_pipeline(home):
    found = resolved(home)
    with torch.no_grad():
        ours = found.network.eval()(found.samples.inputs)
        theirs = torch.cat(
            [network()(PRESET.transforms()(Image.open(path))[None]) for path in photos(home)]
        )
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    expected = [FOLDERS[path.parent.name] for path in photos(home)]
    assert found.samples.labels.tolist() == expected


def test_every_part_can_be_replaced(home):
    found = resolved(home, resize=(80,), crop=(64, 72), mean=(0.5,) * 3, std=(0.25,) * 3)
    assert found.samples.inputs.shape == (6, 3, 64, 72)
    assert found.network.mean.tolist() == [0.5] * 3
    assert found.notes[0] == (
        "Pictures are resized to 80 pixels on the shorter side (bilinear) and cropped to 72x64."
    )
    bare = resolved(home, normalize=False)
    assert not hasattr(bare.network, "mean")


def test_a_class_index_takes_the_place_of_the_network_s_own_names(home, tmp_path):
    names = [f"class {number}" for number in range(1000)]
    names[5], names[6], names[7] = "Goldfish", "tabby", "golden retriever"
    (tmp_path / "index.json").write_text(json.dumps(names))
    found = resolved(home, class_index=str(tmp_path / "index.json"))
    assert sorted(set(found.samples.labels.tolist())) == [5, 6, 7]
    short = tmp_path / "short.txt"  # of the first outputs only
    short.write_text("\n".join(names[:8]))
    assert resolved(home, class_index=str(short)).samples.classes == 1000


def test_a_network_fine_tuned_on_the_folders_keeps_their_order(home):
    settings = {"weights": str(home / "three.pth")}
    with pytest.raises(DataError, match=r"images of one size, .* `resize` and `crop`"):
        resolved(home, **settings)
    found = resolved(home, preprocess=True, **settings)
    assert found.samples.inputs.shape == (6, 3, 224, 224)
    assert found.samples.classes == 3
    assert found.network.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert found.notes[1] == (
        "Classes are the folders in alphabetical order: golden_retriever, goldfish, tabby."
    )


def test_a_training_of_our_own_reads_pictures_as_they_are(home, tmp_path):
    path = tmp_path / "epoch-0001.safetensors"
    save_file(dict(network().state_dict()), path, metadata={"fingerprint": "0" * 64})
    with pytest.raises(DataError, match="images of one size"):
        resolved(home, weights=str(path))
    save_file(dict(network().state_dict()), path)
    assert resolved(home, weights=str(path)).samples.inputs.shape[-1] == 224


def test_preprocessing_can_be_switched_off(home):
    with pytest.raises(DataError, match="images of one size"):
        resolved(home, preprocess=False)
    with pytest.raises(ModelError, match=r"last layer of the file has 1000 outputs, .* 3"):
        resolved(home, preprocess=False, resize=(64, 64))


def test_a_folder_that_is_no_class_of_the_network_is_named(home, tmp_path):
    for name in ("tabby", "my_cat"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (230, 230)).save(tmp_path / "photos" / name / "0.png")
    with pytest.raises(DataError, match=r"folder 'my_cat' is no class\..*`class_index`"):
        resolve(
            ModelAndData(
                model="squeezenet1_1",
                weights=str(home / "net.pth"),
                data=str(tmp_path / "photos"),
            ),
            AnalysisRequest(),
            silent,
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"resize": (8,)},
        {"crop": (8,)},
        {"class_index": "x"},
        {"class_order": "natural"},
        {"preprocess": True},
    ],
)
def test_settings_of_pictures_need_a_folder(settings):
    (name,) = settings
    with pytest.raises(
        SettingError, match=f"`data` to be a folder of images for `{name}`, got dig"
    ):
        resolve(ModelAndData(data="digits", **settings), AnalysisRequest(), silent)


def test_preprocessing_needs_a_network_with_published_weights(home):
    with pytest.raises(
        SettingError, match=r"`preprocess` .*got torchvision\.models:resnet18: give"
    ):
        resolve(
            ModelAndData(
                model="torchvision.models:resnet18", data=str(home / "photos"), preprocess=True
            ),
            AnalysisRequest(),
            silent,
        )


def test_a_key_is_asked_for_on_the_command_line(home, capsys):
    other = {name: value + 1 for name, value in network().state_dict().items()}
    path = home / "two.pth"
    torch.save({"model": network().state_dict(), "model_ema": other}, path)
    command = f"analyze --model squeezenet1_1 --weights {path} --data {home}/photos --out {home}/x"
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert "as `--weights-key`, such as 'model_ema'" in said
    assert said.count("\n") == 1
    found = resolved(home, weights=str(path), weights_key="model_ema")
    assert found.notes[-1] == "The weights of two.pth are those under 'model_ema', as requested."
    bias = found.network.network.classifier[1].bias
    assert torch.equal(bias, network().classifier[1].bias + 1)


def test_settings_of_a_checkpoint_need_one():
    with pytest.raises(SettingError, match="Expected `weights`, a checkpoint, for `weights_key`"):
        ModelAndData(weights_key="ema")
    with pytest.raises(SettingError, match="a checkpoint, for `weights_ignore`; got none"):
        ModelAndData(weights="random", weights_ignore=("head.*",))


def test_an_order_of_classes_that_is_none_is_refused():
    with pytest.raises(SettingError, match=r"Unknown class_order 'neutral'\. Did you mean natural"):
        ModelAndData(class_order="neutral")


@pytest.mark.slow
def test_weights_for_another_size_are_told_by_their_shapes(home):
    """The same network is published for 224 and for 384 pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        large = torchvision.models.vit_b_16(image_size=384).eval()
    save_file(dict(large.state_dict()), home / "vit.safetensors")
    found = resolved(home, model="vit_b_16", weights=str(home / "vit.safetensors"), samples=3)
    assert found.samples.inputs.shape == (3, 3, 384, 384)
    assert "as ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1 expects" in found.notes[0]


def test_a_network_of_timm_gets_timm_s_preprocessing(home):
    timm = pytest.importorskip("timm")
    from timm.data.config import resolve_data_config
    from timm.data.transforms_factory import create_transform

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        small = timm.create_model("mobilenetv3_small_050", pretrained=False).eval()
    torch.save({"state_dict_ema": small.state_dict()}, home / "timm.pth.tar")
    found = resolved(home, model="timm:mobilenetv3_small_050", weights=str(home / "timm.pth.tar"))
    config = timm.get_pretrained_cfg("mobilenetv3_small_050").to_dict()
    transform: Any = create_transform(**resolve_data_config(pretrained_cfg=config))
    with torch.no_grad():
        ours = found.network.eval()(found.samples.inputs)
        theirs = torch.cat(
            [small(transform(Image.open(path).convert("RGB"))[None]) for path in photos(home)]
        )
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert sorted(set(found.samples.labels.tolist())) == sorted(FOLDERS.values())
