"""Commands for trained models: validate, test, predict, crossval, explore, synthesise, explain."""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.progress import Progress

from . import files, weights
from .data import Data, ImageData, TableData
from .data.frame import FrameData
from .data.image.mask_files import WRITTEN, MaskFiles, is_folder
from .encode import sample_names
from .encode.table import raw_values
from .errors import MOST_SEED, InputError, check_range
from .models import Model, Supervised
from .parsing import CLI
from .report import Evaluation, evaluate
from .report.tables import show_crossval
from .runs import check_folds, fit_fold, quieten, run_of, title_of, write_report
from .spec import modality_of
from .tables import UNNAMED
from .tables.contract import Seen
from .tables.streaming import NotPlainError, is_long, read_parts
from .tables.writing import SUFFIXES, check_suffix, write_table, writing
from .training.tasks import task_of

log = logging.getLogger("zoo")


def assess(args: list[str], splits: tuple[str, ...]) -> Evaluation:
    """Score the rows of these splits with a trained model."""
    quieten()
    cli = CLI(args)
    model, folder = _trained(cli)
    data = _data(cli, model)
    title = title_of(model, data)
    log.info("%s: weights of %s", title, model.card.get("name", folder))
    evaluation = evaluate(model, data, splits)
    write_report(evaluation, title, folder)
    log.info("written to %s", folder)
    return evaluation


def validate(args: list[str]) -> Evaluation:
    """Score training and validation rows."""
    return assess(args, ("train", "validation"))


def test(args: list[str]) -> Evaluation:
    """Score all rows including the test rows."""
    return assess(args, ("train", "validation", "test"))


def predict(args: list[str]) -> pd.DataFrame:
    """Predict every sample of ``--data.path``; write the predictions to ``--output``, or print them as CSV.

    ``--output`` is a table (see `zoo.tables.writing`); for predicted masks or images, an ``.npz`` with ``masks`` or
    ``images``, and ``names``. Masks of image files may also be written to a folder, or that of one image to a file:
    in the format, size, position and values that lie on the image. A long text file is read and predicted in parts.

    Returns:
        The predictions; without rows if the file was predicted in parts.
    """
    quieten()
    cli = CLI(args)
    output = Path(cli.output) if cli.output else None
    model, _ = _trained(cli)
    drawn = task_of(model.target).array
    if drawn == "mask" and cli.output and (is_folder(cli.output) or cli.output.lower().endswith(WRITTEN)):
        return _predict_masks(model, cli.make_data(), cli.output)
    if output or drawn == "image":
        kinds = (*(() if drawn == "image" else SUFFIXES), *((".npz",) if drawn else ()))
        check_suffix(output, kinds, ("a folder", *WRITTEN) if drawn == "mask" else ())
    data = cli.make_data().conform(model.spec, external=True)
    assert isinstance(data, FrameData)
    if output and isinstance(data, TableData) and not data.card and is_long(Path(data.path)):
        try:
            return _predict_parts(model, data, output)
        except NotPlainError as reason:
            log.info("%s is read as a whole: %s", data.path, reason)
    predictions = model.predict(data.frame(), data.force)
    arrays = predictions.pop(drawn) if drawn in predictions else None
    if output and output.suffix == ".npz" and arrays is not None:
        names = arrays.index.map(str).to_numpy(dtype=str)
        with files.replacing(output) as path:
            np.savez_compressed(path, **{f"{drawn}s": np.stack(list(arrays)), "names": names})
    else:
        write_table(predictions, output)
    if output:
        log.info("%d predictions written to %s", len(predictions), output)
    return predictions


def _predict_masks(model: Model, data: Data, output: str) -> pd.DataFrame:
    """Predict masks, and write one file for each image file."""
    assert isinstance(data, ImageData)  # only they have masks
    written = MaskFiles.plan(data, output)
    predictions = model.predict(written.frame)
    values = written.write(list(predictions.pop("mask")), model.target)
    log.info("masks of %d images written to %s: %s", len(written.targets), output, values)
    return predictions


def _predict_parts(model: Model, data: TableData, output: Path) -> pd.DataFrame:
    """Read, predict and write a text file in parts, with a progress bar; the first rows of the predictions.

    Raises:
        NotPlainError: The file must be read as a whole.
    """
    path, modality, count = Path(data.path), modality_of(model.spec), 0
    seen = Seen(modality)
    names = [name for name in (data.id, UNNAMED, model.spec["id"]) if name]
    with writing(output) as append, Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"{path.name}", total=path.stat().st_size)
        for frame, size in read_parts(path, modality, names, model.rows_at_once, data.decimal):
            if data.id:
                data.check_column(frame, data.id, "id")
            if name := next((name for name in names if name in frame), None):
                frame = frame.set_index(frame[name].map(str).rename(name))
            values = raw_values(frame, modality, data.path)
            seen.add(frame, values)
            predictions = model.predict_raw(torch.from_numpy(values), sample_names(frame, model.spec["id"]))
            append(predictions)
            count += len(predictions)
            bar.advance(task, size)
        if not data.force:
            seen.report(data.path)
    log.info("%d predictions written to %s", count, output)
    return predictions.head(0)


def crossval(args: list[str], folds: int, repeats: int, show: bool = True) -> pd.DataFrame:
    """Train and test on every fold, and print mean and standard deviation beside those of the baselines.

    Returns:
        One row per value: ``repeat``, ``fold``, ``model``, ``metric``, ``value`` (test rows of the fold).
    """
    quieten()
    cli = CLI(args)
    check_range("folds", folds, 2)
    check_range("repeats", repeats, 1)
    folder = cli.run or Path(cli.config.trainer.default_root_dir) / cli.name / "crossval"
    check_folds(cli, folds, repeats)
    results = []
    for repeat in range(repeats):
        for fold in range(folds):
            model, data = fit_fold(cli, folds, fold, repeat)
            evaluation = evaluate(model, data, ("test",))
            scores = evaluation.scores.drop(columns="split")
            scores = scores[~scores["metric"].str.endswith(("_low", "_high"))]  # the spread over folds replaces them
            results.append(scores.assign(repeat=repeat, fold=fold))
            log.info("repeat %d of %d, fold %d of %d", repeat + 1, repeats, fold + 1, folds)
            with files.replacing(folder / "crossval.csv") as path:
                pd.concat(results)[["repeat", "fold", "model", "metric", "value"]].to_csv(path, index=False)
    table = pd.concat(results)
    if show:
        caution = f" ({data.caution})" if data.caution else ""
        title = f"{cli.name}: {folds} folds x {repeats}, mean ± standard deviation{caution}"
        show_crossval(table, title, list(model.spec.get("also", {})), evaluation.positive)
    log.info("written to %s", folder / "crossval.csv")
    return table


def explore(args: list[str]) -> list[Path]:
    """Map the latent space of every layer of a trained model: figures, and the interactive page ``latent.html``."""
    from . import latent

    quieten()
    cli = CLI(args)
    model, folder = _trained(cli)
    data = _data(cli, model)
    written = latent.explore(model, data.frame() if data.external else data, folder / "latent")
    log.info("written: %s", ", ".join(map(str, written)))
    return written


def synthesise(
    args: list[str], n: int, output: str, report: str | None, seed: int, conditions: list[str]
) -> pd.DataFrame:
    """Write synthetic samples to a file and, for a table, a report on similarity, usefulness and privacy."""
    from . import synthesis

    quieten()
    cli = CLI(args)
    model, _ = _trained(cli)
    check_range("seed", seed, 0, MOST_SEED)
    generator = synthesis.check_request(model, n, Path(output), Path(report) if report else None)
    classes = synthesis.conditions_of(conditions, generator)
    data = _data(cli, generator) if report else None
    title = title_of(generator, data) if data else ""
    return synthesis.synthesise(
        generator, data, n, Path(output), Path(report) if report else None, seed, classes, title
    )


def explain(args: list[str], fasta: str | None, vcf: str | None, genome: str | None, method: Any) -> list[Path]:
    """Explain the predictions of a trained model.

    DNA: motifs, contributions of bases, and effects of variants. Series and images: influence of time points and pixels
    in a few validation samples. Tables: LIME for a few validation rows. Expression and several modalities: importance
    of features and modalities.
    """
    from . import explain as explaining

    quieten()
    cli = CLI(args)
    model, folder = _trained(cli)
    if not isinstance(model, Supervised):
        raise InputError(
            f"zoo explain is for models that predict a target; use 'zoo explore' for a {type(model).__name__}"
        )
    explainers = explaining.OF_VCF if vcf else explaining.OF_FASTA if fasta else explaining.EXPLAINERS
    file = Path(vcf or fasta) if vcf or fasta else None  # type: ignore[arg-type]
    request = explaining.Request(lambda: _data(cli, model), folder / "explanation", method, file, genome)
    written = explainers.of(modality_of(model.spec)["kind"])(model, request)
    log.info("written: %s", ", ".join(map(str, written)))
    return written


def _data(cli: CLI, model: Model) -> Data:
    """The data of the options, with the split of the training; another table has test rows only.

    Raises:
        InputError: Training rows would be used as test rows.
    """
    data, trained_on = cli.make_data(), model.card.get("data")
    if trained_on is None:  # a checkpoint outside of its run folder
        log.warning("the training data of this checkpoint are unknown: the split is that of the options")
        return data.conform(model.spec)
    name, changed = data.describe()["name"], data.describe()["sha256"] != trained_on["sha256"]
    if changed and name == trained_on["name"]:
        raise InputError(
            f"{name} has changed since training (its sha256 differs): train again, or rename a different table"
        )
    if changed:
        log.info("%s is not the training table (%s): all its rows are test rows", name, trained_on["name"])
    data.conform(model.spec, external=changed)
    if not changed and data.split_sha256() != trained_on["split_sha256"]:
        raise InputError(
            "the split differs from that of the training; keep data.seed, fractions, folds, group and id unchanged"
        )
    return data


def _card_of(run: Path | None) -> dict[str, Any]:
    """Facts on the training in a run folder, like the card of packaged weights; empty outside of a run folder."""
    return files.read_facts(run) if run else {}


def _trained(cli: CLI) -> tuple[Model, Path]:
    """The model of the options, and the folder for results on it."""
    root = Path(cli.config.trainer.default_root_dir) / cli.name
    if cli.ckpt_path or cli.run:
        run = run_of(cli.ckpt_path) if cli.ckpt_path else cli.run
        model = weights.from_checkpoint(cli.ckpt_path or f"{cli.run}/{files.BEST}")
        model.card = _card_of(run)
        return model, run or root / "checkpoint"
    if cli.recipe in files.pretrained():
        return weights.load(cli.recipe), root / "pretrained"
    newest = files.run_folder(str(root))
    hint = f"use your run: --config {newest}" if newest else f"train it first: zoo fit --config {cli.name}"
    raise InputError(f"no weights are shipped for {cli.recipe!r}; {hint}")
