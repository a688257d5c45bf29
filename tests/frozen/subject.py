"""The networks and samples that are measured, read from committed files.

The weights come from a short training, rounded to eighths; inputs are sixteenths. Every product and
every sum of the forward pass is then a number that float32 holds, whatever the order of summation:
no processor and no library can move a logit of the unfiltered or of a filtered network.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

GIVEN = Path(__file__).parent / "given"
MEASURED = 64  # samples of a study; all others are for training


class Network(nn.Module):
    """Two convolutions, a batch norm that divides by exactly a half, and a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, eps=1e-30)
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.last = nn.Linear(36, 7)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.norm(self.first(inputs)).relu()
        hidden = (hidden + self.second(hidden)).relu()
        return self.last(avg_pool2d(hidden, 2).flatten(1))


def network(number: int = 0) -> Network:
    """Return one of the two committed networks."""
    made = Network()
    made.load_state_dict(load_file(GIVEN / f"network-{number}.safetensors"))
    return made.eval()


def start() -> Network:
    """Return the network that the committed training and its epochs begin with."""
    return network(1)


def every_sample() -> tuple[Tensor, Tensor]:
    """Return 320 images from 0 to 1 of seven classes, and their labels."""
    stored = load_file(GIVEN / "samples.safetensors")
    return stored["inputs"] / torch.tensor(16.0), stored["labels"].long()


def samples() -> tuple[Tensor, Tensor]:
    """Return the samples of a study."""
    inputs, labels = every_sample()
    return inputs[:MEASURED], labels[:MEASURED]


def others() -> tuple[Tensor, Tensor]:
    """Return all other samples."""
    inputs, labels = every_sample()
    return inputs[MEASURED:], labels[MEASURED:]


def margin(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the true class leads the best other one."""
    own = outputs.gather(1, labels[:, None])[:, 0]
    return own - outputs.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
