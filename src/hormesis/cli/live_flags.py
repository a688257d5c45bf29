"""The flags that let one look on while a study is measured."""

from jsonargparse import ArgumentParser


def add_live(parser: ArgumentParser, page: str, *, default: str | None = None) -> None:
    """Add the flags that let one look on while a study is measured.

    Args:
        parser: What gets them.
        page: The flag of the page.
        default: The page that is written without it.
    """
    add = parser.add_argument_group("looking on").add_argument
    shown = "none" if default is None else default
    add(
        page,
        type=str | None,
        metavar="FILE",
        default=default,
        help=f"page that is written anew as results arrive (default: {shown})",
    )
    add(
        "--tensorboard",
        type=str | None,
        metavar="DIR",
        help="add scores and heat map to TensorBoard's events as results arrive (default: none)",
    )
