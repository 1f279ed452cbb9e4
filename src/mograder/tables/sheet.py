"""A file as rows of text: CSV as spreadsheets and other systems write it, or an Excel workbook.

Invariant: surplus cells of a row and duplicate columns are reported, never dropped.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from mograder.bundle import is_zip
from mograder.domain.errors import BadRequest, TooLarge
from mograder.domain.names import printable
from mograder.tables.cells import normal
from mograder.tables.workbook import is_workbook, read_workbook
from mograder.text import DecodedText, decode

MAX_BYTES = 8 * 2**20
MAX_ROWS = 20_000
MAX_COLUMNS = 1_000
MAX_CELLS = 2_000_000
MAX_CELL = 131_072  # characters, as the csv module has it

_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])(?:\r\n?|\n)", re.IGNORECASE)
"""A first line that tells Excel the delimiter."""
_OLE = b"\xd0\xcf\x11\xe0"
_WORKBOOKS = (".xlsx", ".xlsm")


class Row(Struct, frozen=True):
    """One row. `place` says where it is ("line 3"); `cells` are as many as the sheet has columns.

    `surplus` are cells after the last column. If there are any, the other cells may be in the wrong columns.
    """

    place: str
    cells: tuple[str, ...]
    surplus: tuple[str, ...] = ()


class Sheet(Struct, frozen=True, dict=True):
    """A table. `delimiter` and `text` are of the CSV file that it came from, "" and None of a workbook."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str = ""
    text: DecodedText | None = None

    @property
    def assumed(self) -> str:
        """The encoding that was assumed, "" when it was certain."""
        return self.text.encoding if self.text and self.text.assumed else ""

    def find(self, *names: str) -> int | None:
        """Index of the first of `names` that is a column, in any case. Raises BadRequest when two columns have it."""
        for name in names:
            wanted = normal(name)
            found = [at for at, column in enumerate(self._normal) if column == wanted]
            if len(found) > 1:
                raise BadRequest(f"{_both(self.columns, found)} have the same name: keep one of them")
            if found:
                return found[0]
        return None

    def has(self, *names: str) -> bool:
        """Whether every one of `names` is a column, in any case."""
        return all(normal(name) in self._normal for name in names)

    @cached_property
    def _normal(self) -> tuple[str, ...]:
        return tuple(normal(column) for column in self.columns)

    def refuse_duplicate_columns(self) -> None:
        """Raises BadRequest naming two columns of one name."""
        for column in self.columns:
            if column:
                self.find(column)


def _both(columns: Sequence[str], found: Sequence[int]) -> str:
    return "columns " + " and ".join(f"{at + 1} ({printable(columns[at], 60)!r})" for at in found)


def read_sheet(content: bytes, filename: str = "", encoding: str = "") -> Sheet:
    """The table in a file. `encoding` is that of its text, if a person named it.

    Raises BadRequest, which names the line at fault, for a file that is no table, and TooLarge.
    """
    if len(content) > MAX_BYTES:
        raise TooLarge(f"the table has {len(content)} bytes: {MAX_BYTES} are allowed")
    if is_workbook(content):
        if filename and not filename.lower().endswith(_WORKBOOKS):
            raise BadRequest(f"{printable(filename)} is an Excel workbook by its content: give it the ending .xlsx")
        return _sheet(read_workbook(content, MAX_ROWS, MAX_CELLS, MAX_CELL))
    if content.startswith(_OLE):
        raise BadRequest("this is an old or protected Excel file: save it as .xlsx without a password, or as CSV")
    if is_zip(content):
        raise BadRequest("this is a zip file, not a table: save the table as CSV or .xlsx")
    if filename.lower().endswith(_WORKBOOKS):
        raise BadRequest(f"{printable(filename)} is not an Excel workbook, whatever its name says")
    return parse_csv(decode(content, encoding))


def parse_csv(text: DecodedText) -> Sheet:
    """The table in CSV text. Raises BadRequest naming the line at fault."""
    delimiter, skipped = delimiter_of(text.raw)
    return _sheet(_records(text.raw[skipped:], delimiter, 1 if skipped else 0), delimiter, text)


def delimiter_of(raw: str) -> tuple[str, int]:
    """The delimiter, and how many characters before the header are Excel's `sep=` line.

    Without that line it is the candidate that the header has most of, outside of quoted cells.
    """
    if found := _SEPARATOR_LINE.match(raw):
        return found[1], found.end()
    header = next((line for line in re.split(r"[\r\n]", re.sub(r'"[^"]*"', "x", raw[:MAX_CELL])) if line.strip()), "")
    return max(",;\t", key=header.count), 0


def _records(raw: str, delimiter: str, skipped: int) -> Iterator[tuple[str, list[str]]]:
    reader = csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        place = f"line {reader.line_num + 1 + skipped}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            said = f"a cell has more than {MAX_CELL} characters" if "field limit" in str(error) else str(error)
            raise BadRequest(f"{place}: {said}") from None
        yield place, cells


def _sheet(records: Iterable[tuple[str, list[str]]], delimiter: str = "", text: DecodedText | None = None) -> Sheet:
    columns: tuple[str, ...] = ()
    rows: list[Row] = []
    cells_seen = 0
    for place, cells in records:
        cells_seen += len(cells)
        if cells_seen > MAX_CELLS:
            raise TooLarge(f"the table has more than {MAX_CELLS} cells")
        kept = _without_trailing(cells)
        if not kept:
            continue
        if not columns:
            if len(kept) > MAX_COLUMNS:
                raise TooLarge(f"the table has {len(kept)} columns: {MAX_COLUMNS} are allowed")
            columns = tuple(cell.strip() for cell in kept)
            continue
        if len(rows) == MAX_ROWS:
            raise TooLarge(f"the table has more than {MAX_ROWS} rows")
        width = len(columns)
        padded = tuple(kept[:width]) + ("",) * (width - len(kept))
        rows.append(Row(place, padded, tuple(kept[width:])))
    if not columns:
        raise BadRequest("the table is empty")
    return Sheet(columns, tuple(rows), delimiter, text)


def _without_trailing(cells: list[str]) -> list[str]:
    """The cells without the empty ones at the end, which spreadsheets leave."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]
