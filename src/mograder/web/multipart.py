"""Files out of multipart/form-data, by python-multipart through starlette, with bounds on parts and sizes."""

from __future__ import annotations

import errno
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mograder.domain.errors import BadRequest, StorageFull, Temporary
from mograder.domain.submissions import Upload
from mograder.web.body import is_multipart

MOST_FIELDS = 10
MOST_FILES = 2000
FEW_FILES = 10  # where one is wanted
SMALL = 64 * 1024  # bytes
PIECE = 1024 * 1024


@asynccontextmanager
async def _form(
    headers: Mapping[str, str], chunks: AsyncIterator[bytes], most_files: int, in_memory: int
) -> AsyncIterator[FormData]:
    """The form's parts. Those of more than `in_memory` bytes wait in temporary files."""

    async def stream() -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            yield chunk

    parser = MultiPartParser(
        Headers(dict(headers)),
        stream(),
        max_files=most_files,
        max_fields=MOST_FIELDS,
        max_part_size=SMALL,
    )
    parser.spool_max_size = in_memory
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, LookupError) as error:
        raise BadRequest(f"bad multipart/form-data: {getattr(error, 'message', error)}") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind, reason = (StorageFull, "full") if full else (Temporary, "not usable")
        raise kind(f"cannot receive the form: the server's temporary folder is {reason}", retry_after=60) from error
    try:
        yield form
    finally:
        await form.close()
        for file in parser._files_to_close_on_error:  # a part that was cut short is in no form
            file.close()


async def read_first_file(headers: Mapping[str, str], chunks: AsyncIterator[bytes], upload: Upload) -> str:
    """Write the first part that has a file name into `upload`; its file name. Raises BadRequest when none has."""
    async with _form(headers, chunks, FEW_FILES, SMALL) as form:
        for _, value in form.multi_items():
            if isinstance(value, UploadFile) and value.filename:
                while piece := await value.read(PIECE):
                    upload.write(piece)
                return value.filename
    raise BadRequest("no data: the form has no file")


async def read_files(headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> list[tuple[str, bytes]]:
    """Every file of the field 'files', by file name. Raises BadRequest."""
    if not is_multipart(headers):
        raise BadRequest("expected multipart/form-data with the field 'files'")
    async with _form(headers, chunks, MOST_FILES, PIECE) as form:
        return [
            (value.filename, await value.read())
            for value in form.getlist("files")
            if isinstance(value, UploadFile) and value.filename
        ]
