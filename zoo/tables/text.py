"""Shape of a delimited text file: compression, encoding, separator, lines above the header, header, names of rows."""

import codecs
import csv
import io
import logging
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ..errors import InputError, counted
from ..files import opened
from .formulas import unguarded, unguarded_table
from .numbers import is_number, missing_word, plain

SAMPLE = 1 << 20  # bytes from which the shape is detected
LINES = 200  # most lines of the sample that are compared
USUAL = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
RARE = ("~", "^", "¦")  # separators that are tried if there is none of NAMES
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")  # soft hyphen, zero-width characters, marks of direction
LATIN = ("cp1252", "cp1250", "cp850", "mac_roman")  # Western and Central European Windows, DOS, old Macintosh
WITHIN = "µ’‘–—…·•×²³"  # signs that may stand between letters
SOME = 50  # columns that tell whether the first line is a header
ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "shift_jis", "gb18030", "big5", "euc_kr"]
log = logging.getLogger("zoo")
csv.field_size_limit(1 << 30)  # a line of many columns is one field where another separator is tried
UNNAMED = "sample"  # name of a first column without a header, as R and pandas write row names


@dataclass(frozen=True)
class Shape:
    """How a text file is laid out.

    Attributes:
        encoding: Name of the encoding.
        separator: One character; a blank stands for any number of blanks and tabs.
        above: Number of lines up to and including the header.
        names: Names of the columns; ``""`` for a column without a name.
        notes: What deviates from a plain table, to be shown to the user.
        quote: Sign about values that contain the separator.
        escapes: A backslash before a quote makes it a part of the value.
    """

    encoding: str
    separator: str
    above: int
    names: list[str]
    notes: list[str]
    quote: str = '"'
    escapes: bool = False


def shape_of(path: Path) -> Shape:
    """Detect the shape of a text file from its beginning.

    Raises:
        InputError: The file is empty, not text, or the header does not fit the rows.
    """
    encoding, lines = _beginning(path)
    notes = [] if encoding in ("utf-8", "utf-8-sig") else [f"encoding {encoding}"]
    return _layout(lines, encoding, notes, path)


def headerless(path: Path) -> Shape | None:
    """Shape of a file that has values from its first line on, as those of the UCR archive; columns are numbered from 1.

    A first line of numbers in equal steps, or of eight and more in ascending order, holds names of columns (times).

    Returns:
        None if the first line holds the names of the columns.

    Raises:
        InputError: The file is empty, or not text.
    """
    encoding, lines = _beginning(path)
    above = next(number for number, line in enumerate(lines) if line.strip())
    for separator in ("\t", ";", "|", ",", " "):
        cells = [cell.strip() for cell in _fields(lines[above : above + 1], separator)[0]]
        values = [plain(cell, comma=separator != ",") for cell in cells]
        if len(cells) > 1 and all(
            v is not None or not c or missing_word(c) for c, v in zip(cells, values, strict=True)
        ):
            break
    else:
        return None
    numbers = [value for value in values if value is not None]
    if len(numbers) < max(2, len(cells) / 2):
        return None
    steps = [after - before for before, after in pairwise(numbers)]
    equal = max(steps) - min(steps) <= 1e-6 * abs(max(steps)) and (len(steps) > 1 or steps[0] == 1)
    if min(steps) > 0 and (equal or len(numbers) >= 8):
        return None
    return Shape(encoding, separator, above, [str(number) for number in range(1, len(cells) + 1)], [])


def _beginning(path: Path) -> tuple[str, list[str]]:
    """Encoding of a file, and the lines of its beginning."""
    with opened(path) as file:
        sample = file.read(SAMPLE)
    if not sample.strip():
        raise InputError(f"{path}: the file is empty")
    if sample.startswith(b"PK\x03\x04"):
        excel = b"xl/" in sample or b"[Content_Types].xml" in sample[:200]
        hint = "an Excel workbook; rename it to .xlsx" if excel else "a zip archive; unpack it"
        raise InputError(f"{path}: this is no text, but {hint}")
    encoding = encoding_of(sample, path)
    text = sample.decode(encoding, errors="ignore").lstrip("\ufeff")
    if re.match(r"\s*<(!doctype|html|head|body|table|\?xml)\b", text, re.IGNORECASE):
        raise InputError(f"{path}: this is a web page or XML, no table of text; save the table as .csv or .xlsx")
    if "\0" in text:
        raise InputError(f"{path}: this is not a table of text; use .csv, .tsv, .xlsx, .ods, .parquet or .h5ad")
    whole = len(sample) < SAMPLE
    return encoding, re.split(r"\r\n|\r|\n", text)[: None if whole else -1]


def encoding_of(sample: bytes, path: Path) -> str:
    """Encoding of a file, by its first bytes, and by all of it for a letter beyond ASCII that comes late."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if sample.startswith(mark):
            return name
    for name, at in (("utf-16-le", 1), ("utf-16-be", 0)):
        if sample[at:200:2].count(0) > 0.7 * len(sample[at:200:2]):
            return name
    with opened(path) as file:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(1 << 22):
                decoder.decode(block)
            decoder.decode(b"", True)
            return "utf-8"
        except UnicodeDecodeError:
            pass
    # Each word counts once: many rows of one word are no more evidence than one.
    words = dict.fromkeys(word for word in re.split(rb"[\s,;|\"]+", sample) if not word.isascii())
    beyond = sum(byte > 127 for word in words for byte in word)
    if beyond < 4 or beyond <= 0.6 * sum(map(len, words)):  # Latin script: many letters of each word are ASCII
        # One unlikely word alone is no evidence.
        unlikely = {n: sum(_unlikely(word.decode(n, "replace")) for word in words) + (n != "cp1252") for n in LATIN}
        best = min(LATIN, key=unlikely.__getitem__)
        if best != "cp1252":
            return best
        letters = (
            [(w.decode("cp1252", "replace"), w.decode("cp1250", "replace")) for w in words] if beyond >= 20 else []
        )
        signs = sum(not a.isalpha() and b.isalpha() for pair in letters for a, b in zip(*pair, strict=True))
        return "cp1250" if signs > 0.2 * beyond else "cp1252"  # 'm¹¿' is the Polish 'mąż'
    from charset_normalizer import from_bytes

    found = from_bytes(b"\n".join(words), cp_isolation=ENCODINGS).best()
    return "cp1252" if found is None or found.encoding == "ascii" else found.encoding


def _unlikely(word: str) -> int:
    """Number of signs within a word, of capitals after small letters and, twice, of bytes without a meaning.

    >>> _unlikely("Größe"), _unlikely("Grš§e"), _unlikely("don’t")
    (0, 1, 0)
    """
    found = 0
    for before, sign, after in zip(f" {word}", word, f"{word[1:]} ", strict=False):
        if sign.isascii() or sign in WITHIN:
            continue
        if not (sign.isalpha() and unicodedata.name(sign, "").startswith("LATIN") and sign not in "ªºƒ"):
            inside = all(beside.isalpha() or not beside.isascii() for beside in (before, after))
            found += 2 if sign == "\ufffd" else inside
        else:
            found += sign.isupper() and after.islower() and before.isalpha()
    return found


def _quoting(lines: list[str]) -> tuple[str, bool]:
    """The sign that encloses values, and whether a backslash stands before those within a value."""
    text = "\n".join(lines)
    single = sum(re.search(r"(^|[,;\t|]) *'[^']*' *([,;\t|]|$)", line) is not None for line in lines[1:])
    if single and single > 0.9 * (len(lines) - 1) and '"' not in text:
        return "'", False
    # A path ends with a backslash as well: "C:\\data\\",
    return '"', re.search(r'[^\\]\\"(?!["\s,;\t|]|$)', text) is not None


def _fields(lines: list[str], separator: str, quote: str = '"', escapes: bool = False) -> list[list[str]]:
    """Fields of lines; a quoted field may hold a line break."""
    if separator == " ":
        lines = [re.sub(r"\s+", " ", line).strip() for line in lines]
    escape = "\\" if escapes else None
    try:
        text = io.StringIO("\n".join(lines))
        return list(csv.reader(text, delimiter=separator, quotechar=quote, escapechar=escape))
    except csv.Error as error:
        raise InputError(f"a line cannot be read: {error}") from None


def _layout(lines: list[str], encoding: str, notes: list[str], path: Path) -> Shape:
    start, given = 0, None
    if (first := lines[0].strip().strip('"')).lower().startswith("sep=") and len(first) == 5:
        given, start = first[4], 1
        notes.append(f"line 1 states the separator {first[4]!r}")
    if lines[start].startswith("#1.") and "\t" in lines[start + 1 if len(lines) > start + 1 else start]:
        start += 2  # GCT: version, and numbers of rows and columns
        notes.append("two lines of a GCT file above the header")
    comments = []
    while start < len(lines) and (not lines[start].strip(" ,;\t") or lines[start].lstrip('"').startswith(("#", "!"))):
        if lines[start].strip(" ,;\t"):
            comments.append(start)
        start += 1
    body = [line for line in lines[start : start + LINES] if line.strip()]
    if comments and body and comments[-1] == start - 1 and _is_header(lines[start - 1], body[0]):
        start, comments = start - 1, comments[:-1]  # '#SampleID' of QIIME
        body = [lines[start].lstrip("#").lstrip(), *body]
    if comments:
        notes.append(f"{counted(len(comments), 'comment line')} above the header")
    if not body:
        raise InputError(f"{path}: there is no header and no row")
    quote, escapes = _quoting(body)
    separator = given or _separator(body, quote, escapes)
    title_rows = titles(_fields(body[:12], separator, quote, escapes))
    if title_rows:
        start = [at for at in range(start, len(lines)) if lines[at].strip()][title_rows]
        body = body[title_rows:]
        notes.append(f"{counted(title_rows, 'line')} with a title above the header")
    if separator != USUAL.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix, separator):
        notes.append(f"columns are separated by {NAMES.get(separator, repr(separator))}")
    if quote != '"':
        notes.append("values are in single quotes")
    rows = _fields(body, separator, quote, escapes)
    rows = rows[:-1] if len(rows) > LINES // 2 else rows  # the last may be cut in a quoted field
    header, rows = [unguarded(spelled(name)) for name in rows[0]], rows[1:]
    rows = [row for row in rows if not (row and row[0].startswith("#") and len(row) != len(header))]
    above = start + 1 + sum(name.count("\n") for name in header)
    header = [re.sub(r"\s*\n\s*", " ", name) for name in header]  # a line break within a cell of a spreadsheet
    names = _names(header, rows, separator, body[0], notes, path, start + 1)
    return Shape(encoding, separator, above, names, notes, quote, escapes)


def spelled(name: str) -> str:
    """The name of a column without invisible characters and blanks at its ends, accents as parts of their letters."""
    return unicodedata.normalize("NFC", INVISIBLE.sub("", name)).strip()


def titles(rows: Sequence[Sequence[str | None]]) -> int:
    """Number of first rows with one filled field only, above a header of several names."""
    filled = [sum(bool(cell and cell.strip()) for cell in row) for row in rows]
    first = next((at for at, count in enumerate(filled) if count > 1), 0)
    least = 2 if first and len(rows[0]) > 1 else 3  # a spreadsheet writes 'Table 1,,', which no header looks like
    return first if first and first + 1 < len(filled) and min(filled[first : first + 2]) >= least else 0


def _is_header(comment: str, below: str) -> bool:
    """Whether the last comment line holds the names of the columns: as many fields, above a line with numbers."""
    separator = "\t" if "\t" in below else "," if "," in below else None
    names, values = comment.lstrip("#").split(separator), below.split(separator)
    return len(names) == len(values) > 1 and any(map(is_number, values)) and not any(map(is_number, names))


def _separator(body: list[str], quote: str, escapes: bool) -> str:
    """The separator by which most rows have as many fields as the header, or one more."""
    best, rank = ",", (0.0, 0, 0)
    for place, sign in enumerate(("\t", ";", ",", "|", " ", *RARE)):
        if sign in RARE and rank[0] > 0:
            break
        try:
            rows = _fields(body, sign, quote, escapes)
        except InputError:
            continue
        counts, width = [len(row) for row in rows], len(rows[0])
        if width < 2 and not (len(counts) > 1 and min(counts[1:]) == 2):
            continue
        fits = sum(count in (width, width + 1) for count in counts) / len(counts)
        if sign == " " and any(s in body[0] for s in "\t;,"):
            continue
        if (found := (round(fits, 1), width, -place)) > rank:
            best, rank = sign, found
    return best


def _names(
    header: list[str], rows: list[list[str]], separator: str, line: str, notes: list[str], path: Path, number: int
) -> list[str]:
    """Names of all columns of the rows, from the header."""
    while header and header[-1] == "" and all(len(row) < len(header) or not row[len(header) - 1] for row in rows):
        if all(len(row) == len(header) for row in rows):
            break  # dropped below, as a column
        header = header[:-1]
    widths = {len(row) for row in rows if any(cell.strip() for cell in row)}
    names = list(header)
    if widths == {len(header) + 1}:
        if all(row[-1].strip() == "" for row in rows if row):
            names = [*header, ""]
        elif _are_row_names(rows, separator, line):
            names = [UNNAMED, *header]
            notes.append("the header has one name fewer than the rows have fields: the first field names the row (R)")
            return names
        else:
            raise InputError(
                f"{path}: the rows have {len(header) + 1} fields, the header (line {number}) has {len(header)}; quote "
                "values that contain the separator, or name every column; if the first field names the row, give it "
                "a name in the header"
            )
    if names[0] == "" and any(row and row[0].strip() for row in rows):
        names[0] = UNNAMED
    check_header(names, rows, f"{path}: line {number}")
    return names


def check_header(names: list[str], rows: Sequence[Sequence[str | None]], where: str) -> None:
    """Raise an `InputError` if the names of the columns are values, or stand in two lines.

    Names such as 0, 1, 2 or 400.1, 400.3 (times, masses) increase.

    Args:
        names: The first row.
        rows: The first rows below it.
        where: Place of the first row in messages.
    """
    values = [float(name) for name in names if is_number(name)]
    few = [name for name in names[:SOME] if name]
    below = [row for row in rows if list(row) != names]
    repeated = {
        name
        for at, name in enumerate(names[:SOME])
        if name and not is_number(name) and any(len(row) > at and (row[at] or "").strip() == name for row in below)
    }
    numeric = sum(map(is_number, few))
    is_value = len(values) >= 0.5 * len(names) and any(np.diff(values) <= 0)
    if len(names) > 1 and (is_value or (repeated and len(repeated) + numeric >= 0.5 * len(few))):
        raise InputError(
            f"{where} holds values ({', '.join(names[:4])}, ...) where names of columns are expected; add a header"
        )
    if count := _header_lines(below):
        shown = ", ".join(cell for cell in map(str, below[0][:4]) if cell not in ("", "None"))
        raise InputError(
            f"{where} is followed by {counted(count, 'line')} of text ({shown}, ...) above columns of numbers: a "
            "second header, units, or an annotation of samples; keep one header line, and remove the other"
        )


def _header_lines(rows: Sequence[Sequence[str | None]]) -> int:
    """Number of first rows that have text in all columns, two or more, which hold numbers in all later rows."""
    count = 0
    while count < min(4, len(rows) - 3) and not any(map(is_number, filter(None, rows[count]))):
        count += 1
    if not count:
        return 0
    later = rows[count:]
    words = 0
    for at in range(len(rows[count])):
        column = [cell.strip() for row in later if len(row) > at and (cell := row[at]) and cell.strip()]
        if len(column) < 3 or not all(plain(c, True) is not None or plain(c, False) is not None for c in column):
            continue
        above = [(row[at] or "").strip() if len(row) > at else "" for row in rows[:count]]
        if any(cell and (missing_word(cell) or not re.match(r"[^\W\d_]|[(\[°%µ]", cell)) for cell in above):
            return 0
        words += any(above)
    return count if words >= 2 else 0


def _are_row_names(rows: list[list[str]], separator: str, header: str) -> bool:
    """Whether the first of the fields names the row, rather than a value that contains an unquoted separator."""
    first = [row[0] for row in rows if row]
    if len(set(first)) < len(first) or any(cell.startswith(" ") for row in rows for cell in row):
        return False
    counted = first == [str(number) for number in range(1, len(first) + 1)]
    texts = sum(not all(is_number(row[at]) or not row[at] for row in rows) for at in range(1, len(rows[0])))
    return separator == "\t" or header.startswith('"') or counted or texts == 0


def read_batches(path: Path, shape: Shape, block: int = 1 << 29) -> Iterator[pa.Table]:
    """Rows of the file in order, every cell as text, empty cells as null.

    Args:
        path: The file.
        shape: From `shape_of`.
        block: Bytes that are read at a time.

    Raises:
        InputError: A row has another number of fields than the header; all such lines are named.
    """
    columns = [f"{number}" for number in range(len(shape.names))]
    schema = pa.schema([(name, pa.string()) for name in columns])
    bad, comments = False, 0

    def invalid(row: pyarrow.csv.InvalidRow) -> str:
        nonlocal bad, comments
        if row.text.startswith("#"):
            comments += 1
            return "skip"
        # Rows of empty cells end spreadsheets; '!series_matrix_table_end' ends a matrix of GEO.
        bad |= bool(row.text.strip(" \t,;")) and not row.text.startswith("!")
        return "skip"

    parsing = pyarrow.csv.ParseOptions(
        delimiter="\t" if shape.separator == " " else shape.separator,
        quote_char=shape.quote,
        escape_char="\\" if shape.escapes else False,
        newlines_in_values=True,
        ignore_empty_lines=len(columns) > 1,  # an empty line is a missing value of a single column
        invalid_row_handler=invalid,
    )
    converting = pyarrow.csv.ConvertOptions(
        column_types=schema, strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True
    )
    try:
        for number, text in enumerate(_blocks(path, shape, block)):
            reading = pyarrow.csv.ReadOptions(
                use_threads=False,
                column_names=columns,
                skip_rows=0 if number else shape.above,
                block_size=len(text) + 1,  # a row is never longer than its block
            )
            table = pyarrow.csv.read_csv(pa.BufferReader(text), reading, parsing, converting)
            yield unguarded_table(table) if b"'" in text else table
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.object[error.start]:#x} is no letter in {shape.encoding}; save the file as UTF-8"
        ) from None
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    except (zlib.error, EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from None
    if bad:
        raise InputError(_wrong_rows(path, shape))
    if comments:
        log.info("%s: %s between the rows left out", path, counted(comments, "comment line"))


def _blocks(path: Path, shape: Shape, size: int) -> Iterator[bytes]:
    """Content of the file as UTF-8, in blocks that end with a row."""
    recode = shape.encoding not in ("utf-8", "utf-8-sig")
    decoder = codecs.getincrementaldecoder(shape.encoding)()
    with opened(path) as file:
        if shape.separator == " ":
            yield _tabbed(file.read().decode(shape.encoding), shape)
            return
        rest, more = b"", True
        while more:
            raw = file.read(size)
            more = len(raw) == size
            rest += decoder.decode(raw, not more).encode() if recode else raw
            cut = _last_row_end(rest, shape) if more else len(rest)
            if cut:
                yield rest[:cut]
                rest = rest[cut:]


def _last_row_end(text: bytes, shape: Shape) -> int:
    """Position after the last line break outside of quotes, 0 if there is none."""
    quote = shape.quote.encode()
    end = text.rfind(b"\n") + 1
    while end and (text.count(quote, 0, end) - shape.escapes * text.count(b"\\" + quote, 0, end)) % 2:
        end = text.rfind(b"\n", 0, end - 1) + 1
    return end


def first_rows(path: Path, shape: Shape, count: int) -> list[list[str | None]]:
    """The first cells of each column; little of a large file is read, and rows further down are not checked."""
    table = next(read_batches(path, shape, 1 << 18), None)
    return [column[:count].to_pylist() for column in table.columns] if table else [[] for _ in shape.names]


def read_all(path: Path, shape: Shape) -> pa.Table:
    """The whole file, as from `read_batches`."""
    schema = pa.schema([(f"{number}", pa.string()) for number in range(len(shape.names))])
    return pa.concat_tables([schema.empty_table(), *read_batches(path, shape)])


def _tabbed(text: str, shape: Shape) -> bytes:
    """Text with runs of blanks between fields, rewritten with tabs."""
    lines = re.split(r"\r\n|\r|\n", text)
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    out.write("\n" * shape.above)
    lines = [line for line in lines[shape.above :] if not line.startswith("# ")]
    writer.writerows(row for row in _fields(lines, " ", shape.quote, shape.escapes) if row)
    return out.getvalue().encode()


def _wrong_rows(path: Path, shape: Shape) -> str:
    """Message that names the lines whose number of fields differs from the header's."""
    with opened(path) as file:
        reader = csv.reader(
            io.TextIOWrapper(file, encoding=shape.encoding, errors="replace", newline=""),
            delimiter=shape.separator,
            quotechar=shape.quote,
            escapechar="\\" if shape.escapes else None,
            skipinitialspace=shape.separator == " ",
        )
        wrong, previous = [], 0
        for row in reader:
            begin, previous = previous + 1, reader.line_num
            if begin <= shape.above or not any(cell.strip() for cell in row) or row[0].startswith(("!", "#")):
                continue
            if len(row) != len(shape.names):
                wrong.append((begin, len(row)))
    first = ", ".join(f"line {line} has {count}" for line, count in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
    return (
        f"{path}: {counted(len(wrong), 'row')} {'differs' if len(wrong) == 1 else 'differ'} from the "
        f"{counted(len(shape.names), 'field')} of the "
        f"{'header' if shape.above else 'first line'}: {first}; quote values "
        "that contain the separator, and fill short rows with empty cells"
    )
