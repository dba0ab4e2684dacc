"""Loading of weights: safetensors, a JSON card, checksums and a golden batch; no pickle."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from . import files
from .errors import InputError, suggest
from .models import REGISTRY, Model

WEIGHTS, CARD, GOLDEN, README = "model.safetensors", "config.json", "golden.safetensors", "README.md"
NEEDED = ("model", "init_args", "sha256")


def load(name: str | Path) -> Model:
    """A trained model, in evaluation mode.

    Args:
        name: A packaged name (see `zoo.pretrained`), a folder written by `zoo export`, or ``hf:owner/repo[@revision]``.

    Returns:
        The model. ``model.card`` holds provenance, licence, metrics and limits; ``model.predict(df)`` takes a raw
        table.

    Raises:
        InputError: Unknown name; a file is missing, damaged or differs from its checksum.

    Example:
        >>> model = load("mlp_pima")  # doctest: +SKIP
        >>> model.predict(patients)  # doctest: +SKIP
    """
    folder = _locate(str(name))
    card = read_card(folder)
    for file, expected in card["sha256"].items():
        path = _inside(folder, file)
        if not path.is_file():
            raise InputError(f"{path} is missing; fetch the whole folder again")
        if (found := files.sha256(path)) != expected:
            raise InputError(f"{path} is not the file that was published: sha256 {found}, expected {expected}")
    if WEIGHTS not in card["sha256"]:
        raise InputError(f"{folder / CARD} has no checksum of {WEIGHTS}; export the weights again")
    try:
        state = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{folder / WEIGHTS} cannot be read: {error}") from None
    model = build(card["model"], card["init_args"], state, str(folder))
    model.card = card
    return model


def read_card(folder: Path) -> dict[str, Any]:
    """The validated content of ``config.json`` in a folder.

    Raises:
        InputError: Missing or damaged.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} is missing; is {str(folder)!r} a folder written by 'zoo export'?") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if not isinstance(card, dict) or (lacking := [key for key in NEEDED if key not in card]):
        raise InputError(f"{path} is damaged: no {', '.join(lacking) if isinstance(card, dict) else 'keys'}")
    if not isinstance(card["init_args"], dict) or not isinstance(card["sha256"], dict):
        raise InputError(f"{path} is damaged: 'init_args' and 'sha256' must be mappings")
    return card


def build(name: str, init_args: dict[str, Any], state: dict[str, torch.Tensor], source: str) -> Model:
    """A model of a class given by name (not by import path), with these weights, in evaluation mode.

    Raises:
        InputError: Unknown class, invalid arguments, or weights of another shape.
    """
    if name not in REGISTRY:
        raise InputError(f"{source}: unknown model {name!r}; {suggest(name, REGISTRY)}")
    try:
        model = REGISTRY[name](**init_args)
        model.load_state_dict(state)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except (TypeError, KeyError, RuntimeError) as error:
        raise InputError(f"{source}: the weights do not fit {name}: {' '.join(str(error).split())[:300]}") from None
    assert isinstance(model, Model)
    return model.eval()


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A Lightning checkpoint, read without executing pickled code.

    Raises:
        InputError: The checkpoint is missing, damaged, or not from a model of the zoo.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"no checkpoint {str(path)!r}") from None
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or ["unexpected end"])[0][:200]
        raise InputError(f"checkpoint {path} is damaged or not a checkpoint: {reason}") from None
    if not isinstance(checkpoint, dict) or not {"model", "hyper_parameters", "state_dict"} <= set(checkpoint):
        raise InputError(f"checkpoint {path} was not written by a model of the zoo")
    return checkpoint


def from_checkpoint(path: str | Path) -> Model:
    """Model of a Lightning checkpoint of the zoo, in evaluation mode."""
    checkpoint = read_checkpoint(path)
    return build(checkpoint["model"], checkpoint["hyper_parameters"], checkpoint["state_dict"], str(path))


def _locate(name: str) -> Path:
    if name.startswith("hf:"):
        return _download(name[3:])
    if (folder := files.HERE / "pretrained" / name).is_dir() and Path(name).name == name:
        return folder
    if (folder := Path(name)).is_dir():
        return folder
    hint = f"for the Hugging Face Hub write 'hf:{name}'" if name.count("/") == 1 else suggest(name, files.pretrained())
    raise InputError(f"no pretrained model or folder {name!r}; {hint}")


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=[WEIGHTS, CARD, GOLDEN, README]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(f"hf:{name} cannot be fetched: {str(error).strip().splitlines()[0]}") from None


def _inside(folder: Path, file: str) -> Path:
    """Path of a file named by a card, which must be inside the folder of the card."""
    if Path(file).name != file:
        raise InputError(f"{folder / CARD} names a file outside its folder: {file!r}")
    return folder / file
