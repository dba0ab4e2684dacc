"""Ways to damage a file. Each takes a random generator and returns what it did."""

import gzip
import json
import os
import shutil
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

NUMBERS = ["inf", "-inf", "nan", "1e400", "1e39", "-1", "0", "9" * 400, "99999999999999999999", "1e-320", "0x10", "1_0"]
WORDS = [
    "",
    " ",
    "=1+1",
    "@a",
    "NA",
    "é",
    "\ufeff",
    "日本",
    "a" * 5000,
    '"',
    "'",
    "a\nb",
    "\\",
    "$\\frac{",
    "[/red]",
    "\t",
]
ENCODINGS = ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "shift_jis", "utf-7"]
VALUES = [None, True, False, 0, -1, 10**12, 1e308, float("nan"), "", "x", "a" * 9999, [], {}, [1], ["a", "a"], {"a": 1}]
VALUES += [[[]], [None], {"": None}, 0.5, -0.0, 10**400, "../..", "\x00"]


def cut(rng, data):
    return data[: rng.randrange(len(data) + 1)], "cut off"


def flipped(rng, data):
    many = bytearray(data)
    times = rng.choice([1, 3, 10, 100])
    for _ in range(times if many else 0):
        many[rng.randrange(len(many))] = rng.randrange(256)
    return bytes(many), f"{times} bytes changed"


def begun_flipped(rng, data):
    """Most formats have their sizes and offsets at the beginning."""
    head, _ = flipped(rng, data[:256])
    return head + data[256:], "bytes of the beginning changed"


def emptied(rng, data):
    return rng.choice(
        [b"", b"\n", b"   \n  \n", b"\0" * 512, b"\xff" * 512, b"%PDF-1.4\n", b"PK\3\4", b"\x1f\x8b\x08"]
    ), "other content"


def without_part(rng, data):
    begin = rng.randrange(len(data) + 1)
    return data[:begin] + data[begin + rng.choice([1, 16, 512]) :], "a part is missing"


def repeated(rng, data):
    begin = rng.randrange(len(data) + 1)
    return data[:begin] + data[begin : begin + 300] * rng.choice([2, 50]) + data[begin:], "a part is repeated"


def inserted(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice([b"\0", b"\xff\xfe", b"\r", b"\x1a", b'"', b"\n\n"]) + data[at:], "bytes inserted"


def number_of_bits(rng, data):
    """An integer of the file becomes a huge or a negative one."""
    at = rng.randrange(max(1, len(data) - 8))
    value = struct.pack(
        *rng.choice([("<q", 2**62), ("<q", -1), ("<i", 2**31 - 1), ("<i", -5), (">i", 2**31 - 1), ("<h", -1)])
    )
    return data[:at] + value + data[at + len(value) :], "a huge or negative integer"


BYTES = [cut, flipped, begun_flipped, emptied, without_part, repeated, inserted, number_of_bits]


def text_field(rng, data):
    """One field of one line becomes something else."""
    text = data.decode("utf-8", "replace")
    separator = max(",\t;: ", key=text.count)
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    fields = lines[at].split(separator)
    place = rng.randrange(len(fields))
    how = rng.choice(["number", "word", "removed", "doubled"])
    if how in ("number", "word"):
        fields[place] = rng.choice(NUMBERS if how == "number" else WORDS)
    elif how == "removed":
        del fields[place]
    else:
        fields.insert(place, fields[place])
    lines[at] = separator.join(fields)
    return "\n".join(lines).encode(), f"line {at + 1}, field {place + 1}: {how}"


def text_column(rng, data):
    """One field of all lines below the header becomes something else."""
    lines = data.decode("utf-8", "replace").split("\n")
    separator = max(",\t;: ", key="\n".join(lines).count)
    place = rng.randrange(max(1, lines[0].count(separator) + 1))
    value = rng.choice([*NUMBERS, *WORDS])
    for at, line in enumerate(lines[1:], 1):
        fields = line.split(separator)
        if place < len(fields) and line:
            fields[place] = value
            lines[at] = separator.join(fields)
    return "\n".join(lines).encode(), f"field {place + 1} of all lines is {value[:20]!r}"


def text_lines(rng, data):
    lines = data.split(b"\n")
    how = rng.choice(["first only", "first two", "shuffled", "doubled", "no first", "first twice", "one very long"])
    match how:
        case "first only":
            lines = lines[:1]
        case "first two":
            lines = lines[:2]
        case "shuffled":
            rng.shuffle(lines)
        case "doubled":
            lines = lines * 2
        case "no first":
            lines = lines[1:]
        case "first twice":
            lines = lines[:1] + lines
        case "one very long":
            lines.insert(rng.randrange(len(lines) + 1), b"A" * (1 << 22))
    return b"\n".join(lines), f"lines: {how}"


def text_header(rng, data):
    first, *rest = data.split(b"\n")
    separator = max((b",", b"\t", b";", b" "), key=first.count)
    names = first.split(separator)
    names[rng.randrange(len(names))] = rng.choice(
        [names[0], *(word.encode() for word in WORDS), b"split", b"sample", b"1"]
    )
    return b"\n".join([separator.join(names), *rest]), "a name of the header"


def text_encoding(rng, data):
    name = rng.choice(ENCODINGS)
    text = data.decode("utf-8", "replace").replace("a", "é", 3)
    return text.encode(name, "replace"), f"encoding {name}"


TEXT = [text_field, text_field, text_column, text_lines, text_header, text_encoding]
TEXT_SUFFIXES = (".csv", ".tsv", ".ts", ".arff", ".fa", ".bed", ".vcf", ".yaml", ".json", ".hea", ".md", ".mtx", ".fai")


def elsewhere(rng, path: Path):
    """Something else than a regular file stands in the place of the file."""
    how = rng.choice(["folder", "fifo", "loop", "dangling", "/dev/zero", "missing", "/proc/self/mem", "socket"])
    content = path.read_bytes() if path.is_file() else b""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    match how:
        case "folder":
            path.mkdir()
            if rng.random() < 0.5:
                (path / "file").write_bytes(content)
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere")
        case "socket":
            os.mknod(path, 0o140600)
        case "missing":
            pass
        case _:
            path.symlink_to(how)
    return f"{path.name} is {how}"


def packed(rng, data):
    """A gzip file that is damaged, or unpacks to much more than its size."""
    whole = gzip.compress(data)
    match rng.randrange(4):
        case 0:
            return cut(rng, whole)[0], "gzip cut off"
        case 1:
            at = rng.randrange(10, len(whole))
            return whole[:at] + b"\xff" * 40 + whole[at + 40 :], "gzip damaged"
        case 2:
            return whole[:-8] + b"\0" * 8, "gzip with a wrong checksum"
        case _:
            line = data[-60:] or b"a"
            member = gzip.compress(line * ((1 << 22) // len(line)), 9)
            return gzip.compress(data) + member * 1200, "gzip of 5 GB"


def zipped(rng, data):
    """A zip file with a damaged, renamed or huge member."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as old:
            members = {name: old.read(name) for name in old.namelist()}
    except zipfile.BadZipFile:
        return emptied(rng, data)
    name, how = rng.choice(sorted(members)), rng.choice(["removed", "damaged", "empty", "huge", "renamed"])
    match how:
        case "removed":
            del members[name]
        case "damaged":
            members[name] = rng.choice(BYTES)(rng, members[name])[0]
        case "empty":
            members[name] = b""
        case "renamed":
            members[f"../{name}"] = members.pop(name)
        case "huge":
            members[name] += b"0" * (1 << 28)
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for member, content in members.items():
            new.writestr(member, content)
    return file.getvalue(), f"member {name} {how}"


def numpy_header(rng, data):
    """A NumPy array whose header claims other sizes or types than follow."""
    shape = rng.choice([(10**12,), (2**62, 2**62), (-5, 3), (60,), (), (60, 10**9), (0, 0), ("a",)])
    kind = rng.choice(["<f4", "<f8", "|O", "<U100000000", "|V0", "<c16", "<M8[s]", "|S1", "bad"])
    head = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0" * 64
    try:
        with zipfile.ZipFile(BytesIO(data)) as old:
            members = {name: old.read(name) for name in old.namelist()}
    except zipfile.BadZipFile:
        return array, f"header {shape} {kind}"
    name = rng.choice(sorted(members))
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for member, content in members.items():
            new.writestr(member, array if member == name else content)
    return file.getvalue(), f"array {name}: header {shape} {kind}"


def parts_of_h5(file):
    found = []
    file.visit(found.append)
    return sorted(found)


def hdf5(rng, path: Path):
    """A group, dataset or attribute of an HDF5 file changed; sparse matrices with positions out of bounds."""
    import h5py

    with h5py.File(path, "r+") as file:
        names = parts_of_h5(file)
        sparse = [n for n in names if n.endswith(("indices", "indptr")) and "/" in n]
        how = rng.choice(["indices", "indices", "shape", "removed", "link", "huge", "type", "attribute", "values"])
        name = rng.choice(sparse if how == "indices" and sparse else names)
        element = file[name]
        if how == "indices" and sparse:
            values = element[:]
            wrong = rng.choice([10**8, -5, 4000, 2**31 - 1, 41, 61])
            match rng.randrange(4):
                case 0:
                    values[:] = wrong
                case 1:
                    values[rng.randrange(len(values))] = wrong
                case 2:
                    values = values[::-1].copy()
                case 3:
                    values = values[: len(values) // 2]
            replaced(file, name, values)
        elif how == "shape":
            groups = [n for n in names if "shape" in file[n].attrs or n.endswith("shape")]
            name = rng.choice(groups) if groups else name
            shape = rng.choice([[10**12, 10**12], [-1, 40], [3, 3], [60], [0, 0], [60, 10**9], "x"])
            if isinstance(file[name], h5py.Dataset):
                replaced(file, name, shape)
            else:
                file[name].attrs["shape"] = shape
        elif how == "removed":
            del file[name]
        elif how == "link":
            del file[name]
            file[name] = rng.choice([h5py.ExternalLink("/etc/passwd", "/X"), h5py.SoftLink("/" + name)])
        elif how == "huge":
            del file[name]
            file.create_dataset(name, shape=rng.choice([(10**11,), (60, 10**9)]), chunks=True, dtype="f4")
        elif how == "type":
            replaced(file, name, rng.choice([np.array(["x"], dtype="S"), 3, [[1.5]], np.zeros((2, 2, 2)), [True] * 60]))
        elif how == "attribute":
            keys = sorted(element.attrs)
            if keys:
                key = rng.choice(keys)
                element.attrs[key] = rng.choice([3, "x", "csr_matrix", "dataframe", "categorical", [1, 2], "99.0"])
        elif how == "values" and isinstance(element, h5py.Dataset) and element.shape and element.dtype.kind in "iuf":
            element[rng.randrange(len(element))] = rng.choice([-1, 0, 100]) if element.dtype.kind != "f" else np.nan
    return f"{name} {how}"


def replaced(file, name, values):
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=values)
    file[name].attrs.update(attributes)


def values_of(rng, content, times=1):
    """Some values of nested JSON become others, of any type and size, or are removed."""
    said = []
    for _ in range(times):
        places, stack = [], [content]
        while stack:
            part = stack.pop()
            keys = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
            for key in keys:
                places.append((part, key))
                stack.append(part[key])
        part, key = rng.choice(places)
        if rng.random() < 0.2:
            del part[key]
            said.append(f"{key} removed")
            continue
        value = rng.choice(VALUES)
        part[key] = value
        said.append(f"{key}: {str(value)[:20]}")
    return ", ".join(said)


def json_text(rng, text):
    """JSON with other values, nested deeply, with repeated keys, or no mapping."""
    match rng.randrange(8):
        case 0:
            return "[" * 100_000 + "]" * 100_000, "nested 100,000 deep"
        case 1:
            return rng.choice(
                ["", "[]", "3", "null", '"x"', "{", '{"a": NaN}', "{}", "\ufeff{}", "\0"]
            ), "other content"
        case 2:
            return text.replace('"', "'", 3), "quotes"
        case _:
            content = json.loads(text)
            said = values_of(rng, content, rng.choice([1, 1, 3]))
            return json.dumps(content), said


def any_file(rng, path: Path):
    """Damage a file by a way that suits its kind; returns what was done."""
    if rng.random() < 0.12:
        return elsewhere(rng, path)
    name = path.name.removesuffix(".gz")
    if name.endswith((".h5ad", ".h5", ".h5mu")) and rng.random() < 0.75:
        return hdf5(rng, path)
    data = path.read_bytes()
    ways = BYTES
    if path.name.endswith(".gz"):
        ways = [packed]
        data = gzip.decompress(data)
    elif name.endswith((".npz", ".npy")):
        ways = [*BYTES[:3], numpy_header, numpy_header, numpy_header] + ([zipped] * 3 if name.endswith("z") else [])
    elif name.endswith((".xlsx", ".ods")):
        ways = [*BYTES[:3], zipped, zipped, zipped]
    elif name.endswith(".json") and rng.random() < 0.8:
        text, said = json_text(rng, data.decode())
        path.write_text(text, encoding="utf-8", errors="replace")
        return f"{path.name}: {said}"
    elif name.endswith(TEXT_SUFFIXES):
        ways = [*BYTES, *TEXT, *TEXT]
    content, said = rng.choice(ways)(rng, data)
    path.write_bytes(content)
    return f"{path.name}: {said}"
