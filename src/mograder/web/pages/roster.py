"""The roster as a table: a list to import, shown before anything is done, and the roster to download."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from mograder.domain.access import Account, Allow, Role
from mograder.domain.errors import BadRequest, ChangedMeanwhile, MograderError
from mograder.domain.names import Username, parse_owner
from mograder.tables.export import CSV_TYPE
from mograder.tables.rosters import Renamed, RosterChanges, RosterTable, compare_rosters, read_roster, write_roster
from mograder.tables.sheet import read_sheet
from mograder.web import multipart
from mograder.web.multipart import FilledForm
from mograder.web.pages.gradebook import is_checked, member_of
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html, parse_form
from mograder.web.pages.people import people_page, with_codes
from mograder.web.replies import attachment
from mograder.web.uploads import MULTIPART_EXTRA
from mograder.wire import messages
from mograder.wire.codec import decode_json, encode_json
from mograder.wire.endpoints import BY_NAME


@dataclass(frozen=True)
class RosterPage(Page):
    """What a list would change, to be confirmed; `version` is that of the roster as it stands."""

    template = "roster.html"
    heading = "Import a list"
    table: RosterTable
    changes: RosterChanges
    version: str

    @property
    def document(self) -> str:
        """All changes, as JSON. The form asks whether people are removed."""
        people = list(map(messages.new_person, self.changes.people))
        gone = [each.username for each in self.changes.gone]
        return encode_json(messages.NewPeople(people, True, gone)).decode()

    def differences(self, updated: Renamed) -> list[tuple[str, str, str]]:
        """The details of a person that differ: (which, in the roster, in the list). Ids are named without values."""
        old, new = updated.old, updated.new
        found = [
            ("name", old.name, new.name), ("e-mail", old.email, new.email),
            ("sections", ", ".join(old.sections), ", ".join(new.sections)),
        ]  # fmt: skip
        other_ids = [("other ids", "", "")] if old.ids != new.ids else []
        return [each for each in found if each[1] != each[2]] + other_ids

    @property
    def is_something(self) -> bool:
        changes = self.changes
        return bool(changes.new or changes.updated or changes.renamed or changes.gone)


LIMIT = BY_NAME["add_people"].limit or 0
"""Bytes of a list."""


async def preview_list(request: PageRequest) -> Answer:
    """A preview of what a list would change. Nothing is written."""
    try:
        form = await multipart.read_form(request.headers, request.body.chunks(LIMIT + MULTIPART_EXTRA))
        if len(form.files) != 1:
            raise BadRequest("choose one file: a table with a column 'username', or another system's list")
        return await request.api.renderings.run(lambda: _preview(request, form))
    except MograderError as error:
        problem, status = error.message, error.status
        return await request.api.threads.run(lambda: html(people_page(request, problem=problem), status))


def _preview(request: PageRequest, form: FilledForm) -> RosterPage:
    name, content = form.files[0]
    table = read_roster(read_sheet(content, name, form.fields.get("encoding", "")))
    accounts = request.course.roster.all()
    removed = frozenset(each.username for each in accounts if each.removed)
    staff = frozenset(each.username for each in accounts if each.role is not Role.STUDENT)
    changes = compare_rosters(table, list(map(member_of, accounts)), removed, staff)
    return RosterPage(request.frame, table, changes, _version(accounts))


def _version(accounts: Sequence[Account]) -> str:
    """A version that changes when the roster does."""
    return hashlib.sha256(repr(accounts).encode("utf-8", "replace")).hexdigest()


async def keep_list(request: PageRequest) -> Answer:
    """Make all changes that were shown, or none if the roster has changed since."""
    form = parse_form(await request.body.whole(3 * 3 * LIMIT))  # the list as JSON, percent-encoded
    return await request.api.threads.run(lambda: _keep(request, form))


def _keep(request: PageRequest, form: dict[str, str]) -> Answer:
    roster = request.course.roster
    try:
        wanted = decode_json(form.get("document", "").encode(), messages.NewPeople)
        if form.get("version") != _version(roster.all()):
            raise ChangedMeanwhile("the roster has changed since the preview: nothing was done, import the list again")
        dropped: list[Username] = [parse_owner(each) for each in wanted.remove] if is_checked(form, "drop") else []
        added = roster.add(request.actor, messages.parse_people(wanted.people), wanted.update, dropped)
    except MograderError as error:
        return html(people_page(request, problem=error.message), error.status)
    return with_codes(request, added)


def download(request: PageRequest) -> Answer:
    """Everybody who was not removed, as a table that can be imported."""
    members = [member_of(each) for each in request.course.roster.all() if not each.removed]
    return Response(write_roster(members), media_type=CSV_TYPE, headers=attachment("roster.csv"))


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/people/roster.csv", Allow.INSTRUCTOR, download),
    PageRoute("POST", "/people/import", Allow.INSTRUCTOR, preview_list),
    PageRoute("POST", "/people/import/keep", Allow.INSTRUCTOR, keep_list),
)
