"""Output of ``zoo explain`` for models of DNA: motifs, contributions of bases and effects of variants."""

import logging
from pathlib import Path
from textwrap import fill
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ...data import Data
from ...data.base import Source
from ...data.sequence.fasta import read_fasta
from ...data.sequence.genome import Genome
from ...data.sequence.vcf import read_vcf
from ...encode import to_tensor
from ...encode.dna import dna_text
from ...encode.one_hot import OneHotDNA
from ...errors import InputError
from ...figure import Figure, save
from ...files import replacing
from ...models import Supervised
from ...models.predict.cnn1d import CNN1D
from ...spec import modality_of
from ...tables.writing import write_csv
from ..explainers import EXPLAINERS, OF_FASTA, OF_VCF, Request, check_not_survival, examples
from .attribution import Method, attributed
from .filters import filter_motifs
from .logo import draw, logos
from .match import match
from .motif import Motif
from .motif_files import write_jaspar, write_meme
from .mutagenesis import mutagenesis, output_names
from .variants import variant_effects

log = logging.getLogger("zoo")

SHOWN = 8  # sequences in the figure
SHOWN_MOTIFS = 32  # motifs in the figure
WIDE = 80  # characters in a line of the title
CHUNK = 1024  # sequences computed at once
DPI = 160  # of the figures


def explain(
    model: Supervised,
    background: Source | Data,
    codes: Tensor,
    names: pd.Index,
    folder: Path,
    method: Method = "mutagenesis",
) -> list[Path]:
    """Write the motifs of the filters, and the contributions of the bases of the given sequences.

    - ``motifs.png``: logos of the filters of the first convolution, the most informative first, with the most similar
      known motif; ``motifs.csv``, the same as a table; ``motifs.meme`` and ``motifs.jaspar`` for other tools. Only for
      models with filters over one-hot DNA.
    - ``contributions.png``: logos of the contribution of each base to the prediction, for the first eight sequences.
    - ``contributions.csv``: the same for all sequences, and the effect of each mutation: ``sequence``, ``position``
      (from 1), ``base``, ``class`` (the positive class of two, else the predicted class), ``contribution``, and
      ``effect_A`` to ``effect_T``, in natural log-odds, or in the unit of a continuous target. For
      ``integrated_gradients`` and ``deep_lift`` also ``difference``, the value that the contributions of the sequence
      should sum to, and ``unexplained``, its part that they do not explain.

    If the contributions deviate by more than 5% of the largest difference, the title of the figure states it.

    Args:
        model: A trained model of DNA.
        background: Sequences from which motifs are derived, such as the training rows: uint8 ``(sequences, length)``.
        codes: Sequences to explain, uint8 ``shape=(sequences, length)``.
        names: Names of these sequences.
        folder: Output folder, created if it does not exist.
        method: Attribution method (see `attribute`).

    Returns:
        Paths of the files.

    Raises:
        InputError: The model does not take DNA; sequences of another length; contributions fail the completeness check,
            in which case no file is written.
    """
    predictions = model.predict(dna_text(codes))
    classes = model.target["classes"]
    column = predictions["prediction"].to_numpy()
    explained = column if len(classes) > 2 else np.full(len(codes), output_names(model.target)[0], dtype=object)
    contributions, gap = attributed(model, codes, method=method)
    if gap is not None:
        gap.check()
    files = (
        _motifs(model, background, folder) if isinstance(model, CNN1D) and isinstance(model.encode, OneHotDNA) else []
    )
    labels = _prediction_labels(predictions.head(SHOWN), model)
    notes = [f"{name}: {label}" for name, label in zip(names[:SHOWN], labels, strict=True)]
    figure = contribution_logos(contributions[:SHOWN].numpy(), notes, explained[:SHOWN], model.target["unit"])
    if gap is not None and gap.note:
        figure.suptitle(fill(f"{figure.get_suptitle()}: {gap.note}", WIDE), x=0.01, ha="left", fontsize=9)
    files.append(save(figure, folder / "contributions.png", DPI))
    with replacing(folder / "contributions.csv") as path:
        for number, rows in enumerate(torch.arange(len(codes)).split(CHUNK)):
            table = _table(model, codes[rows], names[rows.numpy()], contributions[rows], explained[rows.numpy()])
            if gap is not None:
                table["difference"] = gap.difference[rows].repeat_interleave(codes.shape[1]).numpy()
                table["unexplained"] = gap.unexplained[rows].repeat_interleave(codes.shape[1]).numpy()
            write_csv(table, path, index=False, mode="a", header=number == 0, float_format="%.5g")
    return [*files, folder / "contributions.csv"]


@EXPLAINERS.add("sequence")
@OF_FASTA.add("sequence")
def explain_request(model: Supervised, request: Request) -> list[Path]:
    """Explainer of ``zoo explain`` for DNA: the sequences of ``--fasta``, or validation samples."""
    check_not_survival(model)
    data = request.data()
    if request.file is None:
        codes, names = examples(data)
    else:
        modality, frame = modality_of(model.spec), read_fasta(request.file)
        frame = frame.rename(columns={"sequence": modality["features"][0]}).set_index("record")
        codes, names = to_tensor(frame, modality, str(request.file)), frame.index
    background = data if len(data.dataset.rows("train")) else data.dataset.x
    method = cast(Method, request.method or "mutagenesis")
    return explain(model, background, codes, names, request.folder, method)


@OF_VCF.add("sequence")
def explain_variants(model: Supervised, request: Request) -> list[Path]:
    """Explainer of ``zoo explain --vcf``: effects of variants."""
    check_not_survival(model)
    if request.file is None or request.genome is None:
        raise InputError("--vcf needs --genome, the FASTA file of the reference genome")
    variants = read_vcf(request.file)
    if ends := int((variants["position"] == 0).sum()):  # of a chromosome, by the definition of VCF
        log.warning("%s: %d alleles at position 0, before the first base, skipped", request.file, ends)
        variants = variants[variants["position"] > 0]
    effects = variant_effects(model, variants, Genome(request.genome))
    with replacing(request.folder / "variants.csv") as path:
        write_csv(effects, path, index=False)
    return [request.folder / "variants.csv"]


def contribution_logos(contributions: np.ndarray, titles: list[str], explained: np.ndarray, unit: str) -> Figure:
    """Logos of contributions, one row for each sequence.

    Args:
        contributions: Contributions of A, C, G and T, ``shape=(sequences, length, 4)``.
        titles: Title of each sequence.
        explained: The explained output of each sequence: a class, or the name of a continuous target.
        unit: Unit of a continuous target; ``""`` for a class, whose contributions are log-odds.
    """
    count, length = contributions.shape[:2]
    figure = Figure(figsize=(min(16.0, max(6.0, 0.15 * length + 1.2)), 1.5 * count + 0.5), layout="constrained")
    figure.suptitle("Contribution of each base", x=0.01, ha="left", fontsize=11)
    for number, axes in enumerate(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]):
        draw(axes, contributions[number])
        axes.set_title(titles[number], loc="left", fontsize=8)
        axes.set_ylabel(f"{explained[number]}\n[{unit or 'log-odds'}]", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("position [bases]", fontsize=8)
    return figure


def _motifs(model: CNN1D, background: Source | Data, folder: Path) -> list[Path]:
    motifs = filter_motifs(model, background)
    motifs.sort(key=lambda motif: -float(motif.information.sum()) if motif.sites else 0.0)
    known = match(motifs).set_index("motif")
    rows = [
        {"motif": m.name, "consensus": m.consensus, "sites": m.sites, "information_bits": m.information.sum().round(2)}
        for m in motifs
    ]
    table = pd.DataFrame(rows).join(known, on="motif")
    with replacing(folder / "motifs.csv") as path:
        write_csv(table, path, index=False, float_format="%.4g")
    write_meme(motifs, folder / "motifs.meme")
    write_jaspar(motifs, folder / "motifs.jaspar")
    shown = motifs[:SHOWN_MOTIFS]
    many = f", the {len(shown)} most informative of {len(motifs)}" if len(shown) < len(motifs) else ""
    figure = logos(shown, f"Motifs of the filters of the first convolution{many}", _match_labels(shown, known))
    picture = save(figure, folder / "motifs.png", DPI)
    return [picture, *(folder / f"motifs.{suffix}" for suffix in ("csv", "meme", "jaspar"))]


def _match_labels(motifs: list[Motif], known: pd.DataFrame) -> list[str]:
    def label(name: str) -> str:
        if pd.isna(known.loc[name, "target"]):
            return "too little information to compare"
        if known.loc[name, "q_value"] > 0.05:
            return "matches no known motif"
        return f"{known.loc[name, 'target_name']} ({known.loc[name, 'target']}), q = {known.loc[name, 'q_value']:.1g}"

    return [label(motif.name) for motif in motifs]


def _prediction_labels(predictions: pd.DataFrame, model: Supervised) -> list[str]:
    if not model.target["classes"]:
        return [f"predicted {value:.3g} {model.target['unit']}".rstrip() for value in predictions["prediction"]]
    return [
        f"predicted {row['prediction']} ({row['probability_' + row['prediction']]:.2f})"
        for _, row in predictions.iterrows()
    ]


def _table(
    model: Supervised, codes: Tensor, names: pd.Index, contributions: Tensor, explained: np.ndarray
) -> pd.DataFrame:
    effects, outputs = mutagenesis(model, codes), output_names(model.target)
    chosen = torch.as_tensor([outputs.index(name) for name in explained])
    of_output = effects[torch.arange(len(codes)), :, :, chosen].flatten(0, 1).numpy()
    length = codes.shape[1]
    return pd.DataFrame(
        {
            "sequence": np.repeat(names.to_numpy(), length),
            "position": np.tile(np.arange(1, length + 1), len(codes)),
            "base": list("".join(dna_text(codes))),
            "class": np.repeat(explained, length),
            "contribution": contributions.sum(-1).flatten().numpy(),
            **{f"effect_{base}": of_output[:, number] for number, base in enumerate("ACGT")},
        }
    )
