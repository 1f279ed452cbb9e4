"""Times in the answers of the endpoints: listings, replies and status, for each person their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mograder.domain.course import Course
from mograder.signing import Ed25519Signer
from tests.parts import CODE, NOON, SECOND, Clock, sha256
from tests.web.in_process import Web, problem

DUE = NOON // SECOND
DAY = 86400
PLAN = """
timezone = "Europe/Berlin"
counts = "on-time"
[penalties]
enabled = true
[[assignments]]
name = "hw1"
due = 2026-03-10T13:00:00
closes = 2026-03-13T13:00:00
"""


@pytest.fixture
def web(course: Course, course_folder: Path) -> Web:
    (course_folder.parent / "mograder.toml").write_text(PLAN)
    for name in ("alice", "bob"):
        course.accounts.register(name, CODE)
    return Web(course)


def extend(web: Web, until: str, user: str = "alice") -> None:
    change = {"user": user, "assignment": "hw1", "decision": "grant", "until": until}
    assert web("POST", "/extensions", json={"changes": [change]}).status_code == 200


def test_the_listing_has_the_times_of_each_person_and_what_a_submission_would_be_now(web: Web, clock: Clock) -> None:
    extend(web, "+4d")
    clock.now = NOON + 5 * 60 * SECOND
    keys = ("duedate", "closes", "grace", "late", "days_late", "penalty")

    def listed(who: str) -> list[object]:
        (entry,) = web("GET", "/assignments", who).json()
        return [entry[key] for key in keys]

    assert listed("bob") == listed("__instructor__") == [DUE, DUE + 3 * DAY, 300, False, 0, 0]
    clock.now += SECOND
    assert listed("bob") == [DUE, DUE + 3 * DAY, 300, True, 1, 5]
    assert listed("alice") == [DUE + 4 * DAY, DUE + 4 * DAY, 300, False, 0, 0]


def test_a_late_submission_is_answered_with_its_penalty_and_with_what_counts(web: Web, clock: Clock) -> None:
    first = web.submit(content=b"one").json()
    clock.now = NOON + DAY * SECOND + SECOND
    late = web.submit(content=b"two").json()
    assert [late[key] for key in ("late", "days_late", "penalty", "duedate", "rule", "counts")] == [
        True, 2, 10, DUE, "on-time", first["version"]
    ]  # fmt: skip
    assert late["explanation"] == "2 days late: due Tue 10 Mar 13:00, received Wed 11 Mar 13:00 CET, 2 x 5 %"
    claims = Ed25519Signer(web.course.signer.public_keys()[0]).verify(late["receipt"])
    assert (claims["late"], claims["due"]) == (True, "2026-03-10T12:00:00.000000Z")
    status = web("GET", "/assignments/hw1/status?user=alice", "alice").json()
    assert [status[key] for key in ("attempts", "counts", "late", "rule", "duedate", "closes")] == [
        2, first["version"], False, "on-time", DUE, DUE + 3 * DAY
    ]  # fmt: skip


def test_a_submission_by_an_instructor_after_closing_is_on_time_and_marked_as_such(web: Web, clock: Clock) -> None:
    clock.now = NOON + 9 * DAY * SECOND
    message = problem(web.submit(), 403, "closed")
    assert message == "'hw1' closed at Fri 2026-03-13 13:00 CET; this arrived at Thu 2026-03-19 13:00 CET"
    reply = web("POST", "/assignments/hw1/submit?user=alice", content=b"by mail").json()
    assert (reply["by"], reply["late"], reply["penalty"]) == ("__instructor__", False, 0)
    (listed,) = web("GET", "/assignments/hw1/submissions").json()
    assert (listed["by"], listed["late"], listed["counts"]) == ("__instructor__", False, reply["version"])


def test_a_commitment_dates_the_submission_and_the_reply_has_both_times(web: Web, clock: Clock) -> None:
    announced = {"sha256": sha256(b"work"), "size": 4}
    reply = web("POST", "/assignments/hw1/commit?user=alice", "alice", json=announced).json()
    assert reply == {
        "user": "alice", "assignment": "hw1", **announced, "committed": DUE, "until": DUE + 3600, "late": False,
        "status": "ok",
    }  # fmt: skip
    problem(web("POST", "/assignments/hw1/commit?user=alice", "bob", json=announced), 403, "forbidden")
    clock.now = NOON + 3599 * SECOND
    kept = web.submit(content=b"work").json()
    assert (kept["received"], kept["arrived"], kept["late"]) == (DUE, DUE + 3599, False)
    claims = Ed25519Signer(web.course.signer.public_keys()[0]).verify(kept["receipt"])
    assert (claims["received"], claims["arrived"]) == ("2026-03-10T12:00:00.000000Z", "2026-03-10T12:59:59.000000Z")
    for bad in ({"sha256": "x", "size": 4}, {"sha256": announced["sha256"], "size": 0}, {}):
        problem(web("POST", "/assignments/hw1/commit?user=alice", "alice", json=bad), 400, "bad_request")


def test_an_extension_is_requested_decided_and_shown(web: Web) -> None:
    wanted = {"until": "+2d", "reason": "ill"}
    asked = web("POST", "/assignments/hw1/extension?user=alice", "alice", json=wanted).json()
    assert asked == {
        "user": "alice", "assignment": "hw1", "state": "asked", "note": "", "reason": "ill", "wanted": DUE + 2 * DAY
    }  # fmt: skip
    assert web("GET", "/extensions").json() == [asked]
    granted = {**asked, "state": "granted", "note": "ok", "until": asked["wanted"]}
    del granted["wanted"]
    change = {"user": "alice", "assignment": "hw1", "decision": "grant", "note": "ok"}
    assert web("POST", "/extensions", json={"changes": [change]}).json() == [granted]
    assert web("GET", "/assignments/hw1/status?user=alice", "alice").json()["extension"] == granted
    for broken in ({"decision": "perhaps"}, {"user": "../x"}, {"assignment": "hw9"}, {"until": "soon"}):
        reply = web("POST", "/extensions", json={"changes": [change, {**change, **broken}]})
        assert reply.status_code in (400, 404)
    assert web("GET", "/extensions").json() == [granted]


def test_a_manifest_gives_times_and_rules_and_mograder_toml_overrides_single_keys(
    web: Web, course_folder: Path, clock: Clock
) -> None:
    entry = {
        "name": "hw1", "title": "One", "due": "2026-03-09", "closes": DUE + 9 * DAY, "max_size": 5, "accepts": ["py"],
        "points": 3, "files": [], "mine": 1,
    }  # fmt: skip
    other = {"name": "hw2", "duedate": DUE + DAY, "opens": "2026-03-10T13:00:01", "files": []}
    (course_folder / "assignments.json").write_text(json.dumps([entry, other]))
    (listed,) = web("GET", "/assignments", "alice").json()
    assert listed == {
        **entry, "duedate": DUE, "closes": DUE + 3 * DAY, "grace": 300, "late": False, "days_late": 0, "penalty": 0
    }  # fmt: skip
    problem(web.submit(content=b"123456"), 413, "too_large")
    clock.now += SECOND
    assert [each["name"] for each in web("GET", "/assignments", "alice").json()] == ["hw1", "hw2"]
    (course_folder.parent / "mograder.toml").write_text('timezone = "America/New_York"\n')
    assert [each.get("duedate") for each in web("GET", "/assignments").json()] == [1_773_115_199, DUE + DAY]


@pytest.mark.parametrize(
    "keys", [{"due": "soon"}, {"due": [1]}, {"due": "2026-03-12", "closes": "2026-03-11"}, {"points": "many"}]
)
def test_a_manifest_with_unreadable_times_is_reported_with_its_entry(
    web: Web, course_folder: Path, keys: dict[str, object]
) -> None:
    (course_folder / "assignments.json").write_text(json.dumps([{"name": "hw1", "duedate": "whenever", **keys}]))
    assert "entry%201" in web("GET", "/assignments").headers["mograder-trouble"]
