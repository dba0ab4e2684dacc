"""What models of several modalities share: missing modalities, several targets, one network a modality."""

from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn

from ...encode.joint import JointEncoder
from ...errors import InputError, check_range
from ...registry import JOINT
from ...spec import Spec, Target
from ...training.tasks import ExtraTarget, TargetHead, task_of
from ..base import REGISTRY, Batch, Supervised

BRANCHES = {1: "MLP", 2: "CNN1D", 3: "CNN2D", 4: "CNN3D"}  # by the axes of one encoded sample, channels among them


class Fusion(Supervised, abstract=True):
    """A model of several modalities, of which a sample needs to have but one, and of one or more targets.

    Args:
        modality_dropout: Chance of each modality to be hidden in a training step, so that the model gets used to
            samples that lack some (Neverova et al. 2016, doi:10.1109/TPAMI.2015.2461544); at least one is left.
        target_weight: What the loss of the first target is multiplied by; further ones have weights of their own.
        **shared: Arguments of `Supervised` and `Model`.

    Attributes:
        names: The modalities.
        further: Weights of the extra targets, by name.

    Raises:
        InputError: Data of one modality.
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
        """A linear head for each target, from a latent space of this width."""
        self.head, self.target_head.weight = self.new_head(width, self.target), self.target_weight
        also = self.spec.get("also", {})
        self.further = nn.ModuleDict(
            {name: ExtraTarget(name, target, self.new_head(width, target)) for name, target in also.items()}
        )

    def new_head(self, width: int, target: Target) -> nn.Module:
        """From the latent space to the raw outputs of one target."""
        return nn.Linear(width, task_of(target).width(target))

    @property
    def target_heads(self) -> dict[str, TargetHead]:
        """The first target, called "", and the extra ones."""
        extra = cast(dict[str, ExtraTarget], dict(self.further.items()))
        return {"": self.target_head, **{name: target.target_head for name, target in extra.items()}}

    def branch(self, name: str, options: dict[str, Any] | None, usual: dict[str, Any]) -> tuple[nn.Module, int]:
        """A network for one modality, the body of any model of the zoo, and the width of what it puts out.

        Args:
            name: Of the modality.
            options: ``model``, such as ``CNN1D``, and its arguments. Default: an MLP, of sequences, series and images a
                convolutional network.
            usual: Arguments of an MLP, where ``options`` does not say otherwise.

        Raises:
            InputError: No such model, or options that it does not take.
        """
        modality, options = self.spec["modalities"][name], dict(options or {})
        chosen = options.pop("model", BRANCHES[len(self.encode.shapes[name])])
        options = {**usual, **options} if chosen == "MLP" else options
        options = {"encoding": (self.hparams["encoding"] or {}).get(name), **options}  # the body reads what it gives
        if chosen not in REGISTRY or not issubclass(REGISTRY[chosen], Supervised):
            raise InputError(f"branch {name}: {chosen!r} is no model that predicts")
        target = Target(**{**self.target, "unlabelled": False})
        spec = Spec(modalities={name: modality}, target=target, id=self.spec["id"])
        try:
            model = REGISTRY[chosen](spec=spec, **options)
        except TypeError as error:
            raise InputError(f"branch {name}: {str(error).partition('() ')[2]} ({chosen})") from None
        model.fit_encoders(x := model.encode.example(2))
        with torch.no_grad():
            width = model.eval().embed(x).shape[1]
        return model.train().body, width

    def retained(self, measured: Tensor) -> Tensor:
        """Which modalities are looked at: while training some are hidden, ``(batch, modalities)``, the same shape."""
        if not self.training or not self.modality_dropout:
            return measured
        kept = measured * (torch.rand_like(measured) >= self.modality_dropout)
        # A sample that would lose all keeps one of those it has.
        one = torch.zeros_like(measured).scatter_(1, torch.multinomial(measured + 1e-9, 1), 1.0) * measured
        return torch.where(kept.sum(1, keepdim=True) > 0, kept, one)

    def mask_modalities(self, encoded: Tensor) -> Tensor:
        """Encoded samples without the modalities that are hidden, the same shape."""
        kept = self.retained(self.encode.measured(encoded))
        widths = torch.tensor([place.stop - place.start for place in self.encode.places.values()], device=kept.device)
        return torch.cat([encoded[:, : -len(self.names)] * kept.repeat_interleave(widths, 1), kept], 1)

    def prepare(self, data: Any) -> None:
        """As in `Model`; the heads of extra targets learn from their training targets too."""
        super().prepare(data)
        for name, head in self.target_heads.items():
            if name:
                head.fit(data.dataset.also[name][data.dataset.rows("train")])

    def loss(self, batch: Batch) -> Tensor:
        """Losses of all targets, each over the samples that have it."""
        return self.loss_of(self.body(self.mask_modalities(self.encode(batch["x"]))), batch)

    def loss_of(self, z: Tensor, batch: Batch) -> Tensor:
        """The same from places in latent space, ``(batch, latent)``."""
        total = torch.zeros((), device=z.device)
        for name, head in self.target_heads.items():
            weight = None if name else batch.get("weight")  # of the classes of the first target
            total = total + head.weight * self.loss_of_target(head, head.network(z), batch[head.column], weight)
        return total

    def loss_of_target(self, head: TargetHead, output: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss of the samples that have a target, 0 if none has."""
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
        """Predictions of all targets; columns of extra ones begin with their names."""
        heads = self.target_heads
        outputs = raw.split([head.width for head in heads.values()], 1)
        frames = [
            head.prediction_frame(output, index).add_prefix(f"{name}_" if name else "")
            for (name, head), output in zip(heads.items(), outputs, strict=True)
        ]
        return pd.concat(frames, axis=1)

    def collect(self, batch: Batch, batch_idx: int) -> None:
        """Keep places in latent space; metrics of all targets are computed once, on the whole epoch."""
        z = self.embed(batch["x"])
        for head in self.target_heads.values():
            head.outputs.update(z, batch[head.column])

    def tune(self, head: TargetHead, z: Tensor, y: Tensor) -> None:
        """What a head may learn from validation samples, before they are scored; by default nothing."""

    def log_epoch(self, split: str) -> None:
        """Log the sum of the losses, and the headline metric of each target."""
        total, metrics = torch.zeros((), device=self.device), {}
        for name, head in self.target_heads.items():
            z, y = head.outputs.take()
            z = z.float()  # whatever precision the batches had; there is none asked for between them
            known = head.task.labelled(y)
            if split == "validation" and known.any():
                self.tune(head, z[known], y[known])
            output = head.network(z)
            total = total + head.weight * self.loss_of_target(head, output, y)
            if known.any():
                metric = f"{name}_{head.task.headline}" if name else head.task.headline
                metrics[metric] = head.headline_value(output[known], y[known])
        self.log_scores(split, total, **metrics)
