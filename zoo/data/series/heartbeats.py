"""Filtering and resampling of signals, and segmentation of WFDB records into heartbeats."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InputError, suggest
from .files import LABEL, SERIES

# Classes of beats of ANSI/AAMI EC57, and the annotation symbols of PhysioNet that belong to each.
AAMI = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
CLASS_OF = {symbol: name for name, symbols in AAMI.items() for symbol in symbols}


def filtered(
    series: np.ndarray, rate: float, band: list[float] | None = None, resample: float | None = None
) -> np.ndarray:
    """Band-pass filter and resample a series.

    The band-pass is a second-order Butterworth filter, applied forwards and backwards so that it has no phase shift.
    Resampling is polyphase, with an anti-aliasing filter. Missing values are linearly interpolated for both steps, and
    are missing again in the result.

    Args:
        series: ``shape=(channels, length)``.
        rate: Sampling rate, in Hz.
        band: Lower and upper cut-off frequency, in Hz.
        resample: New sampling rate, in Hz.

    Returns:
        float64, ``shape=(channels, length * resample / rate)``.
    """
    from scipy.signal import butter, resample_poly, sosfiltfilt

    times, known = np.arange(series.shape[1]), np.isfinite(series)
    if not known.any(1).all():
        return np.full_like(series, np.nan, dtype=np.float64)
    result = np.stack([np.interp(times, times[at], row[at]) for row, at in zip(series, known, strict=True)])
    if band is not None:
        sections = butter(2, band, "bandpass", fs=rate, output="sos")
        result = sosfiltfilt(sections, result, padlen=min(15, series.shape[1] - 1))
    if resample is not None and resample != rate:
        ratio = Fraction(resample / rate).limit_denominator(10_000)
        result = resample_poly(result, ratio.numerator, ratio.denominator, axis=1, padtype="line")
        nearest = np.rint(np.arange(result.shape[1]) / float(ratio)).astype(int).clip(max=series.shape[1] - 1)
        series, known = series[:, nearest], known[:, nearest]
    with_gaps: np.ndarray = np.where(known, result, series)
    return with_gaps


def check_filter(rate: float | None, band: list[float] | None, resample: float | None, source: str) -> None:
    """Raise an `InputError` if a band or a new rate is invalid, or does not fit the sampling rate."""
    for name, value in (("sampling_rate", rate), ("resample", resample)):
        if value is not None and value <= 0:
            raise InputError(f"{name} must be more than 0 Hz, not {value:g}")
    if band is not None and (len(band) != 2 or not 0 < band[0] < band[1]):
        raise InputError(f"band must be a low and a high frequency in Hz, both above 0, not {band}")
    if band is None and resample is None:
        return
    if rate is None:
        raise InputError(f"{source}: band and resample need the sampling rate in Hz; give it as --data.sampling_rate")
    if band is not None and band[1] >= rate / 2:
        raise InputError(f"{source}: band {band} exceeds {rate / 2:g} Hz, the Nyquist frequency at {rate:g} Hz")


def read_beats(
    folder: Path,
    annotator: str = "atr",
    before: float = 0.25,
    after: float = 0.45,
    channels: list[str] | None = None,
    band: list[float] | None = None,
    resample: float | None = None,
) -> pd.DataFrame:
    """Read the heartbeats of all WFDB records (PhysioNet) of a folder, with the class of their annotations.

    Entire records are filtered and resampled, then cut. Beats with a symbol that is not in `AAMI`, and those that
    extend beyond the start or end of their record, are left out.

    Args:
        folder: Contains ``NAME.hea``, the signals, and the annotations ``NAME.atr``.
        annotator: Extension of the annotation files.
        before: Start of a beat, in seconds before its annotation.
        after: End of a beat, in seconds after its annotation.
        channels: Leads to read, in this order; by default those of the first record, which all must have.
        band: As in `filtered`.
        resample: As in `filtered`.

    Returns:
        One row per beat: ``beat`` (record and time point, a unique name), ``record``, ``symbol``, ``label`` (N, S, V, F
        or Q), and ``"series"`` float32; ``attrs`` hold ``channels`` and ``sampling_rate``.

    Raises:
        InputError: Records or annotations are missing or unreadable, or differ in leads or sampling rate.
    """
    if not (paths := sorted(folder.glob("*.hea"))):
        raise InputError(f"{folder}: there are no WFDB records (.hea) in this folder")
    rows: list[tuple[Any, ...]] = []
    first, rate = "", 0.0
    for path in paths:
        name, record, annotation = path.stem, *_record(path, annotator)
        check_filter(record.fs, band, resample, str(path))
        channels, first, own = channels or record.sig_name, first or name, resample or record.fs
        if own != (rate := rate or own):
            raise InputError(f"{path}: {own:g} Hz, {first} has {rate:g} Hz; give one rate as --data.resample")
        for lead in channels:
            if lead not in record.sig_name:
                raise InputError(
                    f"{path}: no lead {lead!r}; {suggest(lead, record.sig_name)} Choose leads that all records have as "
                    "--data.channels, or move the record elsewhere"
                )
        leads = record.p_signal.T[[record.sig_name.index(lead) for lead in channels]]
        signal = filtered(leads, record.fs, band, resample).astype(np.float32)
        start, length = -round(before * rate), round((before + after) * rate)
        for sample, symbol in zip(annotation.sample, annotation.symbol, strict=True):
            begin = round(sample * rate / record.fs) + start
            if symbol in CLASS_OF and begin >= 0 and begin + length <= signal.shape[1]:
                beat = signal[:, begin : begin + length].copy()
                rows.append((f"{name} {sample}", name, symbol, CLASS_OF[symbol], beat))
    if not rows:
        raise InputError(f"{folder}: no annotation {annotator!r} marks a beat ({', '.join(CLASS_OF)})")
    frame = pd.DataFrame(rows, columns=["beat", "record", "symbol", LABEL, SERIES])
    frame.attrs |= {"channels": list(channels or []), "sampling_rate": float(rate)}
    return frame


def _record(path: Path, annotator: str) -> tuple[Any, Any]:
    try:
        import wfdb
    except ImportError:
        raise InputError("WFDB records need the package wfdb: pip install 'biozoo[signals]'") from None
    stem = str(path.with_suffix(""))
    try:
        record, annotation = wfdb.rdrecord(stem), wfdb.rdann(stem, annotator)
    except (ValueError, OSError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    if record.p_signal is None:
        raise InputError(f"{path}: the record has no signals")
    return record, annotation
