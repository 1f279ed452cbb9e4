"""Before an assignment opens, every command says when it does, unless the assignment is hidden until then."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Mograder, work
from tests.parts import Running

COMMANDS = (
    ("fetch",), ("submit", "homework.py"), ("submit", "homework.py", "--dry-run"), ("feedback",), ("receipts",),
    ("ask-extension", "--until", "2090-02-03", "--reason", "ill"),
)  # fmt: skip


def test_every_command_says_when_an_assignment_opens_unless_the_assignment_is_hidden(
    alice: Mograder, server: Running
) -> None:
    for name in ("exam", "secret"):
        Path(server.root, name, "files").mkdir(parents=True)
    opens = "opens = 2090-02-01T09:00:00+00:00"
    (server.root.parent / "mograder.toml").write_text(
        f"[[assignments]]\nname = 'exam'\n{opens}\n[[assignments]]\nname = 'secret'\n{opens}\nhidden = true\n"
    )
    work()
    for command, *more in COMMANDS:
        assert alice(command, "exam", *more, code=5).err.endswith("error: 'exam' opens at Wed 2090-02-01 09:00 UTC\n")
        hidden = alice(command, "secret", *more, code=2).err
        unknown = alice(command, "nothing", *more, code=2).err
        assert hidden.replace("secret", "nothing") == unknown
        assert "there is no assignment 'secret': there is hw1" in hidden
    assert "exam" not in alice("fetch", "--list").out
