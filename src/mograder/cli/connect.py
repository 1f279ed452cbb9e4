"""The server, token and assignment of a command, as given or looked up in the documented order."""

from __future__ import annotations

import contextlib
import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from msgspec import Struct, field
from msgspec.structs import replace

from mograder.cli.arguments import PLACE, as_typed
from mograder.cli.newer import tell_if_newer
from mograder.cli.output import is_sure, lateness, note, when
from mograder.client.client import Client, known
from mograder.client.connection import RetryPolicy, normalise_url, trusting
from mograder.client.logins import Logins
from mograder.client.outbox import Outbox, OutboxEntry, deliver
from mograder.client.proof import KnownKeys, check_submitted, no_receipt
from mograder.client.settings import read_settings
from mograder.client.trust import CONFIG_NAME, TrustedServers
from mograder.client.workspace import keep_receipt
from mograder.domain.errors import BadRequest, MograderError, NotOpen, Unauthenticated, Usage, VerificationFailed
from mograder.domain.names import Username, counted, printable
from mograder.domain.tokens import Token, pasted
from mograder.wire import messages

if TYPE_CHECKING:
    from mograder.cli.local import LocalCourse


class Server(Struct, frozen=True):
    """The server and token that a person gave; what is missing is looked up in the documented order.

    `token_typed` is whether the token was given on the command line, and not in the environment.
    """

    url: str | None
    token: str | None
    patience: float
    token_typed: bool = False
    _noted: set[str] = field(default_factory=set)

    def address(self) -> str | None:
        """The normalised URL: the one given, else that of mograder.toml, else that of the last login."""
        url = self.url or read_settings(Path()).url
        if url:
            return normalise_url(url)
        last = Logins().last()
        return last.url if last else None

    def required_address(self) -> str:
        """As `address`. Raises Usage if there is none."""
        address = self.address()
        if address is None:
            raise Usage("no URL: give --url, set [https] url in mograder.toml, or log in with mograder https login")
        return address

    def token_for(self, address: str) -> str | None:
        """The token to send to `address`, if any. Raises Usage if it may not be sent there."""
        if self.token:
            self.check_secret(address, "token", "MOGRADER_HTTPS_TOKEN", self.token_typed)
            return self.token
        return kept_token(address)

    def check_secret(self, address: str, what: str, variable: str, typed: bool) -> None:
        """Raises Usage unless a secret that this person gave may be sent to `address`.

        It may be sent to an address that was given with the command, and to that of a login: the person chose them. To
        an address that only mograder.toml names, a secret that was `typed` for this command is sent with a note, and
        one from the environment only after a yes, which is remembered.
        """
        if self.url or TrustedServers().vouches(address):
            return
        if typed:
            said = f"your {what} goes to {address}, which {CONFIG_NAME} in this folder names"
            if said not in self._noted:
                note(said)
            self._noted.add(said)
            return
        question = f"{CONFIG_NAME} in this folder names {address}, where you have no login. Send your {what} there?"
        if not sys.stdin.isatty():
            raise Usage(
                f"the {what} in {variable} is not sent to {address}: {CONFIG_NAME} in this folder names that server, "
                "and you have no login there. if it is yours, give --url"
            )
        if not is_sure(question):
            raise Usage(f"nothing was sent to {address}")
        TrustedServers().remember(address)

    def open(self, address: str, token: str | None, authority: str | None = None) -> Client:
        """A client that trusts `authority`, else that of the login at `address`, else this computer's authorities."""
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
            on_version=functools.partial(tell_if_newer, address),
        )  # fmt: skip

    def owner(self) -> str:
        """The user name in the token in force, "" without a token or without a name in it."""
        token = self.token_for(self.required_address())
        return _owner(token) if token else ""

    @contextlib.contextmanager
    def connect(
        self, user: str | None = None, *, deliver_first: bool = True, changes: bool = False
    ) -> Iterator[tuple[Client, Username]]:
        """A client with the token in force, and the person it speaks for: `user`, else the token's own.

        A server may ask for no token: then the name is `user`, or empty. With `deliver_first`, submissions that wait in
        the outbox for this server are sent first, if that is possible at once. With `changes`, the person must confirm
        a token that only mograder.toml gives and that is not of any of their logins. Raises Usage when the server wants
        a token and there is none.
        """
        address = self.required_address()
        token = self.token_for(address)
        owner = _owner(token) if token else ""
        name = username(user) if user is not None else owner
        if changes and not self.token:
            _check_identity(address, owner, user)
        if deliver_first:
            self._deliver(address, token, owner)
        try:
            with self.open(address, token) as client:
                yield client, Username(name)
        except Unauthenticated as error:
            if not token:
                raise Usage(f"no token for {address}: log in with mograder https login, or give --token") from None
            if not _is_whole(token):
                error.message = NOT_WHOLE
            raise

    def _deliver(self, address: str, token: str | None, owner: str) -> None:
        outbox = Outbox()
        waiting = [each for each in outbox.all() if (each.server, each.sender) == (address, owner) and not each.problem]
        if not waiting:
            return
        with replace(self, patience=0).open(address, token) as client:
            try:
                for each, submitted, problem in deliver(client, outbox, owner, choose_exactly, again=False):
                    tell_delivered(client, each, submitted, problem)
            except MograderError as error:
                note(f"{counted(len(waiting), 'submission')} not sent yet: {error.message}")


def tell_delivered(client: Client, waiting: OutboxEntry, submitted: messages.Submitted | None, problem: str) -> None:
    """Report what became of a submission that waited, and keep its receipt where its file was."""
    name = Path(waiting.place).name
    if submitted is None:
        note(f"warning: {name} for {waiting.assignment!r} waits in the outbox and was not taken: {problem}")
        return
    days = known(submitted.days_late) or 0
    late = lateness(known(submitted.duedate), days, known(submitted.penalty) or 0) if days else ""
    received = when(submitted.received, seconds=True) if submitted.received else "now"
    note(f"{name} for {submitted.assignment!r}, which was waiting, is submitted: received {received}"
         + (f", {late}" if late else ""))  # fmt: skip
    keep(Path(waiting.place), client.url, submitted)
    if wrong := check_receipt(client, submitted):
        note(f"warning: {wrong.message}")


def check_receipt(client: Client, submitted: messages.Submitted) -> VerificationFailed | None:
    """What is wrong with the receipt of a submission, None for nothing. If it cannot be checked now, prints a note."""
    try:
        signer = KnownKeys().find(client.url) or KnownKeys().meet(client)
        if signer and not submitted.receipt:
            return no_receipt(client.url)
        if signer:
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
def somewhere(course: Path | str | None, server: Server) -> Iterator[LocalCourse | Client]:
    """A course that this machine can open itself, or else the server's, over HTTP with an instructor's token."""
    if course is None:
        if server.address() is None:
            raise Usage("no course: give --course FOLDER, or --url, or log in with mograder https login")
        with server.connect() as (client, _):
            yield client
        return
    from mograder.cli.local import LocalCourse
    from mograder.factory import open_existing

    opened = open_existing(course)
    try:
        yield LocalCourse(opened)
    finally:
        opened.close()


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
            command(server=Server(url, token and pasted(token), patience, is_typed("token")), **rest)

        return with_server

    return add


def is_typed(option: str) -> bool:
    """Whether this command's option was given on the command line, and not in the environment."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


reads_from_a_server = _options(patience=10)  # a person can run such a command again
sends_to_a_server = _options(patience=60)  # a submission at the deadline is worth waiting for


def kept_token(url: str) -> str | None:
    """The token of the login at `url`, else the one beside this URL in mograder.toml."""
    if login := Logins().find(url):
        return login.token
    settings = read_settings(Path())
    # A token beside a URL is for that server alone.
    fits = not settings.url or normalise_url(settings.url) == url
    return settings.token if settings.token and fits else None


NOT_WHOLE = "that is not a whole token: copy all of it, it looks like alice:5f0c…"


def _is_whole(token: str) -> bool:
    try:
        Token.parse(token)
    except Unauthenticated:
        return False
    return True


def _owner(token: str) -> str:
    """The user name in a token, "" if there is none: a server may also accept tokens of another shape."""
    try:
        return Username.parse(token.partition(":")[0]) if ":" in token else ""
    except BadRequest:
        return ""


def owner_of(token: str) -> Username:
    """The person of a token. Raises Usage."""
    try:
        return Token.parse(token).username
    except Unauthenticated:
        raise Usage(NOT_WHOLE) from None


def named(name: Username, address: str) -> Username:
    """`name`, unless nobody is named. Raises Usage."""
    if not name:
        raise Usage(f"say who you are: log in at {address} with mograder https login, or give --user")
    return name


def _check_identity(address: str, owner: str, user: str | None) -> None:
    """Ask before a token in mograder.toml is used that is not of any of this person's logins. Raises Usage."""
    if not owner or Logins().find(address) is not None or owner == user:
        return
    others = sorted({login.user for login in Logins().all()} - {owner})
    if not others or any(login.user == owner for login in Logins().all()):
        return
    said = f"the token in {CONFIG_NAME} of this folder is {owner}'s, and you are logged in as {', '.join(others)}"
    if not sys.stdin.isatty():
        raise Usage(f"{said}: log in at {address}, or say that you act as {owner} with --user {owner}")
    if not is_sure(f"{said}. Go on as {owner} at {address}?"):
        raise Usage("nothing was sent")


def username(text: str) -> Username:
    """A user name that was typed. Raises Usage."""
    with as_typed():
        return Username.parse(text)


def choose(listing: Sequence[messages.AssignmentInfo], text: str, *, exactly: bool = False) -> messages.AssignmentInfo:
    """The assignment with this name, else with this id, else the only one with the text in its name or title.

    A part of a name or title may be in any case. With `exactly`, which commands that change something use, a part is
    not enough. Raises Usage, which lists the assignments.
    """
    wanted = _composed(text)
    for exact in ([each for each in listing if _composed(each.name) == wanted], [e for e in listing if e.id == text]):
        if exact:
            return exact[0]
    matches = [each for each in listing if _folded(text) in _folded(each.name)] or [
        each for each in listing if _folded(text) in _folded(known(each.title) or "")
    ]
    if len(matches) == 1 and not exactly:
        return matches[0]
    names = ", ".join(printable(each.name) for each in matches or listing) or "none"
    if matches and exactly:
        raise Usage(f"there is no assignment {text!r}: write its whole name: {names}")
    if matches:
        raise Usage(f"{text!r} is ambiguous: it fits {names}")
    raise Usage(f"there is no assignment {text!r}: there is {names}")


choose_exactly = functools.partial(choose, exactly=True)


def find(client: Client, text: str, user: str | None, *, exactly: bool = False) -> messages.AssignmentInfo:
    """`choose` among what the server lists. Raises NotOpen for one that it does not list yet but tells of."""
    try:
        return choose(client.assignments(), text, exactly=exactly)
    except Usage:
        if user:
            _raise_if_not_open(client, text, user)
        raise


def _raise_if_not_open(client: Client, text: str, user: str) -> None:
    try:
        client.status(text, user)
    except NotOpen:
        raise
    except MograderError:
        return  # that there is none was said already


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _composed(text).casefold()
