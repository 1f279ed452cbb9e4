"""`mograder student`: a student's page of a course in the browser."""

from __future__ import annotations

import contextlib
import re
import webbrowser
from pathlib import Path

import click
from msgspec.structs import replace

from mograder import course_file
from mograder.cli.connect import Server, reads_from_a_server
from mograder.cli.output import note, tell
from mograder.client.connection import normalise_url
from mograder.client.extract import folder_name
from mograder.client.files import write_file
from mograder.client.settings import parse_foreign, read_settings
from mograder.client.trust import login_page
from mograder.domain.errors import Unauthenticated, Usage


@click.command(short_help="Open your page of a course in the browser.")
@click.argument("place", metavar="[URL | FOLDER]", default=".")
@click.option("--headless", is_flag=True, help="Print the link and open no browser.")
@reads_from_a_server
def student(place: str, headless: bool, server: Server) -> None:
    """Open your page of a course in the browser, logged in.

    With a URL, the course is remembered in the mograder.toml of a new folder mograder-TITLE. With that FOLDER, or in
    it, the page opens again. You are logged in by the token of mograder https login, through a link that works once
    and for a few minutes. Log in first: without a login nothing is made or opened.

    \b
    Examples:
      mograder student https://course.example.org
      mograder student mograder-programming
    """
    if "://" in place:
        server = replace(server, url=normalise_url(place.removesuffix(course_file.CONFIG_NAME)))
        folder = _remember(server)
    else:
        folder = Path(place)
        if not folder.is_dir():
            raise Usage(f"there is no folder {place}: name one, or the course's URL (https://…)")
    with contextlib.chdir(folder):  # where a token may stand beside the URL
        link = _link(server)
    if headless:
        tell(link)
    elif not webbrowser.open(link):
        note("no browser could be opened; open this link, which works once:")
        tell(link)


def _remember(server: Server) -> Path:
    """The folder of the course, made with the server's mograder.toml unless it is there."""
    address = server.required_address()
    with server.open(address, None) as client:
        text = client.configuration()
    try:
        title = str(parse_foreign(text.encode()).get("title") or "course")
    except ValueError:
        raise Usage(f"{address} does not look like a mograder server: check the address") from None
    slug = re.sub(r"\W+", "-", title.casefold()).strip("-") or "course"
    folder = Path(folder_name(f"mograder-{slug}"))
    path = folder / course_file.CONFIG_NAME
    if path.exists():
        known = read_settings(folder).url
        if not known or normalise_url(known) != address:
            raise Usage(f"{path} is of another course, {known or 'without a URL'}: work in another folder")
        return folder
    _token(server, address)
    folder.mkdir(exist_ok=True)
    write_file(path, text.encode())
    note(f"the course is remembered in {folder}")
    return folder


def _link(server: Server) -> str:
    """A link that logs in once. Raises Unauthenticated when nobody is logged in."""
    address = server.required_address()
    with server.open(address, _token(server, address)) as client:
        return login_page(address, client.login_link().url)


def _token(server: Server, address: str) -> str:
    token = server.token_for(address)
    if not token:
        raise Unauthenticated(f"you are not logged in: log in first with mograder https login --url {address}")
    return token
