"""`mograder audit` reads the whole audit log, page by page over HTTP, and directly from the folder."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.domain.audit import Event
from mograder.domain.names import INSTRUCTOR
from tests.parts import NOON, SECOND, open_store, running


def test_the_whole_audit_log_is_read_over_http_and_in_the_folder(
    course_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(course_folder)
    with ThreadPoolExecutor(50) as threads:
        events = [Event(NOON + at * SECOND, f"s{at}", "reset", "\x1b[31mx", "") for at in range(1101)]
        list(threads.map(store.audit.record, events))
    store.close()

    def listed(*words: str) -> list[dict[str, object]]:
        assert run(["audit", "--json", *words]) == 0
        found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
        return found

    with running(course_folder) as server:
        away = ("--url", server.url, "--token", server.token(INSTRUCTOR))
        everything = listed("--all", *away)
        assert len({str(each["actor"]) for each in everything}) == 1101
        assert everything == listed("--all", "--course", str(course_folder))
        assert listed("--last", "1001", *away) == everything[:1001]
        assert run(["audit", "--last", "1", *away]) == 0
        assert "\x1b" not in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system takes the zone from elsewhere than TZ")
def test_all_times_are_shown_in_the_time_zone_of_the_reader(
    course_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(course_folder)
    said = "hw1 until 2026-03-12T17:00:00.000000Z, not 2026-13-12T17:00:00Z"
    store.audit.record(Event(NOON, "ann", "grant extension", "bob", said))
    store.close()
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert run(["audit", "--course", str(course_folder)]) == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    shown = capsys.readouterr().out
    assert "Tue 2026-03-10 17:45:00 UTC+0545" in shown
    assert "until Thu 2026-03-12 22:45 UTC+0545, not 2026-13-12T17:00:00Z" in shown
