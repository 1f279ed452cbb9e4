"""Files in multipart forms are received byte for byte, and malformed forms do no harm."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadRequest
from mograder.store.shared.files import IN_MEMORY, Spool
from mograder.web.multipart import read_files, read_single_file

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40
).filter(
    lambda name: name.strip() == name and not set(name) & set('"\\%')  # clients escape these characters differently
)
FORM = {"content-type": "multipart/form-data; boundary=b"}


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def single_file(headers: dict[str, str], body: bytes, size: int = 7) -> tuple[str, Spool]:
    upload = Spool(Path("nowhere"))
    return asyncio.run(read_single_file(headers, pieces(body, size), upload)), upload


def encoded(**parts: object) -> tuple[dict[str, str], bytes]:
    request = httpx2.Request("POST", "http://test", **parts)  # type: ignore[arg-type]
    return {"content-type": request.headers["content-type"]}, request.read()


@given(
    content=st.binary(max_size=3000),
    name=NAMES,
    field=st.sampled_from(["file", "files", "x", "ü"]),
    size=st.integers(1, 999),
)
def test_a_file_is_received_byte_for_byte(content: bytes, name: str, field: str, size: int) -> None:
    headers, body = encoded(data={"note": "hello"}, files={field: (name, content)})
    filename, upload = single_file(headers, body, size)
    assert filename == name
    assert (upload.data, upload.size) == (content, len(content))
    assert upload.sha256 == hashlib.sha256(content).hexdigest()


def test_a_file_is_written_to_its_upload_directly_without_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    content, upload = bytes(IN_MEMORY + 9), Spool(tmp_path)
    headers, body = encoded(files={"empty": ("", b""), "file": ("large.py", content)})

    async def halfway() -> AsyncIterator[bytes]:
        yield body[: IN_MEMORY // 2]
        assert 0 < upload.size <= IN_MEMORY // 2
        yield body[IN_MEMORY // 2 :]

    assert asyncio.run(read_single_file(headers, halfway(), upload)) == "large.py"
    assert (upload.size, upload.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    upload.discard()


@given(contents=st.lists(st.binary(max_size=300), max_size=6))
def test_every_file_of_the_field_files_is_received_in_order(contents: list[bytes]) -> None:
    named = [("files", (f"s{index}.html", content)) for index, content in enumerate(contents)]
    headers, body = encoded(files=[*named, ("files", (None, b"a field"))])
    found = asyncio.run(read_files(headers, pieces(body, 64)))
    assert found == [(name, content) for _, (name, content) in named]


def part(disposition: str, content: str = "x") -> str:
    return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n"


ONE = part('name="file"; filename="one.py"')


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (ONE + part('name="file"; filename="two.py"'), "2 files"),
        (ONE + part('name="other"; filename="two.py"'), "2 files"),
        (part("name=\"file\"; filename*=UTF-8''w%C3%B6rk.py"), "send 'filename'"),
        (part("name=\"file\"; FILENAME* = UTF-8''%E2%82%AC.py") + ONE, "send 'filename'"),
        (part('name="file"', "a field"), "no file"),
        (ONE.replace("\r\n\r\nx\r\n", "\r\n\r\nx"), "cut short"),
    ],
)
def test_a_file_that_cannot_be_stored_is_refused_and_not_dropped(form: str, said: str) -> None:
    end = "" if said == "cut short" else "--b--\r\n"
    with pytest.raises(BadRequest, match=said):
        single_file(FORM, (form + end).encode())


def test_a_file_with_both_kinds_of_name_uses_the_plain_one() -> None:
    form = part('name="file"; filename="one.py"; filename*=UTF-8\'\'%C3%B6ne.py') + "--b--\r\n"
    assert single_file(FORM, form.encode())[0] == "one.py"


def test_a_file_in_another_field_is_refused_where_several_files_are_expected() -> None:
    headers, body = encoded(files=[("files", ("a.html", b"a")), ("page", ("b.html", b"b"))])
    with pytest.raises(BadRequest, match="'page'"):
        asyncio.run(read_files(headers, pieces(body, 64)))


PIECES = [
    b"--b", b"--b--", b"\r\n", b"\n", b": ", b"\x00", b"data", b'filename="', b"--", b"Content-Type: x/y",
    b"Content-Disposition: form-data", b'Content-Disposition: form-data; name="f"; filename="x"',
]  # fmt: skip


@given(
    body=st.binary(max_size=400) | st.lists(st.sampled_from(PIECES)).map(b"".join),
    boundary=st.sampled_from(["b", "", '"b"', "ü", "b; charset=utf-9", "x" * 500]),
)
def test_any_form_gives_a_file_or_a_bad_request(body: bytes, boundary: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    with contextlib.suppress(BadRequest):
        single_file(headers, body)


def test_a_form_with_too_many_parts_is_refused() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n\r\n'
    with pytest.raises(BadRequest, match="multipart"):
        single_file(FORM, part * 100 + b"--b--\r\n", size=4096)


def test_a_text_field_that_a_store_cannot_keep_is_refused() -> None:
    headers, body = encoded(data={"column": "a\0b"}, files={"files": ("a.html", b"a")})
    with pytest.raises(BadRequest, match="NUL"):
        asyncio.run(read_files(headers, pieces(body, 64)))
