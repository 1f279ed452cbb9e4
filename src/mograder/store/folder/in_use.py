"""Guards the folders of a course that hold work: if one is gone, that is reported; it is never silently recreated."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mograder.domain.errors import Temporary
from mograder.store.folder.layout import Folders
from mograder.store.folder.ledger import Ledger
from mograder.store.shared import files

log = logging.getLogger(__name__)


class FoldersInUse:
    """The folders of submissions and grades of one course."""

    def __init__(self, folders: Folders, ledger: Ledger) -> None:
        self._folders = folders
        self._ledger = ledger

    def make(self, base: Path, *names: str) -> Path:
        """The folder below `base`, made if it is missing. Raises Temporary when `base` held work and is gone.

        The disk may be unmounted, or somebody has moved the folder: a new one would hide that the old work is missing.
        """
        folder = base.joinpath(*names)
        if not os.path.isdir(folder):
            self.check(base)
            files.make_folder(folder)
        return folder

    def check(self, base: Path) -> None:
        """Raises Temporary when `base`, the folder of submissions or grades, held work and is gone."""
        kind = "receipts" if base == self._folders.submitted else "events WHERE action IN ('grades', 'feedback')"
        in_use = f"SELECT 1 FROM {kind} LIMIT 1"
        # Checked again at the end: the course's first submission may have made the folder meanwhile.
        if not base.is_dir() and self._ledger.read(in_use) and not base.is_dir():
            log.error("%s is gone: bring it back, or make an empty one to begin anew", base)
            raise Temporary("a folder of the course is gone: the server's log says which", retry_after=30)
