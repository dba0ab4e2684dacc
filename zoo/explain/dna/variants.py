"""Effects of genetic variants on a prediction."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data.sequence.genome import Genome
from ...encode import to_tensor
from ...encode.dna import UNKNOWN, dna_codes, dna_text, reverse_complement
from ...encode.table import check_features
from ...errors import InputError
from ...latent.probe import evaluating
from ...models import Supervised
from ...spec import modality_of
from .mutagenesis import check_dna, log_odds, output_names

COLUMNS = ["chromosome", "position", "reference", "alternative"]
SEQUENCES = ["reference_sequence", "alternative_sequence"]
BASES = 1 << 20  # bases computed at once
SHOWN = 20  # bases of an allele in an error message


def variant_effects(model: Supervised, variants: pd.DataFrame, genome: Genome) -> pd.DataFrame:
    """Effect of each variant: log-odds of each class with the alternative allele minus those with the reference.

    Both alleles are placed in a window of the model's input length, with ``length // 2`` bases to the left of the first
    base of the allele, at ``position``. The rest of the allele follows, and then the genome after the reference allele
    up to the end of the window: an insertion shifts bases out of the window on the right, a deletion shifts bases in,
    and the left side does not change. Positions beyond the ends of a chromosome are N; alleles are cut at the end of
    the window.

    Args:
        model: A model of DNA; it stays on its device.
        variants: One allele in each row, as from `zoo.data.sequence.vcf.read_vcf`: ``chromosome``, ``position`` (of the
            first base of the reference allele, from 1), ``reference`` and ``alternative`` (one base or more).
        genome: The reference genome of the positions.

    Returns:
        The variants with the columns of `allele_effects`.

    Raises:
        InputError: A column is missing; unknown chromosome; a position outside its chromosome; an allele with other
            letters than bases; a reference allele that differs from the genome. All variants are checked before the
            computation.
    """
    check_dna(model, "variant_effects")
    check_features(variants, COLUMNS, "the table of variants")
    names = [f"{chromosome}:{position}" for chromosome, position in variants[COLUMNS[:2]].to_numpy()]
    reference, alternative = ([str(allele) for allele in variants[name]] for name in COLUMNS[2:])
    for alleles in (reference, alternative):
        dna_codes(alleles, 1, names, "variants")  # checks all letters, before alleles are cut to the window
    chromosomes = genome.numbers(variants["chromosome"].astype(str))
    starts, sizes = variants["position"].to_numpy(np.int64) - 1, np.array([len(allele) for allele in reference])
    _check_reference(genome, chromosomes, starts, reference, names)
    (length,) = modality_of(model.spec)["shape"]
    parts = []
    for rows in np.split(np.arange(len(starts)), np.arange(0, len(starts), max(1, BASES // length))[1:]):
        left = dna_text(_padded(genome, chromosomes[rows], starts[rows] - length // 2, length // 2))
        right = dna_text(_padded(genome, chromosomes[rows], starts[rows] + sizes[rows], length - length // 2))
        pair = (
            dna_codes([(a + alleles[row] + b)[:length] for a, row, b in zip(left, rows, right, strict=True)], length)
            for alleles in (reference, alternative)
        )
        parts.append(_effects(model, *pair))
    return variants.assign(**_columns(model, parts))


def allele_effects(model: Supervised, frame: pd.DataFrame) -> pd.DataFrame:
    """Effect of each variant given as two sequences: log-odds of the alternative minus those of the reference.

    Args:
        model: A model of DNA; it stays on its device.
        frame: One variant in each row: ``reference_sequence`` and ``alternative_sequence``, each of the input length of
            the model.

    Returns:
        The table with three more columns for each class (the positive one of two), or for a continuous target:
        ``forward_CLASS``, difference of the natural log-odds (or of the continuous value in its unit) on the given
        strand; ``reverse_CLASS``, the same on the reverse complement; ``effect_CLASS``, the mean of both.

    Raises:
        InputError: A column is missing, or a sequence has another length or is not DNA.
    """
    check_dna(model, "allele_effects")
    check_features(frame, SEQUENCES, "the table of alleles")
    modality = modality_of(model.spec)
    reference, alternative = (
        to_tensor(frame[[name]].set_axis(modality["features"], axis=1), modality, name) for name in SEQUENCES
    )
    rows = max(1, BASES // modality["shape"][0])
    pairs = zip(reference.split(rows), alternative.split(rows), strict=True)
    return frame.assign(**_columns(model, [_effects(model, *pair) for pair in pairs]))


def _effects(model: Supervised, reference: Tensor, alternative: Tensor) -> Tensor:
    """Differences on the forward and the reverse strand: float32 ``(2, variants, outputs)``."""
    reference, alternative = reference.to(model.device), alternative.to(model.device)
    with evaluating(model):
        strands = [
            log_odds(model, model(new)) - log_odds(model, model(old))
            for new, old in ((alternative, reference), (reverse_complement(alternative), reverse_complement(reference)))
        ]
        return torch.stack(strands).float().cpu()


def _columns(model: Supervised, parts: list[Tensor]) -> dict[str, np.ndarray]:
    names = output_names(model.target)
    both = torch.cat([*parts, torch.zeros(2, 0, len(names))], 1)
    values = {"effect": both.mean(0), "forward": both[0], "reverse": both[1]}
    return {f"{kind}_{name}": value[:, i].numpy() for kind, value in values.items() for i, name in enumerate(names)}


def _check_reference(
    genome: Genome, chromosomes: np.ndarray, starts: np.ndarray, reference: list[str], names: list[str]
) -> None:
    """Raise an `InputError` that names the first variant whose reference allele differs from the genome."""
    lengths = np.array([len(allele) for allele in reference])
    ends = np.array(list(genome.sizes.values()))[chromosomes]
    outside = (starts < 0) | (starts + lengths > ends)
    wrong = outside.copy()
    for length in np.unique(lengths[~outside]):  # windows of one length are read together
        rows = np.flatnonzero((lengths == length) & ~outside)
        found = genome.fetch(chromosomes[rows], starts[rows], int(length))
        wrong[rows] = (found != dna_codes([reference[row] for row in rows])).any(1).numpy()
    if not wrong.any():
        return
    at = int(wrong.argmax())
    allele = reference[at][:SHOWN] + ("..." if lengths[at] > SHOWN else "")
    if outside[at]:
        raise InputError(
            f"variant {names[at]}: reference {allele} does not lie inside its chromosome, which has {ends[at]} bases "
            f"in {genome.path.name}; use the genome on which the variants were called"
        )
    (found_text,) = dna_text(genome.fetch(chromosomes[at : at + 1], starts[at : at + 1], min(int(lengths[at]), SHOWN)))
    raise InputError(
        f"variant {names[at]}: reference is {allele}, but {genome.path.name} has {found_text} there; use the genome on "
        "which the variants were called, and positions counted from 1"
    )


def _padded(genome: Genome, chromosomes: np.ndarray, starts: np.ndarray, length: int) -> Tensor:
    """Windows of the genome, with N beyond the ends of a chromosome: uint8 ``(windows, length)``."""
    ends = np.array(list(genome.sizes.values()))[chromosomes]
    codes = torch.full((len(starts), length), UNKNOWN, dtype=torch.uint8)
    inside = (starts >= 0) & (starts + length <= ends)
    if length and inside.any():
        codes[torch.from_numpy(inside)] = genome.fetch(chromosomes[inside], starts[inside], length)
    for row in np.flatnonzero(~inside):
        begin, end = max(starts[row], 0), min(starts[row] + length, ends[row])
        if begin < end:
            part = genome.fetch(chromosomes[row : row + 1], np.array([begin]), int(end - begin))
            codes[row, begin - starts[row] : end - starts[row]] = part[0]
    return codes
