"""`mograder roster` and `mograder secret`, on the folder and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mograder.cli import run
from mograder.cli.token import LEDGER_NAME
from mograder.store.folder.layout import LEDGER
from tests.parts import CODE, Clock, Running, open_course
from tests.tables import samples

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture
def folder(course_folder: Path) -> Path:
    open_course(course_folder, Clock()).store.close()
    return course_folder


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_course_is_put_together_on_its_folder_and_claimed_over_http(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.csv").write_text("email;name\nada@u.de;Ada\nbob@u.de;Bob\n")
    here, there = ["--course", str(server.root)], ["--url", server.url, "--token", server.token("__instructor__")]
    ada, bob = asked(capsys, "roster", "import", "list.csv", *here)
    assert (ada["user"], ada["state"], ada["code"] != bob["code"]) == ("ada@u.de", "unclaimed", True)
    registered = server.client.post("/register", json={"user": "ada@u.de", "enrollment_code": ada["code"]})
    assert registered.status_code == 200
    assert asked(capsys, "roster", "list", *there) == asked(capsys, "roster", "list", *here)
    (tom,) = asked(capsys, "roster", "add", "tom", "--name", "Tom T.", "--role", "instructor", *there)
    token = server.client.post("/register", json={"user": "tom", "enrollment_code": tom["code"]}).json()["token"]
    as_tom = ["--url", server.url, "--token", token]
    assert asked(capsys, "roster", "reset", "ada@u.de", *as_tom)[0]["state"] == "unclaimed"
    assert asked(capsys, "roster", "remove", "bob@u.de", *as_tom)[0]["state"] == "removed"
    for place, name in ((as_tom, "Ada L."), (here, "Ada Lovelace")):
        assert asked(capsys, "roster", "rename", "ada@u.de", name, *place)[0]["name"] == name
    assert run(["roster", "rename", "nobody", "N.", *here]) == 4
    assert asked(capsys, "roster", "role", "tom", "student", *here)[0]["role"] == "student"
    assert run(["roster", "list", *as_tom]) == 3


def test_a_code_is_printed_once_and_never_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["add", "alice"], ["reset", "alice"]):
        assert run(["roster", *words, "--course", str(folder)]) == 0
        out = capsys.readouterr().out
        code = out.split()[-1]
        assert out.count(code) == 1
        assert run(["roster", "list", "--course", str(folder)]) == 0
        assert code not in capsys.readouterr().out


def test_everybody_gets_a_new_code_in_a_table_that_only_the_instructor_can_read(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    old = server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).json()["token"]
    here, there = ["--course", str(server.root)], ["--url", server.url, "--token", server.token("__instructor__")]
    assert run(["roster", "new-codes", *here]) == 2  # nobody is there to be asked
    assert server.client.get("/assignments", headers={"Authorization": f"Bearer {old}"}).status_code == 200
    for place in (here, there):
        assert run(["roster", "new-codes", "--yes", "-o", "codes.csv", *place]) == 0
        heading, row = Path("codes.csv").read_text().splitlines()
        assert heading == "username,name,email,code"
        assert Path("codes.csv").stat().st_mode & 0o077 == 0
        assert server.client.get("/assignments", headers={"Authorization": f"Bearer {old}"}).status_code == 401
        code = row.split(",")[3].upper().replace("-", " ")
        answer = server.client.post("/register", json={"user": "Alice", "enrollment_code": code})
        old = answer.json()["token"]
    capsys.readouterr()
    assert server.client.post("/roster/reset", json={"everybody": False}, headers=server.bearer()).status_code == 400


def test_a_list_with_a_mistake_adds_nobody_and_names_the_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("list.csv").write_text("username\nada\nal ice\n")
    assert run(["roster", "import", "list.csv", "--course", str(folder)]) == 1
    assert "list.csv: nobody was added, because of 1 row: line 3: " in capsys.readouterr().err
    assert asked(capsys, "roster", "list", "--course", str(folder)) == []


def test_what_a_list_changes_is_said_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--course", str(folder)]
    Path("old.csv").write_text("Email address,First name,Last name\nada@u.de,Ada,L\nbob@u.de,Bob,N\ncy@u.de,Cy,Y\n")
    asked(capsys, "roster", "import", "old.csv", *here)
    asked(capsys, "roster", "remove", "bob@u.de", *here)
    capsys.readouterr()
    Path("new.csv").write_text("username,email,name\nada,ada@u.de,Ada L\nbob@u.de,,Bob\ndee,dee@u.de,Dee\n")
    for words in (["--dry-run"], []):
        assert run(["roster", "import", "new.csv", *here, *words]) == 0
        ran = capsys.readouterr()
        assert ran.err.splitlines()[:4] == [
            "ada@u.de is ada in the list: stays ada@u.de",
            "bob@u.de was removed and stays so: 'mograder roster reset bob@u.de' brings the person back",
            "not in the list, and left on the roster (--drop removes): cy@u.de",
            "1 new, 1 on the roster already, 1 not in the list",
        ]
        assert "dee" in ran.out
        added = {each["user"] for each in asked(capsys, "roster", "list", *here)}
        assert added == {"ada@u.de", "bob@u.de", "cy@u.de"} | ({"dee"} if not words else set())


def test_details_are_kept_updated_exported_and_the_dropped_leave(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--course", str(folder)]
    Path("c.csv").write_text(samples.CANVAS)
    asked(capsys, "roster", "import", "c.csv", *here)
    ada = asked(capsys, "roster", "list", *here)[0]
    assert (ada["user"], ada["sections"]) == ("ada", ["Sec 1"])
    assert {"kind": "canvas_id", "value": "987"} in ada["ids"]
    assert run(["roster", "export", *here, "-o", "roster.csv"]) == 0
    capsys.readouterr()
    assert asked(capsys, "roster", "import", "roster.csv", *here) == []  # nothing is to be done
    assert asked(capsys, "roster", "import", "c.csv", *here) == []

    Path("new.csv").write_text("username,email,section\nada,a@u.de,Sec 2\n")
    assert asked(capsys, "roster", "import", "new.csv", *here, "--drop", "--yes")[0]["sections"] == ["Sec 2"]
    listed = {each["user"]: each for each in asked(capsys, "roster", "list", *here)}
    assert (listed["ada"]["email"], listed["ada"]["ids"]) == ("a@u.de", ada["ids"])
    assert {each["state"] for user, each in listed.items() if user != "ada"} == {"removed"}
    assert [each["user"] for each in asked(capsys, "roster", "list", *here, "--section", "Sec 2")] == ["ada"]
    assert run(["roster", "list", *here, "--section", "Sec 9"]) == 1
    assert "nobody is in a section 'Sec 9': there are 'Sec 2'" in capsys.readouterr().err
    assert run(["roster", "export", *here]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["ada,Ada Lovelace,a@u.de,Sec 2,00123,987,,,"]


def test_the_export_of_another_system_is_a_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--course", str(folder)]
    Path("g.csv").write_text(samples.GITHUB_CLASSROOM)
    assert [each["user"] for each in asked(capsys, "roster", "import", "g.csv", *here)] == ["alice@example.org", "boz"]
    Path("c.csv").write_text(samples.CANVAS)
    people = asked(capsys, "roster", "import", "c.csv", *here)
    assert [(each["user"], each["name"]) for each in people] == [
        ("ada", "Ada Lovelace"), ("bob", "Bob Noyce"), ("cleo@example.org", "Cleo Ng"),
    ]  # fmt: skip
    Path("l.csv").write_bytes("username,name\nzoe,Zoë\n".encode("latin-1"))
    assert run(["roster", "import", "l.csv", *here]) == 2
    assert "say --encoding windows-1252" in capsys.readouterr().err
    assert asked(capsys, "roster", "import", "l.csv", *here, "--encoding", "latin-1")[0]["name"] == "Zoë"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["add", "al ice"], 2), (["add", "__instructor__"], 2), (["reset", "nobody"], 4), (["remove", "nobody"], 4),
        (["role", "nobody", "student"], 4), (["role", "nobody", "god"], 2), (["import", "no-such-file"], 2),
    ],
)  # fmt: skip
def test_what_cannot_be_done_has_its_exit_code(folder: Path, words: list[str], code: int) -> None:
    assert run(["roster", *words, "--course", str(folder)]) == code


def test_a_folder_without_a_course_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in (["roster", "list", "--course", "empty"], ["secret", "rotate", "empty"]):
        assert run(words) == 2
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_course_s_folder_does_as_well_as_the_served_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "roster", "list", "--course", str(folder.parent)) == []
    assert not (folder.parent / ".mograder-secret").exists()


def test_a_running_server_takes_a_new_secret_and_the_old_one_as_long_as_said(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    def status(name: str, token: str) -> int:
        return server.client.get("/assignments", headers={"Authorization": f"Bearer {token}"}).status_code

    old = server.token("alice")
    assert run(["secret", "rotate", str(server.root), "--grace", "7d"]) == 0
    instructor = capsys.readouterr().out.split("instructor: ")[1].strip()
    new = server.token("alice")
    assert old != new
    assert [status("alice", each) for each in (old, new, instructor)] == [200, 200, 200]
    assert run(["secret", "rotate", str(server.root), "--grace", "0"]) == 0
    assert [status("alice", each) for each in (old, new, server.token("alice"))] == [401, 401, 200]


@pytest.mark.parametrize("grace", ["7", "-1d", "", "d", "1w", "9999999d"])
def test_a_grace_that_is_no_time_changes_nothing(folder: Path, grace: str) -> None:
    before = (folder / ".mograder-secret").read_text()
    assert run(["secret", "rotate", str(folder), "--grace", grace]) == 2
    assert (folder / ".mograder-secret").read_text() == before


def test_a_token_that_is_handed_out_beside_the_ledger_reserves_the_name(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LEDGER_NAME == LEDGER
    monkeypatch.chdir(folder)
    assert run(["token", "alice"]) == 0
    plain = capsys.readouterr().out
    (alice,) = asked(capsys, "roster", "list", "--course", ".")
    assert (alice["user"], alice["state"]) == ("alice", "claimed")
    asked(capsys, "roster", "reset", "alice", "--course", ".")
    assert run(["token", "alice"]) == 0
    after = capsys.readouterr().out
    assert (after.split("instructor")[1], after != plain) == (plain.split("instructor")[1], True)
    assert run(["roster", "remove", "alice", "--course", "."]) == 0
    assert run(["token", "--secret-file", str(folder / ".mograder-secret"), "alice"]) == 5


def test_a_name_for_which_a_token_was_handed_out_cannot_be_registered(server: Running) -> None:
    assert run(["token", "alice", "--secret-file", str(server.root / ".mograder-secret")]) == 0
    reply = server.client.post("/register", json={"user": "alice", "enrollment_code": CODE})
    assert reply.status_code == 409
