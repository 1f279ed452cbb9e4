"""`mograder grader`: marking a folder without a server, by a login link that works only on this machine."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from mograder.cli.grader import served_folder
from mograder.domain.errors import Usage
from tests import prefork
from tests.courses import make_sound_course
from tests.parts import PATIENCE, environment, free_port


def test_grader_serves_marking_for_a_course_folder_without_any_setup(tmp_path: Path) -> None:
    course, port = make_sound_course(tmp_path), free_port()
    process = prefork.start(["grader", str(course), "--headless", "-p", str(port)], environment())
    try:
        assert process.stdout is not None
        link = process.stdout.readline().strip()
        assert link.startswith(f"http://localhost:{port}/once#")
        assert any("Ctrl-C" in line for line in process.stdout)
        base, _, ticket = link.partition("/once#")
        headers = {"Accept": "text/html", "Origin": base, "Sec-Fetch-Site": "same-origin"}
        with httpx2.Client(base_url=base, headers=headers, timeout=PATIENCE) as client:
            assert client.post("/once", data={"ticket": ticket}).status_code == 303
            page = client.get("/marking/hw1/next", follow_redirects=True)
            assert (page.status_code, page.url.path) == (200, "/marking/hw1/people/alice")
            assert client.post("/once", data={"ticket": ticket}).status_code == 401
    finally:
        process.terminate()
        process.communicate()


def test_the_folder_to_serve_is_found_and_a_folder_without_a_course_is_refused(tmp_path: Path) -> None:
    course = make_sound_course(tmp_path)
    assert served_folder(course) == course / "release"
    flat = tmp_path / "flat"
    (flat / "release" / "hw1").mkdir(parents=True)
    assert served_folder(flat) == flat
    (tmp_path / "empty").mkdir()
    with pytest.raises(Usage, match="no course"):
        served_folder(tmp_path / "empty")
