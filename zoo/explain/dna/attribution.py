"""Contributions of the bases of a sequence to a prediction."""

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from ...data.base import Source
from ...encode.one_hot import OneHotDNA, one_hot
from ...errors import InputError, check_choice, check_range
from ...models import Supervised
from ...spec import modality_of
from ..completeness import Gap
from .deep_lift import LogOdds, multipliers, without_rule
from .mutagenesis import check_codes, mutagenesis

Method = Literal["mutagenesis", "gradient", "integrated_gradients", "deep_lift"]
BASES = 1 << 16  # bases computed at once, over sequences, references and steps
REFERENCES = 20  # shuffles of each sequence
STEPS = 128  # steps of the integral


def attribute(
    model: Supervised,
    codes: Source,
    target: int | str | None = None,
    method: Method = "mutagenesis",
    hypothetical: bool = False,
) -> Tensor:
    """Contribution of each base to the log-odds of a class (see `log_odds`), or to a predicted continuous value.

    Hypothetical contributions are those that each of the four bases would have at a position, with the rest of the
    sequence unchanged; without them only the observed base has a contribution. Methods:

    - ``mutagenesis``: minus the mean effect of replacing the base by one of the three others. For every model.
    - ``gradient``: the gradient minus its mean over the four bases. The four channels of a base sum to one, so that the
      mean cannot be learnt from data and is noise (Majdandzic et al. 2023, doi:10.1186/s13059-023-02956-3).
    - ``integrated_gradients``: along a straight line in 128 steps (Sundararajan et al. 2017, arXiv:1703.01365), by
      captum. The reference is 0.25 for each base, which is a single uninformative reference instead of many shuffles,
      and gives hypothetical contributions a mean of zero, as above.
    - ``deep_lift``: the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685), by captum; mean over 20
      dinucleotide-preserving shuffles of each sequence as references, as in DeepSHAP (Lundberg and Lee 2017,
      arXiv:1705.07874).

    For the last two, contributions should sum to the difference from the output for the reference (the mean over
    references). This is checked: a deviation above 5% of the largest difference is logged as a warning, one above 50%
    is an error. Causes are too few steps of the integral, or a layer without a DeepLIFT rule; every layer of a `CNN1D`
    has one.

    Args:
        model: A model of DNA; it stays on its device.
        codes: Sequences, uint8 ``shape=(sequences, length)``.
        target: Class, by name or number. Default: the positive class of two, or the most probable of more classes for
            each sequence.
        method: Attribution method.
        hypothetical: Return contributions of all four bases. Default: those of unobserved bases are zero.

    Returns:
        float32 on the CPU, ``shape=(sequences, length, 4)`` for bases A, C, G and T, in natural log-odds, or in the
        unit of a continuous target. An N has only hypothetical contributions.

    Raises:
        InputError: Unknown class or method; sequences of another length; a model without one-hot encoding, which all
            methods except ``mutagenesis`` need; contributions fail the completeness check.
    """
    found, gap = attributed(model, codes, target, method, hypothetical)
    if gap is not None:
        gap.check()
    return found


def attributed(
    model: Supervised,
    codes: Source,
    target: int | str | None = None,
    method: Method = "mutagenesis",
    hypothetical: bool = False,
) -> tuple[Tensor, Gap | None]:
    """As `attribute`, with the completeness gap, which is not checked here; it is None for the first two methods."""
    check_codes(model, codes, "attribute")
    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    (length,) = modality_of(model.spec)["shape"]
    column, sign = _column(model, target)
    unit = model.target_head.task.effect_scale(model.target_head)
    if method != "mutagenesis" and not (isinstance(model.encode, OneHotDNA) and model.encode.out_shape[0] == 4):
        raise InputError(f"{method} needs the one-hot encoding of DNA; use mutagenesis, which supports all encodings")
    copies = {"integrated_gradients": STEPS, "deep_lift": REFERENCES}.get(method, 1)
    parts, gaps = [], []
    lacking: list[str] = []
    with torch.inference_mode(False):  # gradients are needed, also where the caller has turned them off
        explained = explained_network(model)
        for rows in torch.arange(len(codes)).split(max(1, BASES // (copies * length))):
            sequences = codes[rows].to(model.device)
            with torch.no_grad():
                x = model.encode(sequences)
                columns = explained(x).argmax(1) if column is None else torch.full_like(sequences[:, 0], column).long()
            if method == "mutagenesis":
                part = _mutagenesis(model, sequences, columns)
            elif method == "gradient":
                part = _gradient(explained, x, columns) * unit
            else:
                references = _references(model, sequences, method)
                slopes = _slopes(explained, x, references, columns, method)
                gaps.append(_gaps(explained, x, references, columns, slopes))
                # Hypothetical contribution of a base: slope times (one-hot - reference) (Shrikumar et al. 2017).
                part = (slopes - (slopes * references).sum(2, keepdim=True)).mean(1).transpose(1, 2) * unit
            part = part if hypothetical else part * one_hot(sequences).transpose(1, 2)
            parts.append(sign * part.float().cpu())
        if method == "deep_lift":
            lacking = without_rule(explained, x[:1])
    if not gaps:
        return torch.cat(parts), None
    difference, unexplained = (torch.cat(gaps) * sign * unit).T
    if method == "deep_lift":
        why = (
            f"DeepLIFT has no rule for {', '.join(lacking)}" if lacking else "although every layer has a DeepLIFT rule"
        )
        instead = "integrated_gradients or mutagenesis"
    else:
        why, instead = f"{STEPS} steps are too few for this network", "mutagenesis"
    return torch.cat(parts), Gap(method, difference, unexplained, why, instead, unit=unit)


def explained_network(model: Supervised) -> nn.Sequential:
    """A copy of the network in evaluation mode, from encoded samples to log-odds or a standardised continuous value."""
    network = copy.deepcopy(model.network).eval().requires_grad_(False)
    return nn.Sequential(*network, LogOdds()) if len(model.target["classes"]) > 2 else network


def _column(model: Supervised, target: int | str | None) -> tuple[int | None, int]:
    """Index of the explained output (None: the most probable class), and its sign: -1 for the negative class of two."""
    classes = model.target["classes"]
    if target is None:
        return (None if len(classes) > 2 else 0), 1
    if not classes:
        raise InputError(f"the target {model.target['name']} is continuous and has no class {target!r}")
    if isinstance(target, str):
        check_choice("class", target, classes)
        target = classes.index(target)
    check_range("number of the class", target, 0, len(classes) - 1)
    return (target, 1) if len(classes) > 2 else (0, 1 if target else -1)


def _mutagenesis(model: Supervised, codes: Tensor, columns: Tensor) -> Tensor:
    """Effect of each base relative to the mean of the three others: ``(sequences, length, 4)``.

    The effect of the observed base is 0, so that its contribution is minus the mean effect of its three replacements.
    `mutagenesis` has scaled effects to the unit of the target.
    """
    effects = mutagenesis(model, codes)[torch.arange(len(codes)), ..., columns.cpu()].to(codes.device)
    others = (effects.sum(2, keepdim=True) - effects) / 3
    return effects - others


def _gradient(explained: nn.Module, x: Tensor, columns: Tensor) -> Tensor:
    """Gradient minus its mean over bases: ``(sequences, length, 4)``."""
    with torch.enable_grad():
        x = x.requires_grad_()
        (slopes,) = torch.autograd.grad(explained(x).gather(1, columns[:, None]).sum(), x)
    return (slopes - slopes.mean(1, keepdim=True)).transpose(1, 2)


def _references(model: Supervised, codes: Tensor, method: Method) -> Tensor:
    """Encoded references: ``(sequences, references, 4, length)``."""
    if method == "integrated_gradients":
        # An N, encoded as zeros, has a reference of zeros and so no contribution.
        mean: Tensor = model.encode(codes).mean(1, keepdim=True)
        return mean.expand(-1, 4, -1)[:, None]
    from ...data.sequence.negatives import dinucleotide_shuffle

    shuffled = dinucleotide_shuffle(codes.cpu().repeat_interleave(REFERENCES, 0), seed=0)
    encoded: Tensor = model.encode(shuffled.to(codes.device))
    return encoded.reshape(len(codes), REFERENCES, *encoded.shape[1:])


def _slopes(explained: nn.Module, x: Tensor, references: Tensor, columns: Tensor, method: Method) -> Tensor:
    """Contribution per unit of each input, between reference and sequence; the shape of ``references``."""
    from captum.attr import IntegratedGradients

    count, flat = references.shape[1], references.flatten(0, 1)
    x, columns = x.repeat_interleave(count, 0), columns.repeat_interleave(count)
    if method == "deep_lift":
        slopes = multipliers(explained, x, flat, columns)
    else:
        slopes = IntegratedGradients(explained, multiply_by_inputs=False).attribute(x, flat, columns, n_steps=STEPS)
    return slopes.detach().view_as(references)


@torch.no_grad()
def _gaps(explained: nn.Module, x: Tensor, references: Tensor, columns: Tensor, slopes: Tensor) -> Tensor:
    """Difference that contributions should sum to, and its part that they do not explain: ``(sequences, 2)``."""
    found = ((x[:, None] - references) * slopes).sum((2, 3)).mean(1)
    outputs = torch.cat(
        [explained(x)[:, None], explained(references.flatten(0, 1)).unflatten(0, references.shape[:2])], 1
    )
    outputs = outputs.gather(2, columns[:, None, None].expand(-1, outputs.shape[1], 1))[..., 0]
    difference = outputs[:, 0] - outputs[:, 1:].mean(1)
    return torch.stack([difference, difference - found], 1).float().cpu()
