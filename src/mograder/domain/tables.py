"""Reads the tables that people export: comma, semicolon or tab, with or without a byte-order mark."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

from mograder.domain.errors import BadRequest
from mograder.domain.names import counted


def read_table(text: str, rename: Callable[[str], str]) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    """The columns, renamed, and each row with its place ("line 3"), all values strings.

    The delimiter is found from the header. Rows that are empty throughout are passed over. Raises BadRequest naming
    the line at fault, for a row when it is read.
    """
    lines = text.removeprefix("\ufeff")
    header = lines.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(lines, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)

    def problem(error: csv.Error) -> BadRequest:
        # DictReader counts a line only once it has read it.
        return BadRequest(f"line {reader.reader.line_num}: {error}")

    try:
        columns = [rename(name.strip()) for name in reader.fieldnames or []]
    except csv.Error as error:
        raise problem(error) from error
    reader.fieldnames = columns

    def rows() -> Iterator[tuple[str, dict[str, str]]]:
        try:
            for row in reader:
                place = f"line {reader.line_num}"
                if None in row or any(value is None for value in row.values()):
                    raise BadRequest(f"{place}: expected {counted(len(columns), 'cell')}")
                if any(value.strip() for value in row.values()):
                    yield place, row
        except csv.Error as error:
            raise problem(error) from error

    return columns, rows()
