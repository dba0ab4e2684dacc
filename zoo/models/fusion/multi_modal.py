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

SHRINKAGE = 0.01  # towards equal weights of late fusion: validation samples may be few


class Branches(nn.Module):
    """One network a modality, side by side; what stands for one that was not measured is learnt.

    Attributes:
        branches: The network of each modality.
        widths: Width of what each puts out.
        joined: All of them side by side, then whether each was measured; it changes nothing, but gives them a name.

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
        """Latent spaces of the modalities, where they were measured."""
        measured = encoded[:, -len(self.branches) :]
        latents = []
        for number, (name, network) in enumerate(self.branches.items()):
            z = network(encoded[:, self.places[name]].unflatten(1, self.shapes[name]))
            latents.append(torch.where(measured[:, number, None] > 0, z, self.absent[number]))
        return self.joined(torch.cat([*latents, measured], 1))  # type: ignore[no-any-return]


class LateHead(nn.Module):
    """One linear predictor a modality, whose answers are averaged with weights, over those that were measured.

    Args:
        widths: Of the latent spaces of the modalities.
        target: Classes: probabilities are averaged. Numbers and log hazards: they are averaged themselves.

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
        """Raw outputs of each modality ``(batch, modalities, outputs)``, and whether it was measured."""
        latents = z[:, : sum(self.widths)].split(self.widths, 1)
        outputs = [predictor(latent) for predictor, latent in zip(self.predictors, latents, strict=True)]
        return torch.stack(outputs, 1), z[:, sum(self.widths) :]

    def forward(self, z: Tensor) -> Tensor:
        """The average as a raw output: log odds, or logarithms of probabilities, of classes."""
        return self.average(*self.each(z), self.weights)

    def average(self, outputs: Tensor, measured: Tensor, weights: Tensor) -> Tensor:
        """The same with these logarithms of weights."""
        share = measured * weights.exp()
        share = (share / share.sum(1, keepdim=True).clamp(min=1e-9)).unsqueeze(2)
        if not self.target["classes"]:
            return (share * outputs).sum(1)
        each = probabilities(outputs.transpose(1, 2), self.target).transpose(1, 2)
        mean = (share * each).sum(1).clamp(1e-7, 1 - 1e-7)
        return mean[:, 1:].logit() if len(self.target["classes"]) == 2 else mean.log()


class MultiModal(Fusion):
    """Several modalities in one model (Ramachandram and Taylor 2017, doi:10.1109/MSP.2017.2738401).

    Early fusion joins the encoded modalities, joint fusion the latent spaces of one network a modality, trained
    together, and late fusion the answers of one model a modality, with weights learnt on the validation samples (so
    that validation scores flatter it a little). Mixed fusion is the model `CustOmics`.

    Args:
        fusion: early, joint or late.
        branches: What reads a modality: options by its name, as in ``{rna: {hidden: [128]}, scan: {model: CNN2D}}``.
            Any model of the zoo that predicts can be one, without its head. Default: an MLP with the ``hidden``,
            ``activation``, ``normalisation`` and ``dropout`` of the model, of sequences, series and images a CNN.
        hidden: Width of each hidden layer of a branch (early: before ``fused``).
        fused: Width of each layer behind the join of early and joint fusion.
        activation: Of all dense layers, see `MLP`.
        normalisation: none, batch or layer.
        dropout: Share of hidden units silenced in each training step.
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
            raise InputError("mixed fusion is the model CustOmics: --model CustOmics")
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
        """As in `Fusion`; of late fusion one predictor a modality."""
        return LateHead(self.widths, target) if self.fusion == "late" else super().new_head(width, target)

    def loss_of(self, z: Tensor, batch: Batch) -> Tensor:
        """As in `Fusion`; of late fusion the sum of the losses of the modalities, each where it was measured."""
        if self.fusion != "late":
            return super().loss_of(z, batch)
        total = torch.zeros((), device=z.device)
        for name, head in self.target_heads.items():
            outputs, measured = cast(LateHead, head.network).each(z)
            for number in range(len(self.names)):
                if (rows := measured[:, number] > 0).any():
                    given = None if name or "weight" not in batch else batch["weight"][rows]
                    y = batch[head.column][rows]
                    total = total + head.weight * self.loss_of_target(head, outputs[rows, number], y, given)
        return total

    def tune(self, head: TargetHead, z: Tensor, y: Tensor) -> None:
        """Weights of late fusion: those with the smallest loss on the validation samples."""
        if self.fusion != "late":
            return
        from scipy.optimize import minimize

        late = cast(LateHead, head.network)
        outputs, measured = (values.double() for values in late.each(z))
        truth = y.double() if y.is_floating_point() else y

        def loss(weights: np.ndarray) -> float:
            output = late.average(outputs, measured, torch.from_numpy(weights).to(outputs))
            return float(head.loss(output, truth).mean()) + SHRINKAGE * float(np.square(weights).sum())

        found = minimize(loss, np.zeros(len(self.names)), method="L-BFGS-B", bounds=[(-5, 5)] * len(self.names))
        late.weights.copy_(torch.from_numpy(found.x - found.x.max()))
