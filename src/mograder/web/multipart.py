"""Reads files from multipart/form-data with starlette's parser, within limits of parts and sizes.

Invariant: every file of a form is returned, or the form is refused; none is dropped.
"""

from __future__ import annotations

import errno
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mograder import bundle
from mograder.domain.errors import BadRequest, StorageFull, Temporary
from mograder.domain.names import printable
from mograder.domain.submissions import Upload
from mograder.web.body import is_multipart

MOST_FIELDS = 10
MOST_FILES = 2000
FEW_FILES = 10  # in a form that should have one
SMALL = 64 * 1024  # bytes
PIECE = 1024 * 1024

_PLAIN_NAME = re.compile(rb"filename\s*=", re.IGNORECASE)


class _Parser(MultiPartParser):
    """Records whether the form is complete, and refuses file parts that starlette would mistake for fields and drop.

    With `upload`, the bytes of files are written there as they arrive, instead of into temporary files.
    """

    is_complete = False
    upload: Upload | None = None

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        file = self._current_part.file
        if self.upload is not None and file is not None and file.filename:
            self.upload.write(data[start:end])
        else:
            super().on_part_data(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = getattr(self, "_header", b"") + data[start:end]
        super().on_header_value(data, start, end)

    def on_header_end(self) -> None:
        header, self._header = getattr(self, "_header", b""), b""
        if b"filename*" in header.lower() and not _PLAIN_NAME.search(header):
            raise BadRequest("bad multipart/form-data: a part has 'filename*' alone: send 'filename', too")
        super().on_header_end()

    def on_end(self) -> None:
        self.is_complete = True
        super().on_end()


@asynccontextmanager
async def _form(
    headers: Mapping[str, str], chunks: AsyncIterator[bytes], most_files: int, upload: Upload | None = None
) -> AsyncIterator[FormData]:
    """The form's parts; the bytes of files are written to `upload`, if given. Raises BadRequest."""

    async def stream() -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            yield chunk
        if not parser.is_complete:  # raised here, so that the parser closes the files that it has opened
            raise BadRequest("bad multipart/form-data: the form is cut short")

    parser = _Parser(
        Headers(dict(headers)),
        stream(),
        max_files=most_files,
        max_fields=MOST_FIELDS,
        max_part_size=SMALL,
    )
    parser.spool_max_size = PIECE
    parser.upload = upload
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, LookupError) as error:
        raise BadRequest(f"bad multipart/form-data: {getattr(error, 'message', error)}") from None
    except OSError as error:
        raise _no_room(error) from error
    try:
        yield form
    finally:
        await form.close()


def _no_room(error: OSError) -> Temporary:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    kind, reason = (StorageFull, "full") if full else (Temporary, "not usable")
    return kind(f"cannot receive the form: the server's temporary folder is {reason}", retry_after=60)


def _files(form: FormData) -> list[tuple[str, UploadFile, str]]:
    """(field, file, file name) of every part that has a file name; a file field that was left empty has none."""
    return [
        (field, value, value.filename)
        for field, value in form.multi_items()
        if isinstance(value, UploadFile) and value.filename
    ]


async def read_single_file(headers: Mapping[str, str], chunks: AsyncIterator[bytes], upload: Upload) -> str:
    """Write the form's file into `upload` as it arrives, and return its file name.

    Raises BadRequest unless there is exactly one file; the caller then discards the upload.
    """
    async with _form(headers, chunks, FEW_FILES, upload) as form:
        found = _files(form)
        if not found:
            raise BadRequest("no data: the form has no file")
        if len(found) > 1:
            raise BadRequest(f"the form has {len(found)} files: send one, or put them into a zip")
        return found[0][2]


async def read_submission(
    headers: Mapping[str, str],
    chunks: AsyncIterator[bytes],
    upload: Upload,
    assignment: str,
    run: Callable[[Callable[[], None]], Awaitable[None]],
) -> tuple[str, tuple[str, ...], bool]:
    """Write the form's file into `upload`; several files are written as one zip.

    Returns the name of what was written, the names of the form's files, and whether the form's field "sure" is "yes".
    `run` runs work in a thread. Raises BadRequest.
    """
    async with _form(headers, chunks, bundle.MAX_FILES + 1) as form:
        found, sure = _files(form), form.get("sure") == "yes"
        if not found:
            raise BadRequest("no data: the form has no file")
        if len(found) == 1:
            _, file, name = found[0]
            while piece := await file.read(PIECE):
                upload.write(piece)
            return name, (name,), sure
        members = [bundle.Member(bundle.member_name(name), partial(_reopened, file)) for _, file, name in found]
        if empty := [name for _, file, name in found if not file.size]:
            raise BadRequest(f"no data: the file {printable(empty[0])!r} is empty")
        await run(lambda: _pack(members, assignment, upload))
        return f"{assignment}.zip", tuple(each.name for each in members), sure


def _reopened(file: UploadFile) -> BinaryIO:
    file.file.seek(0)
    return file.file


def _pack(members: Sequence[bundle.Member], assignment: str, upload: Upload) -> None:
    with tempfile.SpooledTemporaryFile(PIECE) as target:
        try:
            bundle.pack(members, assignment, cast("BinaryIO", target))
        except OSError as error:
            raise _no_room(error) from error
        target.seek(0)
        while piece := target.read(PIECE):
            upload.write(piece)


@dataclass(frozen=True)
class FilledForm:
    """A form's text fields, and the files of its field 'files', by file name."""

    fields: Mapping[str, str]
    files: list[tuple[str, bytes]]


async def read_form(headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> FilledForm:
    """The fields and files of a form. Raises BadRequest, also for a file in another field than 'files'."""
    if not is_multipart(headers):
        raise BadRequest("expected multipart/form-data with the field 'files'")
    async with _form(headers, chunks, MOST_FILES) as form:
        found = _files(form)
        other = next((field for field, _, _ in found if field != "files"), None)
        if other is not None:
            raise BadRequest(f"the form has a file in the field {other[:100]!r}: send it in the field 'files'")
        texts = {field: value for field, value in form.multi_items() if isinstance(value, str)}
        if any("\0" in text for field in texts.items() for text in field):
            raise BadRequest("bad multipart/form-data: a text has a NUL, which not every storage takes")
        return FilledForm(texts, [(name, await file.read()) for _, file, name in found])


async def read_files(headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> list[tuple[str, bytes]]:
    """Every file of the field 'files', by file name. Raises BadRequest, also for a file in another field."""
    return (await read_form(headers, chunks)).files
