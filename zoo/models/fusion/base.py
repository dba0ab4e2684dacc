"""Base class of models of several modalities: missing modalities, several targets, one branch per modality."""

from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn

from ...encode.joint import JointEncoder
from ...errors import InputError, check_range
from ...registry import JOINT
from ...schema import check, check_arguments
from ...spec import Spec, Target
from ...training.tasks import ExtraTarget, TargetHead, task_of
from ..base import REGISTRY, Batch, Supervised

BRANCHES = {1: "MLP", 2: "CNN1D", 3: "CNN2D", 4: "CNN3D"}  # by the number of axes of an encoded sample, with channels


class Fusion(Supervised, abstract=True):
    """A model of several modalities and one or more targets; a sample needs at least one measured modality.

    Args:
        modality_dropout: Probability that a modality of a sample is set to missing in a training step, which makes the
            model robust to missing modalities (Neverova et al. 2016, doi:10.1109/TPAMI.2015.2461544); at least one
            modality of each sample is retained.
        target_weight: Weight of the loss of the first target; extra targets have weights of their own.
        **shared: Arguments of `Supervised` and `Model`.

    Attributes:
        names: Names of the modalities.
        further: Modules of the extra targets, by name.

    Raises:
        InputError: The data have one modality only.
    """

    modalities = (JOINT,)
    several_targets = True
    encode: JointEncoder

    def __init__(self, modality_dropout: float = 0.2, target_weight: float = 1.0, **shared: Any) -> None:
        check_range("modality_dropout", modality_dropout, 0, 0.99)
        check_range("target_weight", target_weight, 0)
        super().__init__(**shared)
        self.modality_dropout, self.target_weight = modality_dropout, target_weight
        self.names = list(self.encode.layers)

    def make_heads(self, width: int) -> None:
        """Create a head for each target, from a latent space of this width."""
        self.head, self.target_head.weight = self.new_head(width, self.target), self.target_weight
        also = self.spec.get("also", {})
        self.further = nn.ModuleDict(
            {name: ExtraTarget(name, target, self.new_head(width, target)) for name, target in also.items()}
        )

    def new_head(self, width: int, target: Target) -> nn.Module:
        """A new head, from the latent space to the raw outputs of one target; linear by default."""
        return nn.Linear(width, task_of(target).width(target))

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """Heads of the first target, under the name "", and of the extra targets, by name."""
        extra = cast(dict[str, ExtraTarget], dict(self.further.items()))
        return {"": self.target_head, **{name: target.target_head for name, target in extra.items()}}

    def branch(self, name: str, options: dict[str, Any] | None, usual: dict[str, Any]) -> tuple[nn.Module, int]:
        """The branch of one modality, which is the body of a model of the zoo, and the width of its output.

        Args:
            name: Name of the modality.
            options: ``model``, such as ``CNN1D``, and its arguments. Default: an MLP, or a convolutional network for
                sequences, series and images.
            usual: Default arguments of an MLP; ``options`` take precedence.

        Raises:
            InputError: The model or one of its options is unknown.
        """
        check(options, dict[str, Any] | None, f"branch {name}")
        modality, options = self.spec["modalities"][name], dict(options or {})
        chosen = options.pop("model", BRANCHES[len(self.encode.shapes[name])])
        check(chosen, str, f"branch {name}: model")
        options = {**usual, **options} if chosen == "MLP" else options
        options = {"encoding": (self.hparams["encoding"] or {}).get(name), **options}  # same input shape as in `encode`
        if chosen not in REGISTRY or not issubclass(REGISTRY[chosen], Supervised):
            raise InputError(f"branch {name}: {chosen!r} is not a model that predicts a target")
        target = Target(**{**self.target, "unlabelled": False})
        spec = Spec(modalities={name: modality}, target=target, id=self.spec["id"])
        check_arguments(REGISTRY[chosen], {"spec": spec, **options}, f"branch {name} ({chosen})")
        model = REGISTRY[chosen](spec=spec, **options)
        with torch.no_grad():
            width = model.eval().body(torch.zeros(2, *model.encode.out_shape)).shape[1]
        return model.train().body, width

    def retained(self, measured: Tensor) -> Tensor:
        """Mask of the modalities that are used; in training it applies modality dropout: ``(batch, modalities)``."""
        if not self.training or not self.modality_dropout:
            return measured
        retained = measured * (torch.rand_like(measured) >= self.modality_dropout)
        # A sample that would lose all its modalities retains one of them.
        one = torch.zeros_like(measured).scatter_(1, torch.multinomial(measured + 1e-9, 1), 1.0) * measured
        return torch.where(retained.sum(1, keepdim=True) > 0, retained, one)

    def mask_modalities(self, encoded: Tensor) -> Tensor:
        """Encoded samples with dropped modalities set to zero, the same shape."""
        retained = self.retained(self.encode.measured(encoded))
        spans = [place.stop - place.start for place in self.encode.places.values()]
        widths = torch.tensor(spans, device=retained.device)
        return torch.cat([encoded[:, : -len(self.names)] * retained.repeat_interleave(widths, 1), retained], 1)

    def prepare(self, data: Any) -> None:
        """As in `Model`; also fits the statistics of the extra targets."""
        super().prepare(data)
        for name, head in self.target_heads.items():
            if name:
                head.fit(data.dataset.also[name][data.dataset.rows("train")])

    def loss(self, batch: Batch) -> Tensor:
        """Weighted sum of the losses of all targets, each a mean over its labelled samples."""
        return self.loss_of(self.body(self.mask_modalities(self.encode(batch["x"]))), batch)

    def loss_of(self, z: Tensor, batch: Batch) -> Tensor:
        """As `loss`, from latent coordinates, ``(batch, latent)``."""
        total = torch.zeros((), device=z.device)
        for name, head in self.target_heads.items():
            weight = None if name else batch.get("weight")  # class weights of the first target
            total = total + head.weight * self.loss_of_target(head, head.network(z), batch[head.column], weight)
        return total

    def loss_of_target(self, head: TargetHead, output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss of the labelled samples, 0 if there are none."""
        if head.target.get("unlabelled"):
            if not (known := head.task.labelled(y)).any():
                return output.sum() * 0.0
            output, y, weight = output[known], y[known], None if weight is None else weight[known]
        rows = head.loss(output, y)
        return (rows * weight).mean() if weight is not None else rows.mean()

    def raw_predictions(self, x: Tensor) -> Tensor:
        """Raw outputs of all targets: ``(batch, outputs)``."""
        z = self.embed(x)
        return torch.cat([head.network(z) for head in self.target_heads.values()], 1)

    def prediction_frame(self, raw: Tensor, index: pd.Index) -> pd.DataFrame:
        """A table with the predictions of all targets; columns of extra targets begin with their names."""
        heads = self.target_heads
        outputs = raw.split([head.width for head in heads.values()], 1)
        frames = [
            head.prediction_frame(output, index).add_prefix(f"{name}_" if name else "")
            for (name, head), output in zip(heads.items(), outputs, strict=True)
        ]
        return pd.concat(frames, axis=1)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Store latent coordinates; metrics of all targets are computed once, over the whole epoch."""
        z = self.embed(batch["x"])
        for head in self.target_heads.values():
            head.outputs.update(z, batch[head.column])

    def tune(self, head: TargetHead, z: Tensor, y: Tensor) -> None:
        """Fit a head to validation samples before they are scored; does nothing by default."""

    def log_epoch(self, split: str) -> None:
        """Log the sum of the losses, and the headline metric of each target."""
        total, metrics = torch.zeros((), device=self.device), {}
        for name, head in self.target_heads.items():
            z, y = head.outputs.take()
            z = z.float()  # batches may be in half precision, but autocast is off here
            known = head.task.labelled(y)
            if split == "validation" and known.any():
                self.tune(head, z[known], y[known])
            output = head.network(z)
            total = total + head.weight * self.loss_of_target(head, output, y)
            if known.any():
                metric = f"{name}_{head.task.headline}" if name else head.task.headline
                metrics[metric] = head.headline_value(output[known], y[known])
        self.log_scores(split, total, **metrics)
