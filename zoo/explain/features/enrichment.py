"""Over-representation analysis: which gene sets are enriched among selected genes?"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import InputError, suggest
from ..perturbation.statistics import benjamini_hochberg


def enrichment(
    genes: Iterable[str], gene_sets: Mapping[str, Iterable[str]] | str | Path, background: Iterable[str]
) -> pd.DataFrame:
    """Over-representation of gene sets among selected genes, by the hypergeometric test of gseapy (offline).

    All gene sets with a gene in the background are tested, and the correction of Benjamini and Hochberg counts all of
    them. (gseapy counts only sets that overlap with the selected genes, which makes its q values too small.) See Fang
    et al. 2023, doi:10.1093/bioinformatics/btac757.

    Args:
        genes: Selected genes, such as the ``consensus`` of `feature_stability`. The name of a modality is removed:
            ``"rna:TP53"`` is TP53.
        gene_sets: Genes by the name of the set, or a GMT file.
        background: All genes that could have been selected: those that were measured, not the whole genome.

    Returns:
        One row for each gene set, the most significant first: ``gene_set``; ``overlap``, number of selected genes in
        it; ``size``, number of its genes in the background; ``expected``, overlap expected by chance; ``odds_ratio``
        (with 0.5 added to each count; NaN without overlap); ``p_value``; ``q_value``; ``genes``, the overlap, separated
        by semicolons.

    Raises:
        InputError: gseapy is not installed; no genes; a gene is not in the background; no gene set has a gene in the
            background; the GMT file is missing or damaged.

    Example:
        >>> sets = {"cell cycle": ["CDK1", "CCNB1"], "liver": ["ALB"]}
        >>> enrichment(["rna:CDK1"], sets, ["CDK1", "CCNB1", "ALB", "TP53"])  # doctest: +SKIP
    """
    if find_spec("gseapy") is None:
        raise InputError("gene set enrichment needs the package gseapy: pip install 'biozoo[enrichment]'")
    all_sets = read_gmt(gene_sets) if isinstance(gene_sets, str | Path) else gene_sets
    named = {gene for members in all_sets.values() for gene in members}
    every = {_bare(gene, named) for gene in background}
    found = {_bare(gene, named) for gene in genes}
    if not found:
        raise InputError("there are no genes to test; give at least one")
    if absent := sorted(found - every):
        raise InputError(
            f"gene {absent[0]!r} is not in the background, which must hold all genes that could have been selected; "
            f"{suggest(absent[0], every)}"
        )
    sets = {name: known for name, members in all_sets.items() if (known := every.intersection(members))}
    if not sets:
        in_sets, in_background = ", ".join(sorted(named)[:3]), ", ".join(sorted(every)[:3])
        raise InputError(
            f"no gene of the sets ({in_sets}, ...) is in the background ({in_background}, ...); use the same kind of "
            "gene names in both"
        )
    hits = {name: sorted(found & members) for name, members in sets.items()}
    table = pd.DataFrame(
        {
            "gene_set": list(sets),
            "overlap": [len(hits[name]) for name in sets],
            "size": [len(members) for members in sets.values()],
            "expected": [len(members) * len(found) / len(every) for members in sets.values()],
            "odds_ratio": np.nan,
            "p_value": 1.0,
        },
        index=pd.Index(sets),
    )
    if any(hits.values()):
        # Genes are numbered because gseapy changes names in lower case and names that look like Entrez identifiers.
        code = {gene: f"G{number}" for number, gene in enumerate(sorted(every))}
        tested = {name: [code[gene] for gene in members] for name, members in sets.items()}
        selected, all_codes = [code[gene] for gene in found], list(code.values())
        tests = import_module("gseapy").enrich(selected, tested, background=all_codes, outdir=None, no_plot=True)
        result = tests.results.set_index("Term")
        table.loc[result.index, "odds_ratio"] = result["Odds Ratio"].astype(float)
        table.loc[result.index, "p_value"] = result["P-value"].astype(float)
    table["q_value"] = benjamini_hochberg(table["p_value"].to_numpy())
    table["genes"] = [";".join(hits[name]) for name in sets]
    return table.sort_values(["p_value", "gene_set"], ignore_index=True)


def read_gmt(path: str | Path) -> dict[str, list[str]]:
    """Gene sets of a GMT file, such as those of MSigDB: one tab-separated line a set with name, description and genes.

    Raises:
        InputError: The file does not exist, or a line has no genes.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no file {str(path)!r}; {suggest(file.name, [p.name for p in file.parent.glob('*')])}")
    sets = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        name, *rest = line.rstrip().split("\t")
        if name and len(rest) < 2:
            raise InputError(f"{path}, line {number}: a set needs a name, a description and genes, separated by tabs")
        if name:
            sets[name] = [gene for gene in rest[1:] if gene]
    return sets


def _bare(gene: str, named: set[str]) -> str:
    """The gene without the name of its modality, unless the gene sets use the full name."""
    return gene if gene in named else gene.partition(":")[2] or gene
