"""The way in: joining, logging in and out, one-time links, and the first page of whoever comes.

Views are thin: they call the course and fill a page. VIEWS is the table of all pages.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response
from starlette.routing import Route, Router

from mograder import wire
from mograder.domain.access import ANONYMOUS, Allow
from mograder.domain.errors import MograderError, NotFound, Unauthenticated
from mograder.domain.tokens import Token, random_secret
from mograder.web import endpoints
from mograder.web.api import Api
from mograder.web.pages import assignment, board, people, sessions, student
from mograder.web.pages.page import Join, Joined, Login, Once, assets
from mograder.web.pages.page_request import Answer, Shown, View, Visit, html
from mograder.web.throttle import name_key

KEPT_FOR_EVER = "public, max-age=31536000, immutable"


def home(visit: Visit) -> Answer:
    """The first page: a student's assignments, the instructor's board, or the way in."""
    if visit.actor == ANONYMOUS:
        return join_form(visit) if visit.course.registration_open else login_form(visit)
    if visit.actor.is_instructor:
        return board.board(visit)
    return student.home(visit)


def join_form(visit: Visit) -> Join:
    course = visit.course
    return Join(visit.frame, course.registration_open, course.signing_keys()[0]["kid"], random_secret())


def join(visit: Visit) -> Answer:
    user, code, key = (visit.form.get(name, "") for name in ("user", "code", "claim_key"))
    try:
        wanted = wire.Register(user, code, key)
        username, token = endpoints.join(visit.course, visit.api.wrong_codes, visit.sender, wanted)
    except MograderError as error:
        form = replace(join_form(visit), claim_key=key, user=user, code=code, problem=error.message)
        return html(form, error.status)
    page = Joined(replace(visit.frame, user=username), token, visit.address)
    return visit.logged_in(html(page), username)


def login_form(visit: Visit) -> Answer:
    return Login(visit.frame, visit.course.registration_open)


def log_in(visit: Visit) -> Answer:
    text = visit.form.get("token", "")
    whose = (visit.sender, name_key(text.partition(":")[0]))
    try:
        actor = visit.api.bad_tokens.guard(Unauthenticated, whose, lambda: visit.course.authenticate(Token.parse(text)))
    except MograderError as error:
        return html(Login(visit.frame, visit.course.registration_open, error.message), error.status)
    return visit.logged_in(visit.to("/"), actor.username)


def log_out(visit: Visit) -> Answer:
    visit.course.end_claim(visit.actor)
    visit.api.live.end(visit.actor.username)
    return visit.logged_out(visit.to("/login"))


def once_form(visit: Visit) -> Answer:
    return Once(visit.frame)


def once(visit: Visit) -> Answer:
    ticket = visit.form.get("ticket", "").rpartition("#")[2]  # the whole link, when somebody pastes it
    try:
        actor = visit.api.bad_tokens.guard(
            Unauthenticated, (visit.sender,), lambda: sessions.spend_ticket(visit.course, ticket)
        )
    except MograderError as error:
        return html(Once(visit.frame, error.message), error.status)
    return visit.logged_in(visit.to("/"), actor.username)


def nothing(visit: Visit) -> Answer:
    raise NotFound("there is no page at this address")


def static(visit: Visit) -> Answer:
    """A static file. Its address changes with it, so that it may be kept for ever."""
    asset = assets().get(visit.values["name"])
    if asset is None:
        raise NotFound("there is no such file")
    kept = KEPT_FOR_EVER if asset.tag == visit.values["tag"] else "no-cache"
    return Response(asset.content, media_type=asset.kind, headers={"Cache-Control": kept})


VIEWS = (
    View("GET", "/", Allow.ANYONE, home),
    View("GET", "/join", Allow.ANYONE, join_form),
    View("POST", "/join", Allow.ANYONE, join),
    View("GET", "/login", Allow.ANYONE, login_form),
    View("POST", "/login", Allow.ANYONE, log_in),
    View("POST", "/logout", Allow.ANYONE, log_out),
    View("GET", "/once", Allow.ANYONE, once_form),
    View("POST", "/once", Allow.ANYONE, once),
    View("GET", "/static/{tag}/{name}", Allow.ANYONE, static),
    *student.VIEWS,
    *board.VIEWS,
    *assignment.VIEWS,
    *people.VIEWS,
)


def make_router(api: Api) -> Router:
    """All pages; one that says so at every other address."""
    routes = [Route(view.path, Shown(view, api), methods=[view.method]) for view in VIEWS]
    return Router(routes, redirect_slashes=False, default=Shown(View("GET", "", Allow.ANYONE, nothing), api))
