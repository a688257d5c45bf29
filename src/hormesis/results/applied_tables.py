"""The tables of an applied network: the path that led to it, and its proof."""

PATH_COLUMNS = (
    "step",
    "round",
    "target",
    "filter",
    "threshold",
    "alpha",
    "removed",
    "total_removed",
    "share_removed",
    "clean",
    "adversarial",
    "clean_loss",
    "adversarial_loss",
    "gain",
    "gain_low",
    "gain_high",
    "masked",
    "accepted",
    "reason",
)
"""One row a candidate that was measured, in order; the first is the unfiltered network.

``step`` is the place on the path that it took or would have taken, ``round`` in which round it was
measured; ``target``, ``filter``, ``threshold`` (place in its sweep) and ``alpha`` name the cell of
the study. ``removed`` counts the values that it zeroes besides those that are gone,
``total_removed`` all of them, ``share_removed`` is that as a share of all values of the study's
targets. ``clean`` and ``adversarial`` are performances on the selection part, ``clean_loss`` and
``adversarial_loss`` how much worse they are than the unfiltered network's, ``gain`` with its
interval how much better ``adversarial`` is than before the step, all in units of the metric.
``accepted`` says whether it was taken, and ``reason`` why not."""

OUTCOME_COLUMNS = ("network", "draw", "attack", "epsilon", "sample", "performance")
"""One row for each network, draw, attack and sample of the proof part."""

PROOF_COLUMNS = (
    "network",
    "attack",
    "epsilon",
    "draws",
    "samples",
    "removed",
    "accuracy",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "lead",
    "lead_low",
    "lead_high",
    "verdict",
    "zero_gradient",
    "unmoved",
)
"""One row for each network and attack, on the proof part, in units of the metric.

``accuracy`` is the performance by the study's metric, whichever that is. ``difference`` is from the
unfiltered network and ``lead`` the applied network's from this one, both paired by sample, and
above 0 where the second-named is worse. ``zero_gradient`` and ``unmoved`` are shares of right
answers whose gradient was zero and whose input the attack left as it was; NaN where not known."""
