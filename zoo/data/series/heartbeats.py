"""Filtering and resampling of signals, and segmentation of WFDB records into heartbeats."""

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import budget, files
from ...errors import InputError, suggest
from .files import LABEL, SERIES

log = logging.getLogger("zoo")
MOST_RATIO = 10_000  # of the sampling rates before and after resampling
# Classes of beats of ANSI/AAMI EC57, and the annotation symbols of PhysioNet that belong to each.
AAMI = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
COMPRESSED = {"508", "516", "524"}  # formats of WFDB signals, by FLAC
CLASS_OF = {symbol: name for name, symbols in AAMI.items() for symbol in symbols}
MOST_TIMES = 1000  # by which the sampling rate is changed


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
        ratio = Fraction(resample / rate).limit_denominator(MOST_RATIO)
        budget.check(16 * result.size * float(ratio), f"series resampled to {resample:g} Hz", "lower --data.resample")
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
    if rate and resample and not 1 / MOST_RATIO <= resample / rate <= MOST_RATIO:
        raise InputError(f"{source}: resample {resample:g} Hz is too far from the sampling rate of {rate:g} Hz")
    if band is None and resample is None:
        return
    if rate is None:
        raise InputError(f"{source}: band and resample need the sampling rate in Hz; give it as --data.sampling_rate")
    if resample is not None and not rate / MOST_TIMES <= resample <= rate * MOST_TIMES:
        raise InputError(
            f"{source}: resample must be within {MOST_TIMES} times the rate of {rate:g} Hz, not {resample:g}"
        )
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
        start, length, known = -round(before * rate), round((before + after) * rate), len(rows)
        for sample, symbol in zip(annotation.sample, annotation.symbol, strict=True):
            begin = round(sample * rate / record.fs) + start
            if symbol in CLASS_OF and begin >= 0 and begin + length <= signal.shape[1]:
                beat = signal[:, begin : begin + length].copy()
                rows.append((f"{name} {sample}", name, symbol, CLASS_OF[symbol], beat))
        if len(rows) == known:
            log.warning("%s: no annotation %r marks a beat within the record; it is left out", path, annotator)
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
    marks = files.regular(path.with_suffix(f".{annotator}"))
    if marks.is_file() and not marks.stat().st_size:
        raise InputError(f"{marks}: the file is empty; copy it anew, or move the record elsewhere")
    try:
        _check_header(path)
        record, annotation = wfdb.rdrecord(stem), wfdb.rdann(stem, annotator)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # wfdb raises anything for a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be read: {reason}") from None
    if record.p_signal is None:
        raise InputError(f"{path}: the record has no signals")
    return record, annotation


def _check_header(path: Path) -> None:
    """Compare what the header of a record states with its files, all of which must be in its folder, and the memory."""
    import wfdb

    files.regular(path)
    header: Any = wfdb.rdheader(str(path.with_suffix("")))
    segments = getattr(header, "seg_name", None)
    names = [name for name in segments or header.file_name or [] if name != "~"]
    for name in dict.fromkeys(names):
        if Path(name).name != name or name.startswith("."):
            raise InputError(f"{path} names a file outside of its folder, {name!r}; correct the header")
        if segments and (inner := path.with_name(f"{name}.hea")) != path:
            _check_header(inner)
        elif not segments:
            files.regular(path.with_name(name))
    length, signals = header.sig_len or 0, header.n_sig or 0
    if min(length, signals) < 0:
        raise InputError(f"{path}: the header states {signals} signals of {length} samples; correct it")
    values = length * signals
    if not segments:
        longest = length + max((skew or 0 for skew in header.skew or []), default=0)
        values = longest * sum(count or 1 for count in header.samps_per_frame or [1] * signals)
        here = [path.with_name(name) for name in dict.fromkeys(names)]
        stored = sum(file.stat().st_size for file in here if file.is_file())
        if values > stored and not set(header.fmt or []) & COMPRESSED:  # a value has at least a byte
            raise InputError(
                f"{path}: the header states {signals} signals of {length:,} samples, the signal files have "
                f"{stored:,} bytes; copy them anew, or correct the header"
            )
    budget.check(4 * 8 * values, str(path), "cut the record into shorter ones")
