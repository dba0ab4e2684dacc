"""One-hot encoding of DNA."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import check_choice
from ..spec import Modality
from .base import Encoder
from .dna import UNKNOWN, random_codes
from .kinds import layer

BASES = [
    "A",
    "C",
    "G",
    "T",
    "ACGT",
    "AG",
    "CT",
    "CG",
    "AT",
    "GT",
    "AC",
    "CGT",
    "AGT",
    "ACT",
    "ACG",
]  # bases of each letter of dna.LETTERS


def probabilities(unknown: Literal["zeros", "uniform"] = "zeros") -> Tensor:
    """Probabilities of A, C, G and T for each code, ``shape=(15, 4)``; N has zeros or 0.25 each."""
    table = torch.tensor([[(base in bases) / len(bases) for base in "ACGT"] for bases in BASES])
    if unknown == "zeros":
        table[UNKNOWN] = 0.0
    return table


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """One-hot DNA in the order A, C, G, T; an N is four zeros.

    Args:
        codes: uint8, ``shape=(batch, length)``.
        dtype: torch.float32, with probabilities for ambiguous letters, or torch.uint8, with zeros for them.

    Returns:
        ``shape=(batch, 4, length)``; the four values of a base are adjacent in memory.

    Example:
        >>> from .dna import dna_codes
        >>> one_hot(dna_codes(["ACN"]), torch.uint8)
        tensor([[[1, 0, 0],
                 [0, 1, 0],
                 [0, 0, 0],
                 [0, 0, 0]]], dtype=torch.uint8)
    """
    table = probabilities().to(codes.device)
    if dtype == torch.uint8:  # four bytes are copied as one number
        packed = (table == 1).to(torch.uint8).view(torch.int32).squeeze(1)
        return packed.index_select(0, codes.reshape(-1).int()).view(torch.uint8).view(*codes.shape, 4).transpose(1, 2)
    return F.embedding(codes.int(), table.to(dtype)).transpose(1, 2)


@layer("sequence", "one-hot", default=True)
class OneHotDNA(Encoder):
    """One-hot DNA, computed on the model's device; it has no statistics to fit.

    Args:
        modality: Length of the sequences.
        code: ``"one-hot"``: channels A, C, G, T. ``"full-rank"``: channels A, C, G, and zeros for T, so that the
            channels of a base do not sum to one (for linear models with interpretable coefficients).
        unknown: Encoding of N: ``"zeros"``, or ``"uniform"``, 0.25 each. Other ambiguous letters are encoded as
            probabilities.

    Shape:
        uint8 ``(batch, length) -> (batch, 4 or 3, length)``

    Example:
        >>> from .dna import dna_codes
        >>> layer = OneHotDNA({"kind": "sequence", "shape": [3], "features": ["sequence"]}, unknown="uniform")
        >>> layer(dna_codes(["ARN"]))[0].T
        tensor([[1.0000, 0.0000, 0.0000, 0.0000],
                [0.5000, 0.0000, 0.5000, 0.0000],
                [0.2500, 0.2500, 0.2500, 0.2500]])
    """

    table: Tensor
    letters, axis = "ACGT", "base"

    def __init__(
        self,
        modality: Modality,
        code: Literal["one-hot", "full-rank"] = "one-hot",
        unknown: Literal["zeros", "uniform"] = "zeros",
    ) -> None:
        super().__init__()
        check_choice("code", code, ("one-hot", "full-rank"))
        check_choice("unknown", unknown, ("zeros", "uniform"))
        (self.length,) = modality["shape"]
        channels = 4 if code == "one-hot" else 3
        self.out_shape = (channels, self.length)
        # Not saved, since it follows from the arguments.
        self.register_buffer("table", probabilities(unknown)[:, :channels].contiguous(), False)
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Nothing is fitted."""
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Random bases, 2 % of them unknown: uint8 ``shape=(rows, length)``."""
        return random_codes(rows, self.length, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Encode sequences: uint8 ``(batch, length) -> (batch, channels, length)``."""
        return F.embedding(x.int(), self.table).transpose(1, 2)

    def inverse(self, encoded: Tensor) -> Tensor:
        """The most probable base at each position: ``(batch, 4, length) -> (batch, length)``, uint8."""
        if self.out_shape[0] != 4:
            return super().inverse(encoded)
        return encoded.argmax(1).to(torch.uint8)
