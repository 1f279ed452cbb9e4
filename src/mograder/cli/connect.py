"""Which server, which token, which assignment: what every command that talks to a server asks first."""

from __future__ import annotations

import contextlib
import functools
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from mograder.cli.arguments import PLACE, as_typed
from mograder.cli.output import note, when
from mograder.client.client import Client, known
from mograder.client.connection import RetryPolicy, normalise_url, trusting
from mograder.client.outbox import Outbox, OutboxEntry, deliver
from mograder.client.proof import KnownKeys, check_submitted
from mograder.client.workspace import Logins, keep_receipt, read_settings
from mograder.domain.course import Course
from mograder.domain.errors import MograderError, Unauthenticated, Usage, VerificationFailed
from mograder.domain.names import Username, printable
from mograder.domain.tokens import Token
from mograder.wire import messages

Place = TypeVar("Place")


@dataclass(frozen=True)
class Server:
    """What a person said about the server; what was not said is looked up in the documented order."""

    url: str | None
    token: str | None
    patience: float

    def address(self) -> str | None:
        """The normalised URL: as said, else of mograder.toml, else of the last login."""
        url = self.url or read_settings(Path()).url
        if url:
            return normalise_url(url)
        last = Logins().last()
        return last.url if last else None

    def required_address(self) -> str:
        """Raises Usage."""
        address = self.address()
        if address is None:
            raise Usage("no URL: give --url, set [https] url in mograder.toml, or log in with mograder https login")
        return address

    def open(self, address: str, token: str | None, authority: str | None = None) -> Client:
        """A client that believes `authority`, else the one of the login there, else whom this computer trusts."""
        if authority is None:
            login = Logins().find(address)
            authority = login.authority if login else ""
        said: set[str] = set()

        def once(message: str) -> None:
            if message not in said:
                said.add(message)
                note(message)

        return Client(
            address, token, patience=RetryPolicy(total=self.patience), on_wait=once,
            on_trouble=lambda trouble: once(f"warning: {trouble}"), verify=trusting(authority),
        )  # fmt: skip

    def owner(self) -> str:
        """Whose token is in force, "" without one."""
        token = self.token or kept_token(self.required_address())
        return owner_of(token) if token else ""

    @contextlib.contextmanager
    def connect(self, user: str | None = None, deliver_first: bool = True) -> Iterator[tuple[Client, Username]]:
        """A client with the token in force, and who is spoken for: `user`, else the token's own.

        What waits in the outbox for this server goes first, if that is possible at once, unless said otherwise. Raises
        Usage when there is no usable token. Without one, `user` may still be served by a server that asks
        for none.
        """
        address = self.required_address()
        token = self.token or kept_token(address)
        if not token and user is None:
            raise Usage(f"no token for {address}: log in with mograder https login, or give --token")
        owner = owner_of(token) if token else None
        name = owner if user is None else username(user)
        assert name is not None
        if deliver_first:
            self._deliver(address, token, owner or "")
        with self.open(address, token) as client:
            yield client, name

    def _deliver(self, address: str, token: str | None, owner: str) -> None:
        outbox = Outbox()
        waiting = [each for each in outbox.all() if (each.server, each.sender) == (address, owner) and not each.problem]
        if not waiting:
            return
        with replace(self, patience=0).open(address, token) as client:
            try:
                for each, submitted, problem in deliver(client, outbox, owner, choose, again=False):
                    tell_delivered(client, each, submitted, problem)
            except MograderError as error:
                note(f"{len(waiting)} submission(s) still wait to be sent: {error.message}")


def tell_delivered(client: Client, waiting: OutboxEntry, submitted: messages.Submitted | None, problem: str) -> None:
    """Say what became of a submission that waited, and keep its receipt where its file was."""
    name = Path(waiting.place).name
    if submitted is None:
        note(f"warning: {name} for {waiting.assignment!r} waits in the outbox and was not taken: {problem}")
        return
    late = known(submitted.explanation)
    received = when(submitted.received, seconds=True) if submitted.received else "now"
    note(f"{name} for {submitted.assignment!r}, which was waiting, is handed in: received {received}"
         + (f", {late}" if late else ""))  # fmt: skip
    keep(Path(waiting.place), client.url, submitted)
    if wrong := check_receipt(client, submitted):
        note(f"warning: {wrong.message}")


def check_receipt(client: Client, submitted: messages.Submitted) -> VerificationFailed | None:
    """What is wrong with the receipt of a submission that was received; what cannot be checked now is noted."""
    try:
        signer = KnownKeys().find(client.url) or KnownKeys().meet(client)
        if signer and submitted.receipt:
            check_submitted(submitted, signer, client.url)
    except VerificationFailed as wrong:
        return wrong
    except (MograderError, OSError) as error:
        note(f"warning: your work was received, and its receipt could not be checked: {error}")
    return None


def keep(file: Path, url: str, submitted: messages.Submitted) -> Path | None:
    """Keep a receipt beside the file that it is for."""
    try:
        return keep_receipt(file, url, submitted)
    except (OSError, MograderError) as error:
        note(f"warning: your work was received, but the receipt could not be kept: {error}")
        return None


course_option = click.option(
    "--course", type=PLACE, metavar="FOLDER|URL",
    help="Work on the served folder itself, on the machine where it is, or on a database: postgresql://…#course.",
)  # fmt: skip


@contextlib.contextmanager
def somewhere(
    course: Path | str | None, server: Server, on_folder: Callable[[Course], Place]
) -> Iterator[Place | Client]:
    """A course in a folder of this machine, as `on_folder` makes it, or else over HTTP."""
    if course is None:
        with server.connect() as (client, _):
            yield client
        return
    from mograder.factory import open_existing

    opened = open_existing(course)
    try:
        yield on_folder(opened)
    finally:
        opened.store.close()


Command = Callable[..., None]


def _options(patience: float) -> Callable[[Command], Command]:
    """Adds --url, --token and --patience to a command, which gets them as `server`."""

    def add(command: Command) -> Command:
        @click.option("--url", envvar="MOGRADER_HTTPS_URL", show_envvar=True, help="The server's URL.")
        @click.option("--token", envvar="MOGRADER_HTTPS_TOKEN", show_envvar=True, help="Your token.")
        @click.option(
            "--patience",
            type=click.FloatRange(0),
            default=patience,
            show_default=True,
            metavar="SECONDS",
            help="How long to keep trying while the server is away or busy.",
        )
        @functools.wraps(command)
        def with_server(url: str | None, token: str | None, patience: float, **rest: Any) -> None:
            command(server=Server(url, token, patience), **rest)

        return with_server

    return add


reads_from_a_server = _options(patience=10)  # who reads can ask again
sends_to_a_server = _options(patience=60)  # a submission at the deadline is worth waiting for


def kept_token(url: str) -> str | None:
    if login := Logins().find(url):
        return login.token
    settings = read_settings(Path())
    # A token that stands beside a URL is for that server alone.
    fits = not settings.url or normalise_url(settings.url) == url
    return settings.token if settings.token and fits else None


def owner_of(token: str) -> Username:
    """Raises Usage."""
    try:
        return Token.parse(token).username
    except Unauthenticated:
        raise Usage("that is not a whole token: copy all of it, it looks like alice:5f0c…") from None


def username(text: str) -> Username:
    """Raises Usage."""
    with as_typed():
        return Username.parse(text)


def choose(listing: Sequence[messages.AssignmentInfo], text: str) -> messages.AssignmentInfo:
    """The assignment of exactly this name, else this id, else the only one with this in its name or title, in any case.

    Raises Usage, naming what there is.
    """
    exact = [each for each in listing if each.name == text] or [each for each in listing if each.id == text]
    matches = (
        exact
        or [each for each in listing if _folded(text) in _folded(each.name)]
        or [each for each in listing if _folded(text) in _folded(known(each.title) or "")]
    )
    if exact or len(matches) == 1:
        return matches[0]
    names = ", ".join(printable(each.name) for each in matches or listing) or "none"
    if matches:
        raise Usage(f"{text!r} is ambiguous: it fits {names}")
    raise Usage(f"there is no assignment {text!r}: there is {names}")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
