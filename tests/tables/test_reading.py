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
    "single quotes": ("t.csv", b"'age','sex'\n'41.5','f'\n38,'m'\n", "values are in single quotes"),
    "comments between rows": ("t.csv", b"age,sex\n41.5,f\n# second batch\n38,m\n", "1 comment line between the rows"),
    "comments between rows in columns": ("t.txt", b"age  sex\n41.5   f\n# second batch\n38 m\n", ""),
    "empty first columns": ("t.csv", b",,age,sex\n,,41.5,f\n,,38,m\n", ""),
    "invisible characters": ("t.csv", "\u200bage,s\u200bex\n41.5,f\n38,m\n".encode(), ""),
    "a rare separator": ("t.txt", b"age~sex\n41.5~f\n38~m\n", ""),
    "old Mac": ("t.csv", b"age,sex\r41.5,f\r38,m\r", ""),
}


@pytest.mark.parametrize("how", SHAPES)
def test_every_shape_reads_the_same(how: str, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zoo")
    name, content, said = SHAPES[how]
    pd.testing.assert_frame_equal(read(content, name), pd.DataFrame(ROWS))
    assert said in caplog.text
    assert said or not caplog.text or how in ("title", "spaces", "comments between rows in columns")


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
    "percent after decimal commas": ("a;b\n1,5 %;1.5\n−2,75%;2.5\n", [1.5, -2.75]),
    "three digits after the points of some numbers": (
        "a;b\n1.234;1\n2.345;2\n3.4;3\n4.567;4\n5.678;5\n6.789;6\n",
        [1.234, 2.345, 3.4, 4.567, 5.678, 6.789],
    ),
    "minus sign of typesetting": ("a,b\n−4.5,1\n3,2\n", [-4.5, 3]),
    "missing words among them": ("a;b\n1,5;2,25\nNA;0,5\n", [1.5, None]),
    "decimal points beside semicolons": ("a;b\n219.085;2.25\n1.396;0.5\n", [219.085, 1.396]),
}


@pytest.mark.parametrize("how", NUMBERS)
def test_numbers_in_every_convention(how: str, here: Path) -> None:
    content, values = NUMBERS[how]
    np.testing.assert_array_equal(read(content)["a"], np.array(values, dtype=float))


@pytest.mark.parametrize(
    ("content", "decimal", "value"),
    [
        ("a\tb\n5,283\t1\n7,119\t2\n", ",", 5.283),
        ("a\tb\n5,283\t1\n7,119\t2\n", ".", 5283),
        (POINTS := "cells;b\n18.678;0\n63.453;1\n73.865;2\n22.000;3\n9.125;4\n", ",", 18678),
        (POINTS, ".", 18.678),
    ],
)
def test_a_stated_decimal_sign_settles_what_a_file_leaves_open(
    content: str, decimal: str, value: float, here: Path
) -> None:
    with pytest.raises(InputError, match=rf"--data.decimal '\{decimal}' if it is {str(value).rstrip('0')}"):
        read(content)
    assert read(content, decimal=decimal).iloc[0, 0] == value


REFUSED = {
    # fault: (content, words of the error)
    "comma in an unquoted name": (
        "a,b,y\n1,Smith, John,0\n3,Doe, Jane,1\n",
        "the rows have 4 fields, the header (line 1) has 3",
    ),
    "the same without a blank": ("id,b,y\nP1,Smith,John,0\nP2,Doe,Jane,1\n", "the rows have 4 fields"),
    "short row": ("a,b\n1,2\n3\n", "1 row differs from the 2 fields of the header: line 3 has 1"),
    "long row": ("a,b\n1,2\n\n3,4,5\n6\n", "2 rows differ from the 2 fields of the header: line 4 has 3, line 5 has 1"),
    "no header": ("3.5,1,7\n2.5,0,4\n", "line 1 holds values (3.5, 1, 7, ...)"),
    "no header beside text": ("842302,M,17.99,10.38\n842517,M,20.57,17.77\n", "line 1 holds values"),
    "no header, a value in its own column": ("P0,f,control\nP1,m,case\nP2,f,control\n", "line 1 holds values (P0, f"),
    "no header, increasing numbers": ("P0,46.1,56,case\nP1,6.5,17.1,case\nP2,27,44,ctl\n", "line 1 holds values"),
    "units below the header": (
        "age,bmi,y\nyears,kg/m2,\n55.3,50.4,a\n44,41,b\n50,40,a\n",
        "followed by 1 line of text (years, kg/m2, ...) above columns of numbers: a second header",
    ),
    "two header lines": (",a,a,y\n,mean,sd,\n0,0.2,0.3,a\n1,0.4,0.6,b\n2,0.2,0.1,b\n", "keep one header line"),
    "annotation among genes": (
        "gene,S1,S2\nclass,ctrl,case\nTP53,1,2\nMYC,3,4\nKRAS,5,6\n",
        "line of text (class, ctrl, case, ...) above columns of numbers",
    ),
    "a workbook": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00[Content_Types].xml", "an Excel workbook; rename it to .xlsx"),
    "a zip archive": (b"PK\x03\x04\x14\x00\x06\x00\x08\x00table.csv", "a zip archive; unpack it"),
    "a web page": ("<!DOCTYPE html><table><tr><td>a</td></tr></table>", "a web page or XML"),
    "comma of either kind": (
        "a;y\n219,085;1\n396,003;2\n",
        "219,085 may have a decimal comma or commas between thousands; state",
    ),
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


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.xlsx", b"a,b\n1,2\n", "this is text, not a workbook; rename it to .csv"),
        ("t.xlsx", b"<html><table></table></html>", "a web page or XML, not a workbook"),
        ("t.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel file of the old kind"),
        ("t.xls", b"\xd0\xcf\x11\xe0", "unknown kind of table .xls; save it as .xlsx"),
        ("t.sav", b"$FL2", "pandas.read_spss"),
        ("t.dat", b"a,b\n1,2\n", "if it is a table of text, rename it to .txt"),
    ],
)
def test_files_of_other_programs_are_named(name: str, content: bytes, words: str, here: Path) -> None:
    with pytest.raises(InputError) as error:
        read(content, name)
    assert words in str(error.value)


def test_a_row_is_not_taken_for_a_header_or_units(here: Path) -> None:
    """Names in steps, one text among numbers, missing values in the first row."""
    assert len(read("gene,1,2,5\nTP53,1,3,5\nMYC,2,2,5\nKRAS,1,2,3\n")) == 3
    assert len(read("a,b,c\nlow,,\n1,2,3\n2,3,4\n3,4,5\n")) == 4
    assert len(read("a,b\nNA,unknown\n1,2\n2,3\n3,4\n")) == 4
    assert len(read("a,b\n<5,<0.1\n1,2\n2,3\n3,4\n")) == 4


def test_a_table_may_begin_anywhere_in_a_sheet(here: Path) -> None:
    pd.DataFrame(ROWS).to_excel("t.xlsx", index=False, startrow=3, startcol=2)
    pd.testing.assert_frame_equal(read_table(Path("t.xlsx")), pd.DataFrame(ROWS))


def test_names_are_compared_with_their_accents(here: Path) -> None:
    assert list(read("gro\u0308sse,b\n1,2\n").columns) == ["größe".replace("ß", "ss"), "b"]


def test_backslashes_before_quotes(here: Path) -> None:
    assert read('a,b\n"say \\"a\\", b",1\nc,2\n')["a"].tolist() == ['say "a", b', "c"]
    assert read('a,b\n"C:\\data\\",1\nc,2\n')["a"].tolist() == ["C:\\data\\", "c"]


def test_line_breaks_within_names_are_blanks(here: Path) -> None:
    frame = read('"body\nmass\nindex",b\n21.5,2\n30,4\n')
    assert frame.to_dict("list") == {"body mass index": [21.5, 30.0], "b": [2, 4]}


def test_line_breaks_within_quotes(here: Path) -> None:
    frame = read('a,b\n1,"5"" nail"\n3,"x\ny"\n')
    assert frame["b"].tolist() == ['5" nail', "x\ny"]


def test_columns_of_numbers_may_be_named_by_numbers(here: Path) -> None:
    assert list(read("400.1,400.3,401\n1,2,3\n4,5,6\n").columns) == ["400.1", "400.3", "401"]


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "mac_roman"])
def test_encodings_of_older_systems(encoding: str, here: Path) -> None:
    frame = read("Größe;Stadt;Notiz\n1.5;Zürich;don't\n2.5;Köln;25 µg\n".encode(encoding))
    assert list(frame.columns) == ["Größe", "Stadt", "Notiz"]
    assert frame["Stadt"].tolist() == ["Zürich", "Köln"]
    assert read("note,b\ndon’t,1\n“5 µg” pre–post,2\n".encode("cp1252"))["note"].tolist() == [
        "don’t",
        "“5 µg” pre–post",
    ]
    organs = ["wątroba", "żołądek", "mózg wątły"]
    content = "\n".join(["organ,b", *(f"{organ},{number}" for number, organ in enumerate(organs))])
    assert read(content.encode("cp1250"))["organ"].tolist() == organs


def test_a_byte_of_no_encoding_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.tables.text.SAMPLE", 12)
    with pytest.raises(InputError, match=r"byte 0x8d is no letter in cp1252; save the file as UTF-8"):
        read(b"gr\xf6\xdfe,b\nx,1\n\x8d,2\n")


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
