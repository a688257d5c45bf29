"""Whatever a user gets wrong: one sentence with the remedy, exit code 2, and nothing left."""

import errno
import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

from hormesis.cli.app import main
from hormesis.stress.metrics import Metric
from hormesis.training import digits
from users import forgotten, listing, settle

NETWORK = ["analyze", "--model", "my.nets:build"]
DATA = ["--data", "my.sets:held_out"]
SMALL = [*NETWORK, *DATA, "--out", "out", "--thresholds", "3", "--epsilon", "0.1"]


def small(words):
    """A run that is in order but for these words."""
    return [*SMALL, *words.split()]


def of_network(name):
    return ["analyze", "--model", f"my.nets:{name}", *DATA, "--out", "out"]


def of_data(name):
    return [*NETWORK, "--data", f"my.sets:{name}", "--out", "out"]


def named(words):
    """A run on a network and data of the package's own."""
    return ["analyze", "--out", "out", *words.split()]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    settle(folder)
    with forgotten():
        yield folder


@pytest.fixture(autouse=True)
def here(home, tmp_path, monkeypatch):
    """The folder of the user; what was there at first is there at last, and nothing else."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HORMESIS_DATA", raising=False)
    before = listing(home)
    yield home
    after = listing(home)
    assert after == before
    assert not (tmp_path / "cache" / "hormesis").exists()


def refusal(arguments, capsys):
    """The sentence that refuses these arguments, without its start."""
    code = main(arguments)
    said = capsys.readouterr()
    start = "hormesis: error: "
    assert code == 2, said
    assert said.out == ""
    assert said.err.startswith(start)
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1, said.err
    assert not said.err.endswith("..\n")
    assert "Traceback" not in said.err
    return said.err.removeprefix(start).rstrip("\n")


def check(arguments, words, capsys):
    sentence = refusal(arguments, capsys)
    missing = [word for word in words.split("|") if word not in sentence]
    assert not missing, f"{missing} not in: {sentence}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [],
            "Expected a command: analyze, zoom, train, |, verify or watch; |`hormesis --help`",
        ),
        (["analyse"], "Unknown command 'analyse'. Did you mean analyze or apply?"),
        (["show"], "Expected the folder of a study: `hormesis show STUDY`."),
        (["show", "one", "two"], "Unexpected argument 'two'"),
        (["show", "nowhere"], "The folder nowhere is no study"),
        (["show", "a_folder"], "The folder a_folder is no study: it has no manifest.json"),
        (["export", "nowhere", "--what", "scors"], "Unknown table 'scors'. Did you mean scores?"),
        (["export", "nowhere", "--format", "cvs"], "Unknown format 'cvs'. Did you mean csv?"),
        (["export", "nowhere", "--tolerance", "x"], "Expected `--tolerance` to be a finite number"),
        (small("more"), "Unexpected argument 'more': every setting has a flag"),
        (small("--thresold 3"), "Unknown option --thresold. Did you mean --thresholds"),
        (small("--download=yes"), "The switch `--download` takes no value, got 'yes'"),
        (small("--seed"), "Expected one value after `--seed`."),
    ],
    ids=lambda value: " ".join(value[-2:]) or "nothing" if isinstance(value, list) else "",
)
def test_the_form_of_the_command(arguments, words, capsys):
    check(arguments, words, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (named("--model resnet81 --data mnist"), "Unknown model 'resnet81'. Did you mean resnet18"),
        (named("--model ''"), "Unknown model"),
        (small("--data cifar-10"), "Unknown data set 'cifar-10'. Did you mean cifar10?"),
        (named("--data cifar11"), "Unknown data set 'cifar11'. Did you mean cifar10?"),
        (small("--attack fgsn"), "Unknown attack 'fgsn'. Did you mean fgsm?"),
        (small("--filters high_pas"), "Unknown filter 'high_pas'. Did you mean high_pass"),
        (small("--filters low_pass low_pass"), "Expected `--filters` to differ"),
        (small("--filters"), "Expected at least one value after `--filters`."),
        (small("--kinds conv"), "Unknown kind of parameter 'conv'. Did you mean convolution?"),
        (small("--reference densty"), "Unknown reference 'densty'. Did you mean density?"),
        (small("--base frist"), "Unknown base 'frist'. Did you mean first?"),
        (small("--metric acuracy"), "Unknown metric 'acuracy'. Did you mean accuracy"),
        (small("--engine plan"), "Unknown engine 'plan'. Did you mean plain?"),
        (small("--device cudaa"), "Unknown device 'cudaa'. Did you mean cuda"),
        (small("--device cuda:99"), "The device 'cuda:99' cannot be used here: |`--device`"),
        (small("--adversary adaptiv"), "Unknown adversary 'adaptiv'. Did you mean adaptive?"),
        (small("--scope globl"), "Unknown scope 'globl'. Did you mean global"),
        (small("--per chanel"), "Unknown |'chanel'. Did you mean channel?"),
        (small("--by signd"), "Unknown |'signd'. Did you mean signed?"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_unknown_names_bring_the_nearest_known_ones(arguments, words, capsys):
    check(arguments, words, capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        *((f"--epsilon {value}", "Expected `--epsilon` to be a number above 0 in input units")
          for value in ("0", "-1", "nan", "inf", "text", "8/0", "1/2/3")),
        *((f"--thresholds {value}", "Expected `--thresholds` to be at least 2, got " + value)
          for value in ("1", "0", "-3")),
        ("--thresholds 1000000000", "Expected `--thresholds` to be at most"),
        *((f"--thresholds {value}", "or several finite numbers, got")
          for value in ("x", "2.5")),
        ("--tolerance -1", "Expected `--tolerance` to be at least 0, got -1"),
        *((f"--tolerance {value}", "Expected `--tolerance` to be a finite number, got")
          for value in ("nan", "inf", "x")),
        ("--seed -1", "Expected `--seed` to be at least 0, got -1"),
        ("--seed 18446744073709551616", "Expected `--seed` to be at most"),
        ("--seed 1.5", "Expected `--seed` to be a whole number, got '1.5'"),
        *((f"--num-workers {value}", "Expected `--num-workers` to be at least 1, got " + value)
          for value in ("0", "-1")),
        *((f"--samples {value}", "Expected `--samples` from 2 to 40, the number there is, got")
          for value in ("41", "1", "0", "-3")),
        ("--samples x", "Expected `--samples` to be a whole number, got 'x'"),
        ("--steps 3", "Expected no `--steps` for the attack 'fgsm'"),
        ("--attack pgd --steps 0", "Expected `--steps` to be at least 1, got 0"),
        ("--bounds 1 0", "Expected finite `--bounds` from low to high, got (1.0, 0.0)"),
        ("--bounds nan 1", "Expected `--bounds` to be two finite numbers, got nan 1"),
        ("--bounds 0", "Expected 2 finite numbers after `--bounds`"),
        ("--span 1 -1", "Expected `--span` to run from low to high"),
        ("--span -inf 1", "Expected 2 finite numbers after `--span`"),
        ("--scope global --per channel", "Expected `--per` to be 'tensor' for a global analysis"),
        ("--include nothing.*", "No parameter matches the pattern 'nothing.*' in `--include`: the"),
        ("--groups head", "some of blocks, attention, heads, projections, mlp, embeddings"),
        ("--groups head=nothing.*", "No parameter matches the pattern 'nothing.*' in the group"),
        ("--groups head=1.weight@0:0/3", "The part 1.weight@0:0/3 does not divide 1.weight"),
        ("--groups head=1.* --scope global", "Expected no `--scope` beside `--groups`"),
        ("--kinds embedding", "No parameter of the network matches|`--kinds`"),
        ("--metric top5", "Expected at least 6 classes for the metric 'top5', got 4"),
    ],
    ids=lambda value: value if value.startswith("--") else "",
)  # fmt: skip
def test_values_out_of_range(words, message, capsys):
    check(small(words), message, capsys)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("none.pt", "The checkpoint none.pt does not exist; check --weights"),
        ("empty.pt", "Checkpoint 'empty.pt' is empty"),
        ("text.pt", "'text.pt' is damaged"),
        ("cut.pt", "'cut.pt' is damaged"),
        ("cut.safetensors", "'cut.safetensors' is damaged"),
        ("evil.pt", "'evil.pt' was refused|may run code"),
        ("wrapped_evil.pt", "'wrapped_evil.pt' was refused, as reading it would run|mkdir"),
        ("whole.pt", "'whole.pt' was refused|model.state_dict()"),
        ("other.pt", "'other.pt' does not fit the network: 2 missing (1.weight, 1.bias)"),
        ("three.pt", "has 3 outputs, the network's 4: is the number of classes the same?"),
        ("nan.pt", "'nan.pt' holds NaN or infinite values in '1.weight'"),
        ("a_folder", "Expected a checkpoint file, got the folder 'a_folder'"),
        ("a_file", "Expected the name of checkpoint 'a_file' to end with one of .safetensors"),
    ],
)
def test_checkpoints(file, words, capsys):
    check(small(f"--weights {file}"), words, capsys)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("three_classes", "3 output(s) and the data have 4 classes"),
        ("three_channels", "takes 3 input channel(s) and the data have 1"),
        ("Failing", "cannot run on inputs of shape|inner trouble"),
        ("with_nan", "'1.weight' of the network holds NaN or infinite values"),
        ("with_infinity", "'1.weight' of the network holds NaN or infinite values"),
        ("nothing_to_filter", "has no parameters: there is nothing to filter"),
        ("constant", "1.weight|its thresholds coincide"),
        ("raises", "The model 'my.nets:raises' failed: ValueError: my trouble (nets.py, line"),
        ("leaves", "The model 'my.nets:leaves' failed: SystemExit: 3"),
        ("wants_more", "The model 'my.nets:wants_more' failed: TypeError|'width'"),
        ("returns_three", "to be, or to return, a torch.nn.Module, got int"),
        ("bild", "The module 'my.nets' has no 'bild'|Did you mean build"),
        ("", "Expected a model as `package.module:attribute`, got 'my.nets:'"),
    ],
)
def test_networks(name, words, capsys):
    check(of_network(name), words, capsys)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("negative_labels", "Expected `labels` from 0|got -1 at sample 0"),
        ("real_labels", "Expected labels that are class numbers|got float32"),
        ("five_classes", "4 output(s) and the data have 5 classes"),
        ("with_nan", "Expected finite inputs, got NaN in sample 3"),
        ("with_infinity", "Expected finite inputs, got infinity in sample 3"),
        ("outside", "Expected inputs within the bounds (0.0, 1.0)|Declare the `--bounds` that"),
        ("empty", "Expected at least 2 samples, got an empty set"),
        ("single", "Expected at least 2 samples, got a single one"),
        ("raises", "The data set 'my.sets:raises' failed: ValueError: my trouble (sets.py, line"),
        ("returns_three", "Expected a pair (inputs, labels)|got int"),
        ("held_in", "The module 'my.sets' has no 'held_in'|Did you mean held_out"),
    ],
)
def test_data(name, words, capsys):
    check(of_data(name), words, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (named("--data mnist"), "Expected `--weights` for resnet18 on mnist|--weights random"),
        (named("--data a_folder"), "Expected `--weights` for resnet18 on a_folder"),
        (named("--data mnist --weights random"), "'mnist' is read from a folder|`--data-root`"),
        (
            named("--data mnist --data-root nowhere --weights random"),
            "'mnist' is missing or damaged in 'nowhere'|`--download`|`--data-root`",
        ),
        (
            named("--data cifar10 --data-root a_file --weights random"),
            "'cifar10' is missing or damaged in 'a_file'",
        ),
        (
            named("--data tiny-imagenet --data-root nowhere --weights random"),
            "no data set 'tiny-imagenet' in 'nowhere'|`--download`",
        ),
        (named("--data ./nowhere --weights random"), "There is no folder './nowhere'"),
        (named("--data a_folder --weights random"), "'a_folder' to hold one folder of images"),
        (named("--samples 181 --weights random"), "Expected `--samples` from 2 to 180"),
        (small("--metric my.sets:one_number"), "one number a sample|got shape []"),
        (small("--metric my.sets:nothing"), "'my.sets' has no 'nothing'"),
        (small("--model nowhere:build"), "There is no module 'nowhere'"),
    ],
    ids=lambda value: " ".join(value[3:]) if isinstance(value, list) else "",
)
def test_data_sets_weights_and_functions(arguments, words, capsys):
    check(arguments, words, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (of_network("function"), "torch.nn.Module, got builtin_function"),
        (of_network("weights"), "torch.nn.Module, got OrderedDict"),
        (of_network("dropping"), "two answers to the same input"),
        (of_network("mean_only"), "one row for each|`--output`"),
        (of_data("absent"), "Expected a pair (inputs, labels)|got NoneType"),
        (of_data("texts"), "got texts: tokenise them first"),
        (of_data("words"), "labels that are numbers, got texts"),
        (of_data("one_hot"), "`labels.argmax(1)` of one-hot labels"),
        (of_data("from_one"), "4 output(s) and the data have 5 classes|labels count from 0"),
        (of_data("pixels"), "divide pixels of 0 to 255 by 255"),
        (of_data("broken"), "item 0 failed with ValueError: my trouble (sets.py, line"),
        (small("--metric my.sets:a_list"), ":a_list' to return a tensor of real numbers, got list"),
        (
            small("--metric my.sets:fails"),
            "The metric 'my.sets:fails' failed on outputs|my trouble (sets.py",
        ),
        (small("--loss my.sets:right"), "the loss 'right' to be differentiable"),
        (small("--loss acuracy"), "Unknown loss 'acuracy'"),
        (small("--output logits"), "an output named 'logits', got Tensor"),
        (small("--label target"), "the labels at `--label` 'target' of a batch, got a tuple of 2"),
    ],
    ids=lambda value: " ".join(value[2:5]) if isinstance(value, list) else "",
)
def test_what_code_of_a_user_gives(arguments, words, capsys):
    check(arguments, words, capsys)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("a_folder", "The folder a_folder holds something else; choose another one with `--out`."),
        ("a_file", "Expected `--out` to be a folder, but a_file is a file."),
        ("a_file/out", "a_file/out cannot be written: Not a directory|with `--out`"),
        ("/proc/nowhere/out", "/proc/nowhere/out cannot be written"),
        ("x" * 300, "cannot be used (File name too long)"),
        (".", "The folder . holds something else; choose another one with `--out`."),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_folders_that_cannot_take_a_study(out, words, overwrite, capsys, monkeypatch):
    monkeypatch.setattr(
        "hormesis.measure.by_name.load_data", lambda *_, **__: pytest.fail("too late")
    )
    check([*SMALL, "--out", out, *(["--overwrite"] if overwrite else [])], words, capsys)


@pytest.fixture
def config(tmp_path):
    return tmp_path / "study.yaml"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: [unclosed", "The configuration is no YAML|line 1, column 8"),
        ("modle: resnet18", "Unknown setting 'modle' in the configuration file. Did you mean mod"),
        (
            "thresholds: many",
            "or several finite numbers, got 'many'",
        ),
        (
            "thresholds: 2.5",
            "or several finite numbers, got 2.5",
        ),
        ("seed: 1\nthresholds:", "Expected `--thresholds` to have a value|the default, 25."),
        (
            "seed: 1\nfilters:",
            "Expected `--filters` to have a value|the default, high_pass low_pass",
        ),
        ("filters: []", "Expected `--filters` to name at least one filter"),
        ("model: {name: resnet18}", "Expected `--model` to be text"),
        ("include: fc.weight", "Expected `--include` to be a list of names, got 'fc.weight'"),
        ("include: {fc: 1}", "Expected `--include` to be a list of names, got a mapping"),
        ("include: [1]", "Expected `--include` to be a list of names, got 1"),
        ("span: [1]", "Expected `--span` to be two finite numbers, got 1"),
        ("bounds: 1", "Expected `--bounds` to be two finite numbers, got 1"),
        ("download: maybe", "Expected `--download` to be true or false, got 'maybe'"),
        ("normalize: maybe", "Expected `--normalize` to be true or false, got 'maybe'"),
        ("tolerance: .nan", "Expected `--tolerance` to be a finite number, got nan"),
        (
            "epsilon: .nan",
            "Expected `--epsilon` to be a number, a fraction such as 8/255, or 'auto'",
        ),
        ("epsilon: [0.1]", "Expected `--epsilon` to be a number, a fraction such as 8/255, or"),
        ("config: 3", "The configuration is refused, as it names another configuration file"),
        ("- a\n- b", "Expected the configuration file to hold one setting a line"),
        ("resnet18", "Expected the configuration file to hold one setting a line"),
        ("a: !!python/object/apply:os.mkdir [was_run]", "The configuration is no YAML"),
    ],
    ids=lambda value: value[:20],
)
def test_configuration_files(text, words, config, capsys):
    config.write_text(text)
    check(["analyze", "--config", str(config)], words, capsys)


def test_configuration_files_that_are_none(config, capsys):
    check(["analyze", "--config", str(config)], "There is no configuration file|study.yaml", capsys)
    check(["analyze", "--config", "a_folder"], "Expected a configuration file|a_folder", capsys)
    config.write_bytes(b"\xff\xfe\x00\x01")
    check(["analyze", "--config", str(config)], "The configuration file is no text", capsys)


@contextmanager
def files_no_larger_than(size):
    """Let the disk be full beyond so many bytes a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [50, 700, 3000], ids=["outcomes", "manifest", "tables"])
def test_a_full_disk(size, capsys):
    with files_no_larger_than(size):
        check(
            small("--engine plain"),
            "out cannot be written: File too large. Free some space or choose",
            capsys,
        )


def test_a_full_disk_when_only_the_picture_is_missing(home, monkeypatch, capsys, tmp_path):
    def draw(study, path):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    with monkeypatch.context() as full:
        full.setattr("hormesis.cli.commands.analyze.draw_overview", draw)
        words = "is complete, but the picture cannot be written: No space left|Free some space"
        check(small(f"--engine plain --out {out}"), words, capsys)
    assert not [path for path in out.iterdir() if "partial" in path.name]
    with monkeypatch.context() as freed:
        freed.setattr("hormesis.cli.commands.analyze.draw_overview", lambda _, path: path.touch())
        assert main(small(f"--engine plain --out {out}")) == 0  # opens the study
    assert (out / "overview.png").is_file()


@pytest.fixture
def interruptible():
    """Let SIGINT interrupt, also where the suite was started with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("engine", ["plain", "auto"])
def test_an_interruption_during_the_sweep(engine, monkeypatch, capsys):
    todo = [signal.SIGINT]

    def interrupted(self, outputs, labels):
        while todo:  # in a worker; the main thread has to notice
            os.kill(os.getpid(), todo.pop())
        return function(self, outputs, labels)

    function = Metric.measure
    monkeypatch.setattr(Metric, "measure", interrupted)
    assert main(small(f"--engine {engine} --num-workers 2")) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "hormesis: interrupted; run the same command again to go on.\n"


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_during_training(monkeypatch, capsys):
    def interrupted(*given, **options):
        signal.raise_signal(signal.SIGINT)
        return function(*given, **options)

    function = digits.cross_entropy
    monkeypatch.setattr(digits, "cross_entropy", interrupted)
    assert main(named("--model squeezenet1_1 --out deep/out")) == 130
    assert capsys.readouterr().err.startswith("hormesis: interrupted; ")


def test_a_bug_of_our_own_shows_where_it_is(monkeypatch):
    def broken(*given, **options):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("hormesis.measure.by_name.analyze_request", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        main(SMALL)
