"""In-silico saturation mutagenesis: the effect of every single-base mutation on a prediction."""

import torch
from torch import Tensor

from ...data.base import Source
from ...encode.one_hot import OneHotDNA
from ...errors import InputError
from ...latent.probe import evaluating
from ...models import Supervised
from ...models.predict.cnn1d import BothStrands
from ...spec import Target, modality_of
from ..explainers import check_takes
from .incremental import mutant_outputs, traceable

BASES = 1 << 14  # bases of original sequences computed at once
MUTANTS = 1024  # mutants computed at once, if each is computed in full


def mutagenesis(model: Supervised, codes: Source) -> Tensor:
    """Effect of each base at each position on a prediction.

    The effect is the log-odds (see `log_odds`) of the mutant minus those of the original sequence; it is exactly 0 for
    the original base. At an N or another IUPAC code, all four effects are relative to that code.

    For a `CNN1D` over one-hot DNA only the affected parts of the network are recomputed, with the same results up to
    rounding. For other networks and encodings every mutant is computed in full.

    Paper: Zhou and Troyanskaya 2015, doi:10.1038/nmeth.3547.

    Args:
        model: A model of DNA; it stays on its device.
        codes: Sequences, uint8 ``shape=(sequences, length)``.

    Returns:
        float32 on the CPU, ``shape=(sequences, length, 4, outputs)``: bases A, C, G and T, outputs as in
        `output_names`, in natural log-odds, or in the unit of a continuous target.

    Raises:
        InputError: The model does not take DNA, or sequences have another length.
    """
    check_codes(model, codes, "mutagenesis")
    (length,) = modality_of(model.spec)["shape"]
    rows = torch.arange(len(codes)).split(max(1, BASES // length))
    with evaluating(model):
        parts = [_effects(model, codes[part].to(model.device)).float().cpu() for part in rows]
    return torch.cat(parts)


def check_dna(model: Supervised, what: str = "check_dna") -> None:
    """Raise an `InputError` unless this is a model of DNA."""
    check_takes(what, model, "sequence")


def check_codes(model: Supervised, codes: Source, what: str) -> None:
    """Raise an `InputError` unless this is a model of DNA, and the sequences have its dtype and length."""
    check_dna(model, what)
    (length,) = modality_of(model.spec)["shape"]
    if not len(codes):
        raise InputError("there are no sequences to explain")
    first = codes[torch.arange(1)]
    if first.dtype != torch.uint8 or first.shape != (1, length):
        shape = ", ".join(map(str, (len(codes), *first.shape[1:])))
        raise InputError(
            f"codes are {str(first.dtype).removeprefix('torch.')} of shape ({shape}), the model takes uint8 of shape "
            f"(sequences, {length}); zoo.encode.dna.dna_codes converts text to codes"
        )


def output_names(target: Target) -> list[str]:
    """Names of the outputs of `log_odds`: the positive class of two, each of more classes, or a continuous target."""
    if not target["classes"]:
        return [target["name"]]
    return target["classes"] if len(target["classes"]) > 2 else target["classes"][-1:]


def log_odds(model: Supervised, output: Tensor) -> Tensor:
    """Convert raw outputs to log-odds, log(p / (1 - p)), of each output in `output_names`.

    For two classes the raw output is the log-odds of the positive class. For more classes each is compared with all
    others together, so its log-odds do not depend on how the remaining probability is divided among the others. A
    continuous value is returned in its unit, minus the mean of the training rows.

    Args:
        model: The model that computed the outputs.
        output: Raw outputs, ``shape=(..., 1 or classes)``.

    Returns:
        The same shape.
    """
    if not model.target["classes"]:
        return output * model.target_head.task.effect_scale(model.target_head)
    if len(model.target["classes"]) == 2:
        return output
    same_class = torch.eye(output.shape[-1], dtype=torch.bool, device=output.device)
    others = output[..., None, :].masked_fill(same_class, -torch.inf).logsumexp(-1)
    return output - others


def _effects(model: Supervised, codes: Tensor) -> Tensor:
    """Effects for sequences that are on the device of the model."""
    known = codes[..., None] < 4
    count = 3 if known.all() else 4
    numbers = torch.arange(count, device=codes.device)
    bases = torch.where(known, (codes[..., None] + 1 + numbers) % 4, numbers)
    outputs = _outputs(model, codes, bases)
    effects = log_odds(model, outputs) - log_odds(model, model(codes))[:, None, None]
    effects = effects.masked_fill((bases == codes[..., None])[..., None], 0)
    result = effects.new_zeros(*codes.shape, 4, effects.shape[-1])
    return result.scatter_(2, bases[..., None].expand_as(effects), effects)


def _outputs(model: Supervised, codes: Tensor, bases: Tensor) -> Tensor:
    """Raw outputs with each of these bases at each position: ``(sequences, length, bases, outputs)``."""
    body, head = model.network
    if not isinstance(model.encode, OneHotDNA):
        return _in_full(model, codes, bases)
    x, new = model.encode(codes), model.encode.table[bases]
    if not isinstance(body, BothStrands):
        layers = traceable(body, head)
        return mutant_outputs(layers, x, new) if layers else _in_full(model, codes, bases)
    # The head is linear, so averaging after it is equivalent, and the positions need not be flattened before.
    layers = traceable(body.network, head) if body.how == "average" else traceable(body.network)
    if not layers:
        return _in_full(model, codes, bases)
    # Reversing the channels A, C, G, T gives the complement.
    this, other = mutant_outputs(layers, x, new), mutant_outputs(layers, x.flip(1, 2), new.flip(1, 3)).flip(1)
    return (this + other) / 2 if body.how == "average" else head(torch.maximum(this, other))


def _in_full(model: Supervised, codes: Tensor, bases: Tensor) -> Tensor:
    """As `_outputs`, for any network: each mutant is computed in full."""
    positions = torch.arange(codes.shape[1], device=codes.device).repeat_interleave(bases.shape[2])
    outputs = []
    for sequence, new in zip(codes, bases.flatten(1).to(codes.dtype), strict=True):
        for position, base in zip(positions.split(MUTANTS), new.split(MUTANTS), strict=True):
            mutants = sequence.expand(len(position), -1).clone()
            mutants[torch.arange(len(position), device=codes.device), position] = base
            outputs.append(model(mutants))
    return torch.cat(outputs).view(*bases.shape, -1)
