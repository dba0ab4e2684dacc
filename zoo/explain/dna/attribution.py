"""How much each base of a sequence contributes to a prediction."""

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
BASES = 1 << 16  # of sequences, references and steps at a time
REFERENCES = 20  # shuffles of each sequence
STEPS = 128  # of an integral


def attribute(
    model: Supervised,
    codes: Source,
    target: int | str | None = None,
    method: Method = "mutagenesis",
    hypothetical: bool = False,
) -> Tensor:
    """Contribution of each base to the log-odds of a class (see `log_odds`), or to a predicted number.

    Hypothetical contributions are those that each of the four bases would have in its place, all else the same; without
    them only the base that is there has one. Methods:

    - ``mutagenesis``: minus the mean effect of putting one of the three other bases there. For every model.
    - ``gradient``: the gradient less its mean over the four bases, which says nothing, for the four channels of a base
      sum to one (Majdandzic et al. 2023, doi:10.1186/s13059-023-02956-3).
    - ``integrated_gradients``: along a straight line of 128 steps (Sundararajan et al. 2017, arXiv:1703.01365), by
      captum. The line begins at 0.25 for each base: one reference, which says nothing of the sequence, in place of many
      shuffles, each with a line of its own; and hypothetical contributions have a mean of zero, as above.
    - ``deep_lift``: the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685), by captum; mean over 20 shuffles of
      each sequence with the same dinucleotides as references, as in DeepSHAP (Lundberg and Lee 2017, arXiv:1705.07874).

    The last two explain the difference from the (mean) reference, to which their contributions sum. This is checked: a
    gap of more than 5% of the largest difference is logged as a warning, and one of more than 50% is an error. It means
    that the integral needs more steps, or that DeepLIFT has no rule for a layer; it has one for every layer of a
    `CNN1D`.

    Args:
        model: A model of DNA; stays on its device.
        codes: Sequences, uint8 ``shape=(sequences, length)``.
        target: Class, by name or number; by default the positive one of two, and of more the most probable one of each
            sequence.
        method: How contributions are computed.
        hypothetical: Give those of all four bases; by default those of other bases than the one that is there are zero.

    Returns:
        float32 on the CPU, ``shape=(sequences, length, 4)``: bases A, C, G and T. In natural logarithms of odds, or in
        the unit of a regression target. An N has no contribution but hypothetical ones.

    Raises:
        InputError: No such class or method, sequences of another length, a model without one-hot DNA, which all
            methods but ``mutagenesis`` need, or contributions that are far from summing to what they should.
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
    """As `attribute`, and how far contributions are from summing to what they should; None of the first two methods."""
    check_codes(model, codes, "attribute")
    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    (length,) = modality_of(model.spec)["shape"]
    column, sign = _column(model, target)
    unit = model.target_head.task.effect_scale(model.target_head)
    if method != "mutagenesis" and not (isinstance(model.encode, OneHotDNA) and model.encode.out_shape[0] == 4):
        raise InputError(f"{method} needs the one-hot encoding of DNA; use mutagenesis, which takes any")
    copies = {"integrated_gradients": STEPS, "deep_lift": REFERENCES}.get(method, 1)
    parts, gaps = [], []
    lacking: list[str] = []
    with torch.inference_mode(False):
        explained = _explained(model)
        for rows in torch.arange(len(codes)).split(max(1, BASES // (copies * length))):
            some = codes[rows].to(model.device)
            with torch.no_grad():
                x = model.encode(some)
                columns = explained(x).argmax(1) if column is None else torch.full_like(some[:, 0], column).long()
            if method == "mutagenesis":
                part = _mutagenesis(model, some, columns)
            elif method == "gradient":
                part = _gradient(explained, x, columns) * unit
            else:
                references = _references(model, some, method)
                slopes = _slopes(explained, x, references, columns, method)
                gaps.append(_gaps(explained, x, references, columns, slopes))
                part = (slopes - (slopes * references).sum(2, keepdim=True)).mean(1).transpose(1, 2) * unit
            part = part if hypothetical else part * one_hot(some).transpose(1, 2)
            parts.append(sign * part.float().cpu())
        if method == "deep_lift":
            lacking = without_rule(explained, x[:1])
    if not gaps:
        return torch.cat(parts), None
    difference, unexplained = (torch.cat(gaps) * sign * unit).T
    if method == "deep_lift":
        why = (
            f"DeepLIFT has no rule for {', '.join(lacking)}"
            if lacking
            else "although DeepLIFT has a rule for each layer"
        )
        instead = "integrated_gradients or mutagenesis"
    else:
        why, instead = f"{STEPS} steps are too few for this network", "mutagenesis"
    return torch.cat(parts), Gap(method, difference, unexplained, why, instead, unit=unit)


def _explained(model: Supervised) -> nn.Sequential:
    """From one-hot DNA to log-odds, a copy without dropout; a number is in standard units."""
    network = copy.deepcopy(model.network).eval().requires_grad_(False)
    return nn.Sequential(*network, LogOdds()) if len(model.target["classes"]) > 2 else network


def _column(model: Supervised, target: int | str | None) -> tuple[int | None, int]:
    """Which log-odds, None for those of the most probable class; and -1 where their opposite is meant."""
    classes = model.target["classes"]
    if target is None:
        return (None if len(classes) > 2 else 0), 1
    if not classes:
        raise InputError(f"the model predicts a number, {model.target['name']}, which has no class {target!r}")
    if isinstance(target, str):
        check_choice("class", target, classes)
        target = classes.index(target)
    check_range("number of the class", target, 0, len(classes) - 1)
    return (target, 1) if len(classes) > 2 else (0, 1 if target else -1)


def _mutagenesis(model: Supervised, codes: Tensor, columns: Tensor) -> Tensor:
    """Each base against the mean of the three others: ``(sequences, length, 4)``."""
    effects = mutagenesis(model, codes)[torch.arange(len(codes)), ..., columns.cpu()].to(codes.device)
    others = (effects.sum(2, keepdim=True) - effects) / 3
    return effects - others


def _gradient(explained: nn.Module, x: Tensor, columns: Tensor) -> Tensor:
    """Gradient without its mean over bases: ``(sequences, length, 4)``."""
    with torch.enable_grad():
        x = x.requires_grad_()
        (slopes,) = torch.autograd.grad(explained(x).gather(1, columns[:, None]).sum(), x)
    return (slopes - slopes.mean(1, keepdim=True)).transpose(1, 2)


def _references(model: Supervised, codes: Tensor, method: Method) -> Tensor:
    """Encoded references: ``(sequences, references, 4, length)``."""
    if method == "integrated_gradients":
        # An N of zeros stays one: it has no share in what is explained.
        mean: Tensor = model.encode(codes).mean(1, keepdim=True)
        return mean.expand(-1, 4, -1)[:, None]
    from ...data.sequence.negatives import dinucleotide_shuffle

    shuffled = dinucleotide_shuffle(codes.cpu().repeat_interleave(REFERENCES, 0), seed=0)
    encoded: Tensor = model.encode(shuffled.to(codes.device))
    return encoded.reshape(len(codes), REFERENCES, *encoded.shape[1:])


def _slopes(explained: nn.Module, x: Tensor, references: Tensor, columns: Tensor, method: Method) -> Tensor:
    """What a unit of each input adds to the output between reference and sequence; the shape of ``references``."""
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
    """Difference that contributions must sum to, and the part that they do not sum to: ``(sequences, 2)``."""
    found = ((x[:, None] - references) * slopes).sum((2, 3)).mean(1)
    outputs = torch.cat(
        [explained(x)[:, None], explained(references.flatten(0, 1)).unflatten(0, references.shape[:2])], 1
    )
    outputs = outputs.gather(2, columns[:, None, None].expand(-1, outputs.shape[1], 1))[..., 0]
    wanted = outputs[:, 0] - outputs[:, 1:].mean(1)
    return torch.stack([wanted, wanted - found], 1).float().cpu()
