"""A server imports few modules at its start, for the time of a start and the memory of each worker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.parts import running

UNUSED = (
    "openpyxl", "pygments", "jinja2", "markupsafe", "starlette", "python_multipart", "sse_starlette", "joserfc", "rich",
    "httpx2", "stamina", "psycopg", "libcst", "marimo", "email", "mograder.client.connection", "mograder.coursework",
    "mograder.grading", "mograder.notebook", "mograder.rehearsal", "mograder.store.copy", "mograder.store.postgres",
    "mograder.tables", "mograder.web.multipart", "mograder.web.pages",
)  # fmt: skip
"""Modules of pages, forms, workbooks, other stores, clients and grading."""

SERVICES = (
    "board", "erasure", "gradebook", "grading_results", "login_codes", "mark_release", "marking", "marking_desk",
    "publishing", "regrading", "roster", "rule_editor", "standings",
)  # fmt: skip
"""Modules of the domain that a server imports only when a request needs them."""

NOTED = """
import atexit, gc, pathlib, sys
atexit.register(lambda: pathlib.Path({path!r}).write_text("\\n".join([f"collecting={{gc.isenabled()}}", *sys.modules])))
from mograder.cli import main
main()
"""
"""Runs `mograder` and writes to a file at its end whether it collects garbage and which modules it has imported."""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends a process of Windows at once")
def test_a_server_does_not_import_unused_services_and_collects_garbage(course_folder: Path, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    with running(course_folder, program=("-c", NOTED.format(path=str(loaded)), "serve")) as server:
        assert server.client.get("/.well-known/jwks.json").status_code == 200
        assert server.stop() == 0
    modules = loaded.read_text().split()
    assert "collecting=True" in modules
    assert "mograder.domain.course" in modules
    assert [name for name in SERVICES if f"mograder.domain.{name}" in modules] == []


@pytest.mark.skipif(sys.platform == "win32", reason="a signal ends a process of Windows at once")
def test_a_server_does_not_import_pages_clients_and_grading_before_they_are_used(
    course_folder: Path, tmp_path: Path
) -> None:
    loaded = tmp_path / "loaded"
    with running(course_folder, program=("-c", NOTED.format(path=str(loaded)), "serve")) as server:
        server.submit("alice", b"x = 1\n").raise_for_status()
        for path in ("/assignments", "/assignments/hw1/submissions", "/assignments/hw1/files/hw1.py"):
            server.client.get(path, headers=server.bearer()).raise_for_status()
        assert server.stop() == 0
    modules = loaded.read_text().split()
    assert "mograder.web.api" in modules
    assert [each for each in modules if each.startswith(tuple(f"{name}." for name in UNUSED)) or each in UNUSED] == []
