"""Excel workbooks, read within limits and written without formulas."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mograder.bundle import open_zip
from mograder.domain.errors import BadRequest, TooLarge
from mograder.tables.cells import is_formula, parse_grade, plain

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell, MergedCell

MAX_UNPACKED = 64 * 2**20
"""The most bytes that a workbook unpacks to."""
MAX_MEMBERS = 500

_CONTENT_TYPES = "[Content_Types].xml"
_LONGEST = 32_767  # characters that a cell of Excel can have
_CUT = " … (cut: the cell is full)"
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def is_workbook(content: bytes) -> bool:
    """Whether the bytes are an Excel workbook, by what is in them."""
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with open_zip(io.BytesIO(content)) as archive:
            return _CONTENT_TYPES in archive.namelist() and any(name.startswith("xl/") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def read_workbook(content: bytes, max_rows: int, max_cells: int, max_cell: int) -> Iterator[tuple[str, list[str]]]:
    """Each row of the only sheet with cells, with its place ("row 3"), as a person sees it.

    A formula is given as its last result or, if the workbook has none, as the formula itself. Raises BadRequest and
    TooLarge, before more than MAX_UNPACKED bytes are unpacked.
    """
    has_formulas = _check_sizes(content)
    try:
        yield from _rows(content, has_formulas, max_rows, max_cells, max_cell)
    except (BadRequest, TooLarge):
        raise
    except Exception as error:  # noqa: BLE001  a damaged file can make the library raise anything
        raise BadRequest(f"the Excel workbook is damaged ({type(error).__name__}): save it again, or as CSV") from None


def _check_sizes(content: bytes) -> bool:
    """Whether a sheet has formulas. What zipfile unpacks is never more than the archive announces."""
    try:
        with open_zip(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS or sum(each.file_size for each in members) > MAX_UNPACKED:
                raise TooLarge(f"the Excel workbook unpacks to more than {MAX_UNPACKED} bytes: save the table as CSV")
            sheets = [each for each in members if each.filename.startswith("xl/worksheets/")]
            return any(re.search(rb"<(\w+:)?f[ >/]", archive.read(each)) for each in sheets)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise BadRequest(f"the Excel workbook is damaged ({type(error).__name__}): save it again, or as CSV") from None


def _rows(
    content: bytes, has_formulas: bool, max_rows: int, max_cells: int, max_cell: int
) -> Iterator[tuple[str, list[str]]]:
    values = _sheet(content, data_only=True)
    formulas = iter(_sheet(content, data_only=False).iter_rows()) if has_formulas else None
    seen = 0
    for number, row in enumerate(values.iter_rows(max_row=max_rows + 2), 1):
        beside = next(formulas, ()) if formulas is not None else ()
        seen += len(row)
        if seen > max_cells:
            raise TooLarge(f"the table has more than {max_cells} cells")
        texts = [_text(cell) for cell in row]
        for at, cell in enumerate(beside):
            if at < len(texts) and not texts[at] and cell.data_type == "f":
                texts[at] = str(cell.value)
        if any(len(text) > max_cell for text in texts):
            raise BadRequest(f"row {number}: a cell has more than {max_cell} characters")
        if any(texts):
            yield f"row {number}", texts


def _sheet(content: bytes, data_only: bool) -> Any:  # the library has no public type for a read-only sheet
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(content), read_only=True, data_only=data_only, keep_links=False)
    filled = []
    for sheet in book.worksheets:
        # The size that a file states is not reliable: some writers state A1.
        sheet.reset_dimensions()
        if sheet.sheet_state == "visible" and next(_filled(sheet), None) is not None:
            filled.append(sheet)
    if not filled:
        raise BadRequest("the Excel workbook has no sheet with cells")
    if len(filled) > 1:
        names = ", ".join(repr(each.title) for each in filled)
        raise BadRequest(f"the Excel workbook has several sheets ({names}): keep one, or save it as CSV")
    return filled[0]


def _filled(sheet: Any) -> Iterator[tuple[object, ...]]:
    """Rows that have something, among the first thousand."""
    return (row for row in sheet.iter_rows(max_row=1000, values_only=True) if any(cell is not None for cell in row))


def _text(cell: Any) -> str:
    """A cell as a person sees it, as far as it matters: zeros in front, percentages, no rounding."""
    value, shown = cell.value, str(getattr(cell, "number_format", "") or "")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        number = Decimal(repr(value))
        if not number.is_finite():
            return str(value)
        if "%" in shown:
            return f"{plain(number * 100)}%"
        return plain(number).zfill(len(shown)) if re.fullmatch("0+", shown) else plain(number)
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    return str(value)


def write_workbook(title: str, rows: Iterable[Sequence[str]], numbers: frozenset[int]) -> bytes:
    """A workbook of one sheet. Columns in `numbers` hold numbers where they can; all else is text, never a formula."""
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    assert sheet is not None, "a new workbook has a sheet"
    sheet.title = re.sub(r"[\[\]:*?/\\\x00-\x1f']", " ", title).strip()[:31] or "grades"
    for number, row in enumerate(rows, 1):
        for at, text in enumerate(row, 1):
            if text:
                _write(sheet.cell(number, at), text, number > 1 and at - 1 in numbers)
    for at in range(1, (sheet.max_column or 0) + 1):
        sheet.column_dimensions[get_column_letter(at)].width = 18
    sheet.freeze_panes = "A2"
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _write(cell: Cell | MergedCell, text: str, may_be_number: bool) -> None:
    grade = parse_grade(text, None)
    if may_be_number and grade.value is not None:
        cell.value = float(grade.value)
        return
    clean = _ILLEGAL.sub("\ufffd", text)
    if len(clean) > _LONGEST:
        clean = clean[: _LONGEST - len(_CUT)] + _CUT
    cell.value = clean
    cell.data_type = "s"  # the library would take "=…" for a formula
    cell.number_format = "@"
    if is_formula(clean):
        cell.quotePrefix = True
