"""How the search for single weights goes about it."""

from dataclasses import dataclass, field

from hormesis.errors import SettingError
from hormesis.settings.option import check_choices, option


@dataclass(frozen=True)
class ZoomSettings:
    """Where single weights are searched, and for how long.

    Args:
        target: The parameters that are searched, by their names; * and ? stand for any letters.
        budget: Most removals to measure.
        level: Confidence level, for all sets together.

    Raises:
        SettingError: For no parameter, a budget below 1, or a level that is no share.

    Example:
        >>> ZoomSettings("fc.weight").target
        ('fc.weight',)
    """

    target: tuple[str, ...] | str = field(default=(), metadata=option(metavar="NAME"))
    budget: int = 200
    level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        target = (self.target,) if isinstance(self.target, str) else self.target
        object.__setattr__(self, "target", tuple(target))
        check_choices(self)
        if not self.target or not all(isinstance(name, str) and name for name in self.target):
            raise SettingError(
                "Expected `target`, the names of the parameters to search, such as 'fc.weight', "
                f"got {'none' if not self.target else repr(self.target)}."
            )
        if self.budget < 1:
            raise SettingError(f"Expected `budget` to be at least 1, got {self.budget}.")
        if not 0 < self.level < 1:
            raise SettingError(f"Expected `level` between 0 and 1, such as 0.95, got {self.level}.")
