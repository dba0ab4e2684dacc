"""Description of the data that a model needs: a dict of JSON values, saved with the weights."""

from math import prod
from typing import NotRequired, TypedDict


class Modality(TypedDict):
    """One kind of measurement, in the raw form in which data modules return it and models take it.

    Attributes:
        kind: ``"table"``, ``"expression"``, ``"sequence"``, ``"series"``, ``"image"``, or ``"joint"`` for several
            modalities (`modality_of`); it chooses the encoding layer (`zoo.encode.encoder`).
        shape: Shape of one sample: ``[columns]``, ``[bases]``, ``[channels, length]`` of series, ``[channels, height,
            width]`` or ``[channels, depth, height, width]`` of images.
        features: Names of the columns, in order; for sequences, series and images, the single column that holds them.
        covariates: Those of ``features`` that are conditions, such as batch or sex: an autoencoder has them as inputs
            and does not reconstruct them. For expression they are the last features.
        scale: For expression: ``"counts"``, ``"abundance"`` (normalised, not logarithms), ``"log"``, ``"beta"`` (shares
            of methylated copies, 0 to 1) or ``"none"`` (values are used unchanged).
        channels: Names of the channels of series and images, where known.
        levels: Levels of each categorical column in training rows.
        ordered: Columns of ``levels`` with an order; they are encoded as ranks.
        dates: Columns of dates, which become days since ``origin``, the earliest date in training rows; ``format`` is
            that of their text, ``""`` for ISO 8601.
        missing_values: Values that encode a missing value, by column (0 if insulin was not measured, or words).
        incomplete: Numeric columns with missing values in training rows; all columns where it is not stated.
        ranges: For tables: smallest and largest value of each column of numbers or dates in training rows; without
            them, new data are not compared with the training data.
        units: Unit of each column, where known.
        dtypes: For tables: type of each column in the file including the target, in the order of the file, such as
            ``"int64"``; ``"Int64"`` for whole numbers with missing values, ``"bool"`` for True and False.
        resize: Sequences of other lengths are padded with N or cropped about their centre, shorter series are padded
            with missing values at their end, images of other sizes are scaled.
        interpolate: Missing values inside a series are interpolated linearly.
        sampling_rate: Samples per second of a series, where known.
        time_step: Difference between successive times of a series, in an unknown unit, where they are equal.
        time_format: Format of the dates by which the time points of series were ordered.
        imputed: For one of several modalities: if it was not measured, the mean training sample takes its place, and
            the model has no input that states this.
        parts: For a joint modality: the modalities by name.
    """

    kind: str
    shape: list[int]
    features: NotRequired[list[str]]
    covariates: NotRequired[list[str]]
    scale: NotRequired[str]
    channels: NotRequired[list[str]]
    levels: NotRequired[dict[str, list[str]]]
    ordered: NotRequired[list[str]]
    dates: NotRequired[dict[str, "DateColumn"]]
    missing_values: NotRequired[dict[str, list[float | str]]]
    incomplete: NotRequired[list[str]]
    ranges: NotRequired[dict[str, list[float]]]
    units: NotRequired[dict[str, str]]
    dtypes: NotRequired[dict[str, str]]
    resize: NotRequired[bool]
    interpolate: NotRequired[bool]
    sampling_rate: NotRequired[float]
    time_step: NotRequired[float]
    time_format: NotRequired[str]
    imputed: NotRequired[bool]
    parts: NotRequired[dict[str, "Modality"]]


class DateColumn(TypedDict):
    """How a column of dates is read.

    Attributes:
        format: Format of its text as in ``strptime``, or ``""``.
        origin: The date of day 0, in ISO 8601.
        padded: False if days and months of one digit are written without a zero.
    """

    format: str
    origin: str
    padded: NotRequired[bool]


class Target(TypedDict):
    """The target of the predictions.

    Attributes:
        kind: ``"binary"``, ``"multiclass"``, ``"regression"``, ``"survival"`` (time to an event, which not all samples
            have), ``"segmentation"`` (a class for each pixel), ``"image"`` (another image of the same size) or
            ``"none"``; it determines the task (`zoo.training.tasks`).
        name: Column of the target, or ``""``; for survival the column of times.
        classes: Names of the classes; the last of two is the positive one, the first of a segmentation is the
            background. Empty for a regression.
        unit: Unit of a regression target or of a time, or ``""``.
        unlabelled: True if samples without a value are included, with the code -1 or NaN.
        event: For survival: the column that states whether the event happened at that time.
        event_levels: For survival: the values of that column for no event (censored) and for an event.
        weight: For an extra target: the weight of its loss, relative to 1 for the first target.
        shape: For an image: ``[channels, *spatial]``.
        values: For a segmentation: the value of each class in the files of masks, a number or a colour (``"#ff0000"``).
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
    values: NotRequired[list[int | str]]


class Spec(TypedDict):
    """The only interface between data and models: ``MLP(spec=data.spec)``.

    Attributes:
        modalities: Inputs, by name.
        target: The target.
        also: Extra targets by name, which models of several modalities predict from the same latent space.
        id: Column of the sample names in the training table, or ``""``.
    """

    modalities: dict[str, Modality]
    target: Target
    id: str
    also: NotRequired[dict[str, Target]]


def modality_of(spec: Spec) -> Modality:
    """The modality of a spec; several modalities are joined to one of kind ``"joint"``."""
    return joined(spec["modalities"])


def joined(parts: dict[str, Modality]) -> Modality:
    """Several modalities as one, with features such as ``"rna:TP53"``; a single modality is returned unchanged."""
    if len(parts) == 1:
        return next(iter(parts.values()))
    features = [f"{name}:{feature}" for name, part in parts.items() for feature in part.get("features", [])]
    return Modality(kind="joint", shape=[sum(prod(p["shape"]) for p in parts.values())], features=features, parts=parts)
