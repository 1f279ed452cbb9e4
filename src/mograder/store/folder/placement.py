"""Puts the file and the link of a submission in place in a course folder."""

from __future__ import annotations

import os
from pathlib import Path

from mograder.domain.receipts import USUAL_ENDING, Submission, free_filename, latest_filename
from mograder.store.folder.layout import Folders, named_version
from mograder.store.folder.ledger import Ledger
from mograder.store.folder.rows import LAST_VERSION, VERSION, version_values
from mograder.store.shared import files


class Placement:
    """Puts committed submissions under their names."""

    def __init__(self, folders: Folders, ledger: Ledger) -> None:
        self._submitted = str(folders.submitted)
        self._ledger = ledger

    def version(self, submission: Submission) -> str:
        """The path of the dated version."""
        return f"{self._submitted}{os.sep}{submission.assignment}{os.sep}{submission.filename}"

    def latest(self, submission: Submission) -> str:
        """The path of the person's link to the latest version."""
        return f"{self._submitted}{os.sep}{submission.assignment}{os.sep}{latest_filename(submission.username)}"

    def show(self, submission: Submission, source: str) -> None:
        """Move the file `source` to the version's path, and make it the latest. Raises OSError."""
        files.put(source, self.version(submission))
        self.point_latest(submission)

    def point_latest(self, submission: Submission) -> None:
        """Make the version the person's latest. Raises OSError."""
        latest = self.latest(submission)
        self._keep_by_hand(latest, submission)
        files.point_latest(latest, self.version(submission))

    def _keep_by_hand(self, latest: str, submission: Submission) -> None:
        """Rename a latest file that somebody put there by hand to a dated version, so that it is not replaced."""
        try:
            found = os.lstat(latest)
        except FileNotFoundError:
            return
        if files.is_link(found) or named_version(latest, found.st_size):
            return  # a link, or a text in place of one
        digest = files.sha256_of(Path(latest))
        known = self._ledger.read(
            "SELECT 1 FROM receipts WHERE assignment = ? AND username = ? AND sha256 = ?",
            (submission.assignment, submission.username, digest),
        )
        if not known:
            folder = os.path.dirname(latest)

            def taken(filename: str) -> bool:  # the ledger knows versions whose file is not there yet
                return os.path.lexists(f"{folder}{os.sep}{filename}") or bool(
                    self._ledger.read(VERSION, version_values(submission.assignment, filename))
                )

            def last() -> str:
                ((found,),) = self._ledger.read(LAST_VERSION, (submission.assignment, submission.username))
                return found or ""

            kept = free_filename(submission.username, int(found.st_mtime * 1_000_000), USUAL_ENDING, taken, last)
            os.replace(latest, f"{folder}{os.sep}{kept}")

    def is_shown(self, submission: Submission) -> bool:
        """Whether the version is there and is the latest by link, or by copy where there are no links."""
        latest = self.latest(submission)
        try:
            if not os.path.exists(self.version(submission)):
                return False
            if os.path.islink(latest):
                return os.readlink(latest) == submission.filename
            return files.sha256_of(Path(latest)) == submission.sha256
        except OSError:
            return False
