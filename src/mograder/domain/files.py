"""Stored files that can be sent: their facts, and how their bytes are opened or fetched."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

_LEFT_BEHIND = frozenset({
    "__marimo__", "__pycache__", "__macosx", "venv", "node_modules", "thumbs.db", "ehthumbs.db", "desktop.ini",
})  # fmt: skip
"""Files and folders that marimo, Python, editors and systems leave beside a person's files, in lower case."""

_LEFT_ENDINGS = ("~", ".pyc", ".pyo", ".swp", ".swo", ".egg-info")


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of this name was left by a program, so that nobody means to release it.

    The files of marimo, for example, hold the outputs of cells. Hidden files are not covered: they are never released.
    """
    bare = name.lower()
    return bare in _LEFT_BEHIND or bare.endswith(_LEFT_ENDINGS) or (bare.startswith(("~$", "#")) and len(bare) > 1)


@dataclass(frozen=True)
class StoredFile:
    """A file that can be sent. `tag` is its etag, which changes if the bytes may have. `modified` is in Unix seconds.

    A store on a local disk sets `opener`, which opens the file. A remote store sets `fetch`, which returns the bytes of
    a small file, or the path of a local copy of a large one.
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
        """The same file with its bytes at `path` or in `data`. This may wait for the network."""
        if self.fetch is None:
            return self
        content = self.fetch()
        cached = {"path": content} if isinstance(content, Path) else {"data": content}
        return replace(self, fetch=None, **cached)

    def opened(self) -> OpenedFile:
        """The present file and its bytes, which do not change if the file is replaced later. Raises OSError."""
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
"""A file as it was when it was opened, and its bytes."""
