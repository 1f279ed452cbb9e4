"""The logins of this person, one for each server, and the claim keys of unfinished registrations.

Invariant: only this person can read these files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import asdict

from mograder.client.connection import normalise_url
from mograder.client.files import write_private
from mograder.domain.errors import MograderError, Usage
from mograder.domain.tokens import random_secret


class Login(Struct, frozen=True):
    """The login of one server. `authority` is the certificate (PEM) of the only authority trusted for it ("": those of
    this computer).
    """

    url: str
    user: str
    token: str
    authority: str = ""


class Logins:
    """The logins of this person, one for each server, in logins.json of the user's configuration folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or Path(click.get_app_dir("mograder"))) / "logins.json"
        # The files in which the published client keeps its only login.
        self._published = [self.path.with_name("https_token.json")]
        if folder is None:
            self._published.append(Path.home() / ".config" / "mograder" / "https_token.json")

    def find(self, url: str) -> Login | None:
        """The login of the server at the normalised `url`, or None."""
        return next((login for login in self.all() if login.url == url), None)

    def last(self) -> Login | None:
        """The most recent login, or None."""
        return next(iter(self.all()), None)

    def keep(self, login: Login) -> None:
        """Store a login as the most recent one."""
        self._write([login, *(each for each in self._read() if each.url != login.url)])
        self._claim_path(login.url).unlink(missing_ok=True)

    def drop(self, url: str) -> bool:
        """Delete a login, also from the published client's file; returns whether there was one."""
        found = self.find(url) is not None
        if any(login.url == url for login in self._read()):
            self._write([login for login in self._read() if login.url != url])
        for path in self._published:
            if any(login.url == url for login in _published_login(path)):
                path.unlink(missing_ok=True)
        return found

    def claim_key(self, url: str, user: str) -> str:
        """The claim key of a registration at `url`, which stays the same until a login there is stored.

        So a client that lost the response can repeat the registration.
        """
        path = self._claim_path(url)
        with contextlib.suppress(OSError, ValueError):
            name, key = path.read_text().split()
            if name == user:
                return key
        key = random_secret()
        write_private(path, f"{user} {key}\n".encode())
        return key

    def _claim_path(self, url: str) -> Path:
        return self.path.with_name(f"claim-{hashlib.sha256(url.encode()).hexdigest()[:16]}")

    def all(self) -> list[Login]:
        """Every login, the most recent first."""
        return [*self._read(), *(login for path in self._published for login in _published_login(path))]

    def _read(self) -> list[Login]:
        """The logins of our own file, the most recent first."""
        try:
            return [Login(**entry) for entry in json.loads(self.path.read_bytes())["logins"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise MograderError(f"{self.path} cannot be read ({error}): delete it and log in again") from None

    def _write(self, logins: list[Login]) -> None:
        write_private(self.path, json.dumps({"logins": [asdict(login) for login in logins]}, indent=2).encode())


def _published_login(path: Path) -> list[Login]:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, Usage):
        entry = json.loads(path.read_bytes())
        return [Login(normalise_url(entry["url"]), str(entry.get("user") or ""), str(entry["token"]))]
    return []
