"""What the parser of the command line refuses, as one sentence that says how to mend it."""

import re
from collections.abc import Callable, Sequence

from hormesis.errors import unknown

LISTS = ("include", "exclude", "kinds", "filters", "keep")
_WORDS = {
    **dict.fromkeys(("samples", "steps", "thresholds", "seed", "num_workers"), "a whole number"),
    **dict.fromkeys(
        ("batch_size", "checkpoint_every", "split_seed", "num_workers"), "a whole number"
    ),
    **dict.fromkeys(("optimizer_options", "schedule_options"), "a mapping of names to values"),
    **dict.fromkeys(("augment", "loggers"), "a mapping of names to their options"),
    **dict.fromkeys(("epochs", "validation_samples"), "a whole number"),
    **dict.fromkeys(("seeds", "pgd_steps", "restarts", "eval_samples"), "a whole number"),
    "epsilons": "numbers, or fractions such as 8/255",
    **dict.fromkeys(("lr", "gpus_per_task", "cpus_per_task"), "a finite number"),
    **dict.fromkeys(("bounds", "span"), "two finite numbers"),
    **dict.fromkeys(("mean", "std"), "finite numbers, one a channel"),
    **dict.fromkeys(LISTS, "a list of names"),
    "tolerance": "a finite number",
    **dict.fromkeys(("step_size", "pgd_step_size"), "a finite number"),
    "level": "a number between 0 and 1",
    "epsilon": "a number, a fraction such as 8/255, or 'auto'",
    "normalize": "true or false",
    "progress": "true or false",
}


def refusal(message: str, keys: Sequence[str]) -> str:
    r"""Return an error of the parser as a sentence.

    Args:
        message: What the parser said, over any number of lines.
        keys: The settings of all commands, as a configuration file spells them.

    Example:
        >>> refusal("unrecognized arguments: --threshold 3", ["thresholds", "seed"])
        'Unknown option --threshold. Did you mean --thresholds? See `hormesis analyze --help`.'
        >>> refusal('Parser key "seed": Expected a <class \'int\'>. Got value: x', ["seed"])
        "Expected `seed` to be a whole number, got 'x'."
    """
    flat = " ".join(message.split())
    for pattern, rephrased in _SENTENCES:
        found = re.search(pattern, flat)
        if found:
            return rephrased(found, keys)
    return f"{flat[:1].upper()}{flat[1:].rstrip('.')}."


def with_flags(sentence: str, keys: Sequence[str]) -> str:
    """Return a sentence of the library with the settings spelled as flags.

    Args:
        sentence: It names settings in backticks, as arguments of a Python call.
        keys: The settings that are flags.

    Example:
        >>> with_flags("Expected `own_span`, not `labels`.", ["own_span"])
        'Expected `--own-span`, not `labels`.'
    """
    return re.sub(
        r"`(\w+)`",
        lambda found: f"`{_flag(found[1])}`" if found[1] in keys else found[0],
        sentence,
    )


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _option(found: re.Match[str], keys: Sequence[str]) -> str:
    given = found["rest"].split()
    options = [word for word in given if word.startswith("-")]
    if not options:
        return (
            f"Unexpected argument {given[0]!r}: every setting has a flag, see `hormesis analyze "
            "--help`."
        )
    name = options[0].partition("=")[0]
    near = _near("option", name, [_flag(key) for key in keys])
    return f"Unknown option {name}.{near} See `hormesis analyze --help`."


def _near(what: str, name: str, known: Sequence[str]) -> str:
    """Return `` Did you mean ...?`` without the list of all that is known."""
    found = re.search(r" Did you mean .*?\?", unknown(what, name, known))
    return found[0] if found else ""


def _setting(found: re.Match[str], keys: Sequence[str]) -> str:
    name = found["name"]
    near = _near("setting", name, keys)
    return (
        f"Unknown setting {name!r} in the configuration file.{near} "
        "`hormesis analyze --print_config` prints them all."
    )


def _value(found: re.Match[str], keys: Sequence[str]) -> str:
    key = found["key"]
    return f"Expected `{key}` to be {_WORDS.get(key, 'text')}, got {found['value']!r}."


def _count(found: re.Match[str], keys: Sequence[str]) -> str:
    wanted = found["wanted"].replace("argument", "value")
    if found["flag"] in ("--bounds", "--span"):
        wanted = "2 finite numbers"
    return f"Expected {wanted} after `{found['flag']}`."


def _flag_value(found: re.Match[str], keys: Sequence[str]) -> str:
    return f"The switch `{found['flag']}` takes no value, got {found['value']}."


def _command(found: re.Match[str], keys: Sequence[str]) -> str:
    known = re.findall(r"\w+", found["known"])
    return unknown("command", found["given"], known)


def _no_config(found: re.Match[str], keys: Sequence[str]) -> str:
    return (
        f"There is no configuration file {found['path']}; `hormesis analyze --print_config > "
        "FILE` writes one."
    )


def _fixed(sentence: str) -> Callable[[re.Match[str], Sequence[str]], str]:
    return lambda found, keys: found.expand(sentence)


_NO_MAPPING = (
    "Expected the configuration file to hold one setting a line, such as `thresholds: 25`; "
    "`hormesis analyze --print_config` prints them all."
)
_SENTENCES: tuple[tuple[str, Callable[[re.Match[str], Sequence[str]], str]], ...] = (
    (r"[Uu]nrecognized arguments: (?P<rest>.+)", _option),
    (r"does not accept option '(?P<name>[^']*)'", _setting),
    (r'Parser key "config": (File does not exist|Path is not a file): (?P<path>.+)', _no_config),
    (
        r"Problems parsing config: it (?P<rest>.+)",
        _fixed(r"The configuration is refused, as it \g<rest>."),
    ),
    (r"Problems parsing config: (?P<rest>.+)", _fixed(r"The configuration is no YAML: \g<rest>.")),
    (r"Unexpected config|has no attribute 'append'", _fixed(_NO_MAPPING)),
    (
        r"Value not boolean: (?P<value>.*?)\.?$",
        _fixed(r"Expected `normalize` and `progress` to be true or false, got \g<value>."),
    ),
    (r'Parser key "(?P<key>\w+)".*?(Got|Given) value: (?P<value>.*)$', _value),
    (
        r"does not support item assignment|is not iterable|changed size during iteration",
        _fixed(
            f"Expected `{'`, `'.join(LISTS)}`, `bounds` and `span` to be lists in the "
            "configuration file, such as [fc, conv1]."
        ),
    ),
    (r"argument (?P<flag>--[\w-]+): expected (?P<wanted>[\w ]+)", _count),
    (r"argument (?P<flag>--[\w-]+): ignored explicit argument (?P<value>.+)", _flag_value),
    (r"invalid choice: '(?P<given>.*)' \(choose from (?P<known>.*)\)", _command),
    (
        r'expected "command" to be one of \{(?P<known>.*)\}',
        _fixed(
            "Expected a command: analyze, train, retrain, show, export, compare, plot or report; "
            "see `hormesis --help`."
        ),
    ),
    (
        r"arguments are required: compare\.studies",
        _fixed("Expected the folders of at least two studies: `hormesis compare FOLDER FOLDER`."),
    ),
    (
        r"arguments are required: report\.paths",
        _fixed("Expected the folder of a study or of a retraining: `hormesis report FOLDER`."),
    ),
    (
        r"arguments are required: (?P<command>\w+)\.study",
        _fixed(r"Expected the folder of a study: `hormesis \g<command> FOLDER`."),
    ),
)
