"""Trust: decides what files and folders from other people may influence.

Invariant (docs/security.md): a file or folder from somebody else never chooses where a secret is sent, whose key is
trusted, what is opened, or where files are written. Only this person's own words (the command line, the environment)
and earlier decisions (a login, a stored yes) do.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path, PurePath

import click

from mograder.client.files import write_private
from mograder.client.logins import Logins
from mograder.domain.errors import Usage, VerificationFailed
from mograder.domain.names import printable

CONFIG_NAME = "mograder.toml"


# where a secret is sent, and whose key is trusted


class TrustedServers:
    """The servers that this person trusts, by a login or by a yes that is stored in trusted.json."""

    def __init__(self) -> None:
        self.path = Path(click.get_app_dir("mograder"), "trusted.json")

    def vouches(self, url: str) -> bool:
        """Whether a secret may be sent to the server at the normalised `url`, and its key be trusted."""
        return Logins().find(url) is not None or url in self._read()

    def remember(self, url: str) -> None:
        write_private(self.path, json.dumps(sorted({*self._read(), url}), indent=2).encode())

    def _read(self) -> list[str]:
        try:
            known = json.loads(self.path.read_bytes())
        except (OSError, ValueError):
            return []  # an unreadable file trusts no server
        return [each for each in known if isinstance(each, str)] if isinstance(known, list) else []


# what is opened


def login_page(server: str, link: str) -> str:
    """The address of the login page for a browser, with the ticket of the `link` that the server answered.

    Its host is always that of `server`, whatever the link names. Raises VerificationFailed for any other link.
    """
    found = re.fullmatch(r"https?://[^\s\\@#?]+/once#([\w.~:=+-]{1,2000})", link, re.ASCII)
    if found is None:
        raise VerificationFailed(
            f"{server} answers with something else than a link to its login page: nothing was opened. check the address"
        )
    return f"{server.rstrip('/')}/once#{found[1]}"


# where files are written


def inside(folder: Path, path: str | PurePath) -> Path:
    """`path` below `folder`. Raises VerificationFailed if it is absolute, or a link on the way leads outside."""
    found = folder / path
    try:
        outside = PurePath(path).is_absolute() or not found.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a circle of links
        outside = True
    if outside:
        raise VerificationFailed(f"refused to write {printable(str(found))!r}: it leads outside {folder}")
    return found


def check_written_inside(home: Path, *paths: Path) -> None:
    """Raises Usage unless the files at `paths` would be written inside `home`, a course or the folder that was named.

    [dirs] of a course's mograder.toml, or a link, may lead elsewhere.
    """
    for path in paths:
        try:
            outside = not path.parent.resolve().is_relative_to(home.resolve())
        except (OSError, RuntimeError):  # a circle of links
            outside = True
        if outside:
            raise Usage(
                f"refused to write {printable(str(path))!r}: [dirs] of {CONFIG_NAME} or a link leads outside this "
                "folder. if that is meant, name the folder with --output-dir"
            )


def named_folder(folder: Path, key: str, text: str, name: str) -> Path:
    """The folder `name` in the one that [dirs] `key` of the mograder.toml in `folder` names, which is `text`.

    Raises Usage unless it is relative and inside `folder`, links followed.
    """
    path = Path(text, name)
    outside = bool(path.anchor) or ".." in path.parts or any(letter in text for letter in "\\:\0")
    try:
        outside = outside or not (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        outside = True
    if outside or not text.strip():
        raise Usage(
            f"{folder / CONFIG_NAME}: [dirs] {key} = {printable(text)!r} leads outside this folder: "
            "name the folder on the command line, or a relative one in mograder.toml"
        )
    return path


def harmless_name(part: str) -> str:
    """One part of a path from elsewhere; it gets the ending .txt if mograder would read that file as its settings."""
    letters = "".join(
        letter for letter in unicodedata.normalize("NFKC", part) if unicodedata.category(letter) not in ("Cf", "Mn")
    )
    bare = letters.casefold().partition(":")[0].strip(" .")
    return f"{part.rstrip(' .')}.txt" if bare == CONFIG_NAME else part
