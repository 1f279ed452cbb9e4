"""The permissions of files about one person: who else on this machine may read them."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path


def private_mode(folder: Path) -> int:
    """The mode of a new private file in `folder`: its owner has access, and so has the folder's group if allowed.

    The folder's set-group-ID bit (`chmod g+s`) allows it: new files belong to the folder's group then.
    """
    mode = folder.stat().st_mode
    return 0o600 | (mode & 0o060 if mode & stat.S_ISGID else 0)


def make_private(path: Path, folder: Path) -> None:
    """Give the file `path` the mode and the group of a new private file in `folder`, into which it is moved next."""
    group, mode = folder.stat().st_gid, private_mode(folder) & 0o640
    if sys.platform == "win32" or path.stat().st_gid == group:
        path.chmod(mode)
        return
    path.chmod(0o600)  # never readable by a group that is not the folder's
    if mode & 0o060:
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, group)
            path.chmod(mode)
