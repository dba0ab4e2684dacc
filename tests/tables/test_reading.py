"""Tables as users' programs write them are read as they are meant, or refused in one line."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zoo.errors import InputError
from zoo.tables import read_table


def read(content: str | bytes, name: str = "table.csv", **options: object) -> pd.DataFrame:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(Path(name), **options)


ROWS = {"age": [41.5, 38.0], "sex": ["f", "m"]}
SHAPES: dict[str, tuple[str, bytes, str]] = {
    # how it is written: (name, content, words of the log)
    "plain": ("t.csv", b"age,sex\n41.5,f\n38,m\n", ""),
    "byte order mark": ("t.csv", b"\xef\xbb\xbfage,sex\n41.5,f\n38,m\n", ""),
    "utf-16": ("t.csv", "age,sex\n41.5,f\n38,m\n".encode("utf-16"), "utf-16"),
    "gzip by content": ("t.csv", gzip.compress(b"age,sex\n41.5,f\n") + gzip.compress(b"38,m\n"), ""),
    "German": ("t.csv", b"age;sex\r\n41,5;f\r\n38,0;m\r\n", "semicolons; column 'age': 41,5 is read as 41.5"),
    "tabs in a csv": ("t.csv", b"age\tsex\n41.5\tf\n38\tm\n", "separated by tabs"),
    "spaces": ("t.txt", b"age  sex\n41.5   f\n38 m\n", ""),
    "sep line": ("t.csv", b"sep=;\nage;sex\n41.5;f\n38;m\n", "line 1 states the separator"),
    "comments": ("t.csv", b"# instrument 4\n# 2024\nage,sex\n41.5,f\n38,m\n", "2 comment lines"),
    "names in a comment": ("t.tsv", b"# from biom\n#age\tsex\n41.5\tf\n38\tm\n", "1 comment line"),
    "title": ("t.csv", b"Table S1,,\nage,sex,\n41.5,f,\n38,m,\n", ""),
    "empty lines": ("t.csv", b"\n\nage,sex\n41.5,f\n\n38,m\n\n", ""),
    "empty rows and columns": ("t.csv", b"age,sex,,\n41.5,f,,\n38,m,,\n,,,\n,,,\n", "2 empty rows left out"),
    "separator at line ends": ("t.csv", b"age,sex\n41.5,f,\n38,m,\n", ""),
    "blanks": ("t.csv", b"age , sex\n41.5, f \n38 ,m\n", "blanks around values removed"),
    "quotes": ("t.csv", b'"age","sex"\n"41.5","f"\n"38","m"\n', ""),
    "old Mac": ("t.csv", b"age,sex\r41.5,f\r38,m\r", ""),
}


@pytest.mark.parametrize("how", SHAPES)
def test_every_shape_reads_the_same(how: str, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    name, content, said = SHAPES[how]
    pd.testing.assert_frame_equal(read(content, name), pd.DataFrame(ROWS))
    assert said in caplog.text
    assert said or not caplog.text or how in ("title", "spaces")


@pytest.mark.parametrize("suffix", [".xlsx", ".ods", ".parquet", ".feather"])
def test_other_formats_read_the_same(suffix: str, here: Path) -> None:
    frame, path = pd.DataFrame({"id": ["001", "1E1"], **ROWS, "n": [3, 4]}), Path(f"t{suffix}")
    match suffix:
        case ".parquet":
            frame.to_parquet(path)
        case ".feather":
            frame.to_feather(path)
        case _:
            frame.to_excel(path, index=False, sheet_name="people")
    pd.testing.assert_frame_equal(read_table(path), frame)
    if suffix in (".xlsx", ".ods"):
        pd.testing.assert_frame_equal(read_table(path, sheet="people"), frame)
        with pytest.raises(InputError, match="no sheet 'peple'; did you mean people"):
            read_table(path, sheet="peple")


def test_a_workbook_with_several_sheets_asks_for_one(here: Path) -> None:
    with pd.ExcelWriter("two.xlsx") as book:
        pd.DataFrame(ROWS).to_excel(book, sheet_name="a", index=False, startrow=2)
        pd.DataFrame({"k": [1]}).to_excel(book, sheet_name="b", index=False)
    with pytest.raises(InputError, match=r"2 sheets have content \(a, b\); choose one: --data.sheet"):
        read_table(Path("two.xlsx"))
    pd.testing.assert_frame_equal(read_table(Path("two.xlsx"), sheet="a"), pd.DataFrame(ROWS))


def test_names_stay_text_and_numbers_are_numbers(here: Path) -> None:
    frame = read("id,code,well,x,n,e\n0001,01,1E1,1.0,3,1e-3\n0002,1A,2E1,2,4,2E+3\n", text=["id"])
    assert frame["id"].tolist() == ["0001", "0002"]
    assert frame["code"].tolist() == ["01", "1A"]
    assert frame["well"].tolist() == ["1E1", "2E1"]
    assert [str(frame[name].dtype) for name in "xne"] == ["float64", "int64", "float64"]
    assert frame["e"].tolist() == [0.001, 2000.0]
    assert read("id,x\n7,1\n1E5,2\n", text=["id"])["id"].tolist() == ["7", "1E5"]


def test_rs_tables_have_row_names(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    frame = read("g1\tg2\ncell1\t8\t6\ncell2\t7\t11\n", "r.tsv")
    assert frame.to_dict("list") == {"sample": ["cell1", "cell2"], "g1": [8, 7], "g2": [6, 11]}
    assert "the first field names the row (R)" in caplog.text
    quoted = read('"x" "y"\n"1" 2.5 "a b"\n"2" 3.5 "c"\n', "r.txt")
    assert quoted.to_dict("list") == {"sample": ["1", "2"], "x": [2.5, 3.5], "y": ["a b", "c"]}


def test_missing_words_count_in_columns_of_numbers_only(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    frame = read("a,country,grade,z\n1,NA,None,k.A.\nNA,DE,Mild,2\n?,,Severe,3\n", missing={"z": ["k.A."]})
    assert frame["a"].isna().tolist() == [False, True, True]
    assert frame["country"].fillna("empty").tolist() == ["NA", "DE", "empty"]
    assert frame["grade"].tolist() == ["None", "Mild", "Severe"]
    np.testing.assert_array_equal(frame["z"], [np.nan, 2, 3])
    assert "taken as missing in columns of numbers" in caplog.text
    assert "'?' (1)" in caplog.text
    assert "2 columns (a, z)" in caplog.text


NUMBERS: dict[str, tuple[str, list[float | None]]] = {
    # cells of a column: values
    "decimal commas": ("a;b\n1,5;2,25\n1.234,5;0,5\n", [1.5, 1234.5]),
    "points of thousands beside decimal commas": ("a;b\n219.085;2,25\n1.396;0,5\n", [219085, 1396]),
    "commas of thousands": ('a,b\n"219,085",1\n"1,396,003",2\n', [219085, 1396003]),
    "blanks of thousands": ("a\tb\n219 085\t1\n3 960\t2\n", [219085, 3960]),
    "apostrophes of thousands": ("a,b\n219'085,1\n1'000.5,2\n", [219085, 1000.5]),
    "decimal commas in quotes": ('a,b\n"1,5",1\n"2,75",2\n', [1.5, 2.75]),
    "percent": ("a,b\n45%,1\n7.5%,2\n", [45, 7.5]),
    "minus sign of typesetting": ("a,b\n−4.5,1\n3,2\n", [-4.5, 3]),
    "missing words among them": ("a;b\n1,5;2,25\nNA;0,5\n", [1.5, None]),
    "decimal points beside semicolons": ("a;b\n219.085;2.25\n1.396;0.5\n", [219.085, 1.396]),
}


@pytest.mark.parametrize("how", NUMBERS)
def test_numbers_in_every_convention(how: str, here: Path) -> None:
    content, values = NUMBERS[how]
    np.testing.assert_array_equal(read(content)["a"], np.array(values, dtype=float))


REFUSED = {
    # fault: (content, words of the error)
    "comma in an unquoted name": (
        "a,b,y\n1,Smith, John,0\n3,Doe, Jane,1\n",
        "the rows have 4 fields, the header (line 1) has 3",
    ),
    "the same without a blank": ("id,b,y\nP1,Smith,John,0\nP2,Doe,Jane,1\n", "the rows have 4 fields"),
    "short row": ("a,b\n1,2\n3\n", "1 rows differ from the 2 fields of the header: line 3 has 1"),
    "long row": ("a,b\n1,2\n\n3,4,5\n6\n", "2 rows differ from the 2 fields of the header: line 4 has 3, line 5 has 1"),
    "no header": ("3.5,1,7\n2.5,0,4\n", "line 1 holds values (3.5, 1, 7, ...)"),
    "no header beside text": ("842302,M,17.99,10.38\n842517,M,20.57,17.77\n", "line 1 holds values"),
    "comma of either kind": ("a;y\n219,085;1\n396,003;2\n", "may have a decimal comma or a thousands separator"),
    "only a header": ("a,b\n", "there is a header but no rows"),
    "nothing": ("", "the file is empty"),
    "only comments": ("# a\n", "no header and no row"),
    "repeated names": ("a,a \n1,2\n", "column 'a' occurs more than once"),
    "name missing": ("a,,c\n1,2,3\n", "column 2 has values but no name"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_in_doubt_is_refused(fault: str, here: Path) -> None:
    content, words = REFUSED[fault]
    with pytest.raises(InputError) as error:
        read(content)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("table.csv")


def test_line_breaks_within_quotes(here: Path) -> None:
    frame = read('a,b\n1,"5"" nail"\n3,"x\ny"\n')
    assert frame["b"].tolist() == ['5" nail', "x\ny"]


def test_columns_of_numbers_may_be_named_by_numbers(here: Path) -> None:
    assert list(read("400.1,400.3,401\n1,2,3\n4,5,6\n").columns) == ["400.1", "400.3", "401"]


@pytest.mark.parametrize(
    ("text", "encoding"), [("größe", "cp1252"), ("größe", "utf-8"), ("возраст", "cp1251"), ("größe", "utf-16-le")]
)
def test_encodings(text: str, encoding: str, here: Path) -> None:
    rows = (
        "".join(f"{number},{text} {word}\n" for number, word in enumerate(["мышь крыса", "человек собака"] * 20))
        if encoding == "cp1251"
        else "1,a\n"
    )
    assert read(f"{text},b\n{rows}".encode(encoding)).columns[0] == text


def test_types_of_parquet(here: Path) -> None:
    dates = pd.to_datetime(["2024-01-03", None])
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], "Int64"),
            "flag": pd.array([True, None], "boolean"),
            "kind": pd.Categorical(["x", "y"]),
            "text": ["1.5", "2"],
            "date": dates,
        }
    )
    frame.to_parquet("t.parquet")
    found = read_table(Path("t.parquet"))
    np.testing.assert_array_equal(found["n"], [1, np.nan])
    assert found["flag"].fillna("empty").tolist() == ["True", "empty"]
    assert isinstance(found["kind"].dtype, pd.CategoricalDtype)
    assert found["text"].tolist() == [1.5, 2.0]
    assert found["date"].isna().tolist() == [False, True]
