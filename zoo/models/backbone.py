"""Transfer learning: a network of torchvision with a new head."""

from collections.abc import Iterable
from typing import Any, Literal, Self

from torch import Tensor, nn

from ..errors import InputError, check_choice, check_range
from ..spec import output_width
from . import backbone_network
from .backbone_weights import load_pretrained
from .base import MOST_ROWS, MOST_VALUES, Batch
from .convolutional import by, check_images
from .supervised import Supervised


class Resize(nn.Module):
    """Images scaled bilinearly to a square, smoothed before they get smaller.

    Args:
        size: Height and width in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, height, width) -> (batch, channels, size, size)``."""
        return nn.functional.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)


class Backbone(Supervised):
    """A network of torchvision with a new head (by default a ResNet; He et al. 2016, doi:10.1109/CVPR.2016.90).

    Pretrained networks saw images of ImageNet whose channels had mean 0 and standard deviation 1. The encoding brings
    every channel of other images to the same with the statistics of their training rows, whatever their unit, so
    ImageNet's own mean and standard deviation are not used.

    Building a model fetches nothing and reads no file: weights are looked for once, before training.

    Args:
        name: Of the network: resnet18, vgg16, efficientnet_b0, densenet121, convnext_tiny, vit_b_16 and so on; not
            GoogLeNet nor Inception.
        weights: ``"none"``, ``"pretrained"`` (fetched by torchvision), or a file with a state dict of the network
            (``.pth`` or ``.safetensors``). The filters of the first convolution are summed for grey images, or
            repeated and rescaled for other numbers of channels.
        mode: ``"scratch"``: all is trained from random weights. ``"features"``: the network is frozen, its
            normalisations too, and only the head is trained. ``"finetune"``: all is trained, the lower the slower.
        stem: ``"original"``, or ``"small"`` for images of a few dozen pixels: a first convolution of 3 x 3 with stride
            1 and no pooling after it, in ResNets; pretrained filters are scaled down.
        resize: Height and width that images are scaled to inside the model; by default they stay as they are.
        layer_decay: In finetune, the learning rate of each stage is this times the one of the stage above; the head has
            ``lr`` (discriminative fine-tuning; Howard and Ruder 2018, arXiv:1801.06146). A stage is what works at one
            resolution, or a block where resolution stays.
        unfreeze_epochs: In finetune, the head is trained alone at first, and each so many epochs one more stage from
            the top joins it (gradual unfreezing, same paper); 0 trains all at once.
        dropout: Share of the features silenced in each training step, before the head.
        **shared: Arguments of `Supervised` and `Model`.

    Shape:
        ``(batch, *shape) -> (batch, 1 or classes)``

    Raises:
        InputError: Unknown network, arguments that exclude each other, or images that the network cannot take.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str = "none",
        mode: Literal["features", "finetune", "scratch"] = "scratch",
        stem: Literal["original", "small"] = "original",
        resize: int | None = None,
        layer_decay: float = 0.5,
        unfreeze_epochs: int = 0,
        dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_choice("backbone", name, backbone_network.names())
        check_choice("mode", mode, ["features", "finetune", "scratch"])
        check_choice("stem", stem, ["original", "small"])
        if (mode == "scratch") != (weights == "none"):
            raise InputError(
                "mode 'scratch' starts from random weights: leave out model.weights, or choose features or finetune"
                if mode == "scratch"
                else f"mode {mode!r} needs model.weights: pretrained, or a file; from random weights choose scratch"
            )
        for argument, value in {"layer_decay": layer_decay, "dropout": dropout}.items():
            check_range(argument, value, 0, 1)
        check_range("unfreeze_epochs", unfreeze_epochs, 0)
        if resize is not None:
            check_range("resize", resize, 1)
        check_images(self)
        channels, *sizes = self.encode.out_shape
        sizes = [resize, resize] if resize else sizes
        network = backbone_network.build(name, channels, stem)
        try:
            _, width = backbone_network.output_shape(network, (1, channels, *sizes))
        except (RuntimeError, AssertionError, ValueError) as error:
            why = " ".join(str(error).split())[:120]
            raise InputError(f"{name} cannot take images of {by(sizes)} ({why}); set resize, such as 224") from None
        self.body = nn.Sequential()
        if resize:
            self.body.add_module("resize", Resize(resize))
        self.body.add_module("network", network)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, output_width(self.target)))
        self.frozen = 0  # stages, from the lowest; training sets it

    def fit_encoders(self, x: Tensor, y: Tensor | None = None) -> None:
        """As in `Supervised`; pretrained weights are looked for here."""
        super().fit_encoders(x, y)
        if (weights := self.hparams["weights"]) != "none":
            load_pretrained(self.backbone, self.hparams["name"], weights)

    @property
    def rows_at_once(self) -> int:
        """As in `Model`, of the images after they were scaled."""
        size: int | None = self.hparams["resize"]
        if size is None:
            return super().rows_at_once
        return max(1, min(MOST_ROWS, MOST_VALUES // (self.encode.out_shape[0] * size**2)))

    @property
    def backbone(self) -> nn.Module:
        """The network of torchvision, from images to features."""
        return self.body.get_submodule("network")

    @property
    def last_convolution(self) -> nn.Module:
        """The last block that convolves, ``(batch, filters, height, width)``, which Grad-CAM reads.

        Of a transformer this is the first layer, which shows little.
        """
        blocks = [block for stage in backbone_network.stages(self.backbone) for block in stage]
        return [block for block in blocks if any(isinstance(layer, nn.Conv2d) for layer in block.modules())][-1]

    def frozen_at(self, epoch: int) -> int:
        """Number of stages, counted from the lowest, that are not trained in this epoch."""
        mode, every = self.hparams["mode"], self.hparams["unfreeze_epochs"]
        count = len(backbone_network.stages(self.backbone))
        if mode == "features":
            return count
        return max(0, count - epoch // every) if mode == "finetune" and every else 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """As in `Model`, after freezing what the epoch asks for (Lightning skips other hooks after a resume)."""
        if batch_idx == 0:
            self.freeze_stages(self.frozen_at(self.current_epoch))
        return super().training_step(batch, batch_idx)

    def freeze_stages(self, count: int) -> None:
        """Train all but this many of the lowest stages, whose normalisations and dropout stay as in evaluation."""
        self.frozen = count
        for number, weights in enumerate(backbone_network.weights_of(self.backbone)):
            for weight in weights:
                weight.requires_grad_(number >= count)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As of every module, but frozen stages stay in evaluation mode."""
        super().train(mode)
        for stage in backbone_network.stages(self.backbone)[: self.frozen]:
            for block in stage:
                block.eval()
        return self

    def parameter_groups(self) -> Iterable[nn.Parameter] | list[dict[str, Any]]:
        """All weights from scratch; in finetune a learning rate for each stage, in features the head alone."""
        h = self.hparams
        if h["mode"] == "scratch":
            return super().parameter_groups()
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": h["lr"]}]
        if h["mode"] == "finetune":
            for weights in reversed(backbone_network.weights_of(self.backbone)):
                groups.append({"params": weights, "lr": groups[-1]["lr"] * h["layer_decay"]})
        return groups
