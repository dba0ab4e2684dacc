"""Loading of weights: safetensors, a JSON card, checksums and a golden batch; no pickle."""

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from . import budget, files
from .card_schema import CARD, check_spec, read_card
from .errors import InputError, suggest
from .models import REGISTRY, Model
from .schema import check, check_arguments
from .training.tasks import TASKS

log = logging.getLogger("zoo")
WEIGHTS, GOLDEN, README = "model.safetensors", "golden.safetensors", "README.md"
DTYPES = {  # in the header of a safetensors file
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
LONGEST_HEADER = 100_000_000  # bytes, the limit of safetensors
ROOM = 64 << 20  # bytes of a network beyond a multiple of its file, for buffers that are not saved


def load(name: str | Path, sha256: str | None = None) -> Model:
    """A trained model, in evaluation mode.

    Args:
        name: A packaged name (see `zoo.pretrained`), a folder written by `zoo export`, or ``hf:owner/repo[@commit]``.
        sha256: Checksum of ``config.json``, from a source that you trust. The card holds the checksums of the other
            files, so that all that is loaded is what had this checksum.

    Returns:
        The model. ``model.card`` holds provenance, licence, metrics and limits, and for weights of the Hugging Face Hub
        ``origin`` with the commit; ``model.predict(df)`` takes a raw table.

    Raises:
        InputError: Unknown name; a file is missing, damaged or differs from its checksum; a value of the card does not
            fit its schema; the weights do not fit the network of the card, or are not finite.

    Example:
        >>> model = load("mlp_pima")  # doctest: +SKIP
        >>> model.predict(patients)  # doctest: +SKIP
    """
    folder, origin = _locate(str(name))
    card = read_card(folder, sha256)
    for file, expected in card["sha256"].items():
        if not (path := _inside(folder, file)).is_file():
            raise InputError(f"{path} is missing; fetch the whole folder again")
        if file != WEIGHTS:
            _check_sum(path, files.sha256(path), expected)
    if WEIGHTS not in card["sha256"]:
        raise InputError(f"{folder / CARD} has no checksum of {WEIGHTS}; export the weights again")
    model_class = _class_of(card["model"], card["init_args"], f"{folder / CARD}: ")
    state = _read_weights(folder / WEIGHTS, card["sha256"][WEIGHTS], model_class, card["init_args"])
    model = _build(model_class, card["init_args"], state, str(folder / WEIGHTS))
    model.card = {**card, "origin": origin} if origin else card
    return model


def build(name: str, init_args: dict[str, Any], state: Mapping[str, Tensor], source: str) -> Model:
    """A model of a class given by name (not by import path), with these weights, in evaluation mode.

    Args:
        name: A key of `zoo.models.REGISTRY`.
        init_args: Arguments of the class.
        state: All its weights.
        source: Where they come from, for messages.

    Raises:
        InputError: Unknown class, invalid arguments, or weights that do not fit or are not finite.
    """
    return _build(_class_of(name, init_args, f"{source}: "), init_args, state, source)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A Lightning checkpoint, read without executing pickled code.

    Raises:
        InputError: The checkpoint is missing, damaged, or not from a model of the zoo.
    """
    if not os.path.isfile(path):  # noqa: PTH113 (False for a name that no file can have)
        raise InputError(f"no checkpoint {str(path)!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise InputError(f"checkpoint {path} has compressed parts; those of the zoo have none")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # a damaged file can make the reader raise any error
        reason = (str(error).splitlines() or ["unexpected end"])[0][:200]
        raise InputError(f"checkpoint {path} is damaged or not a checkpoint: {reason}") from None
    if not isinstance(checkpoint, dict) or not {"model", "hyper_parameters", "state_dict"} <= set(checkpoint):
        raise InputError(f"checkpoint {path} was not written by a model of the zoo")
    check(checkpoint["model"], str, f"checkpoint {path}: model")
    state = checkpoint["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise InputError(f"checkpoint {path}: state_dict: not a mapping of names")
    for key, value in state.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            raise InputError(f"checkpoint {path}: state_dict.{key[:80]}: not a plain tensor")
    return checkpoint


def from_checkpoint(path: str | Path) -> Model:
    """Model of a Lightning checkpoint of the zoo, in evaluation mode."""
    checkpoint = read_checkpoint(path)
    return build(checkpoint["model"], checkpoint["hyper_parameters"], checkpoint["state_dict"], f"checkpoint {path}")


def _class_of(name: str, init_args: Any, where: str) -> type[Model]:
    """The class of a name, after its arguments were checked."""
    if name not in REGISTRY:
        raise InputError(f"{where}model: unknown model {name!r}; {suggest(name, REGISTRY)}")
    check_arguments(REGISTRY[name], init_args, f"{where}init_args")
    check_spec(spec := init_args["spec"], f"{where}init_args.spec")
    for key, target in {"target": spec["target"], **spec.get("also", {})}.items():
        if target["kind"] not in TASKS:
            raise InputError(f"{where}init_args.spec: {key}: unknown kind {target['kind']!r}; {suggest('', TASKS)}")
    return REGISTRY[name]


def _read_weights(path: Path, sha256: str, model_class: type[Model], init_args: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file; its size and header are compared with the network before memory is taken for them."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            header = _header(file.read(8), file, size, path)
            _check_network(model_class, init_args, header, str(path))
            budget.check(3 * size, str(path), "load it on a machine with more")  # bytes, tensors and network
            file.seek(0)
            content = file.read(size)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    # The tensors are those of the hashed bytes, also if the file has changed since.
    _check_sum(path, hashlib.sha256(content).hexdigest(), sha256)
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _header(start: bytes, file: BinaryIO, size: int, path: Path) -> dict[str, Tensor]:
    """Tensors without content, with the names, shapes and types in the header of a safetensors file.

    Args:
        start: The first 8 bytes.
        file: The file after them.
        size: Size of the file in bytes.
        path: Its path, for messages.
    """
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(size - 8, LONGEST_HEADER):
        raise InputError(f"{path} is damaged: no header of a safetensors file; fetch the whole folder again")
    try:
        found = json.loads(file.read(length))
        found.pop("__metadata__", None)
        header = {
            name: torch.empty(about["shape"], dtype=DTYPES[about["dtype"]], device="meta")
            for name, about in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError):
        raise InputError(f"{path} is damaged: its header cannot be read; fetch the whole folder again") from None
    if (stated := 8 + length + sum(tensor.nbytes for tensor in header.values())) != size:
        raise InputError(f"{path} is damaged: {size:,} bytes, {stated:,} by its header; fetch the whole folder again")
    return header


def _check_network(
    model_class: type[Model], init_args: dict[str, Any], state: Mapping[str, Tensor], source: str
) -> None:
    """Raise an `InputError` unless these weights are those of the network; no memory is taken for it.

    The network is built on the meta device, where tensors have a shape and no content, and no further than to a
    multiple of the size of the weights.
    """
    name, given = model_class.__name__, sum(map(_bytes_of, state.values()))
    try:
        with budget.at_most(4 * given + ROOM, 4 * len(state) + 1000), torch.device("meta"):
            expected = model_class(**init_args).state_dict()
    except budget.TooLargeError as error:
        raise InputError(
            f"{source}: the weights have {given:,} bytes, a {name} with its arguments at least {error}"
        ) from None
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except Exception as error:  # arguments of the right types can make a network fail in any way
        raise InputError(f"{source}: no {name} can be built with its arguments: {_line(error)}") from None
    if absent := [key for key in expected if key not in state]:
        raise InputError(f"{source}: the weights do not fit {name}: no {absent[0]} ({len(absent)} absent)")
    if unknown := [key for key in state if key not in expected]:
        raise InputError(f"{source}: the weights do not fit {name}: it has no {unknown[0][:80]}")
    for key, tensor in expected.items():
        found = state[key]
        if found.shape != tensor.shape:
            shapes = f"the shape {tuple(found.shape)}, {tuple(tensor.shape)} is expected"
            raise InputError(f"{source}: the weights do not fit {name}: {key} has {shapes}")
        if found.dtype != tensor.dtype and not (found.is_floating_point() and tensor.is_floating_point()):
            types = f"the type {found.dtype}, {tensor.dtype} is expected"
            raise InputError(f"{source}: the weights do not fit {name}: {key} has {types}")


def _build(model_class: type[Model], init_args: dict[str, Any], state: Mapping[str, Tensor], source: str) -> Model:
    _check_network(model_class, init_args, state, source)
    try:
        model = model_class(**init_args)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except (MemoryError, RuntimeError) as error:
        raise InputError(f"{source}: no {model_class.__name__} can be built: {_line(error)}") from None
    begins_finite = {key for key, value in model.state_dict().items() if _is_finite(value)}  # not a baseline hazard
    model.load_state_dict(state)
    for key, value in model.state_dict().items():
        if key in begins_finite and not _is_finite(value):
            raise InputError(f"{source}: {key} has NaN or infinite values; fetch or train the weights again")
    return model.eval()


def _is_finite(values: Tensor) -> bool:
    return not values.is_floating_point() or bool(values.isfinite().all())


def _bytes_of(tensor: Tensor) -> int:
    """Memory of a tensor, which is less than its size if it repeats one stored value."""
    return tensor.nbytes if tensor.is_meta else min(tensor.nbytes, tensor.untyped_storage().nbytes())


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _check_sum(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise InputError(f"{path} is damaged or was changed: sha256 {found}, the card says {expected[:80]}")


def _locate(name: str) -> tuple[Path, str]:
    """Folder of weights, and for the Hugging Face Hub ``hf:owner/repo@commit``, otherwise an empty text."""
    if name.startswith("hf:"):
        return _download(name[3:])
    if name in files.pretrained():
        return files.HERE / "pretrained" / name, ""
    if os.path.isdir(name):  # noqa: PTH112 (False for a name that no file can have)
        return Path(name), ""
    hint = f"for the Hugging Face Hub write 'hf:{name}'" if name.count("/") == 1 else suggest(name, files.pretrained())
    raise InputError(f"no pretrained model or folder {name!r}; {hint}")


def _download(name: str) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    repo, _, revision = name.partition("@")
    with hub(f"hf:{name} cannot be fetched"):
        # All files are of the commit to which the revision is resolved first; their folder has its name.
        folder = Path(
            snapshot_download(repo, revision=revision or None, allow_patterns=[WEIGHTS, CARD, GOLDEN, README])
        )
    origin = f"hf:{repo}@{folder.name}"
    log.info("hf:%s is %s", name, origin)
    return folder, origin


@contextmanager
def hub(what: str) -> Iterator[None]:
    """Turn an error of the Hugging Face Hub or of the connection into an `InputError` that begins with ``what``."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The bases are the errors of the HTTP client, which differs between versions of huggingface_hub.
    errors: tuple[type[Any], ...] = (*HfHubHTTPError.__bases__, HFValidationError, OSError)
    try:
        yield
    except errors as error:
        raise InputError(f"{what}: {(str(error).strip().splitlines() or [type(error).__name__])[0]}") from None


def _inside(folder: Path, file: str) -> Path:
    """Path of a file named by a card, which must be inside the folder of the card."""
    if Path(file).name != file:
        raise InputError(f"{folder / CARD} names a file outside its folder: {file[:80]!r}")
    return folder / file
