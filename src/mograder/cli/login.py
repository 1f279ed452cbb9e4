"""`mograder https login`, `logout`, `whoami` and `logins`: this person's accounts at servers."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from urllib.parse import urlsplit

import click

from mograder.cli.connect import Server, is_typed, owner_of, reads_from_a_server, username
from mograder.cli.output import ask, is_sure, json_option, note, result, table, tell, tell_json
from mograder.client.client import pin
from mograder.client.connection import RetryPolicy, normalise_url
from mograder.client.logins import Login, Logins
from mograder.client.proof import KnownKeys
from mograder.client.trust import CONFIG_NAME
from mograder.domain.errors import NameTaken, Usage
from mograder.domain.tokens import pasted
from mograder.wire.join_link import JoinLink


@click.command(short_help="Register on a server, or keep a token.")
@reads_from_a_server
@click.option("--user", help="The user name to register.")
@click.option("--code", envvar="MOGRADER_ENROLLMENT_CODE", show_envvar=True, help="The enrollment code.")
@click.option("--fingerprint", metavar="HEX", help="That of a server without a domain, as your instructor shows it.")
@click.option("--new-key", is_flag=True, help="Trust the key that the course signs receipts with now.")
@json_option
def login(
    server: Server, user: str | None, code: str | None, fingerprint: str | None, new_key: bool, as_json: bool
) -> None:
    """Register on a server, or keep a token that you were given.

    --url takes a join link as well, with the code and the fingerprint that it holds. From then on a server with a
    fingerprint is known by it: commands talk to no other server at its address.

    Without --token it registers: on a terminal it asks for the user name and the enrollment code. With --token - it
    asks for the token, or reads it from a pipe. Prefer being asked, or the environment, to --code and --token: what
    is typed on a command line stays in the shell's history.

    The first login keeps the key with which the course signs receipts. Another key is refused from then on, until
    --new-key trusts it: ask your instructor first.

    \b
    Examples:
      mograder https login --url https://course.example.org
      mograder https login --url https://course.example.org --token -
      mograder https login --url https://192.168.1.20:8443 --fingerprint 554fe181…
    """
    link = JoinLink.parse(server.url or "")
    server = replace(server, url=link.url or None)
    code = code or link.code or None
    address = server.address() or normalise_url(_ask("Server URL", "no URL: give --url"))
    authority = _authority(server, address, fingerprint or link.fingerprint)
    if urlsplit(address).scheme == "http" and urlsplit(address).hostname not in ("localhost", "127.0.0.1", "::1"):
        note(f"warning: {address} is not encrypted: others on the way can read your token")
    asked = server.token == "-"  # noqa: S105
    keeps = server.token is not None and (user is None or server.token_typed)
    if keeps:
        server.check_secret(address, "token", "MOGRADER_HTTPS_TOKEN", server.token_typed)
        token = pasted(
            _ask(f"Token for {address}", "", hidden=True, piped=True) if asked else server.token or ""
        ).strip()
        login = Login(address, username(user) if user else owner_of(token), token, authority)
        _check_other_login(address, login.user)
        met = _meet(server, address, authority, new_key)
        with server.open(address, login.token, authority) as client:
            client.assignments()
        done = "Logged in to"
    else:
        name = username(user or _ask("User name", "no user name: give --user, or --token"))
        missing = "no enrollment code: run this in a terminal, or set MOGRADER_ENROLLMENT_CODE"
        _check_other_login(address, name)
        if code:
            typed = bool(link.code) or is_typed("code")
            server.check_secret(address, "enrollment code", "MOGRADER_ENROLLMENT_CODE", typed)
        secret = code or _ask(f"Enrollment code for {address}", missing, hidden=True)
        met = _meet(server, address, authority, new_key)
        try:
            with server.open(address, None, authority) as client:
                registered = client.register(name, secret.strip(), Logins().claim_key(address, name))
            login, done = Login(address, registered.user, registered.token, authority), "Registered at"
        except NameTaken:
            before = Logins().find(address)
            if before is None or before.user != name:
                raise
            with server.open(address, before.token, authority) as client:
                client.assignments()
            login, done = replace(before, authority=authority), ""
    logins = Logins()
    logins.keep(login)
    if as_json:
        tell_json({"url": login.url, "user": login.user})
    elif not done:
        tell(f"you are already logged in here as {login.user}")
    else:
        tell(f"{done} {login.url} as {login.user}")
        note(f"your token is kept in {logins.path}")
    if met and (done or new_key):
        note(f"the course signs receipts with the key {met}")


def _meet(server: Server, address: str, authority: str, new_key: bool) -> str:
    """The fingerprint of the server's key, "" if it has none. A changed key is refused before any secret is sent."""
    with server.open(address, None, authority) as client:
        signer = KnownKeys().meet(client, new_key)
    return signer.public_keys()[0]["kid"] if signer else ""


def _authority(server: Server, address: str, fingerprint: str) -> str:
    """The authority (PEM) to trust: that of the fingerprint, else that of the login before. Raises Usage."""
    if not fingerprint:
        before = Logins().find(address)
        return before.authority if before else ""
    digits = re.sub(r"[\s:]", "", fingerprint).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise Usage("that is not a whole fingerprint: copy all of its 64 digits 0-9 and a-f")
    if urlsplit(address).scheme != "https":
        raise Usage(f"a fingerprint goes with https: use --url https{address.removeprefix('http')}")
    return pin(address, digits, RetryPolicy(total=server.patience))


@click.command()
@click.option("--url", envvar="MOGRADER_HTTPS_URL", show_envvar=True, help="The server's URL. [default: the last]")
def logout(url: str | None) -> None:
    """Forget the token of a server.

    \b
    Example:
      mograder https logout --url https://course.example.org
    """
    address = Server(url, None, 0).required_address()
    if not Logins().drop(address):
        raise Usage(f"there is no login for {address}")
    tell(f"Logged out of {address}")


@click.command(short_help="Say as whom, and to which server, commands talk here.")
@reads_from_a_server
@json_option
def whoami(server: Server, as_json: bool) -> None:
    """Say whose token is in force in this folder, for which server, and where the token comes from. Asks no server.

    \b
    Example:
      mograder https whoami
    """
    address = server.required_address()
    token = server.token_for(address)
    if token is None:
        raise Usage(f"no token for {address}: log in with mograder https login, or give --token")
    if server.token:
        source = "the command line" if server.token_typed else "the environment"
    else:
        source = "a login" if Logins().find(address) else f"{CONFIG_NAME} in this folder"
    user = server.owner()
    said = {"url": address, "user": user, "token_from": source}
    result(as_json, said, f"{user or '(the token does not say)'} at {address}, by the token of {source}")


@click.command(name="logins", short_help="List your logins.")
@json_option
def list_logins(as_json: bool) -> None:
    """List the servers that you are logged in to, the last first: the first is used where no URL is given.

    \b
    Example:
      mograder https logins
    """
    logins = Logins().all()
    if as_json:
        tell_json([{"url": each.url, "user": each.user} for each in logins])
    elif logins:
        table(("Server", "User"), [(each.url, each.user) for each in logins])
    else:
        note("you are not logged in anywhere: mograder https login --url URL")


def _check_other_login(address: str, name: str) -> None:
    """Ask before the login of somebody else at the same server is replaced. Raises Usage."""
    before = Logins().find(address)
    if before is None or not before.user or before.user == name:
        return
    said = f"you are logged in at {address} as {before.user}"
    if not sys.stdin.isatty():
        raise Usage(f"{said}: log out first, with mograder https logout --url {address}")
    if not is_sure(f"{said}. Log in as {name} instead?"):
        raise Usage(f"{said}, as before")


def _ask(question: str, otherwise: str, hidden: bool = False, piped: bool = False) -> str:
    if not sys.stdin.isatty():
        if piped:
            try:
                return sys.stdin.readline()
            except UnicodeDecodeError:
                raise Usage("what came on standard input is not text") from None
        raise Usage(otherwise)
    return ask(question, hidden)
