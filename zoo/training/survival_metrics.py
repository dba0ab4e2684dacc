"""Metrics of survival from scikit-survival: discrimination by risks, and accuracy of survival probabilities.

Censoring is corrected for by inverse probability weights, estimated from training rows. ``y`` are times and events,
``shape=(samples, 2)``.
"""

from collections.abc import Callable

import numpy as np

from ..errors import need_scikit_survival

EARLIEST, LATEST, GRID = 0.1, 0.9, 33  # quantiles of the training event times between which probabilities are scored
QUARTILES = {"roc_auc_first_quartile": 0.25, "roc_auc_median": 0.5, "roc_auc_third_quartile": 0.75}


def structured(y: np.ndarray) -> np.ndarray:
    """Times and events as the structured array that scikit-survival takes."""
    need_scikit_survival()
    from sksurv.util import Surv

    array: np.ndarray = Surv.from_arrays(y[:, 1] > 0, y[:, 0])
    return array


def scored_times(y: np.ndarray) -> np.ndarray:
    """Times at which probabilities are scored: from the 10% to the 90% quantile of the event times of training rows.

    All are before the maximum time, beyond which there is no follow-up.
    """
    y = y.astype(float)
    if not (happened := y[:, 1] > 0).any():
        return np.empty(0)
    times = np.unique(np.quantile(y[happened, 0], np.linspace(EARLIEST, LATEST, GRID)))
    before: np.ndarray = times[times < y[:, 0].max()]
    return before


def concordance(risk: np.ndarray, y: np.ndarray) -> float:
    """Harrell's C-index (1982, doi:10.1001/jama.1982.03320430047030), or NaN if no two samples can be compared."""
    need_scikit_survival()
    from sksurv.metrics import concordance_index_censored

    return _or_nan(lambda: concordance_index_censored(y[:, 1] > 0, y[:, 0], risk)[0])


def survival_scores(predictions: np.ndarray, y: np.ndarray, training: np.ndarray) -> dict[str, float]:
    """All metrics of one split.

    Args:
        predictions: Risks, then probabilities of no event until each of ``scored_times(training)``,
            ``shape=(samples, 1 + times)``.
        y: True times and events.
        training: Times and events of the training rows.

    Returns:
        ``c_index``: Harrell's C-index, the share of comparable pairs in which the sample with the higher risk has the
        event first. ``c_index_uno``: Uno's C-index up to the last scored time, weighted, so that it does not depend on
        the censoring (Uno et al. 2011, doi:10.1002/sim.4154). ``integrated_brier``: integrated Brier score over the
        scored times (Graf et al. 1999, Statistics in Medicine 18, 2529). ``roc_auc_...``: cumulative/dynamic area under
        the ROC curve at each quartile of the training event times (Hung and Chiang 2010, doi:10.1002/cjs.10046). NaN
        where a metric is undefined.
    """
    from sksurv.metrics import concordance_index_ipcw, cumulative_dynamic_auc, integrated_brier_score

    predictions, y, training = (values.astype(float) for values in (predictions, y, training))
    risk, times = predictions[:, 0], scored_times(training)
    follow_up, known = structured(training), structured(y)
    inside = (times >= y[:, 0].min(initial=np.inf)) & (times < y[:, 0].max(initial=-np.inf))
    found = {"c_index": concordance(risk, y), "c_index_uno": float("nan"), "integrated_brier": float("nan")}
    if len(times):
        found["c_index_uno"] = _or_nan(lambda: concordance_index_ipcw(follow_up, known, risk, tau=times[-1])[0])
        # Follow-up is cut at the last scored time, beyond which censoring may not be estimable from the training rows.
        late = y[:, 0] > times[-1]
        end = np.nextafter(times[-1], np.inf)
        cut = structured(np.column_stack([np.where(late, end, y[:, 0]), np.where(late, 0, y[:, 1])]))
        if inside.sum() > 1:
            curves = predictions[:, 1:][:, inside]
            found["integrated_brier"] = _or_nan(lambda: integrated_brier_score(follow_up, cut, curves, times[inside]))
        for name, share in QUARTILES.items():
            time = np.quantile(training[training[:, 1] > 0, 0], share)
            found[name] = _or_nan(lambda time=time: cumulative_dynamic_auc(follow_up, cut, risk, [time])[0][0])  # type: ignore[misc]
    return found


def _or_nan(metric: Callable[[], float]) -> float:
    """A metric, or NaN if there are too few samples for it or a risk is not finite."""
    from sksurv.exceptions import NoComparablePairException

    with np.errstate(invalid="ignore", divide="ignore"):
        try:
            return float(metric())
        except (ValueError, ArithmeticError, NoComparablePairException):
            return float("nan")
