"""Failures are counted, successes are not: a client that guesses has to wait, a class behind one address does not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.course import Course
from mograder.domain.roster import Person
from mograder.web.api import Api
from mograder.web.app import App
from mograder.web.throttle import Failures, address_key
from tests.parts import ALICE, CODE, SECOND, Clock, Running, token_of
from tests.postgres import CourseServer

LIMIT = 20
HARD = "wq7k-m3xt-9hpd"


class RemoteClients:
    """Clients with any address that send requests to the application of a course."""

    def __init__(self, course: Course, clock: Clock) -> None:
        self.course, self.clock = course, clock
        self.app = App(Api(course))

    def __call__(self, method: str, path: str, address: str, **extra: object) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app, client=(address, 1))
            async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **extra)  # type: ignore[arg-type]

        return asyncio.run(send())

    def register(self, user: str, code: str, address: str = "10.0.0.1") -> httpx2.Response:
        return self("POST", "/register", address, content=json.dumps({"user": user, "enrollment_code": code}))

    def authenticate(self, token: str, address: str = "10.0.0.1") -> httpx2.Response:
        return self("GET", "/assignments", address, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def clients(course: Course, clock: Clock) -> RemoteClients:
    return RemoteClients(course, clock)


def test_three_hundred_students_behind_one_address_are_not_slowed_down(clients: RemoteClients) -> None:
    for number in range(300):
        reply = clients.register(f"s{number}", CODE)
        assert clients.authenticate(reply.json()["token"]).status_code == 200


def test_a_class_behind_one_address_registers_and_submits_while_one_of_them_guesses_tokens(server: Running) -> None:
    """On a real server: every third student mistypes the code first, and invalid tokens are sent all the time."""
    over = threading.Event()

    def guess() -> set[int]:
        seen = set()
        while not over.is_set():
            bad = {"Authorization": f"Bearer s1:{'0' * 64}"}
            seen.add(server.client.get("/assignments", headers=bad).status_code)
        return seen

    def take_part(number: int) -> list[int]:
        def register(code: str) -> httpx2.Response:
            return server.client.post("/register", json={"user": f"s{number}", "enrollment_code": code})

        mistyped = [register("swordfihs").status_code] if number % 3 == 0 else []
        registered = register(CODE)
        headers = {"Authorization": f"Bearer {registered.json()['token']}"}
        path = f"/assignments/hw1/submit?user=s{number}"
        sent = server.client.post(path, content=b"work of %d" % number, headers=headers)
        return [*mistyped, registered.status_code, sent.status_code]

    with ThreadPoolExecutor(9) as threads:
        guessing = threads.submit(guess)
        try:
            answers = list(threads.map(take_part, range(300)))
        finally:
            over.set()
    assert answers == [[403, 200, 200], [200, 200], [200, 200]] * 100
    assert guessing.result() == {401, 429}
    assert len(server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()) == 300


def test_wrong_codes_are_counted_across_all_servers_of_the_course(
    two_servers: Sequence[Running | CourseServer],
) -> None:
    def register(number: int, user: str, code: str) -> int:
        form = {"user": user, "enrollment_code": code}
        return two_servers[number % 2].client.post("/register", json=form).status_code

    tokens = {f"s{number}": two_servers[0].bearer(f"s{number}") for number in range(30)}
    assert [register(number, f"s{number}", CODE) for number in range(30)] == [200] * 30
    assert [register(number, f"t{number}", "wrong") for number in range(LIMIT)] == [403] * LIMIT
    assert [register(number, f"u{number}", "wrong") for number in range(2)] == [429] * 2
    assert [register(number, f"u{number}", CODE) for number in range(2)] == [429] * 2  # a weak code
    bad = {"Authorization": f"Bearer s1:{'0' * 64}"}
    seen = [two_servers[number % 2].client.get("/assignments", headers=bad).status_code for number in range(LIMIT + 2)]
    assert seen == [401] * LIMIT + [429] * 2
    for number, (user, token) in enumerate(tokens.items()):
        path = f"/assignments/hw1/submit?user={user}"
        sent = two_servers[number % 2].client.post(path, content=b"work of " + user.encode(), headers=token)
        assert sent.status_code == 200


def test_typing_errors_of_a_class_do_not_add_up_except_those_for_one_name(clients: RemoteClients) -> None:
    ((_, code),) = clients.course.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])
    for number in range(3 * LIMIT):
        assert clients.register(f"s{number}", "wrong").status_code == 403
        assert clients.register(f"s{number}", CODE).status_code == 200
    for number in range(LIMIT):
        assert clients.register("alice", "wrong").status_code == 403
        assert clients.register(f"t{number}", CODE).status_code == 200
    for other in ("wrong", CODE):
        assert clients.register("alice", other).status_code == 429
    assert clients.register("alice", code).status_code == 200


def test_guessing_codes_from_one_address_is_answered_429_and_the_right_code_is_accepted(
    course: Course, clock: Clock
) -> None:
    clients = RemoteClients(replace(course, enrollment_code=HARD), clock)
    for number in range(LIMIT):
        assert clients.register(f"s{number}", "wrong").json()["code"] == "wrong_code"
        clients.clock.now += SECOND
    refused = clients.register("alice", "wrong")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_failures")
    assert refused.headers["retry-after"] == str(60 - LIMIT)
    assert "a right one is accepted at once" in refused.text
    # From the address of the guesser, and for the name that was tried:
    assert clients.register("alice", HARD).status_code == 200
    assert clients.register("bob", HARD, "10.0.0.2").status_code == 200
    assert clients.register("carol", "wrong").status_code == 403  # the count is reset by the right code


@pytest.mark.parametrize(
    "network",
    [["10.0.0.1"], [f"2001:db8:1:{number:x}::1" for number in range(500)]],
    ids=["one address", "all networks of a customer"],
)
def test_a_weak_code_is_checked_less_and_less_often_for_a_network_that_guesses(
    clients: RemoteClients, network: list[str]
) -> None:
    seen: dict[int, int] = {}
    for second in range(3600):
        if second % 4 == 0:
            guess = clients.register(f"s{second}", f"guess {second}", network[second % len(network)])
            seen[guess.status_code] = seen.get(guess.status_code, 0) + 1
        clients.clock.now += SECOND
    assert seen[403] < 40
    assert seen == {403: seen[403], 429: 900 - seen[403]}
    assert clients.register("bob", CODE, "10.9.9.9").status_code == 200
    refused = clients.register("alice", CODE, network[0])
    wrong = clients.register("alice", "wrong", network[0])
    assert (refused.status_code, refused.text) == (429, wrong.text)  # the answer does not tell which of them was right
    clients.clock.now += 300 * SECOND
    assert clients.register("alice", CODE, network[0]).status_code == 200
    assert clients.register("carol", "wrong", network[0]).status_code == 403
    assert clients.register("carol", CODE, network[0]).status_code == 200


def test_of_simultaneous_guesses_at_several_servers_only_one_is_checked(course: Course, clock: Clock) -> None:
    servers = [Failures(course, "code"), Failures(course, "code")]
    for _ in range(LIMIT):
        servers[0].count("n")
    assert [each.pause("n") for each in servers] == [5, 5]
    clock.now += 5 * SECOND
    assert sorted(each.pause("n") for each in servers * 3) == [0, 5, 5, 5, 5, 5]
    servers[1].count("n")
    assert [each.pause("n") for each in servers] == [10, 10]
    assert servers[0].pause("another") == 0
    clock.now -= 3 * SECOND  # a clock that is set back
    assert servers[0].pause("n") == 10


def test_repeating_a_registration_after_a_lost_answer_allows_no_guessing(clients: RemoteClients) -> None:
    ((_, code),) = clients.course.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])
    key = "k" * 32
    first = {"user": "alice", "enrollment_code": code, "claim_key": key}
    assert clients("POST", "/register", "10.0.0.1", content=json.dumps(first)).status_code == 200
    for number in range(LIMIT + 1):
        assert clients.register(f"s{number}", "wrong").status_code == (403 if number < LIMIT else 429)
        again = clients("POST", "/register", "10.0.0.1", content=json.dumps({**first, "enrollment_code": "x"}))
        assert again.status_code == 200


@pytest.mark.parametrize(
    "outside",
    [
        [f"10.0.1.{number}" for number in range(3 * LIMIT)],
        ["10.0.1.1"] * 3 * LIMIT,
        [f"2001:db8::{number:x}" for number in range(3 * LIMIT)],
    ],
    ids=["many addresses", "one address", "one IPv6 network"],
)
@pytest.mark.parametrize("name", ["alice", " ALICE ", "Alice"])
@pytest.mark.parametrize("personal", [True, False])
def test_guesses_from_elsewhere_do_not_prevent_a_registration(
    clients: RemoteClients, outside: list[str], name: str, personal: bool
) -> None:
    code = clients.course.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])[0][1] if personal else CODE
    seen = {clients.register(name, "wrong", address).status_code for address in outside}
    assert seen <= {403, 429}
    assert clients.register("alice", code, "10.0.2.1").status_code == 200


def test_a_personal_code_is_accepted_from_a_network_in_which_somebody_guesses(clients: RemoteClients) -> None:
    ((_, code),) = clients.course.roster.add(COURSE_INSTRUCTOR, [Person(ALICE)])
    for number in range(LIMIT + 1):
        clients.register(f"s{number}", "wrong")
    refused = clients.register("bob", code)  # the code belongs to alice
    assert (refused.status_code, "from your network" in refused.text) == (429, True)
    assert clients.register("bob", CODE).status_code == 429
    assert clients.register("alice", code).status_code == 200


def test_too_many_invalid_tokens_are_answered_429_and_valid_ones_are_still_accepted(clients: RemoteClients) -> None:
    for number in range(LIMIT):
        assert clients.authenticate(f"s{number}:{'0' * 64}").status_code == 401
    for bad in (f"carl:{'0' * 64}", "nonsense"):
        reply = clients.authenticate(bad)
        assert (reply.status_code, int(reply.headers["retry-after"])) == (429, 60)
    assert clients.authenticate(token_of(clients.course, ALICE)).status_code == 200
    assert clients.register("bob", CODE).status_code == 200
    assert clients("GET", "/assignments", "10.0.0.1").status_code == 401  # a missing token is no guess
    clients.clock.now += 61 * SECOND
    assert clients.authenticate("nonsense").status_code == 401


def test_invalid_tokens_for_one_name_are_counted_across_all_addresses(clients: RemoteClients) -> None:
    for number in range(LIMIT):
        assert clients.authenticate(f"alice:{'0' * 64}", f"10.0.1.{number}").status_code == 401
    assert clients.authenticate(f"alice:{'0' * 64}", "10.0.2.1").status_code == 429
    assert clients.authenticate(token_of(clients.course, ALICE), "10.0.2.1").status_code == 200


def test_an_ipv6_network_counts_as_one_address_and_a_mapped_ipv4_address_as_ipv4() -> None:
    keys = [address_key({"client": (host, 1)}) for host in ("2001:db8::1", "2001:db8::f:2", "2001:db8:0:1::1")]
    assert keys[0] == keys[1] != keys[2]
    assert address_key({"client": ("::ffff:192.0.2.1", 1)}) == address_key({"client": ("192.0.2.1", 2)})
    assert address_key({}) == address_key({"client": None}) == ""


def test_refusals_for_other_reasons_are_not_counted(clients: RemoteClients) -> None:
    clients.register("alice", CODE)
    for _ in range(LIMIT + 1):
        assert clients.register("alice", CODE).status_code == 409
        assert clients.register("a.py", CODE).status_code == 400
