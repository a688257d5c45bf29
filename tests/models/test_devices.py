"""How a machine computes while something is measured."""

import pytest
import torch

import hormesis as hm
from hormesis.models.devices import strict_arithmetic


@pytest.fixture(params=["highest", "high", "medium"])
def precision(request):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def test_strict_arithmetic_leaves_the_settings_as_they_were(precision):
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    with strict_arithmetic(), strict_arithmetic():
        assert torch.get_float32_matmul_precision() == "highest"
        assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == (False, True, False)
    assert torch.get_float32_matmul_precision() == precision
    assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == before
    with pytest.raises(ZeroDivisionError), strict_arithmetic():
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == precision


@pytest.mark.usefixtures("precision")
def test_a_study_computes_in_full_precision_whatever_the_program_has_set():
    seen = []

    class Watching(torch.nn.Linear):
        def forward(self, input):
            seen.append(torch.get_float32_matmul_precision())
            return super().forward(input)

    torch.manual_seed(0)
    data = (torch.rand(8, 4), torch.arange(8) % 2)
    hm.analyze(
        Watching(4, 2), data, execution=hm.Execution(engine="plain"), sweep=hm.Sweep(thresholds=3)
    )
    assert set(seen) == {"highest"}
