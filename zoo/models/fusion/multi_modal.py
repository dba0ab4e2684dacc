"""Early, joint and late fusion of several modalities."""

from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from ...encode.joint import JointEncoder
from ...errors import InputError, check_choice, suggest
from ...spec import Target
from ...training.tasks import TargetHead, task_of
from ...training.tasks.classes import probabilities
from ..base import Batch
from ..layers import Activation, Normalisation, dense_layers
from .base import Fusion

SHRINKAGE = 0.01  # of the weights of late fusion towards equal weights, for few validation samples


class Branches(nn.Module):
    """One network per modality; a trained vector replaces the output of a missing modality.

    Attributes:
        branches: The network of each modality.
        widths: Width of the output of each network.
        absent: Trained vector of each modality.
        joined: Identity layer, by whose name the concatenated outputs and the mask of measured modalities can be
            accessed.

    Shape:
        ``(batch, encoded) -> (batch, sum of widths + modalities)``
    """

    def __init__(self, encode: JointEncoder, networks: dict[str, tuple[nn.Module, int]]) -> None:
        super().__init__()
        self.places, self.shapes = encode.places, encode.shapes
        self.widths = [width for _, width in networks.values()]
        self.branches = nn.ModuleDict({name: network for name, (network, _) in networks.items()})
        self.absent = nn.ParameterList([torch.zeros(width) for width in self.widths])
        self.joined = nn.Identity()

    def forward(self, encoded: Tensor) -> Tensor:
        """Concatenated outputs of the networks, then the mask of measured modalities."""
        measured = encoded[:, -len(self.branches) :]
        latents = []
        for number, (name, network) in enumerate(self.branches.items()):
            z = network(encoded[:, self.places[name]].unflatten(1, self.shapes[name]))
            latents.append(torch.where(measured[:, number, None] > 0, z, self.absent[number]))
        return self.joined(torch.cat([*latents, measured], 1))  # type: ignore[no-any-return]


class LateHead(nn.Module):
    """One linear predictor per modality; the prediction is a weighted mean over the measured modalities.

    Args:
        widths: Widths of the latent spaces of the modalities.
        target: The target. For classes the probabilities are averaged, for continuous targets and survival the raw
            outputs.

    Attributes:
        weights: Logarithms of the weights of the modalities, ``shape=(modalities,)``.

    Shape:
        ``(batch, sum of widths + modalities) -> (batch, 1 or classes)``
    """

    weights: Tensor

    def __init__(self, widths: list[int], target: Target) -> None:
        super().__init__()
        self.widths, self.target = widths, target
        self.predictors = nn.ModuleList([nn.Linear(width, task_of(target).width(target)) for width in widths])
        self.register_buffer("weights", torch.zeros(len(widths)))

    def each(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Raw outputs of each modality ``(batch, modalities, outputs)``, and the mask of measured modalities."""
        latents = z[:, : sum(self.widths)].split(self.widths, 1)
        outputs = [predictor(latent) for predictor, latent in zip(self.predictors, latents, strict=True)]
        return torch.stack(outputs, 1), z[:, sum(self.widths) :]

    def forward(self, z: Tensor) -> Tensor:
        """The weighted mean as a raw output; for classes log-odds, or logarithms of probabilities."""
        return self.average(*self.each(z), self.weights)

    def average(self, outputs: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
        """The weighted mean of raw outputs, with the given logarithms of weights."""
        share = measured * weights.exp()
        share = (share / share.sum(1, keepdim=True).clamp(min=1e-9)).unsqueeze(2)
        if not self.target["classes"]:
            return (share * outputs).sum(1)
        each = probabilities(outputs.transpose(1, 2), self.target).transpose(1, 2)
        mean = (share * each).sum(1).clamp(1e-7, 1 - 1e-7)
        return mean[:, 1:].logit() if len(self.target["classes"]) == 2 else mean.log()


class MultiModal(Fusion):
    """Several modalities in one model (Ramachandram and Taylor 2017, doi:10.1109/MSP.2017.2738401).

    Early fusion concatenates the encoded modalities; joint fusion concatenates the latent spaces of one network per
    modality, trained together; late fusion averages the predictions of one model per modality, with weights fitted to
    the validation samples (so that its validation scores are slightly optimistic). Mixed fusion is the model
    `CustOmics`.

    Args:
        fusion: early, joint or late.
        branches: Options of the branch of each modality, as in ``{rna: {hidden: [128]}, scan: {model: CNN2D}}``. The
            body of any model of the zoo that predicts a target can be a branch. Default: an MLP with the ``hidden``,
            ``activation``, ``normalisation`` and ``dropout`` of this model, or a CNN for sequences, series and images.
        hidden: Width of each hidden layer of a branch (early fusion: before ``fused``).
        fused: Width of each layer after the concatenation of early and joint fusion.
        activation: Activation of all dense layers, see `MLP`.
        normalisation: none, batch or layer.
        dropout: Dropout rate of hidden layers.
        **shared: Arguments of `Fusion`, `Supervised` and `Model`.

    Shape:
        ``{name: (batch, *shape)} -> (batch, 1 or classes)``
    """

    def __init__(
        self,
        fusion: Literal["early", "joint", "late"] = "joint",
        branches: dict[str, Any] | None = None,
        hidden: list[int] = [64],  # noqa: B006 (never changed; shown by --help)
        fused: list[int] = [32],  # noqa: B006
        activation: Activation = "relu",
        normalisation: Normalisation = "none",
        dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if str(fusion) == "mixed":
            raise InputError("for mixed fusion use the model CustOmics: --model CustOmics")
        check_choice("fusion", fusion, ["early", "joint", "late"])
        self.fusion = fusion
        if fusion == "early":
            if branches:
                raise InputError("early fusion has no branches; leave them out, or choose fusion: joint")
            sizes = [self.encode.out_features, *hidden, *fused]
            self.body: nn.Module = dense_layers(sizes, activation, normalisation, dropout)
            self.make_heads(sizes[-1])
            return
        usual = {"hidden": hidden, "activation": activation, "normalisation": normalisation, "dropout": dropout}
        for name in branches or {}:
            if name not in self.names:
                raise InputError(f"branches: the data have no modality {name!r}; {suggest(name, self.names)}")
        networks = {name: self.branch(name, (branches or {}).get(name), usual) for name in self.names}
        joined = Branches(self.encode, networks)
        self.widths = joined.widths
        if fusion == "late":
            self.body = joined
            self.make_heads(sum(self.widths))
            return
        sizes = [sum(self.widths) + len(self.names), *fused]
        self.body = nn.Sequential()
        self.body.add_module("each", joined)
        self.body.add_module("fused", dense_layers(sizes, activation, normalisation, dropout))
        self.make_heads(sizes[-1])

    def new_head(self, width: int, target: Target) -> nn.Module:
        """As in `Fusion`; for late fusion one linear predictor per modality."""
        return LateHead(self.widths, target) if self.fusion == "late" else super().new_head(width, target)

    def loss_of(self, z: Tensor, batch: Batch) -> Tensor:
        """As in `Fusion`; for late fusion the sum of the losses of the modalities, each over its measured samples."""
        if self.fusion != "late":
            return super().loss_of(z, batch)
        total = torch.zeros((), device=z.device)
        for name, head in self.target_heads.items():
            outputs, measured = cast(LateHead, head.network).each(z)
            for number in range(len(self.names)):
                if (rows := measured[:, number] > 0).any():
                    weight = None if name or "weight" not in batch else batch["weight"][rows]
                    y = batch[head.column][rows]
                    total = total + head.weight * self.loss_of_target(head, outputs[rows, number], y, weight)
        return total

    def tune(self, head: TargetHead, z: Tensor, y: Tensor) -> None:
        """Fit the weights of late fusion: those with the smallest loss on the validation samples."""
        if self.fusion != "late":
            return
        from scipy.optimize import minimize

        late = cast(LateHead, head.network)
        outputs, measured = (values.double() for values in late.each(z))
        truth = y.double() if y.is_floating_point() else y

        def loss(weights: np.ndarray) -> float:
            output = late.average(outputs, measured, torch.from_numpy(weights).to(outputs))
            return float(head.loss(output, truth).mean()) + SHRINKAGE * float(np.square(weights).sum())

        optimum = minimize(loss, np.zeros(len(self.names)), method="L-BFGS-B", bounds=[(-5, 5)] * len(self.names))
        late.weights.copy_(torch.from_numpy(optimum.x - optimum.x.max()))
