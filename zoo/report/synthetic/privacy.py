"""Whether synthetic rows reveal membership in the training rows; 0.5 is ideal. Hold-out rows are needed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import euclidean_distances, roc_auc_score

REPEATS = 20  # random subsets of equal size, or halves


@dataclass
class Privacy:
    """Measures of the information about training rows in synthetic rows.

    Attributes:
        dcr_share: Share of synthetic rows that lie nearer to a training row than to one of as many hold-out rows
            (distance to the closest record, Platzer and Reutterer 2021, doi:10.3389/fdata.2021.679939); ties count
            half. Values above 0.5 indicate memorised training rows. Even for copies the share is below 1 if there are
            more training than hold-out rows, because random subsets of equal size are compared.
        membership_inference: ROC-AUC of an attack that predicts membership in the training rows from the distance to
            the nearest synthetic row (Chen et al. 2020, doi:10.1145/3372297.3417238).
        nearest_training: Distance of each training row to the nearest synthetic row, ``shape=(training rows,)``.
        nearest_holdout: The same for each hold-out row, ``shape=(hold-out rows,)``.
    """

    dcr_share: float
    membership_inference: float
    nearest_training: np.ndarray
    nearest_holdout: np.ndarray


def privacy(train: np.ndarray, holdout: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Privacy:
    """Privacy of synthetic rows, from encoded rows ``shape=(rows, columns)``; the encoding is that of training rows."""
    to_train, to_holdout = (euclidean_distances(synthetic, rows) for rows in (train, holdout))
    share = _nearer(to_train, to_holdout, np.random.default_rng(seed))
    return Privacy(share, _attack_auc(to_train, to_holdout), to_train.min(0), to_holdout.min(0))


def privacy_of_real(train: np.ndarray, holdout: np.ndarray, seed: int = 0) -> Privacy:
    """Privacy measures of new real rows: one half of the hold-out rows replaces synthetic rows, the other is held out.

    Measures are means over 20 random halves; the distances are those of the last.
    """
    rng, between, within = (
        np.random.default_rng(seed),
        euclidean_distances(holdout, train),
        euclidean_distances(holdout),
    )
    shares, attacks = [], []
    for _ in range(REPEATS):
        fresh, rest = np.array_split(rng.permutation(len(holdout)), 2)
        to_train, to_rest = between[fresh], within[np.ix_(fresh, rest)]
        shares.append(_nearer(to_train, to_rest, rng))
        attacks.append(_attack_auc(to_train, to_rest))
    return Privacy(float(np.mean(shares)), float(np.mean(attacks)), to_train.min(0), to_rest.min(0))


def copies(train: pd.DataFrame, synthetic: pd.DataFrame) -> int:
    """Number of synthetic rows that are exact copies of a training row, in all columns, of tidy rows."""
    known, made = (pd.util.hash_pandas_object(rows[train.columns], index=False) for rows in (train, synthetic))
    return int(made.isin(known).sum())


def _nearer(to_train: np.ndarray, to_holdout: np.ndarray, rng: np.random.Generator) -> float:
    """Share of rows that are nearer to training than to hold-out rows, in random subsets of equal size."""
    size = min(to_train.shape[1], to_holdout.shape[1])
    shares = []
    for _ in range(REPEATS):
        one, two = (d[:, rng.permutation(d.shape[1])[:size]].min(1) for d in (to_train, to_holdout))
        shares.append((one < two).mean() + (one == two).mean() / 2)
    return float(np.mean(shares))


def _attack_auc(to_train: np.ndarray, to_holdout: np.ndarray) -> float:
    """ROC-AUC of membership inference by the distance to the nearest synthetic row."""
    near = -np.concatenate([to_train.min(0), to_holdout.min(0)])
    member = np.repeat([1, 0], [to_train.shape[1], to_holdout.shape[1]])
    return float(roc_auc_score(member, near))
