"""Names and archives from outside: none leads out of its folder or fills the disk."""

from __future__ import annotations

import io
import stat
import struct
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.client import extract
from mograder.client.extract import Places, folder_name, safe_name, unpack
from mograder.client.files import DiskBudget, replacing
from mograder.domain.errors import VerificationFailed
from tests.parts import names_in


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, method)
    return path


# names


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "\\\\host\\share", "..\\x", "C:\\x", "c:x", "", ".", "..", "a/..", ".bashrc",
     "a/.git/hooks/x", "/".join("a" * 30)],
)  # fmt: skip
def test_a_name_that_is_hidden_or_leads_outside_is_refused(name: str) -> None:
    with pytest.raises(VerificationFailed):
        safe_name(name)


@given(st.text(max_size=40), st.booleans())
def test_any_name_stays_inside_the_folder(name: str, windows: bool) -> None:
    try:
        path = safe_name(name, windows)
    except VerificationFailed:
        return
    assert not path.is_absolute()
    assert all(part not in ("..", ".", "") and not part.startswith(".") for part in path.parts)
    assert "\\" not in str(path)
    assert "\0" not in str(path)


@pytest.mark.parametrize(
    ("name", "stored"),
    [("what?.py", "what_.py"), ("con.py", "_con.py"), ("end. ", "end__"), ('a<b>"c|d*.csv', "a_b__c_d_.csv"),
     ("x/aux/nul", "x/_aux/_nul"), ("Übung 1/größe.py", "Übung 1/größe.py"), ("a.py:stream", "a.py_stream")],
)  # fmt: skip
def test_names_that_windows_cannot_store_are_replaced_there(name: str, stored: str) -> None:
    assert str(safe_name(name, windows=True)) == stored


@pytest.mark.parametrize("windows", [False, True])
def test_no_name_reverses_the_direction_of_text(windows: bool) -> None:
    for letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        assert str(safe_name(f"a/sample{letter}txt.exe", windows)) == "a/sample_txt.exe"
    kept = "\u05ea\u05e8\u05d2\u05d9\u05dc\u200f 1.py"  # Hebrew, with a mark that does not reverse text
    assert str(safe_name(kept, windows)) == kept


def test_names_that_differ_only_in_case_get_a_file_each() -> None:
    places = Places()
    taken = [str(places.take(name)) for name in ("Data.csv", "data.csv", "DATA.CSV", "x/data.csv")]
    assert taken == ["Data.csv", "data (2).csv", "DATA (3).CSV", "x/data.csv"]


def test_an_assignment_is_one_folder_for_any_name() -> None:
    assert folder_name("Week 1/2: Übung") == "Week 1_2_ Übung"
    for name in ("..", ".hidden", ""):
        with pytest.raises(VerificationFailed):
            folder_name(name)


# whole files


def test_a_failed_write_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"before"
    assert names_in(tmp_path) == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_a_private_file_is_private_from_its_creation(tmp_path: Path) -> None:
    with replacing(tmp_path / "secret", mode=0o600) as file:
        assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]
        file.write(b"x")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


# archives


def test_an_archive_is_unpacked_with_its_folders_and_without_files_of_the_system(tmp_path: Path) -> None:
    made = archive(
        tmp_path / "a.zip",
        {"hw/a.py": b"x", "hw/data/b.csv": b"y", "__MACOSX/._a": b"", "hw/.DS_Store": b"", "hw/": b""},
    )
    assert unpack(made, tmp_path / "out", "hw.zip", DiskBudget()) == [
        PurePosixPath("hw/a.py"),
        PurePosixPath("hw/data/b.csv"),
    ]
    assert (tmp_path / "out/hw/data/b.csv").read_bytes() == b"y"


@pytest.mark.parametrize(
    "name", ["../evil.py", "/evil.py", "a/../../evil.py", "..\\evil.py", "C:\\evil.py", "C:evil.py"]
)
def test_an_archive_with_a_member_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    made = archive(tmp_path / "a.zip", {"fine.py": b"x", name: b"evil"})
    with pytest.raises(VerificationFailed):
        unpack(made, tmp_path / "out", "hw.zip", DiskBudget())
    assert names_in(tmp_path) == ["a.zip", "out"]
    assert names_in(tmp_path / "out") == ["fine.py"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_an_archive_with_a_link_or_device_is_refused(kind: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(VerificationFailed, match="link"):
        unpack(tmp_path / "a.zip", tmp_path / "out", "hw.zip", DiskBudget())


def test_a_zip_bomb_is_refused_by_its_unpacked_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "HARMLESS", 1000)
    monkeypatch.setattr(extract, "CHUNK", 100)
    made = archive(tmp_path / "a.zip", {"a": bytes(10_000_000)})
    with pytest.raises(VerificationFailed, match="too large"):
        unpack(made, tmp_path / "out", "hw.zip", DiskBudget())
    assert (tmp_path / "out/a").stat().st_size <= made.stat().st_size * extract.MAX_RATIO


def test_a_zip_bomb_of_many_pieces_is_refused_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_TOTAL", 5000)
    made = archive(tmp_path / "a.zip", {f"{number}": bytes(1000) for number in range(10)})
    with pytest.raises(VerificationFailed, match="too large"):
        unpack(made, tmp_path / "out", "hw.zip", DiskBudget())
    monkeypatch.setattr(extract, "MAX_MEMBERS", 5)
    with pytest.raises(VerificationFailed, match="10 files"):
        unpack(made, tmp_path / "again", "hw.zip", DiskBudget())


def test_false_sizes_in_headers_do_not_help_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MAX_MEMBER", 100_000)
    content = archive(tmp_path / "a.zip", {"a": bytes(1_000_000)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(struct.pack("<L", 1_000_000), struct.pack("<L", 10)))
    with pytest.raises(VerificationFailed):
        unpack(tmp_path / "a.zip", tmp_path / "out", "hw.zip", DiskBudget())
    assert (tmp_path / "out/a").stat().st_size <= 100_000


def test_a_broken_or_unusual_archive_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.zip", {"a.py": b"x = 1\n" * 1000}).read_bytes()
    encrypted = bytearray(whole)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[whole.index(signature) + flags] |= 1
    damaged = whole[:60] + b"\xff" * 8 + whole[68:]
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a", b"x")
    for number, content in enumerate(
        (b"", b"PK", b"PK\x03\x04" * 9, whole[:-30], damaged, encrypted, memory.getvalue())
    ):
        broken = tmp_path / f"{number}.zip"
        broken.write_bytes(content)
        with pytest.raises(VerificationFailed):
            unpack(broken, tmp_path / f"out{number}", "hw.zip", DiskBudget())


def test_members_whose_names_differ_only_in_case_are_both_kept(tmp_path: Path) -> None:
    made = archive(tmp_path / "a.zip", {"A.csv": b"1", "a.csv": b"2"})
    assert [str(path) for path in unpack(made, tmp_path / "out", "hw.zip", DiskBudget())] == ["A.csv", "a (2).csv"]
    assert (tmp_path / "out/a (2).csv").read_bytes() == b"2"


@pytest.mark.parametrize("names", [["a", "a/b.py"], ["a/b.py", "a"], ["x" * 300 + ".py"]])
def test_an_archive_with_impossible_file_names_is_refused(tmp_path: Path, names: list[str]) -> None:
    archive = tmp_path / "work.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    (tmp_path / "out").mkdir()
    with pytest.raises(VerificationFailed):
        unpack(archive, tmp_path / "out", "hw.zip", DiskBudget())
