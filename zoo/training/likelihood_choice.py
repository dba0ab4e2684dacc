"""Choice of the likelihood of a decoder by name or by the kind of data."""

from typing import Literal

from ..encode import Encoder
from ..encode.kmer import KmerEmbedding
from ..errors import InputError, check_choice
from ..spec import Modality
from .count_likelihoods import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from .likelihoods import Bernoulli, Categorical, Gaussian, Likelihood, Variance

LikelihoodName = Literal[
    "auto", "gaussian", "bernoulli", "poisson", "negative_binomial", "zero_inflated_negative_binomial"
]
LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": Gaussian,
    "bernoulli": Bernoulli,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "zero_inflated_negative_binomial": ZeroInflatedNegativeBinomial,
}


def choose(
    name: LikelihoodName, modality: Modality, encode: Encoder, content: tuple[int, ...], variance: Variance
) -> Likelihood:
    """The likelihood for samples of a modality.

    Args:
        name: ``"auto"``: negative binomial for counts, categorical for the letters of sequences, else gaussian.
        modality: Description of the samples.
        encode: Their encoding.
        content: Shape of one encoded sample without covariates.
        variance: Variance of a gaussian likelihood.

    Raises:
        InputError: The likelihood does not suit the data.
    """
    check_choice("likelihood", name, ["auto", *LIKELIHOODS])
    counts = modality.get("scale") == "counts"
    if isinstance(encode, KmerEmbedding):
        raise InputError("k-mer embeddings cannot be reconstructed; use encoding {layer: one-hot}")
    if encode.letters:
        if name != "auto" or content[0] != len(encode.letters):
            raise InputError("sequences need likelihood 'auto' and a one-hot encoding of all letters")
        return Categorical(encode, content, variance)
    chosen = (NegativeBinomial if counts else Gaussian) if name == "auto" else LIKELIHOODS[name]
    if issubclass(chosen, Poisson) and not counts:
        what = modality.get("scale", modality["kind"])
        raise InputError(f"likelihood {name!r} is for counts of ExpressionData; these data are of the kind {what!r}")
    return chosen(encode, content, variance)
