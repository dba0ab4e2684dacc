"""How much each base of a sequence contributes to a prediction."""

import copy
import logging
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.loading import Source
from ..encode.one_hot import OneHotDNA, one_hot
from ..errors import InputError, check_choice, suggest
from ..models import Supervised
from .deep_lift import multipliers
from .mutagenesis import check_codes, log_odds, mutagenesis

Method = Literal["mutagenesis", "gradient", "integrated_gradients", "deep_lift"]
BASES = 1 << 16  # of sequences, references and steps at a time
REFERENCES = 20  # shuffles of each sequence
STEPS = 128  # of an integral
TOLERANCE = 0.05  # gap that is reported, as a share of the largest difference that is to be explained

log = logging.getLogger("zoo")


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
      captum. It begins at 0.25 for each base, since one reference is all that it needs, this one knows nothing of the
      sequence, and with it hypothetical contributions have a mean of zero, as above.
    - ``deep_lift``: the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685), by captum; mean over 20 shuffles of
      each sequence with the same dinucleotides as references, as in DeepSHAP (Lundberg and Lee 2017, arXiv:1705.07874).

    The last two explain the difference from the (mean) reference, to which their contributions sum. This is checked: a
    gap of more than 5% of the largest difference is logged as a warning. It means that the integral needs more steps,
    or that captum has no rule for a layer; it has one for every layer of a `CNN1D`.

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
        InputError: No such class or method, sequences of another length, or a model without one-hot DNA, which all
            methods but ``mutagenesis`` need.
    """
    check_codes(model, codes)
    check_choice("method", method, Method.__args__)  # type: ignore[attr-defined]
    column, sign = _column(model, target)
    if method != "mutagenesis" and not (isinstance(model.encode, OneHotDNA) and model.encode.out_shape[0] == 4):
        raise InputError(f"{method} needs the one-hot encoding of DNA; use mutagenesis, which takes any")
    copies = {"integrated_gradients": STEPS, "deep_lift": REFERENCES}.get(method, 1)
    length = codes[torch.arange(1)].shape[1]
    parts, gap, largest = [], 0.0, 0.0
    with torch.inference_mode(False):
        explained = _Explained(model)
        for rows in torch.arange(len(codes)).split(max(1, BASES // (copies * length))):
            some = codes[rows]
            x = model.encode(some.to(model.device))
            with torch.no_grad():
                output = explained(x)
            columns = output.argmax(1) if column is None else torch.full_like(rows, column, device=x.device)
            if method == "mutagenesis":
                effects = mutagenesis(model, some).gather(3, columns.cpu()[:, None, None, None].expand(*some.shape, 4, 1))
                parts.append(...)
