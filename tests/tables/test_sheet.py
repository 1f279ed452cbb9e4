"""Sheets: usual formats of spreadsheets are read, ambiguous ones refused, hostile files take few resources."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from mograder.domain.errors import BadRequest, TooLarge
from mograder.tables.sheet import MAX_BYTES, MAX_CELL, MAX_COLUMNS, MAX_ROWS, read_sheet
from mograder.tables.workbook import MAX_UNPACKED, write_workbook

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=8).map(str.strip)


def cells(content: bytes | str, filename: str = "grades.csv") -> list[tuple[str, ...]]:
    sheet = read_sheet(content.encode() if isinstance(content, str) else content, filename)
    return [sheet.columns, *(row.cells for row in sheet.rows)]


def test_three_delimiters_and_a_byte_order_mark_give_the_same_table() -> None:
    expected = [("username", "grade"), ("ada", "5")]
    for delimiter in ",;\t":
        for ends in ("\n", "\r\n", "\r"):
            assert cells(f"\ufeffusername{delimiter}grade{ends}ada{delimiter}5{ends}") == expected
    assert cells("username\tgrade\r\nada\t5\r\n".encode("utf-16")) == expected


def test_delimiters_inside_quotes_of_the_header_are_ignored() -> None:
    found = cells('username;grade;"comments, on a, b, c"\r\nada;5;x\r\n')
    assert found == [("username", "grade", "comments, on a, b, c"), ("ada", "5", "x")]


def test_the_sep_line_of_excel_is_respected() -> None:
    assert cells("sep=;\r\nusername;grade, of all\r\nada;5\r\n") == [("username", "grade, of all"), ("ada", "5")]


def test_short_rows_empty_rows_and_trailing_delimiters_are_accepted() -> None:
    found = cells("\r\n,,\r\nusername,grade,feedback,,\r\nada,5\r\n,,,,\r\n\r\nbob,4,good,,\r\n")
    assert found == [("username", "grade", "feedback"), ("ada", "5", ""), ("bob", "4", "good")]


def test_a_line_break_inside_a_cell_is_kept_and_places_count_lines() -> None:
    sheet = read_sheet(b'username,feedback\r\nada,"a\r\nb"\r\nbob,c\r\n')
    assert [(row.place, row.cells) for row in sheet.rows] == [("line 2", ("ada", "a\r\nb")), ("line 4", ("bob", "c"))]


def test_cells_beyond_the_last_column_are_kept_separately() -> None:
    row = read_sheet(b"username,grade\nada,3,5\n").rows[0]
    assert (row.cells, row.surplus) == (("ada", "3"), ("5",))


def test_duplicate_column_names_are_refused_with_both_named() -> None:
    sheet = read_sheet("username,grade,Gra\u200bde\nada,5,1\n".encode())
    with pytest.raises(BadRequest, match=r"columns 2 \('grade'\) and 3 \('Gra\?de'\) have the same name"):
        sheet.find("GRADE")
    with pytest.raises(BadRequest, match="columns 2"):
        sheet.refuse_duplicate_columns()


@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_a_table_written_by_a_spreadsheet_is_read_unchanged(
    rows: list[list[str]], delimiter: str, quoting: int, encoding: str
) -> None:
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=delimiter, quoting=quoting).writerows([["username", "note"], *rows])  # type: ignore[arg-type]
    kept = [tuple(row) for row in rows if any(row)]
    assert cells(target.getvalue().encode(encoding)) == [("username", "note"), *kept]


@given(content=st.binary() | st.text(alphabet='ab,;\t"\r\n \ufeff').map(str.encode))
def test_any_bytes_are_a_table_or_a_bad_request(content: bytes) -> None:
    try:
        sheet = read_sheet(content)
    except BadRequest:
        return
    assert all(len(row.cells) == len(sheet.columns) for row in sheet.rows)


@pytest.mark.parametrize(
    ("content", "filename", "said"),
    [("", "", "the table is empty"), ("\n\n", "", "the table is empty"), ('a,b\n"x', "", "line 2: unexpected end"),
     ('a\n"b"c\n', "", "line 2:"), ("a,b\n1,2\n", "g.xlsx", "g.xlsx is not an Excel workbook")],
)  # fmt: skip
def test_an_invalid_table_is_refused_with_the_line(content: str, filename: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_sheet(content.encode(), filename)


def test_files_of_other_kinds_are_refused_with_their_kind() -> None:
    with pytest.raises(BadRequest, match="old or protected Excel file"):
        read_sheet(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "grades.xls")
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.csv", "username")
    with pytest.raises(BadRequest, match="zip file, not a table"):
        read_sheet(target.getvalue(), "grades.csv")
    with pytest.raises(BadRequest, match=r"grades.csv is an Excel workbook by its content"):
        read_sheet(workbook([["username"]]), "grades.csv")


def test_two_thousand_rows_are_read_and_larger_tables_refused_with_the_limit() -> None:
    header = "username,grade\n"
    assert len(cells(header + "".join(f"s{number},5\n" for number in range(2000)))) == 2001
    with pytest.raises(TooLarge, match=f"more than {MAX_ROWS} rows"):
        read_sheet((header + "a,1\n" * (MAX_ROWS + 1)).encode())
    with pytest.raises(TooLarge, match=f"{MAX_COLUMNS + 1} columns"):
        read_sheet(",".join(["a"] * (MAX_COLUMNS + 1)).encode())
    with pytest.raises(TooLarge, match="bytes"):
        read_sheet(b"a" * (MAX_BYTES + 1))
    with pytest.raises(TooLarge, match="cells"):
        read_sheet(b"a,b\n" + (b"," * 999 + b"\n") * 2_001)


def test_a_cell_of_one_mebibyte_is_refused_with_its_line() -> None:
    for quote in ("", '"'):
        with pytest.raises(BadRequest, match=f"line 3: a cell has more than {MAX_CELL} characters"):
            read_sheet(f"username,feedback\nada,x\nbob,{quote}{'x' * 2**20}{quote}\n".encode())


# workbooks


def workbook(rows: list[list[object]], formats: dict[str, str] | None = None) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for place, number_format in (formats or {}).items():
        sheet[place].number_format = number_format
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def test_a_workbook_is_read_as_a_person_sees_it() -> None:
    content = workbook(
        [
            ["id", "grade", "share", "note"],
            [123, 9.5, 0.855, "a\nb"],
            ["00456", 10, 1, True],
            [None, None],
            [1.5, None],
        ],
        {"A2": "00000", "C2": "0.0%", "C3": "0%"},
    )
    assert cells(content, "grades.xlsx") == [
        ("id", "grade", "share", "note"), ("00123", "9.5", "85.5%", "a\nb"), ("00456", "10", "100%", "TRUE"),
        ("1.5", "", "", ""),
    ]  # fmt: skip


def test_a_formula_that_was_never_calculated_is_reported_and_not_read_as_empty() -> None:
    assert cells(workbook([["username", "grade"], ["ada", "=5+4"]]), "g.xlsx")[1] == ("ada", "=5+4")


def test_a_workbook_of_several_sheets_is_refused() -> None:
    book = Workbook()
    assert book.active is not None
    book.active["A1"] = "username"
    book.create_sheet("empty")
    hidden = book.create_sheet("hidden")
    hidden["A1"], hidden.sheet_state = "x", "hidden"
    for title in ("", "more"):
        if title:
            book.create_sheet(title)["A1"] = "username"
        target = io.BytesIO()
        book.save(target)
        if not title:
            assert cells(target.getvalue(), "g.xlsx") == [("username",)]
    with pytest.raises(BadRequest, match=r"several sheets \('Sheet', 'more'\)"):
        read_sheet(target.getvalue(), "g.xlsx")


@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=4))
def test_a_written_workbook_contains_only_text_and_is_read_back(rows: list[list[str]]) -> None:
    content = write_workbook("grades: all", [["username", "note"], *rows], frozenset())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")
    found = cells(content, "g.xlsx")[1:]
    expected = [tuple(row) for row in rows if any(cell.strip() for cell in row)]
    assert len(found) == len(expected)
    for got, put in zip(found, expected, strict=True):
        # XML cannot represent some control characters and reads each line end as a line feed.
        if all(letter.isprintable() for cell in put for letter in cell):
            assert got == put


def rezipped(content: bytes, change: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change.get(name, old.read(name)))
    return target.getvalue()


SHEET1 = "xl/worksheets/sheet1.xml"


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    content = rezipped(workbook([["username"]]), {SHEET1: b" " * (MAX_UNPACKED + 1)})
    assert len(content) < MAX_BYTES
    with pytest.raises(TooLarge, match="unpacks to more than"):
        read_sheet(content, "g.xlsx")


@pytest.mark.parametrize(
    "sheet",
    [b"", b"<", b"<worksheet", b"<a>" * 2000, b"\xff\xfe\0",
     b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
     + b"".join(b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(99, 110))
     + b"]><a>&m;</a>"],
    ids=["empty", "cut", "open", "deep", "binary", "entities"],
)  # fmt: skip
def test_a_damaged_or_hostile_workbook_is_a_bad_request(sheet: bytes) -> None:
    with pytest.raises(BadRequest, match="Excel workbook"):
        read_sheet(rezipped(workbook([["username"]]), {SHEET1: sheet}), "g.xlsx")


def test_a_workbook_that_claims_a_cell_at_the_far_end_takes_little_memory() -> None:
    far = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        b"</sheetData></worksheet>"
    )
    assert cells(rezipped(workbook([["x"]]), {SHEET1: far}), "g.xlsx") == [("1",)]
