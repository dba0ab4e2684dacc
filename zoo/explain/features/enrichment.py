"""Which gene sets are over-represented among some genes?"""

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
    """Over-representation of gene sets among genes, by the hypergeometric test of gseapy; nothing is fetched.

    All gene sets that have a gene in the background are tested and counted by Benjamini and Hochberg, those without a
    hit too. (gseapy itself counts those with a hit only, which makes q values too small.) See Fang et al. 2023,
    doi:10.1093/bioinformatics/btac757.

    Args:
        genes: Those that were found, such as the ``consensus`` of `feature_stability`. The name of a modality is left
            out: ``"rna:TP53"`` is TP53.
        gene_sets: Genes by the name of the set, or a GMT file.
        background: All genes that could have been found: those that were measured, not all that there are.

    Returns:
        One row a gene set, the most significant first: ``gene_set``; ``overlap``, found genes in it; ``size``, its
        genes in the background; ``expected`` overlap by chance; ``odds_ratio`` (with half a gene added to each count;
        NaN without a hit); ``p_value``; ``q_value``; ``genes``, those found, separated by semicolons.

    Raises:
        InputError: gseapy is not installed; no genes; a gene that is not in the background; no gene set has a gene in
            the background; a GMT file that is missing or damaged.

    Example:
        >>> sets = {"cell cycle": ["CDK1", "CCNB1"], "liver": ["ALB"]}
        >>> enrichment(["rna:CDK1"], sets, ["CDK1", "CCNB1", "ALB", "TP53"])  # doctest: +SKIP
    """
    if find_spec("gseapy") is None:
        raise InputError("gene set enrichment needs the package gseapy: pip install 'biozoo[enrichment]'")
    given = read_gmt(gene_sets) if isinstance(gene_sets, str | Path) else gene_sets
    named = {gene for members in given.values() for gene in members}
    every = {_bare(gene, named) for gene in background}
    found = {_bare(gene, named) for gene in genes}
    if not found:
        raise InputError("there are no genes to test; give at least one")
    if absent := sorted(found - every):
        raise InputError(
            f"gene {absent[0]!r} is not in the background, which must hold all that could have been found; "
            f"{suggest(absent[0], every)}"
        )
    sets = {name: known for name, members in given.items() if (known := every.intersection(members))}
    if not sets:
        few = ", ".join(sorted(every)[:3]), ", ".join(sorted(named)[:3])
        raise InputError(f"no gene of the sets ({few[1]}, ...) is in the background ({few[0]}, ...); are names alike?")
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
        # By numbers, for gseapy changes names that are in lower case or look like those of Entrez.
        code = {gene: f"G{number}" for number, gene in enumerate(sorted(every))}
        tested = {name: [code[gene] for gene in members] for name, members in sets.items()}
        wanted, all_codes = [code[gene] for gene in found], list(code.values())
        answer = import_module("gseapy").enrich(wanted, tested, background=all_codes, outdir=None, no_plot=True)
        result = answer.results.set_index("Term")
        table.loc[result.index, "odds_ratio"] = result["Odds Ratio"].astype(float)
        table.loc[result.index, "p_value"] = result["P-value"].astype(float)
    table["q_value"] = benjamini_hochberg(table["p_value"].to_numpy())
    table["genes"] = [";".join(hits[name]) for name in sets]
    return table.sort_values(["p_value", "gene_set"], ignore_index=True)


def read_gmt(path: str | Path) -> dict[str, list[str]]:
    """Gene sets of a GMT file, such as those of MSigDB: a line a set, name, description and genes between tabs.

    Raises:
        InputError: No such file, or a line without genes.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no file {str(path)!r}; {suggest(file.name, [p.name for p in file.parent.glob('*')])}")
    sets = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        name, *rest = line.rstrip().split("\t")
        if name and len(rest) < 2:
            raise InputError(f"{path}, line {number}: a set needs a name, a description and genes, with tabs between")
        if name:
            sets[name] = [gene for gene in rest[1:] if gene]
    return sets


def _bare(gene: str, named: set[str]) -> str:
    """A gene without its modality, unless the sets call it so."""
    return gene if gene in named else gene.partition(":")[2] or gene
