"""Fills single cells of a CSV file. Invariant: every byte outside these cells stays as it was."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mograder.domain.errors import BadRequest
from mograder.tables.sheet import Sheet, delimiter_of, parse_csv
from mograder.text import DecodedText, decode


@dataclass(frozen=True)
class _Cell:
    """One cell of the raw text: from `start` to before `end`, quotes included."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Template:
    """A CSV file to fill. Cells are named by the row's place and the column's number, as in `sheet`."""

    decoded: DecodedText
    sheet: Sheet
    cells: Mapping[str, tuple[_Cell, ...]]

    @classmethod
    def read(cls, content: bytes, encoding: str = "") -> Template:
        """A file to fill. Raises BadRequest if it is no CSV file, or if its quotes can be read in two ways."""
        if content.startswith(b"PK\x03\x04"):
            raise BadRequest("a template must be a CSV file: an Excel workbook cannot be filled without changing it")
        decoded = decode(content, encoding)
        sheet = parse_csv(decoded)
        delimiter, skipped = delimiter_of(decoded.raw)
        return cls(decoded, sheet, _spans(decoded.raw, delimiter, skipped))

    def fill(self, values: Mapping[tuple[str, int], str]) -> bytes:
        """The file with other text in some cells, (place, column) each. Raises BadRequest if its encoding cannot."""
        raw, done, parts = self.decoded.raw, 0, list[str]()
        for row in self.sheet.rows:
            changed = {
                at: text
                for at, before in enumerate(row.cells)
                if (text := values.get((row.place, at))) is not None and text != before
            }
            for start, end, text in self._edits(self.cells[row.place], changed):
                parts += (raw[done:start], text)
                done = end
        return self.decoded.encode("".join([*parts, raw[done:]]))

    def _edits(self, cells: tuple[_Cell, ...], changed: Mapping[int, str]) -> Iterator[tuple[int, int, str]]:
        """(start, end, new text) in order; cells that a short row does not have are added at its end."""
        delimiter = self.sheet.delimiter
        for at in sorted(changed):
            if at < len(cells):
                quoted = self.decoded.raw.startswith('"', cells[at].start)
                yield cells[at].start, cells[at].end, quote(changed[at], delimiter, quoted)
        if changed and (last := max(changed)) >= len(cells):
            added = [quote(changed.get(at, ""), delimiter) for at in range(len(cells), last + 1)]
            yield cells[-1].end, cells[-1].end, "".join(delimiter + each for each in added)


def quote(text: str, delimiter: str, always: bool = False) -> str:
    """A cell as it is written in CSV."""
    if always or text != text.strip() or any(each in text for each in (delimiter, '"', "\r", "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


def _spans(raw: str, delimiter: str, skipped: int) -> Mapping[str, tuple[_Cell, ...]]:
    """The cells of each record with their positions, by the record's place.

    Raises BadRequest where they are not the cells that the csv module reads.
    """
    one = re.escape(delimiter)
    pattern = re.compile(rf' *("(?:[^"]|"")*"|[^{one}\r\n]*)({one}|\r\n?|\n|$)')
    found: dict[str, tuple[_Cell, ...]] = {}
    reader = csv.reader(io.StringIO(raw[skipped:], newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    position, offset = skipped, 1 if skipped else 0
    while position < len(raw):
        place = f"line {reader.line_num + 1 + offset}"
        cells = []
        while True:
            cell = pattern.match(raw, position)
            if cell is None:
                raise BadRequest(f"{place}: the quotes can be read in two ways: save the table again as CSV")
            cells.append(_Cell(cell.start(1), cell.end(1), _unquoted(cell[1])))
            position = cell.end()
            if cell[2] != delimiter:
                break
        seen = next(reader, [])
        if seen != [cell.text for cell in cells] and not (not seen and [cell.text for cell in cells] == [""]):
            raise BadRequest(f"{place}: the quotes can be read in two ways: save the table again as CSV")
        found[place] = tuple(cells)
    return found


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
