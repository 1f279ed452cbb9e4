"""Zips from anybody: a list of files that is too long is not read."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.bundle import MAX_DIRECTORY, LongDirectory, open_zip
from mograder.client.choosing import names_in_zip
from mograder.client.extract import kind_of, unpack
from mograder.client.files import DiskBudget
from mograder.coursework.notebook_in_zip import NoNotebook, notebook_in
from mograder.domain.errors import BadRequest, Usage, VerificationFailed
from mograder.tables.sheet import read_sheet


def zipped(*names: str, comment: bytes = b"") -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in names:
            archive.writestr(name, "x = 1")
        archive.comment = comment
    return memory.getvalue()


def crowded(wide: bool = False, comment: bytes = b"") -> bytes:
    """A zip that lists one small file many times; `wide`: as zip64."""
    small = zipped("hw1.py")
    begins, end = small.index(b"PK\x01\x02"), small.index(b"PK\x05\x06")
    count = MAX_DIRECTORY // (end - begins) + 1
    listed = small[begins:end] * count
    numbers = (count, count, len(listed), begins)
    if not wide:
        return small[:begins] + listed + struct.pack("<4s2H2H2LH", b"PK\5\6", 0, 0, *numbers, len(comment)) + comment
    wider = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *numbers)
    where = struct.pack("<4sLQL", b"PK\6\7", 0, begins + len(listed), 1)
    return (
        small[:begins]
        + listed
        + wider
        + where
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[2**32 - 1] * 2, 0)
    )


HOSTILE = {"plain": crowded(), "with a comment": crowded(comment=b"PK\5\6"[:3] * 9), "zip64": crowded(wide=True)}
hostile = pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)


def _collected(content: bytes, folder: Path) -> object:
    (folder / "a.zip").write_bytes(content)
    assert kind_of(folder / "a.zip", ".py") == (".zip", "")
    return unpack(folder / "a.zip", folder / "out", "a.zip", DiskBudget())


def _submitted(content: bytes, folder: Path) -> object:
    (folder / "a.zip").write_bytes(content)
    return names_in_zip(folder / "a.zip")


READERS: dict[str, tuple[Callable[[bytes, Path], object], type[Exception]]] = {
    "open_zip": (lambda content, _: open_zip(io.BytesIO(content)), LongDirectory),
    "what is collected": (_collected, VerificationFailed),
    "what is submitted": (_submitted, Usage),
    "what is graded": (lambda content, _: notebook_in(content, "a.zip", "hw1.py", named=False), NoNotebook),
    "a table": (lambda content, _: read_sheet(content, "a.xlsx", ""), BadRequest),
}
readers = pytest.mark.parametrize(("read", "refused"), READERS.values(), ids=READERS)


@hostile
@readers
def test_a_zip_that_lists_far_too_many_files_is_refused_before_the_list_is_read(
    content: bytes, read: Callable[[bytes, Path], object], refused: type[Exception], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(zipfile, "ZipInfo", None)  # the objects that zipfile makes of each entry
    with pytest.raises(refused):
        read(content, tmp_path)


@pytest.mark.parametrize("comment", [b"", b"made by hand", b"PK\x05\x06"])
def test_a_zip_of_thousands_of_files_can_be_read(comment: bytes) -> None:
    names = [f"folder/file{number}.csv" for number in range(5000)]
    content = zipped(*names, comment=comment)
    if comment == b"PK\x05\x06":
        with pytest.raises(zipfile.BadZipFile):  # as in zipfile itself
            open_zip(io.BytesIO(content))
        return
    with open_zip(io.BytesIO(content)) as archive:
        assert archive.namelist() == names
