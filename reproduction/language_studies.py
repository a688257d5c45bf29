"""What is fragile in a small decoder and a small classifier of text, and which heads copy.

    python -m reproduction.language_models --out DIR
    python -m reproduction.language_studies --models DIR --out DIR [--only NAME ...]

Every attention head and every half of a feed-forward part is filtered, on held-out texts: under
FGSM on the embeddings, and on the same texts with typos; so are whole blocks and embeddings. Heads
are removed once more on random tokens that are repeated, where only a head that looks up what
followed the same token before can help (an *induction head*, Olsson et al. 2022, arXiv 2209.11895):
those of the decoder, and those of one that learnt nothing else. Beside it stands what does not
depend on filtering, the attention that each head pays to the token behind the last occurrence.
Studies that are there are not measured again.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from reproduction.language_models import IGNORED, Repetition, repeat_tokens
from scipy import stats
from transformers import GPT2LMHeadModel

import hormesis as hm

PARTS, WHOLES = ("heads", "mlp"), ("blocks", "embeddings")  # what is filtered
REPEATED = 200  # sequences of repeated tokens
TEXTS = {  # the file of each model, tokens that are kept of each text, and what is measured
    "classifier": ("paragraphs.jsonl", 48, "accuracy"),
    "decoder": ("windows.jsonl", 128, "next_token_nll"),
}
ORDINARY = 300  # ids below are single bytes and special tokens


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Args:
        models: Folder with the models and their texts.
        out: Folder for the studies.
        samples: Texts of each study.
        thresholds: Of each filter.
    """

    models: Path
    out: Path
    samples: int
    thresholds: int


def text_study(name: str, what: Sequence[str], stressed: str | None, options: Options) -> hm.Study:
    """Return the study of a model on its held-out texts.

    Args:
        name: Folder of the model in ``options.models``.
        what: The sorts of parts that are filtered.
        stressed: A corruption in place of the attack.
        options: How much is measured.
    """
    file, length, metric = TEXTS[name]
    model = hm.load_language_model(options.models / name)
    texts = hm.load_texts(options.models / file).take(range(options.samples))
    task = hm.language_task(model, texts, stressed=stressed, max_length=length)
    stress = "typos" if stressed else "fgsm"
    return hm.analyze(
        task.network,
        task.samples,
        stressed=task.stressed,
        metric=metric,
        targets=hm.Targets(groups=tuple(what)),
        sweep=hm.Sweep(thresholds=options.thresholds),
        out=options.out / f"{name}-{stress}-{'-'.join(what)}",
        execution=hm.Execution(progress=False, num_workers=1),
        name=name,
    )


def copying_heads(name: str, options: Options) -> pd.DataFrame:
    """Return what the removal of each head, and of all in a block, costs on repeated tokens.

    Returns:
        A row each: ``head``, ``cost`` in nats a token, ``low`` and ``high`` of its interval
        (95 % for all heads together, by Bonferroni), ``attention``, from 0 to 1, to the token
        behind the last occurrence; and ``base``, nats without a removal.
    """
    network = GPT2LMHeadModel.from_pretrained(options.models / name).eval()
    vocabulary = network.config.vocab_size
    made = repeat_tokens(REPEATED, ORDINARY if vocabulary > ORDINARY else 0, vocabulary, seed=0)
    heads = hm.parts_of(network, "heads") | hm.parts_of(network, "attention")
    study = hm.analyze(
        network,
        ({"input_ids": made.ids}, made.labels),
        attack=None,
        metric="next_token_nll",
        targets=hm.Targets(groups=heads),
        sweep=hm.Sweep(filters=("high_pass",), thresholds=2),  # the second one leaves nothing
        out=options.out / f"{name}-repeated",
        execution=hm.Execution(progress=False, num_workers=1),
        name=name,
    )
    outcomes, attention = study.outcomes(), attention_to_successor(network, made)
    last = study.responses.sort_values("alpha").groupby("target").last()
    rows = []
    for head in heads:
        differences = outcomes.clean[last.loc[head, "outcome"]] - outcomes.base_clean
        error = stats.sem(differences) * stats.t.ppf(1 - 0.025 / len(heads), len(differences) - 1)
        cost = differences.mean()
        rows.append((head, cost, cost - error, cost + error, attention.get(head)))
    table = pd.DataFrame(rows, columns=["head", "cost", "low", "high", "attention"])
    return table.assign(base=float(np.mean(outcomes.base_clean)))


@torch.no_grad()
def attention_to_successor(network: GPT2LMHeadModel, made: Repetition) -> dict[str, float]:
    """Return the mean attention of each head to the token behind the last occurrence."""
    network.set_attn_implementation("eager")
    every = network(input_ids=made.ids, output_attentions=True).attentions
    network.set_attn_implementation("sdpa")
    sequence, place = (made.labels != IGNORED).nonzero(as_tuple=True)
    source = place - 1  # what is said there is the token behind it
    successor = source - made.periods[sequence] + 1
    means: dict[str, float] = {}
    for block, weights in enumerate(every):
        paid = weights[sequence, :, source, successor].mean(dim=0)
        means |= {f"block {block} head {n}": one.item() for n, one in enumerate(paid)}
    return means


def text_scores(
    name: str, what: Sequence[str], stressed: str | None, options: Options
) -> pd.DataFrame:
    """Return the combined scores of a study on texts, with intervals and classes."""
    study = text_study(name, what, stressed, options)
    return study.scores.query("filter == 'combined'").drop(columns="filter")


def main() -> None:
    """Make what is missing, and print every table as CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--thresholds", type=int, default=9)
    made: dict[str, Callable[[Options], pd.DataFrame]] = {
        "copier-repeated": partial(copying_heads, "copier"),
        "decoder-repeated": partial(copying_heads, "decoder"),
    }
    for name, (what, stressed) in product(TEXTS, product((PARTS, WHOLES), (None, "typos:2"))):
        kind = f"{name}-{'typos' if stressed else 'fgsm'}-{'-'.join(what)}"
        made[kind] = partial(text_scores, name, what, stressed)
    parser.add_argument("--only", nargs="+", choices=made, default=list(made))
    given = vars(parser.parse_args())
    only, options = given.pop("only"), Options(**given)
    for name in only:
        print(name, made[name](options).to_csv(index=False), sep="\n", flush=True)


if __name__ == "__main__":
    main()
