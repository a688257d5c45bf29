"""Networks of torch_geometric, diffusers, segmentation models, peft, Lightning and PyTorch."""

from functools import partial
from typing import Any

import diffusers
import lightning
import peft
import segmentation_models_pytorch as smp
import torch
import torch_geometric.nn as gnn
import torchvision
import transformers as hf
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from benchmarks.zoo.entry import SAMPLES, Entry
from benchmarks.zoo.language import tokens
from benchmarks.zoo.vision import images
from hormesis.data.evaluation import Evaluation

_BERT = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "num_labels": 4,
}
_GPT2 = {"vocab_size": 60, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 40}


class GraphClassifier(nn.Module):
    """Two graph convolutions and a mean over the nodes."""

    def __init__(self, kind: type[nn.Module]) -> None:
        """Make the layers."""
        super().__init__()
        self.first, self.second = kind(4, 16), kind(16, 16)
        self.last = nn.Linear(16, 3)

    def forward(self, batch: Data) -> Tensor:
        """Return the output."""
        hidden = self.first(batch.x, batch.edge_index).relu()
        hidden = self.second(hidden, batch.edge_index).relu()
        return self.last(gnn.global_mean_pool(hidden, batch.batch))


def _graphs() -> list[Data]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for number in range(SAMPLES):
        nodes = 5 + number % 3
        edges = torch.randint(0, nodes, (2, 12), generator=generator)
        made.append(Data(x=torch.randn(nodes, 4, generator=generator), edge_index=edges))
    return made


def _margin(network: nn.Module, numbers: list[int], stressed: bool) -> Tensor:
    """Return the logit of the first class of each graph."""
    graphs = _graphs()
    with torch.no_grad():
        return network(Batch.from_data_list([graphs[number] for number in numbers]))[:, 0]


def _graph_evaluation() -> Evaluation:
    return Evaluation(_margin, samples=SAMPLES, name="margin")


class DenseGraphs(nn.Module):
    """Dense graph convolutions: nodes, adjacency and mask, one graph a sample."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.first, self.second = gnn.DenseGCNConv(4, 16), gnn.DenseSAGEConv(16, 16)
        self.last = gnn.Linear(16, 3)

    def forward(self, x: Tensor, adj: Tensor, mask: Tensor) -> Tensor:
        """Return the output."""
        hidden = self.first(x, adj, mask).relu()
        return self.last(self.second(hidden, adj, mask).relu().mean(dim=1))


def _dense_graphs() -> dict[str, Tensor]:
    adjacency = (torch.rand(SAMPLES, 6, 6) > 0.5).float()
    mask = torch.ones(SAMPLES, 6, dtype=torch.bool)
    mask[::2, 4:] = False
    return {"x": torch.rand(SAMPLES, 6, 4), "adj": adjacency, "mask": mask}


def _unet() -> nn.Module:
    return diffusers.UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=4,
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )


def _autoencoder() -> nn.Module:
    return diffusers.AutoencoderKL(
        block_out_channels=(16, 32),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        sample_size=16,
    )


def _noised() -> dict[str, Tensor]:
    steps = torch.randint(0, 1000, (SAMPLES,))
    return {"sample": torch.rand(SAMPLES, 3, 16, 16), "timestep": steps}


def _lora(kind: str) -> nn.Module:
    if kind == "bert":
        base: Any = hf.BertForSequenceClassification(hf.BertConfig(**_BERT))
        return peft.get_peft_model(
            base, peft.LoraConfig("SEQ_CLS", r=4, target_modules=["query", "value"])
        )
    base = hf.GPT2LMHeadModel(hf.GPT2Config(**_GPT2))
    return peft.get_peft_model(
        base, peft.LoraConfig("CAUSAL_LM", r=4, target_modules=["c_attn"], fan_in_fan_out=True)
    )


class LightningClassifier(lightning.LightningModule):
    """A small convolutional network with hyperparameters and a loss."""

    def __init__(self, width: int = 8) -> None:
        """Make the layers."""
        super().__init__()
        self.save_hyperparameters()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.head = nn.Linear(width, 5)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, images: Tensor) -> Tensor:
        """Return the output."""
        return self.head(self.body(images).mean(dim=(2, 3)))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        return self.loss(self(batch[0]), batch[1])


class Translator(nn.Module):
    """PyTorch's own transformer, with source and target as two arguments."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.words = nn.Embedding(30, 16)
        self.body = nn.Transformer(16, 4, 1, 1, 32, batch_first=True)
        self.head = nn.Linear(16, 30)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the output."""
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        hidden = self.body(self.words(source), self.words(target), tgt_mask=mask)
        return self.head(hidden)


def _sentences() -> tuple[Tensor, Tensor]:
    return torch.randint(0, 30, (SAMPLES, 7)), torch.randint(0, 30, (SAMPLES, 5))


class Reader(nn.Module):
    """A recurrent network over word vectors."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        """Make the layers."""
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.body = kind(8, 12, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(24, 4)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output."""
        states, _ = self.body(self.words(ids))
        return self.head(states[:, -1]), states


def _ids() -> Tensor:
    return torch.randint(0, 30, (SAMPLES, 7))


class Passing(nn.Module):
    """Passes whatever it gets to the network inside."""

    def __init__(self, inside: nn.Module) -> None:
        """Keep the network."""
        super().__init__()
        self.inside = inside

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the output of the network inside."""
        return self.inside(*args, **kwargs)


def _resnet() -> nn.Module:
    return torchvision.models.resnet18(num_classes=10)


def _bert() -> nn.Module:
    return hf.BertForSequenceClassification(hf.BertConfig(**_BERT))


def _passing(build: Any) -> nn.Module:  # noqa: ANN401
    return Passing(build())


def _parallel() -> nn.Module:
    return nn.DataParallel(_resnet())


def _compiled() -> nn.Module:
    return torch.compile(_resnet())  # pyright: ignore[reportReturnType]


def _segmenter(kind: str, **options: Any) -> nn.Module:  # noqa: ANN401
    build = getattr(smp, kind)
    return build("resnet18", encoder_weights=None, classes=4, **options)


_SMP = "segmentation_models_pytorch"
OTHERS = (
    Entry("GCNConv, graphs as samples", "torch_geometric", 3,
          partial(GraphClassifier, gnn.GCNConv), _graph_evaluation),
    Entry("SAGEConv, graphs as samples", "torch_geometric", 3,
          partial(GraphClassifier, gnn.SAGEConv), _graph_evaluation),
    Entry("DenseGCNConv, DenseSAGEConv", "torch_geometric", 2, DenseGraphs, _dense_graphs),
    Entry("UNet2DModel", "diffusers", 2, _unet, _noised, "mse", attack=True, output="sample"),
    Entry("AutoencoderKL", "diffusers", 2, _autoencoder, images(16), "mse", attack=True,
          output="sample"),
    *(Entry(kind, _SMP, 2, partial(_segmenter, kind), images(32), "mean_iou", attack=True)
      for kind in ("Unet", "FPN", "DeepLabV3Plus")),
    Entry("LoRA on BERT", "peft", 2, partial(_lora, "bert"), tokens),
    Entry("LoRA on GPT-2", "peft", 2, partial(_lora, "gpt2"), tokens, "perplexity"),
    Entry("LightningModule", "lightning", 1, LightningClassifier, images(16), attack=True),
    Entry("nn.Transformer", "torch", 2, Translator, _sentences, "token_accuracy"),
    Entry("nn.LSTM", "torch", 2, partial(Reader, nn.LSTM), _ids),
    Entry("nn.GRU", "torch", 2, partial(Reader, nn.GRU), _ids, "loss"),
    Entry("DataParallel", "torch", 1, _parallel, images(32), attack=True),
    Entry("torch.compile", "torch", 1, _compiled, images(32), attack=True),
    Entry("forward(*args, **kwargs) around ResNet-18", "torch", 1, partial(_passing, _resnet),
          images(32), attack=True),
    Entry("forward(*args, **kwargs) around BERT", "torch", 2, partial(_passing, _bert), tokens),
)  # fmt: skip
