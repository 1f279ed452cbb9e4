"""Sample pages of an instructor about people in every state."""

from __future__ import annotations

from markupsafe import Markup
from msgspec.structs import replace

from mograder.domain.access import Account, ExternalId, Role
from mograder.domain.audit import AuditLine, Event
from mograder.domain.names import Username
from mograder.domain.receipts import Head
from mograder.tables.people import Member
from mograder.tables.rosters import compare_rosters, read_roster
from mograder.tables.sheet import read_sheet
from mograder.web.pages.board import Part
from mograder.web.pages.page import Page
from mograder.web.pages.people import (
    AuditLog,
    Invite,
    LoginCode,
    MoreTime,
    Overview,
    People,
    Remove,
    Reset,
    ResetEverybody,
    picture,
)
from mograder.web.pages.roster import RosterPage
from mograder.wire.join_link import JoinLink
from tests.web.instructor_samples import ASKED, GRANTED, HARD_PEOPLE, MANY, board
from tests.web.sample_parts import HOUR, LONG, NOW, SCRIPT, TASKS, TEACHER

ONE = Part(1, 1, 4)
ROW = board([("alice", "Alice Example")]).rows[0]
FEW = (
    Account(Username("alice"), name="Alice Example", bound=True),
    Account(Username("bob"), code_hash="0"),
    Account(Username("carol@uni.example"), name="Carol", bound=True, removed=True),
    Account(Username("tom"), Role.INSTRUCTOR, "Tom Tutor", bound=True),
)
DETAILED = replace(FEW[0], email=f"{SCRIPT}@example.org", sections=("1", LONG), ids=(ExternalId("canvas_id", SCRIPT),))
HARD = tuple(Account(Username(user), name=name, bound=True) for user, name in HARD_PEOPLE)
CROWD = tuple(Account(Username(user), name=name, bound=True) for user, name in MANY[100:200])
CODES = ((Username("alice"), "abcd-efgh-jkmn"), (Username("bob"), "pqrs-tuvw-xyz2"))
LINES = (
    AuditLine(
        Event(NOW, "__instructor__", "grant extension", "alice", f"hw1 until 2026-03-12T12:00:00Z: {SCRIPT}"), 1, NOW
    ),
    AuditLine(Event(NOW - HOUR, "o" * 90, "grades", LONG, "3 grades"), 1000, NOW - 2 * HOUR),
)
ADDRESS = "https://course.example.org/" + "long/" * 9


def invite(address: str, code: str, *, personal_codes: bool = False) -> Invite:
    link = JoinLink(address, code, "ab" * 32).text
    return Invite(TEACHER, link, address, code, picture(link), personal_codes=personal_codes)


def roster_page(text: str, *members: Member) -> RosterPage:
    table = read_roster(read_sheet(text.encode()))
    return RosterPage(TEACHER, table, compare_rosters(table, members, frozenset({"out"})), "0" * 64)


MEMBERS = (
    Member("ada", "Ada", "ada@example.org", ("1",)), Member("gone", SCRIPT), Member("left", ""), Member("out"),
    Member("rob", "Rob", "rob@example.org"),
)  # fmt: skip
LIST = f"""username,name,email,section,student_id
ada,Ada L,a@example.org,2,007
eve,{SCRIPT},eve@example.org,{LONG}
out,Out
robert,Rob,rob@example.org
"""

SAMPLES: dict[str, Page] = {
    "roster": roster_page(LIST, *MEMBERS),
    "roster-same": roster_page("username\nada\n", MEMBERS[0]),
    "roster-problems": roster_page(f"username,name\n{SCRIPT},x\nada,{LONG * 9}\n", *MEMBERS),
    "overview-details": Overview(TEACHER, ROW.username, ROW.name, DETAILED, TASKS, ROW.cells, ()),
    "people": People(TEACHER, FEW, ONE, ""),
    "people-sections": People(TEACHER, (DETAILED,), ONE, "", sections=("1", LONG), section=LONG),
    "people-nobody": People(TEACHER, (), Part(1, 1, 0), ""),
    "people-added": People(TEACHER, FEW, ONE, "", CODES),
    "people-problem": People(TEACHER, (), Part(1, 1, 0), f'"{SCRIPT}', (), f"line 3: {SCRIPT}"),
    "people-hard": People(replace(TEACHER, course=LONG), HARD, ONE, ""),
    "people-many": People(TEACHER, CROWD, Part(2, 5, 500), "student"),
    "remove": Remove(TEACHER, Username("alice"), f"Alice {SCRIPT}"),
    "reset-everybody": ResetEverybody(TEACHER),
    "reset": Reset(TEACHER, Username("alice"), f"Alice {SCRIPT}", False),
    "bring-back": Reset(TEACHER, Username("alice"), f"Alice {SCRIPT}", True),
    "login-code": LoginCode(TEACHER, Username("alice"), "abcd-efgh-jkmn", NOW + HOUR),
    "overview": Overview(TEACHER, ROW.username, ROW.name, FEW[0], TASKS, ROW.cells, (GRANTED,)),
    "overview-unlisted": Overview(TEACHER, ROW.username, "", None, TASKS, ROW.cells, (ASKED,)),
    "overview-nothing": Overview(TEACHER, ROW.username, SCRIPT, FEW[2], (), (), ()),
    "invite": invite("https://course.example.org", "nine swings or ten"),
    "invite-hard": invite(ADDRESS, f"{SCRIPT} {LONG}", personal_codes=True),
    "invite-local": invite("http://localhost:8080", ""),
    "invite-off": Invite(TEACHER, "", "https://course.example.org", "", Markup()),
    "more-time": MoreTime(
        TEACHER,
        (ASKED, replace(ASKED, username=Username("bob"), until=NOW)),
        (GRANTED, replace(GRANTED, declined=True)),
    ),
    "more-time-nothing": MoreTime(TEACHER, (), ()),
    "audit": AuditLog(TEACHER, LINES, Part(1, 2, 102), "", Head(1234, "5f0c" * 16)),
    "audit-nothing": AuditLog(TEACHER, (), Part(1, 1, 0), f'"{SCRIPT}', Head()),
}
