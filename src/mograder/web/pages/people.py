"""An instructor's pages about people: roster, invitation, more time, the audit log."""

from __future__ import annotations

import io
from urllib.parse import urlencode, urlsplit

import segno
from markupsafe import Markup
from msgspec.structs import replace
from starlette.responses import Response

from mograder.domain.access import Account, Allow, Role
from mograder.domain.assignments import Assignment, title_of
from mograder.domain.audit import AuditLine, all_events, without_repeats
from mograder.domain.board import Cell
from mograder.domain.codes import CAN_BE_GUESSED, HARDER
from mograder.domain.errors import BadRequest, MograderError, NotFound
from mograder.domain.extensions import Extension, State
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username
from mograder.domain.receipts import Head
from mograder.domain.roster import Person
from mograder.tables.export import to_csv
from mograder.web.pages.board import Part, part_of
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html
from mograder.web.replies import attachment
from mograder.wire.join_link import JoinLink


class People(Page, frozen=True):
    """The roster. `codes` are those of people who were just added or reset; they are shown only now."""

    template = "people.html"
    heading = "People"
    accounts: tuple[Account, ...]
    part: Part
    text: str
    codes: tuple[tuple[Username, str], ...] = ()
    problem: str = ""
    kept: str = ""
    sections: tuple[str, ...] = ()
    section: str = ""
    roles = tuple(Role)

    def at_page(self, page: int) -> str:
        asked = {"q": self.text, **({"section": self.section} if self.section else {}), "page": page}
        return f"{self.frame.at('/people')}?{urlencode(asked)}"

    @property
    def table(self) -> str:
        """The new codes, one line for each person."""
        return "\n".join(f"{user} {code}" for user, code in self.codes)


class Remove(Page, frozen=True):
    """Asks for confirmation before a person is removed."""

    template = "remove.html"
    heading = "Remove somebody"
    user: Username
    name: str


class Reset(Page, frozen=True):
    """Asks for confirmation before a person's token is revoked. A reset also brings a removed person back."""

    template = "reset.html"
    heading = "Reset somebody's token"
    user: Username
    name: str
    removed: bool


class ResetEverybody(Page, frozen=True):
    """Asks for confirmation before everybody's tokens are revoked."""

    template = "reset_everybody.html"
    heading = "New codes for everybody"


class LoginCode(Page, frozen=True):
    """A code that logs a device of `user` in once, until `until` (Unix microseconds)."""

    template = "login_code.html"
    heading = "Login code"
    user: Username
    code: str
    until: int


class Overview(Page, frozen=True):
    """One person across all assignments; `cells` are in their order. `account` is None for somebody without one."""

    template = "overview.html"
    heading = "Person"
    user: Username
    name: str
    account: Account | None
    assignments: tuple[Assignment, ...]
    cells: tuple[Cell, ...]
    extensions: tuple[Extension, ...]
    problem: str = ""

    def extension(self, assignment: Assignment) -> Extension | None:
        return next((each for each in self.extensions if each.assignment == assignment.name), None)


class Invite(Page, frozen=True):
    """The join link and its QR code, to show to a class. `link` is "" when nobody can join by a code."""

    template = "invite.html"
    heading = "Join the course"
    link: str
    address: str
    code: str
    picture: Markup
    weak: str = ""
    """A warning if the code can be guessed, else ""."""
    personal_codes: bool = False
    """Whether people on the roster still have to join with a personal code."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        return urlsplit(self.address).hostname in ("localhost", "127.0.0.1", "::1")


class MoreTime(Page, frozen=True):
    """All extensions; requests that wait for a decision come first."""

    template = "more_time.html"
    heading = "More time"
    waiting: tuple[Extension, ...]
    others: tuple[Extension, ...]
    assignments: tuple[Assignment, ...] = ()

    def title_of(self, name: AssignmentName) -> str:
        return title_of(self.assignments, name)


class AuditLog(Page, frozen=True):
    """The audit log, newest first. `head` is the last receipt of the chain."""

    template = "audit.html"
    heading = "Audit log"
    lines: tuple[AuditLine, ...]
    part: Part
    text: str
    head: Head

    def named(self, name: str) -> str:
        return "Instructor" if name == INSTRUCTOR else name

    def at_page(self, page: int) -> str:
        return f"{self.frame.at('/audit')}?{urlencode({'q': self.text, 'page': page})}"


PEOPLE_A_PAGE = 100
EVENTS_A_PAGE = 100


def people_page(
    request: PageRequest, codes: tuple[tuple[Username, str], ...] = (), problem: str = "", kept: str = ""
) -> People:
    text = request.query.get("q", "")[:200]
    key = text.strip().casefold()
    everybody = request.course.roster.all()
    sections = tuple(sorted({section for each in everybody for section in each.sections}))
    section = request.query.get("section", "")
    section = section if section in sections else ""
    found = [
        each for each in everybody
        if key in f"{each.username}\n{each.name}\n{each.email}".casefold() and (not section or section in each.sections)
    ]  # fmt: skip
    accounts, part = part_of(found, request.query, PEOPLE_A_PAGE)
    return People(request.frame, tuple(accounts), part, text, codes, problem, kept, sections, section)


def with_codes(request: PageRequest, added: list[tuple[Account, str]]) -> Answer:
    """The roster, with the codes of those who have just been added; they are shown only now."""
    codes = tuple((account.username, code) for account, code in added if code)
    return people_page(request, codes, kept="" if codes else "the roster is stored: nobody is new in it")


def add(request: PageRequest) -> Answer:
    """Put a person on the roster."""
    try:
        person = Person.parse(request.form.get("user", ""), request.form.get("name", ""), _role(request))
        return with_codes(request, request.course.roster.add(request.actor, [person]))
    except MograderError as error:
        return html(people_page(request, problem=error.message), error.status)


def _role(request: PageRequest) -> Role:
    try:
        return Role(request.form.get("role", Role.STUDENT))
    except ValueError:
        raise BadRequest(f"choose a role: {', '.join(Role)}") from None


def login_code(request: PageRequest) -> Answer:
    """Give a person a code that logs a device in; the token stays valid."""
    user = request.user()
    code, until = request.course.login_codes.give(request.actor, user)
    return LoginCode(request.frame, user, code, until)


def confirm_reset(request: PageRequest) -> Answer:
    account = _account(request)
    return Reset(request.frame, account.username, account.name, account.removed)


def reset(request: PageRequest) -> Answer:
    """Revoke a person's token, and show the new personal code."""
    return with_codes(request, [request.course.roster.reset(request.actor, request.user())])


def confirm_reset_everybody(request: PageRequest) -> Answer:
    return ResetEverybody(request.frame)


def reset_everybody(request: PageRequest) -> Answer:
    """New personal codes for everybody, as a CSV table for a mail merge."""
    if request.form.get("sure") != "yes":
        raise BadRequest("tick the box to end all tokens and logins")
    renewed = request.course.roster.reset_everybody(request.actor)
    rows = ((each.username, each.name, each.email, code) for each, code in renewed)
    table = to_csv([("username", "name", "email", "code"), *rows])
    return Response(table, media_type="text/csv; charset=utf-8", headers=attachment("codes.csv"))


def set_role(request: PageRequest) -> Answer:
    request.course.roster.set_role(request.actor, request.user(), _role(request))
    return request.to("/people")


def rename(request: PageRequest) -> Answer:
    """Change a person's name; the user name stays."""
    user = request.user()
    try:
        request.course.roster.rename(request.actor, user, request.form.get("name", ""))
    except BadRequest as error:
        return html(replace(overview(request), problem=error.message), error.status)
    return request.to("/people", user)


def _account(request: PageRequest) -> Account:
    """The account that the path names. Raises NotFound."""
    user = request.user()
    account = next((each for each in request.course.roster.all() if each.username == user), None)
    if account is None:
        raise NotFound(f"nobody called {user!r} is on the roster")
    return account


def confirm_remove(request: PageRequest) -> Answer:
    account = _account(request)
    return Remove(request.frame, account.username, account.name)


def remove(request: PageRequest) -> Answer:
    request.course.roster.remove(request.actor, request.user())
    return request.to("/people")


def overview(request: PageRequest) -> Overview:
    """One person across all assignments. Raises NotFound if nobody in the course has this name."""
    user, course, board = request.user(), request.course, request.api.board()
    account = next((each for each in course.roster.all() if each.username == user), None)
    row = board.row_of(user)
    if row is None and account is None:
        raise NotFound(f"nobody called {user!r} is in the course")
    name = account.name if account else ""
    cells = row.cells if row else (Cell(),) * len(board.assignments)
    extensions = tuple(each for each in course.extensions.all() if each.username == user)
    return Overview(request.frame, user, name, account, board.assignments, cells, extensions)


def invite(request: PageRequest) -> Answer:
    """The join link with the course's code, as text and as a QR code."""
    course = request.course
    code, personal_codes = course.enrollment_code, course.accounts.ways_to_join[1]
    link = JoinLink(request.address, code, request.api.fingerprint).text if course.accounts.registration_open else ""
    weak = f"{CAN_BE_GUESSED}. {HARDER}" if course.accounts.code_can_be_guessed else ""
    return Invite(request.frame, link, request.address, code, picture(link), weak, personal_codes)


def picture(link: str) -> Markup:
    """A QR code as SVG, "" for no link. It is always dark on white, because telephones do not read it otherwise."""
    if not link:
        return Markup()
    target = io.BytesIO()
    segno.make(link, micro=False).save(
        target, kind="svg", xmldecl=False, svgns=False, omitsize=True, light="#fff", border=4, title="QR code to join"
    )
    return Markup(target.getvalue().decode())  # noqa: S704 (segno draws squares; the link itself is not in it)


def more_time(request: PageRequest) -> Answer:
    """All requests for more time and all grants."""
    found = request.course.extensions.all()
    waiting = tuple(each for each in found if each.state is State.ASKED)
    others = tuple(each for each in found if each.state is not State.ASKED)
    return MoreTime(request.frame, waiting, others, request.course.release.assignments(request.actor))


def audit(request: PageRequest) -> Answer:
    """The audit log."""
    text = request.query.get("q", "")[:200]
    key = text.strip().casefold()
    found = without_repeats(
        each
        for each in all_events(request.course.audit)
        if key in f"{each.actor}\n{each.action}\n{each.subject}\n{each.detail}".casefold()
    )
    lines, part = part_of(found, request.query, EVENTS_A_PAGE)
    return AuditLog(request.frame, tuple(lines), part, text, request.course.submissions.head())


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/people", Allow.INSTRUCTOR, people_page),
    PageRoute("POST", "/people", Allow.INSTRUCTOR, add),
    PageRoute("GET", "/people/{user}", Allow.INSTRUCTOR, overview),
    PageRoute("POST", "/people/{user}/login-code", Allow.INSTRUCTOR, login_code),
    PageRoute("GET", "/people/{user}/reset", Allow.INSTRUCTOR, confirm_reset),
    PageRoute("POST", "/people/{user}/reset", Allow.INSTRUCTOR, reset),
    PageRoute("POST", "/people/{user}/role", Allow.INSTRUCTOR, set_role),
    PageRoute("POST", "/people/{user}/name", Allow.INSTRUCTOR, rename),
    PageRoute("GET", "/people/{user}/remove", Allow.INSTRUCTOR, confirm_remove),
    PageRoute("POST", "/people/{user}/remove", Allow.INSTRUCTOR, remove),
    PageRoute("GET", "/new-codes", Allow.INSTRUCTOR, confirm_reset_everybody),
    PageRoute("POST", "/new-codes", Allow.INSTRUCTOR, reset_everybody),
    PageRoute("GET", "/invite", Allow.INSTRUCTOR, invite),
    PageRoute("GET", "/more-time", Allow.INSTRUCTOR, more_time),
    PageRoute("GET", "/audit", Allow.INSTRUCTOR, audit),
)
