"""Opening of files that may be gzipped, whatever their names."""

import gzip
from pathlib import Path
from typing import BinaryIO, cast

GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def opened(path: Path) -> BinaryIO:
    """A file opened for reading of bytes; gzip (of one or several members, as bgzip writes) is told by content."""
    with path.open("rb") as file:
        zipped = file.read(len(GZIP)) == GZIP
    return cast(BinaryIO, gzip.open(path)) if zipped else path.open("rb")
