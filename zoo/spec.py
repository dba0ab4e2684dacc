"""What a model must know of its data: one plain dict of JSON values, saved with the weights."""

from math import prod
from typing import NotRequired, TypedDict


class Modality(TypedDict):
    """One kind of measurement, as a data module hands it out (raw) and a model takes it.

    Attributes:
        kind: ``"table"``, ``"expression"``, ``"sequence"``, ``"series"``, ``"image"``, or ``"joint"`` for several of
            them (`modality_of`); it chooses the encoding layer (`zoo.encode.encoder`).
        shape: Shape of one sample: ``[columns]``, ``[bases]``, ``[channels, length]`` of series, ``[channels, height,
            width]`` or ``[channels, depth, height, width]`` of images.
        features: Names of the columns, in order; of sequences, series and images, the one column that holds them.
        covariates: Those of ``features`` that are conditions, such as a batch or the sex: an autoencoder is told them
            and does not reconstruct them. For expression they are the last features.
        scale: Of expression: ``"counts"``, ``"abundance"`` (normalised, not logarithms), ``"log"``, ``"beta"`` (shares
            of methylated copies, 0 to 1) or ``"none"`` (anything that is taken as it is).
        channels: Names of the channels of series and images, where known.
        levels: Levels of each categorical column, as seen in training rows.
        ordered: Those of ``levels`` that have an order; they enter the model as one rank.
        missing_values: Numbers that stand for a missing value, by column (0 for an insulin that was not measured).
        units: Unit of each column, where known.
        dtypes: Type of each column in the file, the target among them, such as ``"int64"``; of tables.
        resize: Sequences of other lengths are padded with N or cropped about their centre, shorter series are padded
            with missing values at their end, images of other sizes are scaled.
        interpolate: Missing values inside a series lie on a line between their neighbours.
        sampling_rate: Samples per second of a series, where known.
        imputed: A sample that lacks this modality among several counts as the mean training sample, and the model is
            not told that it was not measured.
        parts: Of a joint modality: the modalities by name.
    """

    kind: str
    shape: list[int]
    features: NotRequired[list[str]]
    covariates: NotRequired[list[str]]
    scale: NotRequired[str]
    channels: NotRequired[list[str]]
    levels: NotRequired[dict[str, list[str]]]
    ordered: NotRequired[list[str]]
    missing_values: NotRequired[dict[str, list[float]]]
    units: NotRequired[dict[str, str]]
    dtypes: NotRequired[dict[str, str]]
    resize: NotRequired[bool]
    interpolate: NotRequired[bool]
    sampling_rate: NotRequired[float]
    imputed: NotRequired[bool]
    parts: NotRequired[dict[str, "Modality"]]


class Target(TypedDict):
    """What is to be predicted.

    Attributes:
        kind: ``"binary"``, ``"multiclass"``, ``"regression"``, ``"survival"`` (time to an event, which not all samples
            have), ``"segmentation"`` (a class for each pixel), ``"image"`` (another image of the same size) or
            ``"none"``; it chooses the task (`zoo.training.tasks`).
        name: Its column, or ``""``; of survival the column of times.
        classes: Names of the classes; the last of two is the positive one, the first of a segmentation is the
            background. Empty for a regression.
        unit: Unit of a regression target or of a time, or ``""``.
        unlabelled: True if samples without a value were kept, with the code -1 or NaN.
        event: Of survival: the column that says whether the event happened at that time.
        event_levels: Of survival: what that column says if it did not (the sample is censored), and if it did.
        weight: Of a further target: what its loss is multiplied by, beside 1 for the first.
        shape: Of an image: ``[channels, *spatial]``.
    """

    kind: str
    name: str
    classes: list[str]
    unit: str
    unlabelled: NotRequired[bool]
    event: NotRequired[str]
    event_levels: NotRequired[list[str]]
    weight: NotRequired[float]
    shape: NotRequired[list[int]]


class Spec(TypedDict):
    """The only link from data to model: ``MLP(spec=data.spec)``.

    Attributes:
        modalities: What goes in, by name.
        target: What comes out.
        also: Further targets by name, which models of several modalities predict from the same latent space.
        id: Column of the sample names in the table that the model was trained on, or ``""``.
    """

    modalities: dict[str, Modality]
    target: Target
    id: str
    also: NotRequired[dict[str, Target]]


def modality_of(spec: Spec) -> Modality:
    """What goes in: the one modality of a spec, or several as one of kind ``"joint"``."""
    return joined(spec["modalities"])


def joined(parts: dict[str, Modality]) -> Modality:
    """Several modalities as one, whose features are called as in ``"rna:TP53"``; a single one is itself."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    features = [f"{name}:{feature}" for name, part in parts.items() for feature in part.get("features", [])]
    return Modality(kind="joint", shape=[sum(prod(p["shape"]) for p in parts.values())], features=features, parts=parts)
