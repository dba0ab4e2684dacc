"""Tables of expression: whether genes are in rows, which columns are no genes, names that a spreadsheet changed."""

import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, counted
from ..files import opened
from .columns import counters
from .numbers import is_number, missing_word
from .reading import listing
from .text import UNNAMED
from .values import as_text

log = logging.getLogger("zoo")
MOST_NAMED = 10  # values that are no numbers and are named in an error
FEW = 2000  # names from which their kind is told
SHARE = 0.8  # of the names that must look like genes, or samples
DIVERSE = 0.2  # least share of different first letters among symbols; names of samples mostly share them

# Headers of a first column, in lower case with '_' for blanks, points and hyphens.
OF_GENES = re.compile(
    r"(hgnc_|hugo_|approved_|gene_|external_gene_)?symbols?|genes?(_?(ids?|names?))?|ensembl(_?(gene_?)?(id|name))?|ensg|"
    r"id_ref|probe(_?set)?(_?(id|name))?s?|transcripts?(_?(id|name))?|target_id|features?(_?(id|name))?|tracking_id|"
    r"mirnas?(_?(id|name))?|cpgs?(_?id)?|composite_element_ref|proteins?(_?(id|name|group|ids))?|uniprot(_?id)?|"
    r"entrez(_?(gene_?)?id)?|metabolites?|lipids?|peptides?|compounds?"
)
OF_SAMPLES = re.compile(
    r"(samples?|cells?|patients?|subjects?|donors?|mouse|mice|animals?|individuals?|participants?|cases?)"
    r"(_?(ids?|names?|barcodes?|no|number))?|ids?|names?|barcodes?|(row_?)?index|row(_?names?)?|obs(_names?)?|"
    r"accession|geo_accession|bcr_patient_barcode"
)
NAMES = re.compile(f"{OF_GENES.pattern}|{OF_SAMPLES.pattern}")

IDENTIFIER = (  # of databases and of arrays
    r"ENS[A-Z]*[GTPE]\d{6,}(\.\d+)?(_\S+)?|\d+(_[a-z])?_at|ILMN_\d+|"
    r"A_\d+_P\d+|cg\d{8}|[a-z]{3}-(mir|let|lnc)-\S+|[NX][MR]_\d+(\.\d+)?|AT[1-5MC]G\d{5}|Y[A-P][LR]\d{3}[WC](-[A-Z])?|"
    r"FBgn\d{7}|WBGene\d{8}|LOC\d+"
)
GENE = rf"{IDENTIFIER}|gene[_. -]?\d+|g\d+|transcript[_. -]?\d+"
SYMBOL = r"[A-Z][A-Z0-9]*[A-Z][A-Z0-9]*(-[A-Z0-9]+)*(\.\d+)?( \(\d+\))?|C\d+orf\d+|[A-Z][a-z]{1,9}\d*[a-z]?\d*"
SAMPLE = (
    r"GSM\d+\S*|[SED]RR\d+\S*|TCGA[-.]\S+|\S+\.(bam|sam|cram)|[ACGT]{10,}([-._]\w+)?|"
    r"(s|p|samp|sample|cell|pt|pat|patient|subj|subject|donor|mouse|rat|array|chip|rep|replicate|lib|library|ctrl|"
    r"control|case|treat|treated|untreated|wt|ko|mut|mutant|tumou?r|normal|healthy|disease|day)[_. -]?\w*\d+\w*"
)
BARCODE = r"[ACGT]{10,}([-._]\w+)?"

# Names of columns beside genes, spelled as the headers above.
MEASURES = re.compile(  # of quality, of clusters and of embeddings, as scanpy, Seurat and counting programs write them
    r"(log1p_)?total_(counts|umis?|reads)(_\w+)?|(log1p_)?n_genes(_by_counts)?|n_?(counts?|features?)(_\w+)?|n_?umis?|"
    r"(pct|percent)_(counts_)?\w+|(mito|mt|ribo)_(frac|fraction|percent|pct)|(leiden|louvain)(_\w+)?|seurat_clusters?|"
    r"\w+_snn_res_\w+|clusters?(_id)?|doublet_scores?|predicted_doublets?|scrublet_scores?|scdblfinder_\w+|"
    r"(s|g2m)_score|(x_)?(umap|tsne)_?\d|size_factors?|lib(rary)?_size|sequencing_depth|(dpt_)?pseudotime|in_tissue|"
    r"array_(row|col)|__(no_feature|ambiguous|too_low_aqual|not_aligned|alignment_not_unique)|"
    r"n_(unmapped|multimapping|nofeature|ambiguous)|_index"
)
OF_PATIENTS = re.compile(
    r"age(_\w+)?|sex|gender|batch(_id)?|bmi|weight|height|plate|lane|run|site|cent(re|er)|replicate|condition|treatment|"
    r"group|labels?|class|outcome|response|relapse|status|vital_status|stage|grade|diagnosis|time(_?point)?|days?(_to_\w+)?|"
    r"(os|pfs|dfs|rfs)_(time|days|months|status|event)|survival(_\w+)?|event|dead|death|dose|visit|year|smoker|"
    rf"{OF_SAMPLES.pattern}"
)
OF_ONE_GENE = re.compile(  # columns beside the samples, if genes are in rows
    rf"chr(om(osome)?)?|start|end|strand|length|width|description|(gene_)?(bio)?type|{OF_GENES.pattern}|names?|ids?|"
    r"effective_?length|tpm|[fr]pkm|num_?reads|(est_|expected_)counts?|base_?mean|log2_?fold_?change|lfcse|stat|p_?val(ue)?|p_?adj|fdr|q_?value"
)

CONVERT = {  # files that other programs write
    ".loom": "in Python: anndata.read_loom('{0}').write_h5ad('{1}.h5ad')",
    ".rds": "in R: write.csv(t(as.matrix(x)), '{1}.csv'), or zellkonverter::writeH5AD(x, '{1}.h5ad')",
    ".rdata": "in R: write.csv(t(as.matrix(x)), '{1}.csv'), or zellkonverter::writeH5AD(x, '{1}.h5ad')",
    ".h5seurat": "in R: SeuratDisk::Convert('{0}', dest = 'h5ad')",
}

MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec"
DATE = re.compile(
    rf"\d{{1,2}}[-/ ]({MONTHS})|({MONTHS})[-/ ]\d{{1,2}}|\d{{4}}-\d{{2}}-\d{{2}}( 00:00:00)?|"
    rf"\d{{1,2}}/\d{{1,2}}/\d{{2,4}}|\d{{1,2}}[-/]({MONTHS})[-/]\d{{2,4}}",
    re.IGNORECASE,
)


def spelled(name: Any) -> str:
    """A header in the spelling of the patterns of this module: ``"percent.mt"`` as ``"percent_mt"``."""
    return re.sub(r"[\s.-]+", "_", str(name).strip().lstrip("#").lower())


def holds_names(header: str) -> bool:
    """Whether a first column with this header names the samples, or the genes, of its rows."""
    return NAMES.fullmatch(spelled(header)) is not None


def beside_genes(names: Collection[str]) -> tuple[list[str], list[str]]:
    """Columns that are no genes by their names: measures of quality and clusters; properties of samples.

    >>> beside_genes(["TP53", "total_counts", "percent.mt", "age"])
    (['total_counts', 'percent.mt'], ['age'])
    """
    plain = {name: spelled(name) for name in names}
    measures = [name for name, text in plain.items() if MEASURES.fullmatch(text)]
    properties = [n for n, text in plain.items() if not MEASURES.fullmatch(text) and OF_PATIENTS.fullmatch(text)]
    return measures, properties


def of_one_gene(names: Collection[str]) -> list[str]:
    """Columns of a table with genes in rows that describe the gene, such as ``Length`` or ``Description``."""
    return [name for name in names if OF_ONE_GENE.fullmatch(spelled(name))]


def changed_by_spreadsheets(genes: pd.Index) -> list[str]:
    """Names of genes that a spreadsheet program turned into dates (Ziemann et al. 2016, doi:10.1186/s13059-016-1044-7).

    >>> changed_by_spreadsheets(pd.Index(["TP53", "BRCA1", "MYC", "EGFR", "2-Sep", "SEPT9"]))
    ['2-Sep']
    """
    found = [name for name in genes if name[:1].isalnum() and DATE.fullmatch(name)]
    return found if len(found) < 0.5 * len(genes) else []  # a table of dates is no table of genes


def look_like_genes(names: pd.Index) -> bool:
    """Whether most names are those of genes: identifiers of databases, or symbols with different beginnings."""
    text = names[:FEW].to_series()
    if len(text) < 4:
        return False
    if text.str.fullmatch(GENE, case=False).mean() >= SHARE:
        return True
    symbols = text[text.str.fullmatch(f"{GENE}|{SYMBOL}") & ~text.str.fullmatch(BARCODE)]
    diverse = symbols.str.extract(r"^([A-Za-z]+)", expand=False).nunique() >= DIVERSE * len(text)
    return bool(len(symbols) >= SHARE * len(text) and diverse)


def _look_like_samples(names: pd.Index) -> bool:
    text = names[:FEW].to_series()
    return bool(len(text) and text.str.fullmatch(SAMPLE, case=False).mean() >= SHARE)


def genes_are_in_rows(
    frame: pd.DataFrame,
    source: str,
    given: bool | None,
    named: Collection[str] = (),
    samples: pd.Index | None = None,
    genes: Collection[str] = (),
    option: str = "--data.genes_in_rows",
) -> bool:
    """Whether a table of expression has genes in rows and samples in columns; it is logged if that was not given.

    The genes of a trained model decide, then what the user gives, columns that the user names, names of annotated
    samples, the header of the first column, and the look of the names.

    Args:
        frame: The table; its first column may hold names.
        source: Name of the table in messages.
        given: What the user gives; None if nothing.
        named: Names of columns that the user gives, such as the target: if the table has one, samples are in rows.
        samples: Names of annotated samples, if any.
        genes: Genes of a trained model.
        option: Option that settles it, in messages.

    Raises:
        InputError: Genes are probably in rows, but not certainly; or a column that the user names is a row.
    """
    first, columns = spelled(frame.columns[0]), pd.Index(frame.columns[1:])
    rows = pd.Index(as_text(frame.iloc[:, 0])).dropna().map(str)
    if genes and (down := int(rows.isin(list(genes)).sum())) != (across := int(frame.columns.isin(list(genes)).sum())):
        if (down > across) and not given:
            log.info("%s: genes are in rows, as the genes of the model show", source)
        return down > across
    if given is not None:
        return given
    if any(name in frame for name in named):
        return False
    reverse = f"if samples are in rows: {option} false"
    if samples is not None and (down := int(rows.isin(samples).sum())) != (across := int(columns.isin(samples).sum())):
        if across > down:
            log.info("%s: genes are in rows: %d of its columns are annotated samples", source, across)
        return across > down
    text = not pd.api.types.is_numeric_dtype(frame.dtypes.iloc[0])
    across_genes, across_samples = look_like_genes(columns), _look_like_samples(columns)
    down_genes, down_samples = text and look_like_genes(rows), _look_like_samples(rows)
    gct = first == "name" and len(columns) > 0 and spelled(columns[0]) == "description"
    by_header = gct or (OF_GENES.fullmatch(first) is not None and (down_genes or not across_genes))
    identified = text and len(rows) > 3 and rows[:FEW].str.fullmatch(IDENTIFIER, case=False).mean() >= SHARE
    turned = by_header or ((identified or (down_genes and across_samples)) and not across_genes)
    more = len(rows) > len(columns) and len(columns) > 0
    if not turned and more and text and not across_genes and not down_samples and (down_genes or across_samples):
        raise InputError(
            f"{source}: rows ({', '.join(rows[:3])}, ...) look like genes and columns ({', '.join(columns[:3])}, ...) "
            f"like samples; state which: {option} true if genes are in rows, else false"
        )
    if turned and (row := next((name for name in named if name in rows), None)):
        raise InputError(
            f"{source}: {row!r} is the name of a row, and genes are in rows; give the annotation of the samples as a "
            "table with one row per sample: --data.samples_path"
        )
    if turned:
        what = f"as the header {frame.columns[0]!r} of the first column says" if by_header else "by their names"
        log.warning("%s: genes (%s, ...) are in rows, %s; %s", source, ", ".join(rows[:3]), what, reverse)
    return turned


def report_names(genes: pd.Index, source: str) -> None:
    """Log a warning if a spreadsheet program turned names of genes into dates."""
    if found := changed_by_spreadsheets(genes):
        log.warning(
            "%s: %d names of genes are dates (%s): a spreadsheet program changed them (SEPT2 becomes 2-Sep, MARCH1 "
            "1-Mar); take the names from the original file",
            source,
            len(found),
            ", ".join(found[:5]) + (", ..." if len(found) > 5 else ""),
        )


def report_left_out(names: list[str], source: str) -> None:
    """Log a warning that names columns beside the genes which are left out."""
    if names:
        log.warning(
            "%s: %s beside the genes left out: by name no genes; to use them as conditions: --data.covariates",
            source,
            listing(names),
        )


def check_kind(path: Path) -> None:
    """Raise an `InputError` that says how to convert a file of expression which is not read."""
    if path.suffix.lower() == ".gct" and path.is_file():
        with opened(path) as file:
            if file.readline().startswith(b"#1.3"):
                raise InputError(
                    f"{path}: GCT of version 1.3 has annotation among the values; save it as a table of "
                    "genes and samples only"
                )
    if how := CONVERT.get(path.suffix.lower()):
        raise InputError(f"{path}: {path.suffix} is not read; convert it {how.format(path.name, path.stem)}")


def check_repeated(genes: pd.Index, source: str) -> None:
    """Raise an `InputError` that names genes which occur more than once."""
    if (doubled := genes[genes.duplicated()].unique()).size:
        first = ", ".join(doubled[:5]) + (", ..." if len(doubled) > 5 else "")
        raise InputError(
            f"{source}: gene {doubled[0]!r} occurs more than once ({counted(len(doubled), 'repeated name')}: {first}); "
            "rename or remove them (AnnData: var_names_make_unique)"
        )


def measured(
    frame: pd.DataFrame,
    source: str,
    others: Collection[str],
    genes_in_rows: bool = False,
    name: str | None = None,
    chosen: bool = False,
    patients: bool = True,
) -> tuple[np.ndarray, pd.Index, pd.DataFrame]:
    """Values of expression, genes and samples from a table as `zoo.tables.read_table` returns it.

    Args:
        frame: One sample per row; or one gene per row, named in the first column.
        source: Name of the table in errors.
        others: Columns that are not genes, such as the target; columns of text are not genes either.
        genes_in_rows: Genes are in rows, and samples in columns, as in series matrices of GEO.
        name: Column that names the samples. Default: a first column of text, without a header or called as names of
            samples are; else rows are numbered from 1.
        chosen: All columns of numbers are genes, as in packaged data and for a trained model.
        patients: Columns called as properties of patients (age, batch) are left out, else they are only named.

    Returns:
        float32 ``shape=(samples, genes)``; names of the genes; and the table of samples, named in its first column.

    Raises:
        InputError: There is text among numbers, or a gene occurs twice or has no name.
    """
    if genes_in_rows:
        return _turned(frame, source)
    first = str(frame.columns[0])
    text = {str(n) for n, kind in frame.dtypes.items() if kind.kind not in "iuf" and is_text(frame[n])}
    if not (name and name in frame):
        # A first column called 'id' names the samples unless names are repeated; it is text (see `holds_names`).
        called = holds_names(first) and frame[first].is_unique
        name = first if first == UNNAMED or ((called or first in text) and first not in others) else None
    names = names_of(frame[name] if name else pd.Series(range(1, len(frame) + 1)))
    candidates = [str(n) for n in frame.columns if n != name and n not in text and n not in others]
    left_out = [] if chosen else _left_out(frame, candidates, source, patients)
    dropped = {*left_out, name}
    selected = [n for n in candidates if n not in dropped]
    if shown := [n for n in frame.columns if n in text and n not in others and n != name]:
        log.info("%s: text is not used as genes: %s", source, listing(shown))
    taken = set(selected)
    annotation = [n for n in frame.columns if n != name and n not in taken]
    samples = pd.concat([names.rename(name or free_name(frame)), frame[annotation]], axis=1)
    values = gene_values({n: column for n, column in frame.items() if n in taken}, pd.Index(names), source)
    if not chosen:
        report_names(pd.Index(selected), source)
    check_repeated(pd.Index(selected), source)
    return values, pd.Index(selected, dtype=object), samples


def _left_out(frame: pd.DataFrame, candidates: list[str], source: str, patients: bool) -> list[str]:
    """Columns of numbers that are no genes; all of them are logged."""
    measures, properties = beside_genes(candidates)
    kinds = dict(frame.dtypes.items())
    whole = [n for n in candidates if kinds[n].kind == "i"]
    numbering = counters(frame[whole], whole) - {*measures, *properties}
    if numbering:
        log.warning("%s: %s left out: it numbers the rows", source, listing(sorted(numbering)))
    if properties and not patients:
        log.warning(
            "%s: %s is used, but by name no feature of this modality; to leave it out: exclude: [%s]",
            source,
            listing(properties),
            ", ".join(properties),
        )
        properties = []
    report_left_out([*measures, *properties], source)
    return [*measures, *properties, *numbering]


def _turned(frame: pd.DataFrame, source: str) -> tuple[np.ndarray, pd.Index, pd.DataFrame]:
    """`measured` of a table with genes in rows."""
    first, described = str(frame.columns[0]), set(of_one_gene(list(map(str, frame.columns[1:]))))
    columns = [str(n) for n in frame.columns[1:] if n not in described]
    text = {n for n in columns if frame[n].dtype.kind not in "iuf" and is_text(frame[n])}
    if left_out := [str(n) for n in frame.columns[1:] if n in described or n in text]:
        log.info("%s: %s beside the samples left out: descriptions of the genes", source, listing(left_out))
    columns = [n for n in columns if n not in text]
    names = names_of(frame[first])
    if (nameless := names.isna().to_numpy()).any():
        raise InputError(f"{source}: row {nameless.argmax() + 1} has no name of a gene in column {first!r}")
    measures = names.isin(beside_genes(names.tolist())[0])
    if measures.any():
        log.warning("%s: rows left out, by name no genes: %s", source, ", ".join(names[measures][:5]))
    if not columns:
        raise InputError(
            f"{source}: genes are in rows, but no column of numbers holds a sample; a table of results, or of a single "
            "sample, cannot be learnt from: join the columns of all samples into one table"
        )
    kept = pd.Index(names[~measures])
    report_names(kept, source)
    rest = frame.loc[~measures.to_numpy(), columns]
    values = gene_values(dict(rest.items()), kept, source, genes_in_rows=True)
    check_repeated(kept, source)
    return values.T, kept, pd.DataFrame({UNNAMED: names_of(pd.Series(columns))})


def is_text(column: pd.Series) -> bool:
    """Whether most values of a column are not numbers; if only a few are not, they are reported as errors.

    Codes with leading zeros such as ``0012`` are text.
    """
    if column.dtype.kind in "iuf":
        return False
    if column.dtype.kind == "O" and not isinstance(column.dtype, pd.CategoricalDtype):
        present = [value for value in column.dropna().map(str) if not missing_word(value)]
        return bool(present) and sum(map(is_number, present)) < 0.5 * len(present)
    return True  # dates, booleans, categories


def names_of(column: pd.Series) -> pd.Series:
    """Names of samples as text; missing names stay missing, and `FrameData` reports them."""
    return as_text(column).astype(object)


def free_name(frame: pd.DataFrame, wish: str | None = None) -> str:
    """A name for a column of sample names that is not used in the table."""
    return next(name for name in (wish, UNNAMED, "observation", "name of the sample") if name and name not in frame)


def gene_values(
    columns: Mapping[str, pd.Series], rows: pd.Index, source: str, genes_in_rows: bool = False
) -> np.ndarray:
    """Columns as float32, missing values as NaN; in columns of text, words such as NA mean a missing value.

    Args:
        columns: Values by name, ``shape=(rows,)`` each.
        rows: Names of the rows.
        source: Name of the table in an error.
        genes_in_rows: Rows are genes and columns samples.

    Returns:
        ``shape=(rows, columns)``.

    Raises:
        InputError: Values are text; the message names the sample and the gene of the first ones, one a line.
    """
    values = np.empty((len(rows), len(columns)), dtype=np.float32, order="F")
    wrong: list[tuple[int, str, str]] = []
    with np.errstate(over="ignore"):
        for at, (name, column) in enumerate(columns.items()):
            if pd.api.types.is_numeric_dtype(column.dtype):
                values[:, at] = column.to_numpy(dtype=np.float32, na_value=np.nan)
                continue
            text = as_text(column)
            values[:, at] = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float32)
            absent = np.isnan(values[:, at]) & text.notna().to_numpy()
            cells = [(row, name, text.iloc[row]) for row in np.flatnonzero(absent).tolist()]
            wrong += [cell for cell in cells if not missing_word(cell[2])]
    if wrong:
        first = []
        for row, name, value in wrong[:MOST_NAMED]:
            sample, gene = (name, rows[row]) if genes_in_rows else (rows[row], name)
            first.append(f"{source}: sample {sample}, gene {gene}: {value!r} is not a number")
        first[0] += f" ({len(wrong)} such values)" if len(wrong) > 1 else ""
        first[0] += "; correct it, or leave it empty if missing"
        raise InputError("\n".join(first))
    return values
