"""Which parameters are filtered."""

from dataclasses import dataclass, field

from hormesis.errors import SettingError
from hormesis.settings.choices import GRANULARITIES, KINDS, SCOPES, check_several
from hormesis.settings.option import check_choices, option


@dataclass(frozen=True)
class Targets:
    """Which parameters are filtered.

    Args:
        include: Name patterns with ``*`` and ``?``, by default of every name. Naming a parameter
            here selects it whatever its kind, unless ``kinds`` is set too.
        exclude: Name patterns of parameters to leave out; they win over ``include``.
        kinds: Kinds of parameters, by default the weights of convolutions, linear layers and
            attention. That is the authors' choice (METHOD, "Targets").
        scope: ``"local"`` filters each target alone, ``"global"`` all of them at once.
        per: Filter whole tensors, or every output channel on its own.

    Raises:
        SettingError: For an unknown kind, scope or granularity, or a text instead of a
            tuple of them.

    Example:
        >>> Targets(include=("layer4.*",)).scope
        'local'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = field(
        default=None, metadata=option(choices=KINDS, noun="kind of parameter", metavar="KIND")
    )
    scope: str = field(default="local", metadata=option(choices=SCOPES))
    per: str = field(
        default="tensor", metadata=option(choices=GRANULARITIES, noun="choice of `per`")
    )

    def __post_init__(self) -> None:
        """Check every field."""
        check_several("include", self.include, "layer4.*")
        check_several("exclude", self.exclude, "layer4.*")
        check_several("kinds", self.kinds or (), "linear")
        check_choices(self)
        if self.scope == "global" and self.per == "channel":
            raise SettingError(
                "Expected `per` to be 'tensor' for a global analysis, which filters all targets at "
                "once, got 'channel'."
            )
