"""From what a user passes to what engines measure: one network, one set of samples, one request."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hormesis.data.bounds import UNBOUNDED, as_bounds, continuous_part, perturbable_part
from hormesis.data.embedded import token_ids, with_perturbation
from hormesis.data.evaluation import Evaluation
from hormesis.data.samples import Samples, samples_from
from hormesis.data.stressed import pair_samples
from hormesis.data.trees import in_batches, move_to, select_rows
from hormesis.engine.progress import Report
from hormesis.errors import DataError, SettingError
from hormesis.language.embeddings import perturbed_embeddings, unit_note
from hormesis.measure.custom_attacks import settle_attack
from hormesis.measure.set_checks import check_set_metric
from hormesis.measure.shard_worker import device_of
from hormesis.models.adapter import (
    WHOLE,
    AdaptedNetwork,
    adapt,
    form_of,
    inner_network,
    on_whole_output,
    outputs_of,
    perturbation_of,
)
from hormesis.models.checks import check_measurable
from hormesis.models.eval_mode import evaluation_mode
from hormesis.models.fingerprint import network_name
from hormesis.models.networks import check_network, check_outputs, check_weights
from hormesis.models.unwrapping import unwrapped
from hormesis.settings.attacks import FGSM, Evaluated, NoAttack
from hormesis.settings.custom_attack import CustomAttack
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.sweep import Sweep
from hormesis.settings.threat import norm_of, target_of
from hormesis.storage.validation import plain_values
from hormesis.stress.aims import check_aim
from hormesis.stress.losses import as_loss, cross_entropy
from hormesis.stress.metric import Metric
from hormesis.stress.metrics import as_metric
from hormesis.stress.replacements import with_replacements
from hormesis.stress.structure import with_groups
from hormesis.stress.structure_check import check_layouts

_FEW = 3  # samples that an evaluation is tried on
_ROWS = 8  # samples for the check whether a network can be measured
_BATCH = 128  # samples whose outputs are computed at a time
PIXELS = (0.0, 1.0)
ACCURACY = AnalysisRequest.metric  # what is measured unless the request says otherwise


@dataclass(frozen=True)
class Prepared:
    """What is measured, checked as far as that can be done beforehand.

    Args:
        network: A network of one argument, whose output is one tensor.
        samples: The samples.
        request: The request; its metric is a ``Metric``, its loss a ``Loss``.
        evaluation: Measures the samples in place of metric and attack, if there is one.
    """

    network: nn.Module
    samples: Samples
    request: AnalysisRequest
    evaluation: Evaluation | None = None


def prepare(network: object, data: Any, request: AnalysisRequest, report: Report) -> Prepared:  # noqa: ANN401
    """Return what is measured.

    Args:
        network: See ``analyze``.
        data: See ``analyze``.
        request: The request.
        report: Shows the progress of reading.

    Raises:
        HormesisError: One sentence on what cannot be measured.
    """
    given = unwrapped(network)
    inner, asked = inner_network(given), request.targets
    request = replace(
        request,
        name=request.name or network_name(inner),
        targets=with_groups(inner, asked),
        sweep=with_replacements(request.sweep),
        origin=plain_values(dict(request.origin)),
    )
    if isinstance(data, Evaluation):
        return prepare_evaluation(inner, data, request, network)
    metric = as_metric(request.metric)
    loss = metric.loss if request.loss is None else as_loss(request.loss)
    check_output(request.output)
    request = replace(request, metric=metric, loss=loss)
    show = partial(report, "Reading the data")
    read = partial(samples_from, label=request.label, progress=show)
    samples = read_data(data, request, read)
    if request.stressed_data is not None:
        samples, request = with_stressed_data(samples, request, read)
    few = _few(samples, inner)
    adapted = adapt(inner, few, request.output)
    of_ids = continuous_part(few) is None and token_ids(few) is not None
    if request.attacked and (of_ids or given is not inner):
        adapted, samples, request = with_perturbed_embeddings(given, samples, request)
        few = _few(samples, inner)
    if request.attacked:
        perturbable_part(few)  # refuses integers before anything slow
    _check(adapted, samples, few, request)
    request = replace(request, notes=request.notes + notes_on_output(adapted, few, request.output))
    if request.output == WHOLE:
        request = replace(request, metric=on_whole(adapted, few, metric))
    if metric.compares:
        samples = with_own_outputs(adapted, samples)
    _try(adapted, samples, few, request)
    check_layouts(adapted, asked, partial(outputs_of, adapted, few))
    check_set_metric(adapted, samples, request)
    request = settle_attack(adapted, samples, request)
    return Prepared(adapted, samples, request)


def check_output(value: object) -> None:
    """Refuse a choice of the output that is neither name, place nor function.

    Raises:
        SettingError: Naming what it is.
    """
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return
    if not callable(value):
        raise SettingError(
            "Expected `output` to be the name or the place of an output, '*' for all, or a "
            f"function, got {type(value).__name__}."
        )


def _few(samples: Samples, network: nn.Module) -> Any:  # noqa: ANN401
    """Return the first inputs, on the device of the network."""
    return move_to(select_rows(samples.inputs, slice(0, _ROWS)), device_of(network))


def with_perturbed_embeddings(
    given: nn.Module, samples: Samples, request: AnalysisRequest
) -> tuple[nn.Module, Samples, AnalysisRequest]:
    """Return network, samples and request for an attack on the embeddings of token ids.

    Args:
        given: The network; what ``perturbed_embeddings`` made of one names the embedding.
        samples: Their inputs have no floating-point values.
        request: The request.

    Raises:
        AttackError: If there are no token ids, or no embedding looks them up.
        SettingError: For bounds, which shares of embeddings do not have.
    """
    inner = inner_network(given)
    options = {"norm": norm_of(request.attack), "output": request.output}
    network = perturbed_embeddings(given, _few(samples, inner), **options)
    if samples.bounds not in (PIXELS, UNBOUNDED):
        raise SettingError(
            "Expected no `bounds` for an attack on embeddings, whose magnitude alone limits it, "
            f"got {samples.bounds}: leave them out."
        )
    perturbation = perturbation_of(network)
    assert perturbation is not None, "it was just made"
    inputs = with_perturbation(samples.inputs, perturbation.dimensions)
    samples = replace(samples, inputs=inputs, bounds=UNBOUNDED)
    return network, samples, replace(request, notes=(*request.notes, unit_note(perturbation)))


def with_stressed_data(
    samples: Samples, request: AnalysisRequest, read: Callable[..., Samples]
) -> tuple[Samples, AnalysisRequest]:
    """Return samples with those of a second data set, and the request that names it.

    Args:
        samples: The clean samples.
        request: The request.
        read: ``samples_from`` of data, which takes ``bounds`` and ``name``.
    """
    pairs = pair_samples(samples, request.stressed_data, request.pairing, read)
    return pairs.samples, replace(request, attack=pairs.given, notes=request.notes + pairs.notes)


def prepare_evaluation(
    network: nn.Module,
    evaluation: Evaluation,
    request: AnalysisRequest,
    whole: object = None,
) -> Prepared:
    """Return what is measured by a function of the user's: its samples are numbers.

    Args:
        network: The network, which only the function runs.
        evaluation: The function.
        request: The request, whose metric and attack the evaluation stands for.
        whole: What the network was passed in, if it was.

    Raises:
        SettingError: If the request has a metric or an attack of its own.
        DataError: If the function gives one sample two numbers.
    """
    for name in ("loss", "output", "bounds", "label", "stressed_data"):
        if getattr(request, name) is not None:
            raise SettingError(
                f"Expected no `{name.removesuffix('_data')}` beside a `hormesis.Evaluation`, whose "
                "function reads and measures the samples itself."
            )
    metric = getattr(request.metric, "name", request.metric)
    if request.attack not in (NoAttack(), FGSM()) or metric != ACCURACY:
        raise SettingError(
            "Expected no `metric` and no `attack` beside a `hormesis.Evaluation`, which measures "
            "and stresses the samples itself."
        )
    check_weights(network)
    if evaluation.prepare is not None:
        evaluation = evaluation.prepare(network if whole is None else whole)
    adversary = request.sweep.adversary
    if adversary not in (Sweep.adversary, evaluation.adversary):
        raise SettingError(
            f"Expected no `adversary` {adversary!r} beside a `hormesis.Evaluation`, which stresses "
            "the samples itself: a `hormesis.rl.Perturbation` has an `adversary` of its own."
        )
    numbers = list(range(min(_FEW, evaluation.samples)))
    with evaluation_mode(network):
        for stressed in (False, True)[: 1 + evaluation.stressed]:
            first = evaluation.measure(network, numbers, stressed=stressed)
            again = evaluation.measure(network, numbers[1:], stressed=stressed)
            if not np.allclose(first[1:], again, rtol=1e-3, atol=1e-6, equal_nan=True):
                raise DataError(
                    f"The evaluation {evaluation.name!r} gives two numbers to one sample: seed "
                    "what is random by the number of the sample."
                )
    own = Metric(
        evaluation.name,
        _no_metric,
        higher_is_better=evaluation.higher_is_better,
        binary=evaluation.binary,
        chance=evaluation.chance,
    )
    samples = Samples(torch.arange(evaluation.samples), None, None, 0, evaluation.data_name)
    request = replace(
        request,
        sweep=replace(request.sweep, adversary=evaluation.adversary),
        notes=request.notes + evaluation.notes,
        metric=own,
        loss=own.loss,
        attack=Evaluated() if evaluation.stressed else NoAttack(),
    )
    return Prepared(network, samples, request, evaluation)


def _no_metric(outputs: Any, labels: Any) -> Tensor:  # noqa: ANN401
    raise AssertionError("an evaluation is not measured by a metric")


def read_data(data: object, request: AnalysisRequest, read: Callable[..., Samples]) -> Samples:
    """Return the samples under the bounds of the request.

    Pixels are bounded by 0 and 1; so is all else that is attacked, unless the request says more.
    Without an attack, inputs outside have no bounds.

    Args:
        data: What is read; ``Samples`` have bounds of their own.
        request: The request.
        read: ``samples_from`` of the data, which takes ``bounds``.
    """
    if isinstance(data, Samples):
        if request.bounds is not None:
            data = replace(data, bounds=as_bounds(request.bounds, data.inputs))
        return read(data)
    if request.bounds is not None or request.attacked:
        return read(data, bounds=PIXELS if request.bounds is None else request.bounds)
    unbounded = read(data, bounds=None)
    try:
        return replace(unbounded, bounds=PIXELS)
    except DataError:
        return unbounded


def _check(network: nn.Module, samples: Samples, few: Any, request: AnalysisRequest) -> None:  # noqa: ANN401
    """Refuse a network that does not fit the samples, or mixes them."""
    metric: Metric = request.metric
    two = select_rows(few, slice(0, 2))
    custom = isinstance(request.attack, CustomAttack)
    attacked = request.attacked and not custom and request.loss.name == cross_entropy.name
    if samples.classes and not metric.decides and (metric.rank or attacked):
        check_network(network, two, samples.classes)
    else:
        check_outputs(network, two)
    check_measurable(network, few, metric.name if metric.rank else "")


def notes_on_output(network: nn.Module, few: Any, output: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return a sentence if a network returns several outputs and none of them was chosen.

    Args:
        network: The network.
        few: Some of its inputs.
        output: The choice of the request.
    """
    if output is not None:
        return ()
    whole = network.run if isinstance(network, AdaptedNetwork) else network
    with evaluation_mode(network), torch.no_grad():
        returned = whole(select_rows(few, slice(0, 2)))
    if not isinstance(returned, tuple | list) or hasattr(returned, "logits"):
        return ()
    tensors = [part for part in returned if isinstance(part, Tensor) and part.ndim > 0]
    if len(tensors) < 2:
        return ()
    return (
        f"The network returns {len(tensors)} outputs, of which the first was measured: choose "
        "another one with `output`.",
    )


def on_whole(network: nn.Module, few: Any, metric: Metric) -> Metric:  # noqa: ANN401
    """Return a metric of flat outputs from one that takes all that a network returns.

    Args:
        network: The network.
        few: Some of its inputs.
        metric: The metric.
    """
    assert isinstance(network, AdaptedNetwork), "a choice of output adapts the network"
    two = select_rows(few, slice(0, 2))
    with evaluation_mode(network), torch.no_grad():
        form = form_of(network.run(two), 2)
    return replace(metric, function=on_whole_output(metric.function, form))


def with_own_outputs(network: nn.Module, samples: Samples) -> Samples:
    """Return samples whose labels are the network's own outputs, stressed ones too."""
    stressed = samples.stressed
    return replace(
        samples,
        labels=own_outputs(network, samples),
        classes=0,
        stressed=None if stressed is None else with_own_outputs(network, stressed),
    )


@torch.no_grad()
def own_outputs(network: nn.Module, samples: Samples) -> Tensor:
    """Return the unfiltered network's own outputs for all samples, on the CPU.

    Args:
        network: The network.
        samples: The samples.
    """
    with evaluation_mode(network):
        batches = in_batches(samples.inputs, _BATCH, device_of(network))
        return torch.cat([outputs_of(network, inputs).cpu() for _, inputs in batches])


def _try(network: nn.Module, samples: Samples, few: Any, request: AnalysisRequest) -> None:  # noqa: ANN401
    """Refuse a metric or a loss that does not fit the outputs and labels, on a few samples."""
    labels = move_to(select_rows(samples.labels, slice(0, _ROWS)), device_of(network))
    with evaluation_mode(network), torch.no_grad():
        outputs = outputs_of(network, few)
        request.metric.measure(outputs, labels)
    if request.attacked and not isinstance(request.attack, CustomAttack):  # which needs no loss
        request.loss.check(outputs, labels)
    target = target_of(request.attack)
    if target is not None:
        check_aim(target, outputs, labels)
