"""A study of a network and data that are given by name: what the command line does."""

from dataclasses import replace

from hormesis.engine.progress import shown
from hormesis.measure.pipeline import analyze_request
from hormesis.measure.sources import resolve
from hormesis.models.devices import device_named
from hormesis.results.study import Study
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.storage import check_free, is_study
from hormesis.stress.metrics import as_metric


def analyze_by_name(source: ModelAndData, request: AnalysisRequest) -> Study:
    """Load the data, build the network, give it weights, and analyse it.

    Args:
        source: Network and data.
        request: What is asked for; its metric may be a name, or ``module:function``.

    Raises:
        HormesisError: One sentence on what cannot be found, read or measured.
    """
    request = replace(request, metric=as_metric(request.metric), name=source.model)
    device, execution, out = device_named(source.device), request.execution, request.out
    if out is not None and (execution.overwrite or not is_study(out)):
        check_free(out, overwrite=execution.overwrite)
    with shown(enabled=execution.progress) as report:
        resolved = resolve(source, request.sweep.seed, report)
    return analyze_request(resolved.network.to(device), resolved.samples, request)
