"""Assignment names are completed in the shell, from a server that the user trusts, and never with an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from mograder.cli import mograder as program
from tests.cli.conftest import Mograder
from tests.hostile import HostileServer, as_json
from tests.parts import Running


def completed(*words: str) -> list[str]:
    *before, begun = words
    found = ShellComplete(program, {}, "mograder", "_MOGRADER_COMPLETE").get_completions(before, begun)
    return [each.value for each in found]


def test_assignment_names_are_completed(alice: Mograder, server: Running) -> None:
    (server.root / "hw20/files").mkdir(parents=True)
    for command in ("submit", "fetch", "feedback", "ask-extension", "receipts"):
        assert completed("https", command, "") == ["hw1", "hw20"]
        assert completed("https", command, "hw2") == ["hw20"]
    server.kill()
    assert completed("https", "submit", "") == []


def test_completion_in_the_folder_of_another_person_contacts_no_server(
    mograder: Mograder, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", "__instructor__:" + "5" * 64)
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
    Path("mograder.toml").write_text(f'[https]\nurl = "{hostile_server.url}"\n')
    assert completed("https", "submit", "") == []
    assert hostile_server.requests == []
    Path("mograder.toml").write_text("[https")
    assert completed("https", "submit", "") == []


def test_commands_on_a_folder_complete_its_assignments_or_else_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("source/hw1", "submitted/hw2", "source/.git"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for command in ("autograde", "feedback", "generate", "validate", "regrade"):
        assert completed(command, "h") == ["hw1", "hw2"]
        found = ShellComplete(program, {}, "mograder", "_MOGRADER_COMPLETE").get_completions([command], "x")
        assert [(each.type, each.value) for each in found] == [("file", "x")]
