"""Cox's loss, and what belongs to it: the hazard, the metrics, the simulated patients."""

import numpy as np
import pytest
import torch
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import concordance_index_censored, integrated_brier_score

from zoo import files
from zoo.data.simulated.patients import patients, planted_log_hazard
from zoo.training.cox import KNOTS, baseline_hazard, breslow, efron, survival
from zoo.training.survival_metrics import concordance, scored_times, structured, survival_scores

LOSSES = {"efron": efron, "breslow": breslow}


def cohort(count: int, distinct: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Risks ``(count, 1)`` and times with events ``(count, 2)``, at most so many distinct times."""
    generator = torch.Generator().manual_seed(seed)
    risk = torch.randn(count, 1, dtype=torch.double, generator=generator)
    time = torch.randint(distinct, (count,), generator=generator)
    return risk, torch.stack([time, torch.rand(count, generator=generator) < 0.6], 1).float()


def by_hand(risk: torch.Tensor, y: torch.Tensor, ties: str) -> torch.Tensor:
    """The mean over events, term by term as in the textbook."""
    risk, (time, event) = risk[:, 0], y.T
    total = torch.zeros((), dtype=risk.dtype)
    for moment in time[event > 0].unique():
        died = risk[(time == moment) & (event > 0)]
        for earlier, own in enumerate(died):
            left = earlier / len(died) * died.exp().sum() if ties == "efron" else 0
            total = total + torch.log(risk[time >= moment].exp().sum() - left) - own
    return total / event.sum()


@pytest.mark.parametrize("ties", LOSSES)
@pytest.mark.parametrize("distinct", [1, 4, 10_000])
def test_loss_and_gradient_are_those_of_the_textbook(ties: str, distinct: int) -> None:
    risk, y = cohort(40, distinct)
    risk.requires_grad_()
    rows = LOSSES[ties](risk, y)
    assert rows.shape == (40,)
    assert (rows[y[:, 1] == 0] == 0).all()
    expected = by_hand(risk, y, ties)
    torch.testing.assert_close(rows.mean(), expected)
    (ours,), (theirs,) = torch.autograd.grad(rows.mean(), risk), torch.autograd.grad(expected, risk)
    torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda values: LOSSES[ties](values, y), risk)


@pytest.mark.parametrize("ties", LOSSES)
def test_loss_is_least_where_scikit_survival_finds_it(ties: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(150, 3, dtype=torch.double)
    y = torch.stack([(6 * torch.rand(150) * (-x[:, 0]).exp()).ceil(), (torch.rand(150) < 0.7).float()], 1).float()
    found = CoxPHSurvivalAnalysis(ties=ties, tol=1e-12).fit(x.numpy(), structured(y.numpy()))
    weights = torch.tensor(found.coef_, requires_grad=True)
    (slope,) = torch.autograd.grad(LOSSES[ties](x @ weights[:, None], y).mean(), weights)
    assert slope.abs().max() < 1e-7
    assert len(y[:, 0].unique()) < 100  # there are ties


@pytest.mark.parametrize("ties", LOSSES)
def test_loss_of_extreme_batches_is_finite(ties: str) -> None:
    y = torch.tensor([[1, 1], [1, 1], [1, 1], [3, 1], [2, 0.0]])
    for values in ([200.0, -200, 200, -200, 0], [-200.0] * 5, [1e4, -1e4, 0, 0, 0]):
        risk = torch.tensor(values)[:, None].requires_grad_()
        loss = LOSSES[ties](risk, y).mean()
        (slope,) = torch.autograd.grad(loss, risk)
        assert loss.isfinite()
        assert slope.isfinite().all()
    for rows in (y[:1], y[4:], torch.tensor([[1.0, 0], [2, 0], [3, 0]])):  # one row, and no event at all
        risk = torch.randn(len(rows), 1, requires_grad=True)
        loss = LOSSES[ties](risk, rows).mean()
        (slope,) = torch.autograd.grad(loss, risk)
        assert loss == 0
        assert (slope == 0).all()
    half = torch.randn(5, 1).bfloat16().requires_grad_()
    assert LOSSES[ties](half, y).dtype == torch.float32


def test_hazard_is_that_of_breslow() -> None:
    risk, y = cohort(200, 60)
    theirs = BreslowEstimator().fit(risk[:, 0].numpy(), y[:, 1].numpy() > 0, y[:, 0].double().numpy())
    times = torch.linspace(0, 59, 119)
    ours = survival(risk[:, 0].float(), times, *baseline_hazard(risk[:, 0].float(), y))
    expected = np.stack([curve(times.numpy()) for curve in theirs.get_survival_function(risk[:, 0].numpy())])
    torch.testing.assert_close(ours.double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-4)


def test_survival_never_rises_and_never_leaves_its_range() -> None:
    risk, y = cohort(5000, 1_000_000)  # more events than are kept
    times, hazard = baseline_hazard(risk[:, 0], y)
    assert len(times) == KNOTS
    assert (times.isfinite() & hazard.isfinite()).all()
    wild = torch.tensor([-300.0, -5, 0, 5, 300])
    curves = survival(wild, torch.linspace(-10, 1_100_000, 500), times, hazard)
    assert ((curves >= 0) & (curves <= 1)).all()
    assert (curves.diff(dim=1) <= 0).all()
    assert (curves.diff(dim=0) <= 0).all()
    assert (curves[:, 0] == 1).all()


def test_scores_are_those_of_scikit_survival() -> None:
    frame, risk = patients(), planted_log_hazard().to_numpy()
    y = frame[["time", "dead"]].to_numpy(np.float32)
    training, test = y[:420], y[420:]
    times = scored_times(training)
    hazard = baseline_hazard(torch.from_numpy(risk[:420]), torch.from_numpy(training))
    curves = survival(torch.from_numpy(risk[420:]), torch.from_numpy(times), *hazard).numpy()
    found = survival_scores(np.column_stack([risk[420:], curves]), test, training)
    known = structured(test)
    assert found["c_index"] == concordance_index_censored(known["event"], known["time"], risk[420:])[0]
    # cutting at the last scored time changes nothing before
    expected = integrated_brier_score(structured(training), known, curves, times)
    assert found["integrated_brier"] == pytest.approx(expected, rel=1e-6)
    assert all(0.7 < value < 0.95 for name, value in found.items() if name != "integrated_brier")


def test_scores_of_few_samples_are_not_a_number() -> None:
    training = patients()[["time", "dead"]].to_numpy(np.float32)
    answer = np.full((3, 1 + len(scored_times(training))), 0.5)
    for y in ([[10, 0], [20, 0], [30, 0]], [[10, 1], [10, 1], [10, 1]], [[9000, 1], [9000, 0], [8000, 0]]):
        assert np.isnan(survival_scores(answer, np.array(y, np.float32), training)["integrated_brier"])
    assert np.isnan(concordance(np.array([np.nan, 0, 1]), training[:3]))
    alive = np.array([[10, 0], [20, 0]], np.float32)
    assert np.isnan(list(survival_scores(np.zeros((2, 1)), alive, alive).values())).all()


def test_the_card_states_what_the_true_hazard_achieves() -> None:
    frame = patients()
    best = concordance(planted_log_hazard().to_numpy(), frame[["time", "dead"]].to_numpy(float))
    card = files.card("patients_simulated")
    assert f"C-index of {best:.3f}" in card["description"]
    assert f"{frame['dead'].sum()} of whom die" in card["description"]
    assert patients(1)["time"].tolist() != frame["time"].tolist()
