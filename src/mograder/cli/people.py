"""The people of a course, with everything that its roster says about them, and those of a section."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from mograder.client.client import Client, known
from mograder.domain.errors import BadRequest, MethodNotAllowed, NotFound
from mograder.wire import messages

if TYPE_CHECKING:
    from mograder.tables.people import Member

section_option = click.option("--section", default="", metavar="NAME", help="Only people of this section.")


def member_of(entry: messages.RosterEntry) -> Member:
    """A person with everything that the roster says about them."""
    from mograder.tables.people import Member

    return Member.known(
        entry.user, entry.name, known(entry.email) or "", known(entry.sections) or (), known(entry.ids) or ()
    )


def members_of(client: Client) -> list[Member] | None:
    """Everybody who has registered or submitted and was not removed, None where the server keeps no roster."""
    from mograder.tables.people import Member

    try:
        entries = client.roster()
    except (NotFound, MethodNotAllowed):
        return None
    removed = {each.user for each in entries if each.state == "removed"}
    found = {each.user: member_of(each) for each in entries if each.user not in removed}
    for assignment in client.assignments():
        for submitted in client.submissions(assignment.name):
            if submitted.username not in removed:
                found.setdefault(submitted.username, Member.known(submitted.username))
    return sorted(found.values(), key=lambda member: member.username)


def here(client: Client, section: str = "") -> Callable[[str], bool]:
    """A test whether a user name is that of a person in the section who was not removed; "" is for any section or none.

    Raises BadRequest when nobody is in the section. A server without a roster has removed nobody.
    """
    try:
        entries = client.roster()
    except (NotFound, MethodNotAllowed):
        entries = []
    if section:
        return {each.user for each in in_section(entries, section)}.__contains__
    removed = {each.user for each in entries if each.state == "removed"}
    return lambda user: user not in removed


def in_section(entries: list[messages.RosterEntry], section: str) -> list[messages.RosterEntry]:
    """The people of a section who were not removed; `entries` when it is "".

    Raises BadRequest naming the sections when nobody is in it.
    """
    return of_section([each for each in entries if each.state != "removed"], section) if section else entries


Listed = TypeVar("Listed", messages.RosterEntry, messages.GradebookRowInfo)


def of_section(people: list[Listed], section: str) -> list[Listed]:
    """Those in the section, all when it is "". Raises BadRequest naming the sections when nobody is in it."""
    if not section:
        return people
    found = [each for each in people if section in (known(each.sections) or ())]
    if not found:
        names = sorted({name for each in people for name in known(each.sections) or ()})
        there = f"there are {', '.join(map(repr, names))}" if names else "the roster names no sections"
        raise BadRequest(f"nobody is in a section {section!r}: {there}")
    return found
