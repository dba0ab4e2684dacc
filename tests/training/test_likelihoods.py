"""Likelihoods, compared with scipy's distributions."""

import numpy as np
import pytest
import torch
from scipy import stats

from zoo.encode.base import Encoder
from zoo.encode.table import TableEncoder
from zoo.training.count_likelihoods import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from zoo.training.likelihoods import Bernoulli, Categorical, Gaussian

GENES = 6


@pytest.fixture
def counts():
    torch.manual_seed(0)
    x = torch.poisson(torch.rand(20, GENES) * 8)
    x[:, 0] += 1
    x[3, 1] = 5000.0  # far above any mean
    return x


@pytest.fixture
def output():
    return torch.randn(20, GENES, generator=torch.Generator().manual_seed(1))


def means(output, counts):
    return (output[:, :GENES].softmax(1) * counts.sum(1, keepdim=True)).numpy()


def made(kind, **changes):
    layer = kind(Encoder(), (GENES,))
    for name, value in changes.items():
        getattr(layer, name).data.copy_(value)
    return layer


def test_poisson(counts, output):
    found = made(Poisson).log_prob(output, counts, counts, None)
    np.testing.assert_allclose(found, stats.poisson.logpmf(counts, means(output, counts)).sum(1), rtol=1e-4)


def test_negative_binomial(counts, output):
    theta = torch.tensor([0.05, 0.3, 1.0, 4.0, 50.0, 1000.0])
    found = made(NegativeBinomial, log_dispersion=theta.log()).log_prob(output, counts, counts, None).detach()
    share = theta.numpy() / (theta.numpy() + means(output, counts))
    np.testing.assert_allclose(found, stats.nbinom.logpmf(counts, theta.numpy(), share).sum(1), rtol=1e-3)


def test_zero_inflated_negative_binomial(counts, output):
    theta, lost = torch.full((GENES,), 2.0), torch.randn(20, GENES, generator=torch.Generator().manual_seed(2))
    layer = made(ZeroInflatedNegativeBinomial, log_dispersion=theta.log())
    assert layer.maps == 2
    found = layer.log_prob(torch.cat([output, lost], 1), counts, counts, None).detach()
    p = lost.sigmoid().numpy()
    kept = stats.nbinom.pmf(counts, 2.0, 2.0 / (2.0 + means(output, counts))) * (1 - p)
    np.testing.assert_allclose(found, np.log(kept + p * (counts.numpy() == 0)).sum(1), rtol=1e-3)


def test_small_and_large_counts_follow_the_same_distribution():
    counts = torch.tensor([[0.0], [1.0], [2.0], [15.0], [16.0], [17.0], [18.0], [300.0]]).repeat(1, 3)
    counts = torch.cat([counts, torch.full((8, 1), 40.0)], 1)
    theta = torch.tensor([0.02, 3.0, 5000.0, 1.0])
    layer = NegativeBinomial(Encoder(), (4,))
    layer.log_dispersion.data.copy_(theta.log())
    found = layer.log_prob(torch.zeros(8, 4), counts, counts, None).detach()
    mean = counts.sum(1, keepdim=True).numpy() / 4
    expected = stats.nbinom.logpmf(counts, theta.numpy(), theta.numpy() / (theta.numpy() + mean)).sum(1)
    np.testing.assert_allclose(found, expected, atol=0.01, rtol=1e-4)


def log_prob_as_written(output, counts, log_dispersion, lost):
    mean, theta = output.softmax(1) * counts.sum(1, keepdim=True), log_dispersion.exp()
    result = torch.lgamma(counts + theta) - torch.lgamma(theta) - torch.lgamma(counts + 1)
    result = result + theta * (theta / (theta + mean)).log() + counts * (mean / (theta + mean)).log()
    if lost is not None:
        p = lost.sigmoid()
        result = torch.where(counts > 0, (1 - p).log() + result, (p + (1 - p) * result.exp()).log())
    return result.sum(1)


@pytest.mark.parametrize("kind", [NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_gradients_are_those_of_the_formula(kind, counts):
    generator = torch.Generator().manual_seed(3)
    output = torch.randn(20, GENES * kind.maps, generator=generator, requires_grad=True)
    layer = made(kind, log_dispersion=torch.randn(GENES, generator=generator))
    x = torch.cat([counts, torch.ones(20, 1)], 1)  # a covariate comes last
    weight = torch.rand(20, generator=generator)
    (layer.log_prob(output, x, counts, None) * weight).sum().backward()
    exact = output.detach().double().requires_grad_()
    dispersion = layer.log_dispersion.detach().double().requires_grad_()
    lost = exact[:, GENES:] if kind.maps == 2 else None
    (log_prob_as_written(exact[:, :GENES], counts.double(), dispersion, lost) * weight).sum().backward()
    torch.testing.assert_close(output.grad.double(), exact.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(layer.log_dispersion.grad.double(), dispersion.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_genes_that_were_not_measured_neither_count_nor_take_a_share(kind, counts, output):
    output = torch.cat([output, output], 1) if kind.maps == 2 else output
    observed = torch.ones(20, GENES, dtype=torch.bool)
    observed[:, -2:] = False
    gaps = counts.masked_fill(~observed, torch.nan)
    whole = made(kind)
    small = kind(Encoder(), (GENES - 2,))
    less = torch.cat([part[:, : GENES - 2] for part in output.split(GENES, 1)], 1)
    found = whole.log_prob(output, gaps, gaps, observed)
    torch.testing.assert_close(found, small.log_prob(less, counts[:, : GENES - 2], counts, None))


@pytest.mark.parametrize("kind", [Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_gradients_stay_finite_at_the_ends(kind, counts):
    layer = made(kind)
    wild = torch.full((20, GENES * kind.maps), 80.0)
    wild[:, ::2] = -80.0
    wild.requires_grad_()
    layer.log_prob(wild, counts, counts, None).sum().backward()
    assert wild.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("kind", [Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial])
def test_drawn_counts_have_the_expected_shares(kind):
    torch.manual_seed(0)
    layer = made(kind, log_library=torch.tensor([6.0, 0.1]))
    output = torch.tensor([[2.0, 1.0, 0.0, 0.0, -1.0, -1.0] + [-20.0] * GENES * (kind.maps - 1)]).repeat(4000, 1)
    drawn = layer.draw(output, Encoder()).detach()
    assert (drawn % 1 == 0).all()
    shares = drawn.sum(0) / drawn.sum()
    torch.testing.assert_close(shares, output[0, :GENES].softmax(0), rtol=0.1, atol=0.01)
    assert drawn.sum(1).log().mean() == pytest.approx(6.0, abs=0.5)
    if kind is not Poisson:  # variance = mean + mean^2 / 1
        mean, spread = drawn[:, 0].mean(), drawn[:, 0].var()
        assert spread == pytest.approx(float(mean + mean**2 * 1.02), rel=0.2)


def mixed():
    modality = {"kind": "table", "shape": [3], "features": ["age", "sex", "dose"], "levels": {"sex": ["f", "m"]}}
    encode = TableEncoder(modality)
    encode.fit(torch.tensor([[20.0, 0.0, 1.0], [40.0, 1.0, 3.0]]))
    return encode


@pytest.mark.parametrize("variance", ["unit", "shared", "feature"])
def test_gaussian_with_categories(variance):
    encode, x = mixed(), torch.tensor([[30.0, 1.0, 4.0], [20.0, torch.nan, 1.0]])
    layer = Gaussian(encode, (5,), variance)
    if variance != "unit":
        layer.log_variance.data.fill_(np.log(4.0))
    deviation = 1.0 if variance == "unit" else 2.0
    content, output = encode(x), torch.tensor([[0.5, 0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    found = layer.log_prob(output, x, content, encode.observed(x)).detach()
    numbers = stats.norm.logpdf(content[:, :2], output[:, :2], deviation).sum(1)
    level = np.array([float(output[0, 2:].log_softmax(0)[1]), 0.0])  # a missing level does not count
    np.testing.assert_allclose(found, numbers + level, rtol=1e-5)


def test_gaussian_draws_levels_by_their_probability_and_never_unknown():
    torch.manual_seed(0)
    encode = mixed()
    layer = Gaussian(encode, (5,), "shared")
    drawn = layer.draw(torch.tensor([[0.0, 0.0, 0.0, 2.0, 5.0]]).repeat(2000, 1), encode).detach()
    assert drawn[:, 1].mean() == pytest.approx(1 / (1 + np.exp(-2)), abs=0.03)
    assert drawn[:, 0].mean() == pytest.approx(30, abs=1)
    assert drawn[:, 0].std() == pytest.approx(10, rel=0.1)


def test_categorical_of_bases():
    content = torch.eye(4)[None].repeat(2, 1, 1)
    content[1, :, 3] = 0.0  # an N
    output = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    layer = Categorical(Encoder(), (4, 4))
    found = layer.log_prob(output, content, content, None)
    expected = output.log_softmax(1).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(found, torch.stack([expected[0].sum(), expected[1, :3].sum()]))
    assert layer.draw(torch.full((3, 4, 4), -50.0).index_fill(1, torch.tensor([2]), 50.0), Encoder()).eq(2).all()


def test_bernoulli_lies_between_the_ends_of_training():
    encode = mixed()
    with pytest.raises(ValueError, match="categories"):
        Bernoulli(encode, (5,))
    plain = TableEncoder({"kind": "table", "shape": [2], "features": ["a", "b"]})
    rows = torch.tensor([[0.0, 10.0], [4.0, 30.0], [2.0, 20.0]])
    plain.fit(rows)
    layer = Bernoulli(plain, (2,))
    layer.fit(plain, rows)
    ends = layer.expected(torch.tensor([[-50.0, 50.0], [0.0, 0.0]]))
    torch.testing.assert_close(plain.inverse(ends), torch.tensor([[0.0, 30.0], [2.0, 20.0]]))
    half = layer.log_prob(torch.zeros(1, 2), rows[2:], plain(rows[2:]), None)
    assert float(half) == pytest.approx(2 * np.log(0.5), rel=1e-5)
