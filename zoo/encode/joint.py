"""Several modalities of the same samples: reading and joining of their tables, and a joint encoding."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from anndata import AnnData
from torch import Tensor, nn

from ..errors import InputError, suggest
from ..spec import Modality
from ..tables.values import as_text
from .base import Encoder
from .kinds import CARDS, ENCODERS, READERS, InputLines, blank, encoder, to_tensor

if TYPE_CHECKING:
    from tensordict import TensorDict

MEASURED = "measured"  # key of the mask of measured modalities: bool, (samples, modalities)


class JointEncoder(Encoder):
    """Concatenated encodings of several modalities, followed by the mask of measured modalities.

    Encoded values of a missing modality are 0, which is the training mean of standardised values.

    Args:
        layers: Encoding layer of each modality.
        imputed: Modalities for which the mask is always 1.

    Attributes:
        layers: Encoding layer of each modality.
        places: Slice of each modality in the encoded values.
        shapes: Shape of each encoded modality.
        feature_names: Names such as ``"rna:TP53"`` and ``"rna measured"``; empty if a modality has no names.

    Shape:
        ``{name: (batch, *shape), "measured": (batch, modalities)} -> (batch, out_features)``

    Raises:
        InputError: The name of a modality is not allowed, such as "measured".
    """

    layers: nn.ModuleDict

    def __init__(self, layers: dict[str, Encoder], imputed: list[str] | None = None) -> None:
        super().__init__()
        check_names(layers)
        self.layers, self.imputed = nn.ModuleDict(layers), imputed or []
        self.shapes = {name: layer.out_shape for name, layer in layers.items()}
        self.places, start = {}, 0
        for name, layer in layers.items():
            self.places[name] = slice(start, start + layer.out_features)
            start += layer.out_features
        self.out_shape = (start + len(layers),)
        named = [getattr(layer, "feature_names", []) for layer in layers.values()]
        self.feature_names = []
        if all(len(names) == layer.out_features for names, layer in zip(named, layers.values(), strict=True)):
            self.feature_names = [f"{key}:{name}" for key, names in zip(layers, named, strict=True) for name in names]
            self.feature_names += [f"{key} measured" for key in layers]
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, x: Any) -> None:
        """Fit each encoding to the training rows with this modality.

        Raises:
            InputError: A modality was measured in no training sample.
        """
        for number, (name, layer) in enumerate(self.layers.items()):
            assert isinstance(layer, Encoder)
            if not (rows := x[MEASURED][:, number]).any():
                raise InputError(f"no training sample has {name}; leave it out of the modalities")
            layer.fit(x[name][rows])
        self.fitted.fill_(True)

    def example(self, rows: int, seed: int = 0) -> "TensorDict":
        """Simulated raw values; every third sample lacks a modality."""
        from tensordict import TensorDict

        layers = {name: layer for name, layer in self.layers.items() if isinstance(layer, Encoder)}
        simulated = {name: layer.example(rows, seed) for name, layer in layers.items()}
        measured = torch.ones(rows, len(simulated), dtype=torch.bool)
        for number in range(2, rows, 3):
            measured[number, number // 3 % len(simulated)] = False
        return TensorDict({**simulated, MEASURED: measured}, batch_size=[rows])

    def forward(self, x: "TensorDict") -> Tensor:
        """Encode raw values: ``{name: (batch, *shape)} -> (batch, out_features)``."""
        measured = x[MEASURED]
        parts = [
            torch.where(measured[:, number, None], layer(x[name]).flatten(1), 0.0)
            for number, (name, layer) in enumerate(self.layers.items())
        ]
        mask = measured.to(parts[0].dtype)
        for name in self.imputed:
            mask[:, list(self.layers).index(name)] = 1.0
        return torch.cat([*parts, mask], 1)

    def parts(self, encoded: Tensor) -> dict[str, Tensor]:
        """Encoded values of each modality, ``(batch, *shape)``."""
        return {name: encoded[:, place].unflatten(1, self.shapes[name]) for name, place in self.places.items()}

    def measured(self, encoded: Tensor) -> Tensor:
        """Mask of measured modalities, 1 or 0: ``(batch, modalities)``."""
        return encoded[:, -len(self.layers) :]


def check_names(names: Iterable[str], what: str = "modality") -> None:
    """Raise an `InputError` if a modality or a target has a name that a module of torch cannot have."""
    reserved = nn.ModuleDict()
    for name in names:
        if name == MEASURED or not name or "." in name or hasattr(reserved, name):
            raise InputError(f"a {what} cannot be called {name!r}; rename it")


@ENCODERS.add("joint")
def joint_encoder(modality: Modality, options: dict[str, Any]) -> JointEncoder:
    """The joint encoding of several modalities, with ``options`` by the names of the modalities.

    Raises:
        InputError: There are options for an unknown modality.
    """
    parts = modality["parts"]
    for name in options:
        if name not in parts:
            raise InputError(f"encoding: the data have no modality {name!r}; {suggest(name, parts)}")
    layers = {name: encoder(part, options.get(name)) for name, part in parts.items()}
    return JointEncoder(layers, [name for name, part in parts.items() if part.get("imputed")])


@CARDS.add("joint")
def joint_card(modality: Modality, names: list[str]) -> InputLines:
    """Inputs of a model of several modalities, for its card."""
    parts = modality["parts"]
    tables = ", ".join(f'"{name}": {name}' for name in list(parts)[:2])
    scales = {name: part.get("scale", part["kind"]) for name, part in parts.items()}
    listed = (f"`{name}` ({len(part.get('features', []))}, {scales[name]})" for name, part in parts.items())
    return InputLines(
        "multi-omics",
        f"model.predict({{{tables}}})  # one or more tables by modality",
        f"Inputs, with number of features and scale; a sample may lack modalities: {', '.join(listed)}.",
    )


@READERS.add("joint")
def joint_to_tensor(frame: Any, modality: Modality, source: str = "the tables") -> "TensorDict":
    """Raw values of a user's tables of one or more modalities, joined by the names of the samples.

    Args:
        frame: ``{"rna": table, "mirna": table}``; each a table whose index has the names of the samples, or an AnnData.
        modality: The joint modality of a trained model.
        source: Name of the tables in errors.

    Returns:
        ``{name: (samples, *shape), "measured": (samples, modalities)}``; missing modalities are NaN.

    Raises:
        InputError: A modality is unknown, there is none, a sample occurs twice or has no name in a table, or a table is
            invalid.
    """
    frames = _checked(frame, modality)
    names = joint_names(frames)
    parts = {name: to_tensor(table, modality["parts"][name], name) for name, table in frames.items()}
    at = {name: _names(table).get_indexer(names) for name, table in frames.items()}
    return assemble({name: (parts[name], torch.from_numpy(at[name])) for name in parts}, modality, len(names))


def assemble(found: dict[str, tuple[Any, Tensor]], modality: Modality, count: int) -> "TensorDict":
    """Joint raw values of samples from the raw values of their modalities.

    Args:
        found: For one or more modalities, raw values, and the index of each sample's row in them, -1 if missing.
        modality: The joint modality.
        count: Number of samples.
    """
    from tensordict import TensorDict  # the import takes a second, and only data of several modalities need it

    columns: dict[str, Tensor] = {}
    measured = torch.zeros(count, len(modality["parts"]), dtype=torch.bool)
    for number, (name, part) in enumerate(modality["parts"].items()):
        if name in found:
            source, at = found[name]
            rows = source[at[at >= 0]]
            columns[name] = blank(part, count, rows.dtype)
            columns[name][at >= 0] = rows
            measured[:, number] = at >= 0
        else:
            columns[name] = blank(part, count)
    return TensorDict({**columns, MEASURED: measured}, batch_size=[count])


def joint_names(frames: Mapping[str, Any]) -> pd.Index:
    """Names of all samples, in the order of their first occurrence."""
    by_table = [_names(table) for table in frames.values()]
    names = by_table[0].append(by_table[1:]).unique() if len(by_table) > 1 else by_table[0]
    return names.rename(by_table[0].name)


def by_name(frames: Mapping[str, Any], id_column: str) -> dict[str, Any]:
    """Tables with the names of the samples as index, from tables that have them as index or in the id column.

    Raises:
        InputError: There are several tables, and the samples of one have no names.
    """
    named = {
        key: table.set_index(id_column) if isinstance(table, pd.DataFrame) and id_column in table else table
        for key, table in frames.items()
    }
    indices = {key: getattr(table, "index", None) for key, table in named.items()}
    unnamed = [key for key, index in indices.items() if isinstance(index, pd.RangeIndex) and index.name is None]
    if unnamed and len(named) > 1:
        column = f"a column {id_column!r} or " if id_column else ""
        raise InputError(
            f"{unnamed[0]}: the samples have no names to join the tables by; give {column}an index of names"
        )
    return named


def _names(table: Any) -> pd.Index:
    index = table.index if isinstance(table, pd.DataFrame) else table.obs_names
    return pd.Index(as_text(index.to_series()), name=index.name)


def _checked(frame: Any, modality: Modality) -> dict[str, Any]:
    known = list(modality["parts"])
    if not isinstance(frame, Mapping):
        raise InputError(
            f"this model takes several tables: give a dict with one or more of {', '.join(known)}, "
            f"such as {{{known[0]!r}: table}}"
        )
    if not frame:
        raise InputError(f"no modality was given; at least one of {', '.join(known)} is needed")
    for name, table in frame.items():
        if name not in known:
            raise InputError(f"the model has no modality {name!r}; {suggest(str(name), known)}")
        if not isinstance(table, pd.DataFrame | AnnData):
            advice = f"give a table whose index names the samples, or an AnnData, not {type(table).__name__}"
            raise InputError(f"{name}: {advice}")
        names = _names(table)
        if (nameless := names.isna()).any():
            raise InputError(f"{name}: row {int(nameless.argmax()) + 1} has no name; fill it in")
        if names.has_duplicates:
            raise InputError(f"{name}: sample {names[names.duplicated()][0]!r} occurs more than once")
    return dict(frame)
