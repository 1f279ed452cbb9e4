"""Joining, logging in and out, one-time links, the first page, and VIEWS, the table of all pages.

Views are thin: they call the course and fill a page value.
"""

from __future__ import annotations

from msgspec.structs import replace
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router

from mograder.domain.access import ANONYMOUS, Actor, Allow
from mograder.domain.course import Course
from mograder.domain.errors import MograderError, NotFound, Unauthenticated
from mograder.domain.tokens import Token, pasted, random_secret
from mograder.web import endpoints
from mograder.web.api import Api
from mograder.web.pages import (
    assignment,
    board,
    devices,
    gradebook,
    install,
    marking,
    marking_person,
    marking_release,
    people,
    publish,
    regrade,
    rendered,
    roster,
    sessions,
    student,
    viewing,
)
from mograder.web.pages.devices import browser_name
from mograder.web.pages.page import ConfirmSwitch, Frame, Join, Joined, Login, Once, assets
from mograder.web.pages.page_request import Answer, PageEndpoint, PageRequest, PageRoute, html
from mograder.web.throttle import name_key
from mograder.wire import messages

TOKEN_DIGITS = 64
LONGEST_WAY_BACK = 500  # characters
CACHED_FOR_EVER = "public, max-age=31536000, immutable"


def home(request: PageRequest) -> Answer:
    """The first page: a student's assignments, the instructor's board, or the form to join or log in."""
    if request.actor == ANONYMOUS:
        return join_form(request) if request.course.accounts.registration_open else login_form(request)
    if request.actor.is_instructor:
        return board.board(request)
    if request.actor.is_staff:
        return marking.index(request)
    return student.home(request)


def join_form(request: PageRequest) -> Join:
    course = request.course
    ways = course.accounts.ways_to_join
    return Join(
        replace(request.frame, path="/join"),
        course.accounts.registration_open,
        course.keys.public()[0]["kid"],
        random_secret(),
        *ways,
    )


def join(request: PageRequest) -> Answer:
    user, code, key = (request.form.get(name, "") for name in ("user", "code", "claim_key"))
    try:
        wanted = messages.Register(user, code, key)
        username, token = endpoints.join(request.course, request.api.wrong_codes, request.sender, wanted)
    except MograderError as error:
        form = replace(join_form(request), claim_key=key, user=user, code=code, problem=error.message)
        return html(form, error.status)
    held = request.frame  # of whoever was logged in before, perhaps an instructor
    frame = Frame(held.course, held.now, held.root, username, checked=held.checked, path=held.path)
    page = Joined(frame, token, request.address, request.api.fingerprint)
    return request.logged_in(html(page), username)


def login_form(request: PageRequest) -> Answer:
    return Login(
        replace(request.frame, path="/login"),
        request.course.accounts.registration_open,
        way_back(request, request.query.get("next", "")),
    )


def way_back(request: PageRequest, path: str) -> str:
    """`path` if it is a page of this course, else ""."""
    inside = path.startswith(f"{request.root}/") and not path.startswith("//") and path.isprintable()
    return path if inside and "\\" not in path and len(path) <= LONGEST_WAY_BACK else ""


def log_in(request: PageRequest) -> Answer:
    text, back = pasted(request.form.get("token", "")), way_back(request, request.form.get("next", ""))
    user = request.form.get("user", "") or text.partition(":")[0]
    whose = (request.sender, name_key(user))
    try:
        actor = request.api.bad_tokens.guard(Unauthenticated, whose, lambda: _prove(request.course, user, text))
    except MograderError as error:
        form = Login(request.frame, request.course.accounts.registration_open, back, error.message, user)
        return html(form, error.status)
    remembered = request.form.get("remember") == "yes" and not actor.is_staff
    session = sessions.new_session(request.course, actor.username, remembered)
    if remembered:
        request.course.devices.remember(actor.username, session.id, browser_name(request.headers.get("user-agent", "")))
    if request.session:
        request.session.end(request.course)
    return request.logged_in(RedirectResponse(back, 303) if back else request.to("/"), actor.username, session)


def _prove(course: Course, user: str, text: str) -> Actor:
    """The actor who logs in with a token or a login code. Raises Unauthenticated."""
    if ":" in text or not user:
        return course.accounts.authenticate(Token.parse(text))
    if len(text.strip()) == TOKEN_DIGITS:  # a token without the name before it
        account = course.accounts.find(user)
        return course.accounts.authenticate(
            Token.parse(f"{account.username if account else user.strip()}:{text.strip()}")
        )
    return course.login_codes.redeem(user, text)


def log_out(request: PageRequest) -> Answer:
    request.course.accounts.end_claim(request.actor)
    if request.session:
        request.session.end(request.course)
    for each in (request.api.live, request.api.live_marking, request.api.results, request.api.regrades):
        each.end(request.actor.username)
    return request.logged_out(request.to("/login"))


def once_form(request: PageRequest) -> Answer:
    return Once(request.frame)


def once(request: PageRequest) -> Answer:
    """Log in by a link. Asks first when another user is logged in: a classmate may have sent the link."""
    text = request.form.get("ticket", "").rpartition("#")[2]  # the whole link, when somebody pastes it
    course = request.course
    try:
        ticket = request.api.bad_tokens.guard(
            Unauthenticated, (request.sender,), lambda: sessions.Ticket.read(course, text)
        )
        user = ticket.actor.username
        if request.session and request.session.username != user and request.form.get("as") != user:
            return ConfirmSwitch(request.frame, user, text)
        request.api.bad_tokens.guard(Unauthenticated, (request.sender,), lambda: ticket.spend(course))
    except MograderError as error:
        return html(Once(request.frame, error.message), error.status)
    return request.logged_in(request.to("/"), user)


def nothing(request: PageRequest) -> Answer:
    raise NotFound("there is no page at this address")


def static(request: PageRequest) -> Answer:
    """A static file. Its address changes with its content, so that browsers may cache it for ever."""
    asset = assets().get(request.values["name"])
    if asset is None:
        return Response("there is no such file", 404, media_type="text/plain")
    kept = CACHED_FOR_EVER if asset.tag == request.values["tag"] else "no-cache"
    return Response(asset.content, media_type=asset.kind, headers={"Cache-Control": kept})


VIEWS = (
    PageRoute("GET", "/", Allow.ANYONE, home),
    PageRoute("GET", "/join", Allow.ANYONE, join_form),
    PageRoute("POST", "/join", Allow.ANYONE, join),
    PageRoute("GET", "/login", Allow.ANYONE, login_form),
    PageRoute("POST", "/login", Allow.ANYONE, log_in),
    PageRoute("POST", "/logout", Allow.ANYONE, log_out),
    PageRoute("GET", "/once", Allow.ANYONE, once_form),
    PageRoute("POST", "/once", Allow.ANYONE, once),
    PageRoute("GET", "/static/{tag}/{name}", Allow.ANYONE, static, is_same_for_all=True),
    *install.VIEWS,
    *student.VIEWS,
    *board.VIEWS,
    *assignment.VIEWS,
    *publish.VIEWS,
    *regrade.VIEWS,
    *viewing.VIEWS,
    *gradebook.VIEWS,
    *roster.VIEWS,
    *people.VIEWS,
    *marking.VIEWS,
    *marking_person.VIEWS,
    *marking_release.VIEWS,
    *rendered.VIEWS,
    *devices.VIEWS,
)


def make_router(api: Api) -> Router:
    """All pages, and an error page for every other address."""
    routes = [Route(view.path, PageEndpoint(view, api), methods=[view.method]) for view in VIEWS]
    return Router(
        routes, redirect_slashes=False, default=PageEndpoint(PageRoute("GET", "", Allow.ANYONE, nothing), api)
    )
