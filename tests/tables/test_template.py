"""Templates: everything except the filled cells stays the same, byte for byte."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadRequest
from mograder.tables.sheet import read_sheet
from mograder.tables.template import Template
from tests.tables import samples

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=6)
SAMPLES = [value for name, value in vars(samples).items() if name.isupper() and isinstance(value, str)]


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_unchanged_template_has_the_same_bytes(text: str, encoding: str) -> None:
    content = text.removeprefix("\ufeff").encode(encoding)
    template = Template.read(content)
    same = {(row.place, at): cell for row in template.sheet.rows for at, cell in enumerate(row.cells)}
    assert template.fill({}) == template.fill(same) == content


@given(
    rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=4),
    delimiter=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    changed=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 2))),
    text=CELL.filter(lambda text: text.strip() == text != ""),
)
def test_only_the_filled_cells_change(
    rows: list[list[str]], delimiter: str, quoting: int, ends: str, changed: set[tuple[int, int]], text: str
) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, quoting=quoting, lineterminator=ends)  # type: ignore[arg-type]
    writer.writerows([["a", "b", "c"], *rows])
    template = Template.read(target.getvalue().encode())
    before = template.sheet
    values = {(before.rows[row].place, at): text for row, at in changed if row < len(before.rows)}
    filled = template.fill(values)
    after = read_sheet(filled)
    assert after.columns == before.columns
    expected = [tuple(values.get((row.place, at), cell) for at, cell in enumerate(row.cells)) for row in before.rows]
    assert [row.cells for row in after.rows] == expected
    lines = target.getvalue().encode()
    if not values:
        assert filled == lines
    assert len(filled) - len(lines) <= len(values) * (2 + 2 * len(text.encode()) + 2)


def test_quotes_line_ends_and_spaces_of_other_cells_are_kept() -> None:
    content = '\ufeffa;b;"c\nx";d\r\n1;"2, ""q""";3\r\n\r\n4\r\n5; "6";\n7;8;9;10'.encode()
    filled = Template.read(content).fill(
        {("line 3", 1): 'n"o', ("line 5", 1): "x", ("line 5", 3): "y;z", ("line 6", 1): "s", ("line 7", 3): "11"}
    )
    assert filled.decode() == '\ufeffa;b;"c\nx";d\r\n1;"n""o";3\r\n\r\n4;x;;"y;z"\r\n5; "s";\n7;8;9;11'


@pytest.mark.parametrize("text", ['a,b\n1,2"3\n', 'a,b\n"1""",2\n', "sep=;\r\na;b\r\n1;2\r\n", "a\n\n \n1\n"])
def test_unusual_quotes_and_lines_are_understood_like_by_the_reader(text: str) -> None:
    assert Template.read(text.encode()).fill({}) == text.encode()


def test_a_workbook_cannot_be_a_template() -> None:
    with pytest.raises(BadRequest, match="a template must be a CSV file"):
        Template.read(b"PK\x03\x04")


@given(text=st.text(alphabet='ab,;"\r\n \t'))
def test_any_csv_is_a_template_or_a_bad_request(text: str) -> None:
    try:
        template = Template.read(text.encode())
    except BadRequest:
        return
    assert template.fill({}) == text.encode()
