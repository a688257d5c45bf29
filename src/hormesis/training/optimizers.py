"""Optimiser, schedule and augmentation, made from the names and options of a recipe."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from hormesis.errors import HormesisError, SettingError, unknown
from hormesis.settings.factory import is_factory, load_factory, users_code
from hormesis.training.config import Recipe

Transform = Callable[[Tensor], Tensor]
# What classes of PyTorch raise for options that they do not know or cannot use.
OPTION_ERRORS = (TypeError, ValueError, LookupError, RuntimeError, AttributeError)


def make_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimiser of a network's parameters.

    Raises:
        SettingError: For a name or an option that is not known.

    Example:
        >>> type(make_optimizer(Recipe(optimizer="SGD"), nn.Linear(1, 1))).__name__
        'SGD'
    """
    kind = _find(recipe.optimizer, "optimizer", torch.optim, torch.optim.Optimizer)
    parameters = [value for value in network.parameters() if value.requires_grad]
    options = {"lr": recipe.lr, **recipe.optimizer_options}
    optimizer = _make("optimizer", recipe.optimizer, kind, parameters, options=options)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise SettingError(
            f"Expected the optimizer {recipe.optimizer!r} to be a torch.optim.Optimizer, got "
            f"{type(optimizer).__name__}."
        )
    return optimizer


def make_schedule(
    recipe: Recipe, optimizer: torch.optim.Optimizer, *, steps: int
) -> dict[str, Any] | None:
    """Return the recipe's schedule as Lightning takes it, or None for a constant rate.

    Args:
        recipe: The recipe.
        optimizer: Whose rate is scheduled.
        steps: Batches in an epoch.

    Raises:
        SettingError: For a name or an option that is not known.
    """
    if recipe.schedule is None:
        return None
    schedules = torch.optim.lr_scheduler
    kind = _find(recipe.schedule, "schedule", schedules, schedules.LRScheduler)
    accepted = inspect.signature(kind).parameters
    defaults = {"total_steps": recipe.epochs * steps, "T_max": recipe.epochs, "max_lr": recipe.lr}
    user_options = recipe.schedule_options
    if "epochs" in user_options:  # OneCycleLR takes these two instead
        del defaults["total_steps"]
    options = {key: value for key, value in defaults.items() if key in accepted} | dict(
        user_options
    )
    schedule = _make("schedule", recipe.schedule, kind, optimizer, options=options)
    by_step = "total_steps" in accepted
    if isinstance(schedule, schedules.ReduceLROnPlateau):
        # Counted in steps, it acts after validation and before the checkpoint is written.
        plateau_options = {"interval": "step", "frequency": steps, "monitor": "validation_loss"}
        return {"scheduler": schedule, **plateau_options}
    return {"scheduler": schedule, "interval": "step" if by_step else "epoch"}


def make_transforms(augment: Mapping[str, Mapping[str, Any] | None]) -> list[Transform]:
    """Return the transforms of a training image, in order.

    Raises:
        SettingError: For a name or an option that is not known.

    Example:
        >>> make_transforms({"RandomHorizontalFlip": {"p": 1.0}})
        [RandomHorizontalFlip(p=1.0)]
    """
    transforms = []
    for name, options in augment.items():
        kind = _find(name, "augmentation", v2, v2.Transform)
        transforms.append(_make("augmentation", name, kind, options=options or {}))
    return transforms


def _find(name: str, what: str, home: Any, kind: type) -> Any:  # noqa: ANN401
    """Return the class of this name in ``home``, or the user's factory."""
    if is_factory(name):
        return load_factory(name, what)
    names = _names(home, kind)
    if name not in names:
        raise SettingError(f"{unknown(what, name, names)} `module:factory` is allowed too.")
    return getattr(home, name)


def _names(home: Any, kind: type) -> Sequence[str]:  # noqa: ANN401
    return [
        name
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, kind) and value is not kind
    ]


def _make(
    what: str,
    name: str,
    kind: Any,  # noqa: ANN401
    *arguments: Any,  # noqa: ANN401
    options: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    """Return ``kind(*arguments, **options)``; options that do not fit are refused."""
    if is_factory(name):
        with users_code(name, what):
            return kind(*arguments, **options)
    try:
        return kind(*arguments, **options)
    except HormesisError:
        raise
    except OPTION_ERRORS as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "?"
        spelled = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"
        raise SettingError(
            f"The {what} {name!r} cannot be made with {spelled}: {reason}."
        ) from error
