"""k-mers of DNA: tokens, counts, and trained embeddings."""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import check_range
from ..spec import Modality
from .base import Encoder
from .dna import random_codes
from .kinds import layer


def kmer_names(k: int) -> list[str]:
    """All k-mers, in the order of their tokens: AA, AC, AG, AT, CA, ..."""
    return ["".join(word) for word in product("ACGT", repeat=k)]


def kmer_tokens(codes: Tensor, k: int) -> Tensor:
    """Token of the k-mer that starts at each position; ``4**k`` for a k-mer with an unknown base.

    Args:
        codes: uint8, ``shape=(batch, length)``.
        k: Length of a k-mer.

    Returns:
        int32, ``shape=(batch, length - k + 1)``.

    Example:
        >>> from .dna import dna_codes
        >>> kmer_tokens(dna_codes(["AACGN"]), 2)
        tensor([[ 0,  1,  6, 16]], dtype=torch.int32)
    """
    count = codes.shape[1] - k + 1
    tokens = torch.zeros(codes.shape[0], count, dtype=torch.int32, device=codes.device)
    known = torch.ones_like(tokens, dtype=torch.bool)
    for i in range(k):
        base = codes[:, i : i + count]
        tokens = tokens * 4 + base
        known &= base < 4
    return torch.where(known, tokens, 4**k)


def kmer_counts(codes: Tensor, k: int) -> np.ndarray:
    """Counts of each k-mer in each sequence; k-mers with an unknown base are not counted.

    Args:
        codes: uint8, ``shape=(samples, length)``.
        k: Length of a k-mer.

    Returns:
        float32, ``shape=(samples, 4**k)``, in the order of `kmer_names`.
    """
    tokens = kmer_tokens(codes, k).numpy().astype(np.int64)
    width = 4**k + 1
    flat = (tokens + width * np.arange(len(tokens))[:, None]).ravel()
    counts = np.bincount(flat, minlength=width * len(tokens)).reshape(len(tokens), width)
    return counts[:, :-1].astype(np.float32)


@layer("sequence", "k-mer")
class KmerEmbedding(Encoder):
    """Trained embedding of each k-mer plus one of each position, as in language models.

    ``words.weight`` holds the embeddings, ``shape=(4**k + 1, width)``; the last one is for k-mers with an unknown
    base. `zoo.latent.embedding` returns them as AnnData.

    Args:
        modality: Length of the sequences.
        k: Length of a k-mer; k-mers overlap.
        width: Dimensions of an embedding.

    Shape:
        uint8 ``(batch, length) -> (batch, width, length - k + 1)``
    """

    axis = "base"

    def __init__(self, modality: Modality, k: int = 3, width: int = 32) -> None:
        super().__init__()
        (self.length,) = modality["shape"]
        check_range("k", k, 1, min(8, self.length))
        check_range("width", width, 1)
        self.k = k
        self.out_shape = (width, self.length - k + 1)
        self.words = nn.Embedding(4**k + 1, width)
        self.positions = nn.Embedding(self.out_shape[1], width)
        nn.init.normal_(self.words.weight, std=0.5)
        nn.init.normal_(self.positions.weight, std=0.1)
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Tensor) -> None:
        """Nothing is fitted; the embeddings are trained with the model."""
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Random bases, 2 % of them unknown: uint8 ``shape=(rows, length)``."""
        return random_codes(rows, self.length, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Embed sequences: uint8 ``(batch, length) -> (batch, width, length - k + 1)``."""
        vectors: Tensor = F.embedding(kmer_tokens(x, self.k), self.words.weight) + self.positions.weight
        return vectors.transpose(1, 2)
