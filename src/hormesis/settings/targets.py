"""Which parameters are filtered."""

from dataclasses import dataclass

from hormesis.errors import SettingError
from hormesis.settings.choices import GRANULARITIES, KINDS, SCOPES, check_choice, check_several


@dataclass(frozen=True)
class Targets:
    """Which parameters are filtered.

    Args:
        include: Name patterns with ``*`` and ``?``; none means every name. Naming a parameter here
            asks for it whatever its kind, unless ``kinds`` is given too.
        exclude: Name patterns of parameters to leave out; they win over ``include``.
        kinds: Kinds of parameters (``KINDS``); by default the weights of convolutions, linear
            layers and attention, the authors' choice (METHOD, "Targets").
        scope: ``"local"`` filters each target alone; ``"global"`` filters all of them at once.
        per: ``"tensor"``, or ``"channel"`` for every output channel on its own.

    Raises:
        SettingError: For a kind, scope or granularity that is not known, or a text instead of a
            tuple of them.

    Example:
        >>> Targets(include=("layer4.*",)).scope
        'local'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None
    scope: str = "local"
    per: str = "tensor"

    def __post_init__(self) -> None:
        """Check every field."""
        check_several("include", self.include, "layer4.*")
        check_several("exclude", self.exclude, "layer4.*")
        check_several("kinds", self.kinds or (), "linear")
        for kind in self.kinds or ():
            check_choice("kind of parameter", kind, KINDS)
        check_choice("scope", self.scope, SCOPES)
        check_choice("choice of `per`", self.per, GRANULARITIES)
        if self.scope == "global" and self.per == "channel":
            raise SettingError(
                "Expected `per` to be 'tensor' for a global analysis, which filters all targets at "
                "once, got 'channel'."
            )
