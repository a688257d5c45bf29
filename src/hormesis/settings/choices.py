"""The names that settings may take, and how an unknown one is refused."""

from collections import ChainMap
from collections.abc import Collection, Sequence

from hormesis.errors import SettingError, unknown

# The names that the package knows: one line each, shown in the help; the objects behind them are in
# `stress.filters`, `.replacements` and `.metrics` and in `data.datasets`, whose `register_...` add
# a user's own.
FILTERS = {
    "high_pass": "keeps the values above the threshold",
    "low_pass": "keeps the values below the threshold",
    "pulse_wave": "keeps the values outside a window around the threshold",
    "square_wave": "keeps the values between four waves, each half of its period wide",
}
REPLACEMENTS: dict[str, str] = {
    "weight_noise": "adds Gaussian noise, a share of the tensor's standard deviation",
    "quantization": "rounds to so many bits, on one symmetric grid a tensor",
    "quantization_per_channel": "the same, on a grid for each output channel",
    "shuffling": "permutes a share of the values among themselves",
    "sign_flips": "flips the sign of a share of the values",
    "reinitialization": "moves values towards a fresh initialisation of their module",
    "bit_faults": "flips random bits of float32 values",
    "bit_faults_bfloat16": "flips random bits of bfloat16 values",
    "bit_faults_int8": "flips random bits of int8 values",
    "worst_case": "takes the weights of the highest loss within a ball around the own ones",
}
STRESSES = ChainMap(REPLACEMENTS, FILTERS)  # what a sweep may name, filters first
METRICS = {
    "accuracy": "whether the largest logit is that of the true class",
    "top5": "whether the true class is among those of the five largest logits",
    "loss": "cross-entropy in nats",
    "binary_accuracy": "whether the single logit has the sign of the label, 0 or 1",
    "multilabel_accuracy": "share of a sample's labels of 0 and 1 that are right",
    "exact_match": "whether all of a sample's labels of 0 and 1 are right",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "negative_mse": "minus the mean squared error",
    "negative_mae": "minus the mean absolute error",
    "cosine": "cosine between the outputs and the unfiltered network's own",
    "kl": "exp(-KL divergence) of the prediction from the unfiltered network's own",
    "pixel_accuracy": "share of pixels whose largest logit is that of their class",
    "mean_iou": "intersection over union, a mean over the classes in a sample",
    "token_accuracy": "share of tokens whose largest logit is right",
    "next_token_accuracy": "the same for logits that score the next token",
    "token_nll": "negative log-likelihood of tokens in nats, a mean over a sequence",
    "next_token_nll": "the same for logits that score the next token",
    "perplexity": "exp of the negative log-likelihood of the next tokens of a sequence",
    "macro_f1": "F1 of a whole set of samples, a mean over classes",
    "auroc": "area under the ROC curve of a whole set of samples",
    "calibration_error": "expected calibration error of a whole set of samples, in 15 bins",
}
DATASETS = {
    "digits": "scikit-learn's handwritten digits, 1x32x32",
    "mnist": "handwritten digits, 1x28x28",
    "fashion-mnist": "articles of clothing, 1x28x28",
    "cifar10": "ten kinds of animals and vehicles, 3x32x32",
    "tiny-imagenet": "200 classes of ImageNet, 3x64x64",
}
DEFAULT_FILTERS = ("high_pass", "low_pass", "pulse_wave")  # whose mean is the combined score
COMBINED = "combined"
KINDS = (
    "convolution",
    "linear",
    "attention",
    "recurrent",
    "embedding",
    "norm",
    "bias",
    "other",
)
DEFAULT_KINDS = ("convolution", "linear", "attention")
SCOPES = ("local", "global")
GROUPINGS = {
    "blocks": "all weights of each block of a transformer",
    "attention": "the weights of each attention",
    "heads": "each attention head, and each key-value head that several of them share",
    "projections": "the queries, keys, values and output of each attention",
    "mlp": "the up, gate and down projections of each block",
    "embeddings": "each embedding, a tied one once",
}
IN_GROUP = "in the group "  # why a member of a group is not tested alone
GRANULARITIES = ("tensor", "channel")
COMPARED = ("signed", "magnitude")
SPACINGS = ("even", "quantile", "log")
ADVERSARIES = ("fixed", "adaptive")
PRECISIONS = ("exact", "bf16")
BASES = ("network", "first")
REFERENCES = ("base", "density", "random")
INTERVALS = ("delta", "bootstrap")
MULTIPLICITIES = ("none", "holm", "bh")
CERTAIN = "certain"
RAY = "ray"
ENGINES = ("auto", "plain", RAY)
STEMS = ("standard", "small")
USUAL_THRESHOLDS = 25  # as the paper has it
MOST_THRESHOLDS = 10_000  # more would fill the memory with masks before anything is measured
SIDES = ("clean", "adversarial")
"""The two performances of a network."""
UNFILTERED = -1  # instead of a row of outcomes: a cell that removes nothing has the network's own
MOST_SEED = 2**63 - 1  # what PyTorch's generators take
MOST_EPOCHS = 30_000  # of a training, whose table and checksums a record holds
POPULATIONS = ("infinite", "finite")
USUAL_DRAWS, MOST_DRAWS = 5, 1000  # of random controls; few say little about their variance


def check_choice(noun: str, name: str, choices: Sequence[str]) -> None:
    """Refuse ``name`` unless it is one of ``choices``.

    Raises:
        SettingError: With the nearest known names.
    """
    if name not in choices:
        raise SettingError(unknown(noun, name, choices))


def check_new_name(name: str, reserved: Collection[str]) -> None:
    """Refuse a new name that one of the package's own objects has.

    Raises:
        SettingError: If it is reserved.
    """
    if name in reserved:
        raise SettingError(f"Expected another `name` than {name!r}, which is taken.")


def check_several(setting: str, values: object, example: str) -> None:
    """Refuse one text instead of a tuple of texts, as its letters would count one by one."""
    if isinstance(values, str):
        raise SettingError(
            f"Expected `{setting}` to be a tuple such as ({example!r},), got the text {values!r}."
        )
