"""`mograder grader`: the pages of marking for a course folder, on this machine alone."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import webbrowser
from pathlib import Path

import click

from mograder.cli.arguments import FOLDER
from mograder.cli.demo import free_port
from mograder.cli.listen import Listener
from mograder.cli.output import note, tell
from mograder.cli.serve import serve
from mograder.config import course_folder, resolve
from mograder.course_file import CONFIG_NAME, read_course_file
from mograder.domain.errors import Usage
from mograder.domain.names import INSTRUCTOR
from mograder.domain.tokens import SECRET_NAME

USUAL_PORT = 8765
PATIENCE = 30.0
"""Seconds for which the browser waits for the server."""

HERE = "127.0.0.1"


@click.command(short_help="Mark submissions in the browser, on this machine alone.")
@click.argument("course", default=".", type=FOLDER)
@click.option("--port", "-p", type=click.IntRange(1, 65535), help="Port to listen on. [default: 8765, or a free one]")
@click.option("--headless", is_flag=True, help="Print the link and open no browser.")
@click.pass_context
def grader(ctx: click.Context, course: Path, port: int | None, headless: bool) -> None:
    """Mark the submissions in the folder COURSE in the browser, without a server set up.

    The pages are those of the course's server, reached from this machine alone, and you are its instructor. A server
    may run on the folder meanwhile. Stop with Ctrl-C.

    \b
    Examples:
      mograder grader course/
      mograder grader course/ --headless
    """
    root, chosen = served_folder(course), port or free_port(USUAL_PORT)
    link = login_link(root, chosen)
    if headless:
        tell(link)
    else:
        threading.Thread(target=open_when_ready, args=(link, chosen), daemon=True).start()
    ctx.invoke(serve, folder=root, port=chosen, host=HERE)


def served_folder(course: Path) -> Path:
    """The folder of a course that `mograder serve` is given: its release/ where that holds assignments, else itself.

    Raises Usage for a folder that is no course.
    """
    from mograder.store.folder.layout import served_root

    root = served_root(course)
    if root != course:
        return root
    known = (CONFIG_NAME, SECRET_NAME, "release", "submitted", "source")
    if not any((course / name).exists() for name in known) and not any(course.glob("*/files")):
        raise Usage(f"{course} is no course: it has none of {', '.join(known)}")
    return course


def login_link(root: Path, port: int) -> str:
    """A link that logs the instructor in once, at the server that will listen on `port`."""
    from mograder.factory import open_course
    from mograder.web.pages.sessions import START_LINK_SECONDS, link_with, new_ticket

    home = course_folder(root)
    settings = resolve({"port": port, "host": HERE}, read_course_file(home / CONFIG_NAME), home)
    course = open_course(root, settings)
    try:
        ticket, _ = new_ticket(course, INSTRUCTOR, START_LINK_SECONDS)
        return link_with(Listener.of(settings, HERE, root, course.url).address, ticket)
    finally:
        course.close()


def open_when_ready(link: str, port: int) -> None:
    """Open the link in a browser as soon as something listens on the port. Without a browser, print it."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection((HERE, port), timeout=1):
            break
        time.sleep(0.1)
    if not webbrowser.open(link):
        note("no browser could be opened; open this link, which works once:")
        tell(link)
