"""Text that a spreadsheet would run as a formula is written so that it does not, and read as it was."""

from pathlib import Path

import pandas as pd
import pytest

from zoo.tables import read_table
from zoo.tables.writing import write_table

TEXT = ["=1+1", "@sum", "+cmd|' /C calc'!A0", "-2+3", "'=1", "''@x", "'quoted", "a=b"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.xlsx", "t.parquet"])
def test_formulas_come_back_as_text(here, name):
    table = pd.DataFrame({"=name": TEXT}, pd.Index([f"={number}" for number in range(len(TEXT))], name="sample"))
    write_table(table, Path(name))
    found = read_table(Path(name), ["sample"]).set_index("sample")
    assert found["=name"].tolist() == TEXT
    assert found.index.tolist() == table.index.tolist()


def test_no_cell_of_text_begins_a_formula(here):
    write_table(pd.DataFrame({"=a": TEXT}), Path("t.csv"), index=False)
    cells = [line.strip('"') for line in Path("t.csv").read_text().splitlines()]
    assert not [cell for cell in cells if cell[0] in "=+-@"]


def test_numbers_and_signs_stay(here):
    table = pd.DataFrame({"value": [-1.5, 2.0, 1e-7], "strand": ["-", "+", "-5"]})
    write_table(table, Path("t.csv"), index=False)
    assert Path("t.csv").read_text() == "value,strand\n-1.5,-\n2.0,+\n1e-07,-5\n"
