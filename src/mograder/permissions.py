"""Who else on this machine may read a new file that is about one person."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path


def private_mode(folder: Path) -> int:
    """The mode of a new file that not everybody may read: its owner may, and the folder's group where that is set.

    A folder says so by its set-group-ID bit (`chmod g+s`): then the file belongs to the folder's group.
    """
    mode = folder.stat().st_mode
    return 0o600 | (mode & 0o060 if mode & stat.S_ISGID else 0)


def make_private(path: Path, folder: Path) -> None:
    """Give a file of ours the mode and the group that a new private one in `folder` has, before it is moved there."""
    group, mode = folder.stat().st_gid, private_mode(folder) & 0o640
    if sys.platform == "win32" or path.stat().st_gid == group:
        path.chmod(mode)
        return
    path.chmod(0o600)  # never readable by a group that is not the folder's
    if mode & 0o060:
        with contextlib.suppress(PermissionError):
            os.chown(path, -1, group)
            path.chmod(mode)
