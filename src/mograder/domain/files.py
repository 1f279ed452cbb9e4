"""A stored file that can be sent: what is known of it, and how its bytes are opened or fetched."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class StoredFile:
    """A file that can be sent. `tag` changes whenever the bytes may have; `modified` is Unix seconds.

    A store on a local disk sets `opener`, which opens the file. A remote store sets `fetch`, which gets the bytes:
    small ones into memory, large ones into a file, whose path it returns.
    """

    name: str
    size: int
    modified: float
    tag: str
    path: Path | None = None
    data: bytes | None = None
    fetch: Callable[[], bytes | Path] | None = field(default=None, compare=False)
    opener: Callable[[], OpenedFile] | None = field(default=None, compare=False)

    def fetched_file(self) -> StoredFile:
        """The same file with its bytes at `path` or in `data`. Takes as long as the network does."""
        if self.fetch is None:
            return self
        content = self.fetch()
        cached = {"path": content} if isinstance(content, Path) else {"data": content}
        return replace(self, fetch=None, **cached)

    def opened(self) -> OpenedFile:
        """The file as it stands now, and its bytes. A later replacement of the file does not change them.

        Raises OSError.
        """
        if self.opener is not None:
            return self.opener()
        file = self.fetched_file()
        if file.data is not None:
            return file, io.BytesIO(file.data)
        assert file.path is not None
        return file, file.path.open("rb")

    def open(self) -> BinaryIO:
        return self.opened()[1]

    def read(self) -> bytes:
        with self.open() as file:
            return file.read()


OpenedFile = tuple[StoredFile, BinaryIO]
"""A file as it stood when it was opened, and its bytes."""
