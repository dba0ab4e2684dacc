"""ViTGAN: generative adversarial network of images with vision transformers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import InputError, check_range
from ..layers import by
from .generative import Projection
from .image_gan import ImageGAN, Within

EMBEDDING = 16  # dimensions of the class embedding of the generator
DEVIATION = 0.02  # standard deviation of initial position embeddings


class SelfModulated(nn.Module):
    """Layer normalisation whose scale and shift depend on the noise (Chen et al. 2019, arXiv:1810.01365).

    Args:
        width: Dimensions of a token.
        condition: Dimensions of the condition, of which scale and shift are linear functions; 0 for plain layer
            normalisation with trained scale and shift.

    Shape:
        ``(batch, tokens, width), (batch, condition) -> (batch, tokens, width)``
    """

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=not condition)
        self.modulation = nn.Linear(condition, 2 * width) if condition else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Normalise; 1 is added to the scale, so that the layer initially is close to plain normalisation."""
        x = self.norm(x)
        if self.modulation is None:
            return x
        scale, shift = self.modulation(condition).unsqueeze(1).chunk(2, 2)
        return x * (1 + scale) + shift  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Multi-head self-attention with dot products or distances.

    Args:
        width: Dimensions of a token.
        heads: Number of heads.
        by_distance: Attention logits are minus the squared Euclidean distance, with one projection for query and key,
            which bounds the Lipschitz constant of the layer (Kim et al. 2021, arXiv:2006.04710).

    Shape:
        ``(batch, tokens, width) ->`` the same
    """

    def __init__(self, width: int, heads: int, by_distance: bool) -> None:
        super().__init__()
        self.heads, self.by_distance = heads, by_distance
        self.project, self.out = nn.Linear(width, (2 if by_distance else 3) * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attention over all tokens."""
        parts = self.project(x).chunk(2 if self.by_distance else 3, 2)
        heads = [part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts]
        if self.by_distance:
            query, value = heads
            square = query.square().sum(3)
            distance = square.unsqueeze(3) + square.unsqueeze(2) - 2 * query @ query.transpose(2, 3)
            attended = (-distance / query.shape[3] ** 0.5).softmax(3) @ value
        else:
            attended = F.scaled_dot_product_attention(*heads)
        return self.out(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Transformer block: attention, then a two-layer network, each with pre-normalisation and residual connection.

    Args:
        width: Dimensions of a token.
        heads: Number of attention heads.
        condition: Dimensions of the condition that modulates the normalisation, in the generator; 0 in the
            discriminator, whose attention is by distance.

    Shape:
        ``(batch, tokens, width), (batch, condition) -> (batch, tokens, width)``
    """

    def __init__(self, width: int, heads: int, condition: int = 0) -> None:
        super().__init__()
        self.before, self.between = SelfModulated(width, condition), SelfModulated(width, condition)
        self.attention = Attention(width, heads, by_distance=not condition)
        self.dense = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Apply attention and dense layers."""
        x = x + self.attention(self.before(x, condition))
        return x + self.dense(self.between(x, condition))  # type: ignore[no-any-return]


class PatchGenerator(nn.Module):
    """Generator: transforms trained position embeddings to patches; noise and class modulate each normalisation.

    Shape:
        ``(batch, noise), (batch,) -> (batch, *shape)``
    """

    def __init__(
        self, noise: int, classes: int, shape: tuple[int, ...], patch: int, width: int, depth: int, heads: int
    ) -> None:
        super().__init__()
        channels, *size = shape
        self.grid = [length // patch for length in size]
        self.classes = nn.Embedding(classes, EMBEDDING) if classes else None
        condition = noise + (EMBEDDING if classes else 0)
        self.mapping = nn.Sequential(nn.Linear(condition, width), nn.GELU(), nn.Linear(width, width))
        self.places = nn.Parameter(DEVIATION * torch.randn(self.grid[0] * self.grid[1], width))
        self.blocks = nn.ModuleList(Block(width, heads, width) for _ in range(depth))
        self.norm, self.pixels = SelfModulated(width, width), nn.Linear(width, channels * patch * patch)
        self.joined, self.within = nn.PixelShuffle(patch), Within(channels)

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Generate images; ``label`` is None without classes."""
        if self.classes is not None:
            noise = torch.cat([noise, self.classes(label)], 1)
        condition = self.mapping(noise)
        x = self.places.expand(len(noise), -1, -1)
        for block in self.blocks:
            x = block(x, condition)
        patches = self.pixels(self.norm(x, condition)).transpose(1, 2).unflatten(2, self.grid)
        return self.within(self.joined(patches))  # type: ignore[no-any-return]


class PatchTrunk(nn.Module):
    """Encoded images to features: a vision transformer over overlapping patches, with attention by distance.

    Shape:
        ``(batch, *shape) -> (batch, width)``
    """

    def __init__(self, shape: tuple[int, ...], patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        overlap = patch // 2
        self.patches = nn.Conv2d(channels, width, patch + 2 * overlap, patch, overlap)
        self.places = nn.Parameter(DEVIATION * torch.randn(1 + height * breadth // patch**2, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the class token."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = F.pad(patches, (0, 0, 1, 0)) + self.places  # the class token is its position embedding only
        return self.norm(self.blocks(tokens))[:, 0]  # type: ignore[no-any-return]


class ViTGAN(ImageGAN):
    """A small GAN of vision transformers after Lee et al. (2021, arXiv:2107.04589), conditional on the class.

    As in the paper, the input of the generator are position embeddings and the noise enters through self-modulated
    layer normalisation; the discriminator has overlapping patches, a class token and attention by distance; images can
    be augmented (``diff_augment``). Unlike in the paper, the discriminator is regularised by a ``gradient_penalty``
    instead of spectral normalisation, the pixels of a patch are a linear function of its token instead of an implicit
    neural representation, and there is no consistency regularisation. The class enters as in `DCGAN`.

    Args:
        patch: Height and width of a patch in pixels; must divide those of the images.
        width: Dimensions of a token.
        depth: Number of blocks of each network.
        heads: Number of attention heads; must divide the width.
        **shared: Arguments of `ImageGAN`, `Generative`, `Adversarial` and `Model`.

    Raises:
        InputError: The samples are not images, the patch does not divide their size, or the heads do not divide the
            width.

    Shape:
        ``(batch, channels, height, width) -> (batch, 1)``, the score of the discriminator
    """

    def __init__(self, patch: int = 2, width: int = 64, depth: int = 2, heads: int = 4, **shared: Any) -> None:
        super().__init__(**shared)
        for name, value in {"patch": patch, "width": width, "depth": depth, "heads": heads}.items():
            check_range(name, value, 1)
        shape = self.encode.out_shape
        if any(length % patch for length in shape[1:]):
            fitting = [str(k) for k in range(1, min(shape[1:]) + 1) if not any(length % k for length in shape[1:])]
            raise InputError(
                f"patch {patch} does not divide images of {by(shape[1:])}; these do: {', '.join(fitting)}; or scale "
                "the images with data.size"
            )
        if width % heads:
            raise InputError(f"{heads} heads do not divide a width of {width}; give a multiple of {heads}")
        self.set_networks(
            PatchGenerator(self.noise, self.classes, shape, patch, width, depth, heads),
            Projection(PatchTrunk(shape, patch, width, depth, heads), width, self.classes),
        )
