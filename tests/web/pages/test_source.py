"""Viewing a submission: highlighted, within limits, never executed, never markup."""

from __future__ import annotations

import io
import zipfile

import pytest

from mograder.bundle import MAX_DIRECTORY
from mograder.domain.files import StoredFile
from mograder.web.pages.highlight import MOST_TOKENS
from mograder.web.pages.source import MOST_LISTED, SHOWN, look_into


def file(content: bytes) -> StoredFile:
    return StoredFile("alice.py", len(content), 0, "", data=content)


def archive(names: list[str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as opened:
        for name in names:
            opened.writestr(name, b"x" * 7)
    return target.getvalue()


def test_source_is_highlighted_and_stays_text() -> None:
    found = look_into(file(b"def mean():\n    return '<script>alert(1)</script>'\n"))
    assert found.source is not None
    assert '<span class="k">def</span>' in found.source
    assert "<script" not in found.source
    assert "&lt;script&gt;" in found.source


@pytest.mark.parametrize("content", [b"\xff\xfe broken", "\ufeffx = 1".encode(), b"", b"x" * 50_000, b"'''" * 999])
def test_any_text_can_be_shown(content: bytes) -> None:
    assert look_into(file(content)).source is not None


def test_a_long_source_is_truncated_with_a_note() -> None:
    found = look_into(file(b"x = 1\n" * (SHOWN // 6 + 9)))
    assert found.cut
    assert found.source is not None
    assert found.source.count("\n") <= SHOWN // 6 + 1


def test_a_binary_file_is_not_shown() -> None:
    assert "no text" in look_into(file(b"\x7fELF\0\0")).problem


def test_the_files_of_a_zip_are_listed_without_extracting_it() -> None:
    found = look_into(file(archive(["work.py", "data/tea.csv"])))
    assert found.files == (("work.py", 7), ("data/tea.csv", 7))
    many = look_into(file(archive([f"{number}" for number in range(MOST_LISTED + 1)])))
    assert (len(many.files), many.cut) == (MOST_LISTED, True)


def nested(depth: int) -> bytes:
    content = b"x"
    for _ in range(depth):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as opened:
            opened.writestr("deeper.zip", content)
        content = target.getvalue()
    return content


def bomb() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(50_000_000))
        opened.writestr("../" * 9000 + "deep", b"x")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "shows"),
    [
        (nested(60), "files"), (bomb(), "files"), (b"PK\x03\x04" + b"\xff" * 900_000, "problem"),
        (b" " * 240_000 + b"x", "source"), (b"x" * 5_000_000, "source"), (b"if " * 1_700_000, "source"),
        (b"\xff\xc0\x80\xed\xa0\x80" * 40_000, "source"), (b"\xf0\x9f" * 120_000, "source"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100_000), "problem"), (b"<svg onload=alert(1)>" * 9000, "source"),
        ("\u202e\u0301".encode() * 60_000, "source"), (b"\xff\xfe" + "x = 1\n".encode("utf-16-le") * 9000, "problem"),
    ],
    ids=[
        "deep zip", "bomb", "broken zip", "white space", "one line", "tokens", "invalid", "cut characters", "picture",
        "drawing", "marks", "utf-16",
    ],
)  # fmt: skip
def test_a_hostile_file_is_shown_within_limits(content: bytes, shows: str) -> None:
    opened = Counted(content)
    hostile = StoredFile("alice.py", len(content), 0, "", opener=lambda: (hostile, opened))
    found = look_into(hostile)
    assert opened.count <= SHOWN + 2 * MAX_DIRECTORY + 3 * 65536
    assert bool(getattr(found, shows))
    assert len(found.source or "") <= 8 * SHOWN
    assert (found.source or "").count("<") <= 2 * MOST_TOKENS
    assert len(found.files) <= MOST_LISTED


class Counted(io.BytesIO):
    """A file that counts the bytes read from it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


@pytest.mark.parametrize(
    "names", [[f"{each}" + "x" * 60_000 for each in range(30)], [f"{each}" for each in range(30_000)]]
)
def test_a_hostile_zip_is_read_up_to_a_limit(names: list[str]) -> None:
    opened = Counted(archive(names))
    hostile = StoredFile("alice.py", len(opened.getvalue()), 0, "", opener=lambda: (hostile, opened))
    found = look_into(hostile)
    assert opened.count <= SHOWN + 2 * MAX_DIRECTORY + 3 * 65536
    assert len(found.files) <= MOST_LISTED
    assert found.problem or found.cut


def test_a_zip_that_is_broken_or_too_large_is_reported() -> None:
    whole = archive(["work.py"])
    assert "damaged" in look_into(file(whole[:40])).problem
    at = whole.rindex(b"PK\x05\x06")
    huge = whole[: at + 12] + (MAX_DIRECTORY + 1).to_bytes(4, "little") + whole[at + 16 :]
    assert "too many" in look_into(file(huge)).problem
    assert "too many" in look_into(file(whole[:at] + b"PK\x06\x07" + bytes(16) + whole[at:])).problem
