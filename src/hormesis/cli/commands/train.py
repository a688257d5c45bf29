"""``hormesis train``: a network, kept at many epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jsonargparse import (
    ActionConfigFile,  # pyright: ignore[reportPrivateImportUsage]
    ActionYesNo,
    ArgumentParser,
    Namespace,
)

from hormesis.cli.flags import STEP_SIZE, add_allow_code, check_given, make_parser
from hormesis.cli.run_flags import add_normalize
from hormesis.errors import MissingExtraError, SettingError
from hormesis.settings.choices import STEMS
from hormesis.settings.network import ModelAndData
from hormesis.training.config import PGD_STEPS, DataConfig, Recipe, TrainerConfig, training_attack

# What the training needs and a plain installation does not have.
EXTRAS = ("lightning", "tensorboard")


def parser() -> ArgumentParser:
    """Return the parser of ``hormesis train``."""
    made = make_parser(
        "Train a network and keep it at many epochs. The same command goes on where a run was "
        "interrupted. `hormesis analyze --run DIR` analyses the epochs.",
        usage="hormesis train [--config FILE] [options]",
    )
    made.add_argument(
        "--config",
        action=ActionConfigFile,
        metavar="FILE",
        help="YAML file of these settings, as --print_config prints it; flags after it win",
    )
    _add_data(made)
    add_recipe(made)
    _add_adversary(made)
    add_session(made)
    add_allow_code(made)
    return made


def _add_data(made: ArgumentParser) -> None:
    default, named = DataConfig(), ModelAndData()
    add = made.add_argument_group("network and data").add_argument
    add(
        "--model",
        type=str,
        metavar="NAME",
        default=named.model,
        help="torchvision name, timm:NAME or module:factory (default: %(default)s)",
    )
    add(
        "--stem",
        type=str,
        metavar="KIND",
        default=Recipe().stem,
        help=f"{' or '.join(STEMS)}: a 3x3 first layer for images of some 32x32 pixels "
        "(default: %(default)s)",
    )
    add(
        "--data",
        type=str,
        metavar="NAME",
        default=named.data,
        help="digits, mnist, fashion-mnist, cifar10, tiny-imagenet, a folder with one folder of "
        "images a class, or module:factory (default: %(default)s)",
    )
    add(
        "--data-root",
        type=str | None,
        metavar="DIR",
        help="folder of the named data sets (default: $HORMESIS_DATA)",
    )
    add("--download", action="store_true", help="fetch a named data set that is not there")
    add(
        "--split",
        type=str,
        metavar="NAME",
        default=default.split,
        help="standard; paper or paper-80 pool the labelled images of Tiny ImageNet and draw "
        "90,000/10,000 or 80,000/20,000 (default: %(default)s)",
    )
    add(
        "--split-seed",
        type=int,
        metavar="N",
        default=default.split_seed,
        help="seed of what is drawn from the data (default: %(default)s)",
    )
    add(
        "--samples",
        type=int | None,
        metavar="N",
        help="draw so many training samples, every class in its share (default: all)",
    )
    add_normalize(add, default.normalize)


def add_recipe(made: ArgumentParser) -> None:
    """Add the flags of ``Recipe``, but for those of its adversary."""
    default = Recipe()
    add = made.add_argument_group("recipe").add_argument
    for name, kind, said in (
        ("epochs", int, "how often every sample is shown"),
        ("batch_size", int, "samples in a step"),
        ("lr", float, "learning rate at the start"),
        ("optimizer", str, "class of torch.optim, or module:factory"),
        ("schedule", str | None, "class of torch.optim.lr_scheduler, or module:factory"),
        ("seed", int, "seed of weights, order, augmentation and dropout"),
    ):
        value = getattr(default, name)
        said += f" (default: {'none' if value is None else '%(default)s'})"
        metavar = "N" if kind is int else "X" if kind is float else "NAME"
        add(
            f"--{name}",
            type=kind,
            default=value,
            metavar=metavar,
            help=said,
        )
    options = dict[str, Any]
    for name, kind, said in (
        ("optimizer-options", options, "what it takes besides, such as '{momentum: 0.9}'"),
        ("schedule-options", options, "what it takes besides, such as '{step_size: 3}'"),
        (
            "augment",
            dict[str, options | None],
            "classes of torchvision.transforms.v2 with their options, in order, such as "
            "'{RandomCrop: {size: 32, padding: 4}, RandomHorizontalFlip: {}}'",
        ),
    ):
        add(f"--{name}", type=kind, default={}, metavar="YAML", help=said)


def _add_adversary(made: ArgumentParser) -> None:
    add = made.add_argument_group("adversary").add_argument
    add(
        "--attack",
        type=str | None,
        metavar="NAME",
        help="fgsm or pgd: validate under attack too (default: none)",
    )
    add(
        "--epsilon",
        type=float | str | None,
        metavar="X",
        help="magnitude in input units, such as 8/255 or 0.03",
    )
    add("--steps", type=int | None, metavar="N", help=f"steps of pgd (default: {PGD_STEPS})")
    add("--step-size", **STEP_SIZE)
    add("--adversarial", action="store_true", help="train against that attack too")


def add_session(made: ArgumentParser) -> None:
    """Add the flags of ``TrainerConfig``, and ``--out``."""
    default = TrainerConfig()
    add = made.add_argument_group("session").add_argument
    add(
        "--out",
        type=str | None,
        metavar="DIR",
        help="folder of the run (default: in runs/, named by data and model)",
    )
    add(
        "--checkpoint-every",
        type=int,
        metavar="N",
        default=default.checkpoint_every,
        help="epochs between two checkpoints (default: %(default)s)",
    )
    add(
        "--validation-samples",
        type=int | None,
        metavar="N",
        help="validate on so many samples, every class in its share (default: all)",
    )
    add("--device", type=str | None, help="cpu, cuda or mps (default: a GPU if there is one)")
    add(
        "--num-workers",
        type=int,
        metavar="N",
        default=default.num_workers,
        help="processes that prepare batches (default: %(default)s, in between)",
    )
    add(
        "--loggers",
        type=dict[str, dict[str, Any] | None],
        default=dict(default.loggers),
        metavar="YAML",
        help="classes of lightning.pytorch.loggers with their options, such as "
        "'{WandbLogger: {project: mine}}' (default: TensorBoardLogger); metrics.csv is always "
        "written",
    )
    add(
        "--progress",
        action=ActionYesNo(no_prefix="no-"),
        default=True,
        help="show progress on standard error (default: yes)",
    )


@contextmanager
def needing_lightning() -> Iterator[None]:
    """Say how to install what is missing, if an import in the block finds no Lightning.

    Raises:
        MissingExtraError: Then.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        raise MissingExtraError(
            "Training needs Lightning: run `pip install 'hormesis[train]'`."
        ) from error


def run(given: Namespace) -> int:
    """Train, print how it went, and return 1 if a checkpoint is damaged and cannot be made anew."""
    check_given(given, parser())
    recipe, corpus, session = _recipe(given), _corpus(given), session_of(given)
    named = ModelAndData(model=given.model, data=given.data)
    out = Path(given.out or Path("runs") / named.study_name("").rstrip("-"))
    with needing_lightning():
        from hormesis.training.train import train  # imports torch, which takes seconds
    from hormesis.cli.commands.run_text import print_run, tell_mended

    made = train(
        given.model, given.data, out=out, recipe=recipe, data_config=corpus, trainer_config=session
    )
    print_run(made)
    return tell_mended(made.told, made.lost)


def _recipe(given: Namespace) -> Recipe:
    attack = None
    if given.attack is not None:
        attack = training_attack(
            given.attack, given.epsilon or "auto", steps=given.steps, step_size=given.step_size
        )
    elif any(given[name] is not None for name in ("epsilon", "steps", "step_size")):
        raise SettingError(
            "Expected an `attack`, such as pgd, for `epsilon` and `steps` or `step_size`; got none."
        )
    return Recipe(attack=attack, adversarial=given.adversarial, stem=given.stem, **recipe_of(given))


def recipe_of(given: Namespace) -> dict[str, Any]:
    """Return what the flags of ``add_recipe`` say, by the names that ``Recipe`` has."""
    names = (
        "epochs",
        "batch_size",
        "lr",
        "optimizer",
        "optimizer_options",
        "schedule",
        "schedule_options",
        "augment",
        "seed",
    )
    return {name: _plain(given[name]) for name in names}


def _corpus(given: Namespace) -> DataConfig:
    return DataConfig(
        root=given.data_root,
        split=given.split,
        split_seed=given.split_seed,
        samples=given.samples,
        normalize=given.normalize,
        download=given.download,
    )


def session_of(given: Namespace) -> TrainerConfig:
    """Return what the flags of ``add_session`` say."""
    names = (
        "checkpoint_every",
        "validation_samples",
        "device",
        "num_workers",
        "loggers",
        "progress",
    )
    return TrainerConfig(**{name: _plain(given[name]) for name in names})


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.as_dict() if isinstance(value, Namespace) else value
