"""Export of a latent space to TensorBoard's embedding projector."""

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from ..errors import InputError
from ..files import replacing
from .projection import values


def to_projector(adata: AnnData, folder: Path | str) -> list[Path]:
    """Write the input files of TensorBoard's embedding projector; open with ``tensorboard --logdir FOLDER``.

    - ``tensors.tsv``: the embedding, one line for each sample.
    - ``metadata.tsv``: the name of each sample and the columns of ``obs``, with a header (no header if there are only
      names, as the projector requires). Tabs and line ends in texts become spaces; a missing value is empty.
    - ``projector_config.pbtxt``: the paths of both. The two tables can also be loaded at projector.tensorflow.org.

    Args:
        adata: From `embed`.
        folder: Output folder, created if it does not exist. Files of these names are replaced.

    Returns:
        Paths of the files.

    Raises:
        InputError: Fewer than two units, which the projector cannot draw; a value is not finite; ``folder`` is a file.
    """
    x = values(adata)
    if adata.n_vars < 2:
        raise InputError("the projector needs an embedding of at least two units, this one has one")
    if (folder := Path(folder)).is_file():
        raise InputError(f"{folder} is a file; name a folder to write the projector's files to")
    table = pd.DataFrame({"name": [_clean(name) or "-" for name in adata.obs_names]})
    for name, column in adata.obs.items():
        table[_unused(_clean(str(name)) or "-", table)] = [_text(value) for value in column]
    lines = ["\t".join(row) for row in table.itertuples(index=False, name=None)]
    if table.shape[1] > 1:
        lines.insert(0, "\t".join(table.columns))
    layer = _clean(str(adata.uns.get("layer", "embedding"))).replace("\\", "/").replace('"', "'")
    config = (
        f'embeddings {{\n  tensor_name: "{layer}"\n  tensor_shape: {x.shape[0]}\n  tensor_shape: {x.shape[1]}\n'
        '  tensor_path: "tensors.tsv"\n  metadata_path: "metadata.tsv"\n}\n'
    )
    written = []
    with replacing(folder / "tensors.tsv") as path:
        np.savetxt(path, x, fmt="%.9g", delimiter="\t")
    written.append(folder / "tensors.tsv")
    for name, text in (("metadata.tsv", "\n".join(lines) + "\n"), ("projector_config.pbtxt", config)):
        with replacing(folder / name) as path:
            path.write_text(text, encoding="utf-8", newline="\n")
        written.append(folder / name)
    return written


def _clean(text: str) -> str:
    """The text in one line, with a single space for each run of white space."""
    return " ".join(str(text).split())


def _text(value: object) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else _clean(str(value))


def _unused(name: str, table: pd.DataFrame) -> str:
    """The name, with a number appended if the table already has such a column."""
    number, free = 2, name
    while free in table:
        free, number = f"{name} {number}", number + 1
    return free
