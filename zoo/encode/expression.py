"""Encoding of expression: library-size normalisation of counts, logarithms, standardisation."""

import torch
from torch import Tensor

from ..errors import InputError, check_choice
from ..spec import Modality
from .base import Encoder
from .kinds import CARDS, WRITERS, InputLines, layer
from .table import TableEncoder, table_frame

SCALES = ("counts", "abundance", "log", "beta", "none")
AS_THEY_ARE = ("log", "none")
EDGE, LN2 = 1e-3, 0.6931471805599453  # beta values closer to 0 or 1 than EDGE are measurement noise and are clipped
PER = 1e4  # library size to which counts are scaled
FIT_VALUES = 1 << 20  # values transformed at a time while statistics are fitted

WRITERS["expression"] = table_frame


@layer("expression", "standardised", default=True)
class ExpressionEncoder(Encoder):
    """Expression of genes, standardised over the training samples, followed by the encoded covariates.

    Counts are transformed to log(1 + counts per 10,000 counts of the sample), so that samples of different sequencing
    depth are comparable; the total is over the genes of the model. Abundances are transformed to log(1 + x), and
    methylation proportions (beta values) to M-values, log2(beta / (1 - beta)) (Du et al. 2010,
    doi:10.1186/1471-2105-11-587). Logarithms and values of the scale ``"none"`` are not transformed. Then each gene is
    standardised, ``(x - mean) / standard deviation``. Genes that were not measured (NaN) are set to 0, the training
    mean.

    Args:
        modality: Genes, then covariates; ``scale`` is the scale of the values, ``levels`` are the levels of categorical
            covariates.

    Attributes:
        genes: Number of genes.
        scale_of_values: One of `SCALES`.
        feature_names: Names of the genes, then of the encoded covariates, such as ``"batch=b1"``.

    Shape:
        ``(batch, genes + covariates) -> (batch, out_features)``

    Raises:
        InputError: The scale is unknown.

    Example:
        >>> modality = {"kind": "expression", "shape": [2], "features": ["TP53", "MYC"], "scale": "log"}
        >>> layer = ExpressionEncoder(modality)
        >>> layer.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        >>> layer(torch.tensor([[3.0, 6.0], [torch.nan, 5.0]]))
        tensor([[1., 1.],
                [0., 0.]])
    """

    mean: Tensor
    scale: Tensor
    of_sample_table = False

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        check_choice("scale", modality.get("scale", ""), SCALES)
        names, conditions = modality["features"], modality.get("covariates", [])
        self.scale_of_values, self.genes = modality["scale"], len(names) - len(conditions)
        if names[self.genes :] != conditions:
            raise InputError(f"the covariates {', '.join(conditions)} must be the last features")
        self.table = TableEncoder(covariate_table(modality)) if conditions else None
        self.covariates = self.table.out_features if self.table else 0
        self.feature_names = names[: self.genes] + (self.table.feature_names if self.table else [])
        self.out_shape = (len(self.feature_names),)
        self.register_buffer("mean", torch.zeros(self.genes))
        self.register_buffer("scale", torch.ones(self.genes))
        self.register_buffer("fitted", torch.tensor(False))

    def transform(self, x: Tensor) -> Tensor:
        """Transformed values of the genes before standardisation: ``(batch, genes) -> (batch, genes)``."""
        if self.scale_of_values in AS_THEY_ARE:
            return x
        if self.scale_of_values == "beta":
            return x.clamp(EDGE, 1 - EDGE).logit() / LN2
        if self.scale_of_values == "counts":
            total = x.nansum(1, keepdim=True)
            x = x * (PER / torch.where(total > 0, total, 1.0))
        return (x + 1).log_()  # equal to log1p within 2e-7, in a seventh of the time

    def fit(self, x: Tensor) -> None:
        """Fit mean and standard deviation of each gene to raw training rows, ``shape=(rows, genes + covariates)``.

        The scale of a gene that is constant or never measured is 1.
        """
        shift, zeros = None, torch.zeros(self.genes, dtype=torch.double, device=x.device)
        count, total, squares = zeros.clone(), zeros.clone(), zeros.clone()
        for part in x.split(max(1, FIT_VALUES // self.genes)):
            values = self.transform(part[:, : self.genes]).double()
            if shift is None:  # near the mean, so that differences of large sums are accurate
                shift = values.nanmean(0).nan_to_num()
            measured = ~values.isnan()
            values = torch.where(measured, values - shift, 0.0)
            count += measured.sum(0)
            total += values.sum(0)
            squares += values.square().sum(0)
        mean = total / count.clamp(min=1)
        scale = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
        mean += shift if shift is not None else 0
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(scale > 1e-6 * mean.abs(), scale, 1.0))  # smaller is rounding of float32
        if self.table:
            self.table.fit(x[:, self.genes :])
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> Tensor:
        """Simulated raw values, ``shape=(rows, genes + covariates)``; counts are integer-valued."""
        noise = torch.randn(rows, self.genes, generator=torch.Generator().manual_seed(seed))
        x = self.mean.cpu() + self.scale.cpu() * noise
        if self.scale_of_values not in AS_THEY_ARE:
            x = self._natural(x.clamp(min=0) if self.scale_of_values != "beta" else x)
        if self.scale_of_values == "counts":
            x = x.round()
            x[:, 0] += x.sum(1) == 0
        return torch.cat([x, self.table.example(rows, seed)], 1) if self.table else x

    def forward(self, x: Tensor) -> Tensor:
        """Encode raw values: ``(batch, genes + covariates) -> (batch, out_features)``."""
        genes = x[:, : self.genes] if self.table else x
        content = ((self.transform(genes) - self.mean) / self.scale).nan_to_num(0.0)
        return torch.cat([content, self.table(x[:, self.genes :])], 1) if self.table else content

    def feature_numbers(self) -> Tensor:
        """As in `Encoder`: ``(out_features,)``."""
        covariates = self.table.of.cpu() + self.genes if self.table else torch.arange(0)
        return torch.cat([torch.arange(self.genes), covariates])

    def observed(self, x: Tensor) -> Tensor | None:
        """Mask of measured genes: ``(batch, genes)``; None if all genes were measured."""
        genes = x[:, : self.genes]
        return ~genes.isnan() if genes.sum().isnan() else None

    def inverse(self, encoded: Tensor) -> Tensor:
        """Raw values of the genes: ``(batch, genes) -> (batch, genes)``.

        Counts are returned as counts per 10,000 counts of the sample, other values in their units.
        """
        return self._natural(encoded * self.scale + self.mean)

    def _natural(self, values: Tensor) -> Tensor:
        if self.scale_of_values in AS_THEY_ARE:
            return values
        return (values * LN2).sigmoid() if self.scale_of_values == "beta" else values.expm1().clamp(min=0)


def covariate_table(modality: Modality) -> Modality:
    """The covariates of an expression modality as a table modality."""
    names = modality.get("covariates", [])
    levels = {name: known for name, known in modality.get("levels", {}).items() if name in names}
    return Modality(kind="table", shape=[len(names)], features=names, levels=levels)


@CARDS.add("expression")
def expression_card(modality: Modality, names: list[str]) -> InputLines:
    """Inputs of a model of expression, for its card."""
    covariates = modality.get("covariates", [])
    genes = [name for name in names if name not in covariates]
    first = ", ".join(f"`{name}`" for name in genes[:8])
    conditions = f"; covariates: {', '.join(covariates)}" if covariates else ""
    return InputLines(
        "expression",
        "model.predict(adata)  # AnnData, or a table with one row per sample; genes are matched by name",
        f"Inputs: {modality['scale']} of {len(genes)} genes ({first}, ...){conditions}.",
    )
