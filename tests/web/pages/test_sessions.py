"""Sessions of the pages: logging in and out, login links, cookies, forms of other sites, and guessing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path

import httpx2
import pytest

from mograder.config import utc_now
from mograder.domain.access import COURSE_INSTRUCTOR, Role
from mograder.domain.assignments import Plan
from mograder.domain.course import Course
from mograder.domain.errors import Temporary
from mograder.domain.names import INSTRUCTOR, Username
from mograder.web import create_app
from mograder.web.pages import sessions
from mograder.wheel import own_wheel
from tests.parts import ALICE, CODE, SECOND, Clock, Running, token_of
from tests.postgres import CourseServer

HOME = "http://course.example"
OURS = {"Origin": HOME, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Visitor:
    """A browser without scripts: it keeps cookies, and sends forms as a page of the course does."""

    def __init__(self, course: Course, base: str = HOME, check_tokens: bool = True, root: str = "") -> None:
        self.base, self.root = base, root
        self.app = create_app(course, check_tokens=check_tokens)
        self.cookies: dict[str, str] = {}
        self.set: list[str] = []

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, **rest: object) -> httpx2.Response:
        async def go() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app, root_path=self.root)
            async with httpx2.AsyncClient(transport=transport, base_url=self.base, trust_env=False) as client:
                cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
                given = {**BROWSER, **({"Cookie": cookie} if cookie else {}), **(headers or {})}
                return await client.request(method, self.root + path, headers=given, **rest)  # type: ignore[arg-type]

        answer = asyncio.run(go())
        self.set = answer.headers.get_list("set-cookie")
        for line in self.set:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "max-age=0" in line.lower():
                del self.cookies[name]
        return answer

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.send("GET", path, headers)

    def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> httpx2.Response:
        return self.send("POST", path, OURS if headers is None else headers, data=form)

    @property
    def sees(self) -> str:
        """The heading of the first page."""
        found = re.search(r"<h1><bdi>(.*?)</bdi></h1>", self.get("/").text)
        assert found
        return found[1]


@pytest.fixture
def visitor(course: Course) -> Visitor:
    return Visitor(course)


def join(visitor: Visitor, user: str = "alice", code: str = CODE) -> httpx2.Response:
    return visitor.post("/join", user=user, code=code)


def test_a_browser_gets_html_and_any_other_client_json(visitor: Visitor) -> None:
    assert visitor.get("/").headers["content-type"] == "text/html; charset=utf-8"
    assert visitor.get("/", Accept="*/*").json() == {"status": "ok"}
    assert visitor.get("/nothing", Accept="*/*").json()["code"] == "not_found"
    missing = visitor.get("/nothing")
    assert missing.status_code == 404
    assert "<h1><bdi>Not found</bdi></h1>" in missing.text
    assert visitor.get("/assignments").json()["code"] == "unauthenticated"


def test_joining_logs_in_and_shows_a_token_that_works(visitor: Visitor, course: Course) -> None:
    answer = join(visitor)
    assert answer.status_code == 200
    assert token_of(course, "alice") in answer.text
    assert f"mograder https login --url {HOME} --token -" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert visitor.sees == "Your assignments"


def test_who_joins_in_the_browser_of_an_instructor_sees_the_page_of_a_student(visitor: Visitor, course: Course) -> None:
    visitor.post("/login", token=token_of(course, INSTRUCTOR))
    joined = join(visitor)
    assert "<bdi>alice</bdi>" in joined.text
    assert 'href="/people"' not in joined.text
    assert visitor.sees == "Your assignments"


def test_a_taken_name_and_a_wrong_code_are_refused_without_a_login(visitor: Visitor, course: Course) -> None:
    course.accounts.register("alice", CODE)
    taken = join(visitor)
    assert (taken.status_code, visitor.set) == (409, [])
    assert "The name 'alice' is taken" in unescape(taken.text)
    assert join(visitor, "bob", "guess").status_code == 403
    assert visitor.cookies == {}


def test_a_join_form_that_is_sent_again_gets_the_same_answer_until_the_person_logs_out(
    visitor: Visitor, course: Course
) -> None:
    found = re.search(r'name="claim_key" value="([0-9a-f]{64})"', visitor.get("/join").text)
    assert found
    form = {"user": "alice", "code": CODE, "claim_key": found[1]}
    assert token_of(course, "alice") in visitor.post("/join", **form).text
    assert token_of(course, "alice") in visitor.post("/join", **form).text
    visitor.post("/logout")
    again = visitor.post("/join", **form)  # the next person at the same computer
    assert (again.status_code, visitor.cookies) == (409, {})
    assert token_of(course, "alice") not in again.text


@pytest.mark.parametrize("who", ["alice", "__instructor__"])
def test_a_token_logs_in_and_logging_out_ends_it(visitor: Visitor, course: Course, who: str) -> None:
    answer = visitor.post("/login", token=f" {token_of(course, who)}\n")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert visitor.sees == ("Board" if who == INSTRUCTOR else "Your assignments")
    visitor.post("/logout")
    assert visitor.sees == "Join the course"


def test_logging_out_ends_every_copy_of_the_cookie_and_no_other_session(
    visitor: Visitor, course: Course, clock: Clock
) -> None:
    join(visitor)
    first = dict(visitor.cookies)
    clock.now += (sessions.RENEW_SECONDS + 1) * SECOND
    assert visitor.sees == "Your assignments"
    assert visitor.cookies != first  # the same session with a newer cookie
    other = Visitor(course)
    other.post("/login", token=token_of(course, "alice"))
    copies = [first, dict(visitor.cookies)]
    for copy in copies:
        thief = Visitor(course)
        thief.cookies = dict(copy)
        assert thief.sees == "Your assignments"
    visitor.post("/logout")
    for copy in copies:
        thief = Visitor(course)
        thief.cookies = dict(copy)
        assert thief.sees == "Join the course"
        clock.now += sessions.SESSION_SECONDS * SECOND // 2
        other.get("/")
    assert other.sees == "Your assignments"


def test_logging_out_at_one_server_ends_the_session_at_the_other(two_servers: Sequence[Running | CourseServer]) -> None:
    first, second = two_servers
    token = first.bearer("alice")["Authorization"].removeprefix("Bearer ")
    ours = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    answer = first.client.post("/login", data={"token": token}, headers={**ours, "Origin": first.url})
    cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def sees(server: Running | CourseServer) -> str:
        return re.findall("<h1><bdi>(.*?)</bdi>", server.client.get("/", headers={**ours, **cookie}).text)[0]

    assert (sees(first), sees(second)) == ("Your assignments",) * 2
    first.client.post("/logout", headers={**ours, **cookie, "Origin": first.url})
    assert "Your assignments" not in (sees(first), sees(second))


def test_a_user_called_anonymous_is_an_ordinary_user(visitor: Visitor) -> None:
    join(visitor, "anonymous")
    assert visitor.sees == "Your assignments"
    assert visitor.get("/my/hw1").status_code == 200


def test_a_personal_code_logs_in(visitor: Visitor, course: Course) -> None:
    course.accounts.register("alice", CODE)
    _, code = course.roster.reset(COURSE_INSTRUCTOR, ALICE)
    assert join(visitor, code=code).status_code == 200
    assert visitor.sees == "Your assignments"


def test_the_cookie_is_hidden_from_scripts_and_other_sites_and_contains_no_token(course: Course) -> None:
    course.accounts.register("alice", CODE)
    for base, root in ((HOME, ""), ("https://course.example", "/c/physics")):
        visitor = Visitor(course, base, root=root)
        headers = {**OURS, "Origin": base}
        visitor.post("/login", headers, token=token_of(course, "alice"))
        (line,) = visitor.set
        parts = [part.strip().lower() for part in line.split(";")]
        assert {"httponly", "samesite=lax", f"path={root or '/'}", "max-age=43200"} <= set(parts)
        assert ("secure" in parts) is base.startswith("https")
        assert token_of(course, "alice").partition(":")[2] not in line


def test_a_session_ends_after_twelve_hours_without_use(visitor: Visitor, clock: Clock) -> None:
    join(visitor)
    for _ in range(4):
        clock.now += (sessions.SESSION_SECONDS - 60) * SECOND
        assert visitor.sees == "Your assignments"
    clock.now += (sessions.SESSION_SECONDS + 1) * SECOND
    assert visitor.sees == "Join the course"


@pytest.mark.parametrize(
    "end",
    [
        lambda course: course.roster.reset(COURSE_INSTRUCTOR, ALICE),
        lambda course: course.roster.remove(COURSE_INSTRUCTOR, ALICE),
        lambda course: course.keys.rotate(COURSE_INSTRUCTOR, 0),
    ],
    ids=["reset", "remove", "new secret"],
)
def test_the_session_of_a_revoked_person_ends_at_once(
    visitor: Visitor, course: Course, end: Callable[[Course], object]
) -> None:
    join(visitor)
    ticket, _ = sessions.new_ticket(course, ALICE)
    end(course)
    assert visitor.sees == "Join the course"
    assert visitor.post("/once", ticket=ticket).status_code == 401


def test_a_session_is_valid_after_a_secret_rotation_as_long_as_the_old_secret_is(
    visitor: Visitor, course: Course, clock: Clock
) -> None:
    clock.now = utc_now()  # the clock of this machine decides when a secret expires
    join(visitor)
    course.keys.rotate(COURSE_INSTRUCTOR, 3600 * SECOND)
    assert visitor.sees == "Your assignments"


def test_a_new_role_takes_effect_at_the_next_request(visitor: Visitor, course: Course) -> None:
    join(visitor)
    course.roster.set_role(COURSE_INSTRUCTOR, ALICE, Role.INSTRUCTOR)
    assert visitor.sees == "Board"


def test_a_tampered_cookie_is_rejected(visitor: Visitor, course: Course) -> None:
    join(visitor)
    (name, value), *_ = visitor.cookies.items()
    ticket, _ = sessions.new_ticket(course, ALICE)
    for other in ("", "x", value[:-2], value[1:], ticket, value.swapcase()):
        visitor.cookies[name] = other
        assert visitor.sees == "Join the course"


def test_a_token_does_not_open_pages_and_a_cookie_does_not_open_the_protocol(visitor: Visitor, course: Course) -> None:
    bearer = f"Bearer {token_of(course, '__instructor__')}"
    assert "Join the course" in visitor.get("/", Authorization=bearer).text
    visitor.post("/login", token=token_of(course, "__instructor__"))
    assert visitor.get("/assignments").status_code == 401
    assert visitor.send("POST", "/login-link", OURS).status_code == 401


# one-time links


def test_a_login_link_logs_in_once(visitor: Visitor, course: Course) -> None:
    bearer = {"Authorization": f"Bearer {token_of(course, 'alice')}", "Accept": "*/*"}
    made = visitor.send("POST", "/login-link", bearer)
    assert made.headers["cache-control"] == "no-store"
    url = made.json()["url"]
    assert url.startswith(f"{HOME}/once#")
    assert visitor.post("/once", ticket=url).status_code == 303
    assert visitor.sees == "Your assignments"
    other = Visitor(course)
    assert other.post("/once", ticket=url.partition("#")[2]).status_code == 401
    assert other.cookies == {}


def test_a_login_link_is_valid_for_five_minutes(visitor: Visitor, course: Course, clock: Clock) -> None:
    ticket, until = sessions.new_ticket(course, ALICE)
    assert until == clock.now + 300 * SECOND
    clock.now = until + 1
    assert visitor.post("/once", ticket=ticket).status_code == 401


LINKS = [("alice", "mallory"), ("alice", INSTRUCTOR), (INSTRUCTOR, "mallory")]


@pytest.mark.parametrize(("victim", "sender"), LINKS)
@pytest.mark.parametrize("pasted", [False, True])
def test_a_login_link_for_another_person_needs_confirmation_and_names_them(
    visitor: Visitor, course: Course, victim: str, sender: str, pasted: bool
) -> None:
    visitor.post("/login", token=token_of(course, victim))
    before, cookies = visitor.sees, dict(visitor.cookies)
    ticket, _ = sessions.new_ticket(course, Username(sender))
    form = {"ticket": f"{HOME}/once#{ticket}" if pasted else ticket}
    asked = visitor.post("/once", **form)
    shown = "the instructor" if sender == INSTRUCTOR else sender
    assert (asked.status_code, visitor.set, visitor.cookies) == (200, [], cookies)
    assert f"This link logs you in as <strong><bdi>{shown}</bdi></strong>" in asked.text
    assert visitor.sees == before
    assert visitor.post("/once", **form, **{"as": "nobody"}).status_code == 200  # any other answer does not confirm
    assert visitor.cookies == cookies
    assert visitor.post("/once", ticket=ticket, **{"as": sender}).status_code == 303
    assert (">Instructor<" if sender == INSTRUCTOR else f"<bdi>{sender}</bdi>") in visitor.get("/").text
    assert visitor.post("/once", ticket=ticket, **{"as": sender}).status_code == 401  # it was valid once


def test_a_login_link_for_the_same_person_or_after_logging_out_needs_no_confirmation(
    visitor: Visitor, course: Course
) -> None:
    visitor.post("/login", token=token_of(course, "alice"))
    assert visitor.post("/once", ticket=sessions.new_ticket(course, ALICE)[0]).status_code == 303
    visitor.post("/logout")
    assert visitor.post("/once", ticket=sessions.new_ticket(course, Username("bob"))[0]).status_code == 303


# redirects after login

BACK = ["/my/hw1", "/my/hw1?received=1", "/my/hw1/files/hw1.py", "/my-receipts"]


@pytest.mark.parametrize("root", ["", "/c/physics"])
@pytest.mark.parametrize("path", BACK)
def test_logging_in_leads_to_the_requested_page(course: Course, path: str, root: str) -> None:
    visitor = Visitor(course, root=root)
    login = visitor.get(path).headers["location"]
    form = visitor.get(login.removeprefix(root)).text
    found = re.search(r'name="next" value="([^"]*)"', form)
    assert found
    answer = visitor.post("/login", token=token_of(course, "alice"), next=unescape(found[1]))
    assert (answer.status_code, answer.headers["location"]) == (303, root + path)


ELSEWHERE = [
    "https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "my/hw1",
    "/\r\nSet-Cookie: a=b", "\\\\evil", "/x" * 400, "/\tx",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_the_redirect_after_login_never_leads_to_another_site(visitor: Visitor, course: Course, path: str) -> None:
    assert 'name="next"' not in visitor.send("GET", "/login", params={"next": path}).text
    answer = visitor.post("/login", token=token_of(course, "alice"), next=path)
    assert answer.headers["location"] == "/"


def test_a_form_without_a_session_says_that_nothing_was_saved_and_links_back(visitor: Visitor, course: Course) -> None:
    join(visitor)
    visitor.cookies.clear()
    sent = {**OURS, "Referer": f"{HOME}/my/hw1?received=1"}
    answer = visitor.send("POST", "/my/hw1", sent, files={"file": ("work.py", b"x = 1")})
    assert answer.status_code == 401
    assert re.search(r'role="alert">You are not logged in any more: nothing of what you sent was kept', answer.text)
    assert 'href="/login?next=%2Fmy%2Fhw1%3Freceived%3D1"' in answer.text
    assert list(course.submissions.receipts(ALICE)) == []
    elsewhere = visitor.send("POST", "/my/hw1", {**OURS, "Referer": "https://evil.example//evil"}, data={})
    link = re.search(r'href="(/login[?][^"]*)"', elsewhere.text)
    assert link
    assert 'name="next"' not in visitor.get(link[1]).text


def test_behind_a_tls_proxy_the_cookie_is_sent_over_https_only(course: Course, course_folder: Path) -> None:
    (course_folder.parent / "mograder.toml").write_text('[https]\nurl = "https://course.example"\n')
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, "alice"))
    assert "secure" in visitor.set[0].lower()
    (course_folder.parent / "mograder.toml").write_text('[https]\nurl = "http://course.example"\n')
    visitor.post("/login", token=token_of(course, "alice"))
    assert "secure" not in visitor.set[0].lower()


# forms of other sites

FOREIGN = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://other.course.example", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/join", "/login", "/logout", "/once"])
def test_a_form_of_another_site_or_a_sandboxed_page_is_refused(
    visitor: Visitor, course: Course, path: str, headers: dict[str, str]
) -> None:
    join(visitor, "bob")
    ticket, _ = sessions.new_ticket(course, ALICE)
    form = {"user": "alice", "code": CODE, "token": token_of(course, "alice"), "ticket": ticket}
    assert visitor.post(path, {**BROWSER, **headers}, **form).status_code == 403
    assert visitor.set == []
    assert course.store.accounts.get(ALICE) is None
    sessions.Ticket.read(course, ticket).spend(course)


def test_a_form_with_an_origin_header_and_no_fetch_metadata_is_accepted(visitor: Visitor) -> None:
    assert visitor.post("/join", {"Origin": HOME}, user="alice", code=CODE).status_code == 200


# header fields and links of every page


@pytest.mark.parametrize("path", ["/", "/join", "/login", "/once", "/nothing"])
def test_every_page_forbids_inline_scripts_framing_and_other_sites(visitor: Visitor, path: str) -> None:
    headers = visitor.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith("access-control")]


def test_static_files_are_cached_forever_under_an_address_that_changes_with_their_content(visitor: Visitor) -> None:
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', visitor.get("/").text)
    assert len(links) >= 3
    for link in links:
        answer = visitor.get(link, Accept="*/*")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        stale = visitor.get(re.sub("static/.", "static/x", link), Accept="*/*")
        assert stale.headers["cache-control"] == "no-cache"
    assert visitor.get("/static/x/..%2f..%2fpages.py", Accept="*/*").status_code == 404


def test_what_a_shared_cache_may_keep_has_no_cookie(visitor: Visitor, clock: Clock) -> None:
    join(visitor)
    wheel = own_wheel()
    assert wheel is not None
    links = [*re.findall(r'(?:href|src)="(/static/[^"]+)"', visitor.get("/").text), f"/client/{wheel.name}"]
    clock.now += (sessions.RENEW_SECONDS + 1) * SECOND
    for link in links:
        assert visitor.get(link).headers["cache-control"].startswith("public")
        assert visitor.set == []
    visitor.get("/")
    assert visitor.set != []


def test_while_the_store_is_away_the_error_page_has_its_style_and_stays_below_the_public_path(
    course: Course, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (course_folder.parent / "mograder.toml").write_text('[https]\nurl = "https://course.example/algebra"\n')
    visitor = Visitor(course)  # behind a proxy that cuts off /algebra
    join(visitor)
    assert 'href="/algebra/my/hw1"' in visitor.get("/").text

    def away(_: object) -> Plan:
        raise Temporary("the course's database is away: try again", retry_after=5)

    monkeypatch.setattr(type(course.store.config), "plan", away)
    answer = visitor.get("/my/hw1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "database is away: try again" in answer.text
    links = re.findall(r'(?:href|src)="([^"]+)"', answer.text)
    assert links
    assert all(link.startswith(("/algebra/", "#")) for link in links)
    for link in links:
        if "/static/" in link:
            assert visitor.get(link.removeprefix("/algebra")).status_code == 200


# guessing


def test_wrong_guesses_on_pages_and_at_the_endpoint_are_counted_together(visitor: Visitor, course: Course) -> None:
    for _ in range(20):
        assert join(visitor, "mallory", "guess").status_code == 403
    refused = join(visitor, "mallory", "guess")
    assert refused.status_code == 429
    assert "try the course&#39;s code again in 5 seconds" in refused.text
    wanted = {"user": "mallory", "enrollment_code": "guess"}
    assert visitor.send("POST", "/register", {"Accept": "*/*"}, json=wanted).status_code == 429
    right = {"user": "bob", "enrollment_code": CODE}  # a weak code, so the right one has to wait, too
    assert visitor.send("POST", "/register", {"Accept": "*/*"}, json=right).status_code == 429
    for _ in range(20):
        assert visitor.post("/login", token="mallory:" + "0" * 64).status_code == 401
    assert visitor.post("/login", token="mallory:" + "0" * 64).status_code == 429
    assert visitor.post("/once", ticket="guess").status_code == 429
    assert visitor.post("/login", token=token_of(course, "alice")).status_code == 303


def test_a_form_that_is_too_large_or_malformed_gets_an_error_page(visitor: Visitor) -> None:
    large = visitor.post("/join", user="a" * 20_000, code=CODE)
    assert large.status_code == 413
    assert "<h1><bdi>Not possible</bdi></h1>" in large.text
    assert visitor.send("POST", "/join", OURS, content=b"user=%ff&code=%ff").status_code == 400


def test_without_authentication_everybody_sees_the_board(course: Course) -> None:
    assert Visitor(course, check_tokens=False).sees == "Board"


def test_below_a_mount_path_every_link_and_redirect_stays_below_it(course: Course) -> None:
    visitor = Visitor(course, root="/c/physics")
    answer = visitor.post("/login", token=token_of(course, "alice"))
    assert answer.headers["location"] == "/c/physics/"
    assert visitor.sees == "Your assignments"
    assert re.findall(r'(?:href|src|action)="(?!/c/physics/|#)', visitor.get("/").text) == []
