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
    kind = _found(recipe.optimizer, "optimizer", torch.optim, torch.optim.Optimizer)
    wanted = [value for value in network.parameters() if value.requires_grad]
    options = {"lr": recipe.lr, **recipe.optimizer_options}
    made = _made(kind, (wanted,), options, ("optimizer", recipe.optimizer))
    if not isinstance(made, torch.optim.Optimizer):
        raise SettingError(
            f"Expected the optimizer {recipe.optimizer!r} to be a torch.optim.Optimizer, got "
            f"{type(made).__name__}."
        )
    return made


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
    kind = _found(recipe.schedule, "schedule", schedules, schedules.LRScheduler)
    known = inspect.signature(kind).parameters
    usual = {"total_steps": recipe.epochs * steps, "T_max": recipe.epochs, "max_lr": recipe.lr}
    given = recipe.schedule_options
    if "epochs" in given:  # OneCycleLR takes these two instead
        del usual["total_steps"]
    options = {key: value for key, value in usual.items() if key in known} | dict(given)
    made = _made(kind, (optimizer,), options, ("schedule", recipe.schedule))
    by_step = "total_steps" in known
    if isinstance(made, schedules.ReduceLROnPlateau):
        # Counted in steps, it acts after validation and before the checkpoint is written.
        every = {"interval": "step", "frequency": steps, "monitor": "validation_loss"}
        return {"scheduler": made, **every}
    return {"scheduler": made, "interval": "step" if by_step else "epoch"}


def make_transforms(augment: Mapping[str, Mapping[str, Any] | None]) -> list[Transform]:
    """Return what changes a training image, in order.

    Raises:
        SettingError: For a name or an option that is not known.

    Example:
        >>> make_transforms({"RandomHorizontalFlip": {"p": 1.0}})
        [RandomHorizontalFlip(p=1.0)]
    """
    found = []
    for name, options in augment.items():
        kind = _found(name, "augmentation", v2, v2.Transform)
        found.append(_made(kind, (), options or {}, ("augmentation", name)))
    return found


def _found(name: str, what: str, home: Any, kind: type) -> Any:  # noqa: ANN401
    """Return what is called so: a class of ``home``, or the user's own."""
    if is_factory(name):
        return load_factory(name, what)
    names = _names(home, kind)
    if name not in names:
        raise SettingError(f"{unknown(what, name, names)} `module:factory` will do as well.")
    return getattr(home, name)


def _names(home: Any, kind: type) -> Sequence[str]:  # noqa: ANN401
    return [
        name
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, kind) and value is not kind
    ]


def _made(
    kind: Any,  # noqa: ANN401
    given: tuple[Any, ...],
    options: Mapping[str, Any],
    named: tuple[str, str],
) -> Any:  # noqa: ANN401
    """Return ``kind(*given, **options)``, its refusal as one sentence."""
    what, name = named
    if is_factory(name):
        with users_code(name, what):
            return kind(*given, **options)
    try:
        return kind(*given, **options)
    except HormesisError:
        raise
    except OPTION_ERRORS as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "?"
        spelled = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"
        raise SettingError(
            f"The {what} {name!r} cannot be made with {spelled}: {reason}."
        ) from error
