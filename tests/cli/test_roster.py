"""`mograder roster` and `mograder secret`, in the folder and over HTTP."""

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

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def folder(course_folder: Path) -> Path:
    open_course(course_folder, Clock()).store.close()
    return course_folder


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_roster_made_in_the_folder_is_claimed_over_http(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    Path("list.csv").write_text("email;name\nada@u.de;Ada\nbob@u.de;Bob\n")
    here, there = ["--course", str(server.root)], ["--url", server.url, "--token", server.token("__instructor__")]
    ada, bob = run_json(capsys, "roster", "import", "list.csv", *here)
    assert (ada["user"], ada["state"], ada["code"] != bob["code"]) == ("ada@u.de", "unclaimed", True)
    registered = server.client.post("/register", json={"user": "ada@u.de", "enrollment_code": ada["code"]})
    assert registered.status_code == 200
    assert run_json(capsys, "roster", "list", *there) == run_json(capsys, "roster", "list", *here)
    (tom,) = run_json(capsys, "roster", "add", "tom", "--name", "Tom T.", "--role", "instructor", *there)
    token = server.client.post("/register", json={"user": "tom", "enrollment_code": tom["code"]}).json()["token"]
    as_tom = ["--url", server.url, "--token", token]
    assert run_json(capsys, "roster", "reset", "ada@u.de", *as_tom)[0]["state"] == "unclaimed"
    assert run_json(capsys, "roster", "remove", "bob@u.de", *as_tom)[0]["state"] == "removed"
    for place, name in ((as_tom, "Ada L."), (here, "Ada Lovelace")):
        assert run_json(capsys, "roster", "rename", "ada@u.de", name, *place)[0]["name"] == name
    assert run(["roster", "rename", "nobody", "N.", *here]) == 4
    assert run_json(capsys, "roster", "role", "tom", "student", *here)[0]["role"] == "student"
    assert run(["roster", "list", *as_tom]) == 3


def test_a_code_is_printed_only_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["add", "alice"], ["reset", "alice"]):
        assert run(["roster", *words, "--course", str(folder)]) == 0
        out = capsys.readouterr().out
        code = out.split()[-1]
        assert out.count(code) == 1
        assert run(["roster", "list", "--course", str(folder)]) == 0
        assert code not in capsys.readouterr().out


def test_an_empty_list_is_said_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--course", str(folder)]
    assert run(["roster", "list", *here]) == 0
    assert capsys.readouterr() == ("", "nobody is on the roster, and nobody has joined\n")
    assert run_json(capsys, "roster", "list", *here) == []


def test_everybody_gets_a_new_code_in_a_file_that_only_its_owner_can_read(
    server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    old = server.client.post("/register", json={"user": "alice", "enrollment_code": CODE}).json()["token"]
    here, there = ["--course", str(server.root)], ["--url", server.url, "--token", server.token("__instructor__")]
    assert run(["roster", "new-codes", *here]) == 2  # nobody can be asked for confirmation
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


def test_a_list_with_a_mistake_adds_nobody_and_the_line_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.csv").write_text("username\nada\nal ice\n")
    assert run(["roster", "import", "list.csv", "--course", str(folder)]) == 1
    assert "list.csv: nobody was added, because of 1 row: line 3: " in capsys.readouterr().err
    assert run_json(capsys, "roster", "list", "--course", str(folder)) == []


def test_the_changes_of_an_import_are_shown_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--course", str(folder)]
    Path("old.csv").write_text("Email address,First name,Last name\nada@u.de,Ada,L\nbob@u.de,Bob,N\ncy@u.de,Cy,Y\n")
    run_json(capsys, "roster", "import", "old.csv", *here)
    run_json(capsys, "roster", "remove", "bob@u.de", *here)
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
        added = {each["user"] for each in run_json(capsys, "roster", "list", *here)}
        assert added == {"ada@u.de", "bob@u.de", "cy@u.de"} | ({"dee"} if not words else set())


def test_an_import_updates_details_and_can_drop_people_and_the_export_is_the_same_list(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ["--course", str(folder)]
    Path("c.csv").write_text(samples.CANVAS)
    run_json(capsys, "roster", "import", "c.csv", *here)
    ada = run_json(capsys, "roster", "list", *here)[0]
    assert (ada["user"], ada["sections"]) == ("ada", ["Sec 1"])
    assert {"kind": "canvas_id", "value": "987"} in ada["ids"]
    assert run(["roster", "export", *here, "-o", "roster.csv"]) == 0
    capsys.readouterr()
    assert run_json(capsys, "roster", "import", "roster.csv", *here) == []  # nothing to change
    assert run_json(capsys, "roster", "import", "c.csv", *here) == []

    Path("new.csv").write_text("username,email,section\nada,a@u.de,Sec 2\n")
    assert run_json(capsys, "roster", "import", "new.csv", *here, "--drop", "--yes")[0]["sections"] == ["Sec 2"]
    listed = {each["user"]: each for each in run_json(capsys, "roster", "list", *here)}
    assert (listed["ada"]["email"], listed["ada"]["ids"]) == ("a@u.de", ada["ids"])
    assert {each["state"] for user, each in listed.items() if user != "ada"} == {"removed"}
    assert [each["user"] for each in run_json(capsys, "roster", "list", *here, "--section", "Sec 2")] == ["ada"]
    assert run(["roster", "list", *here, "--section", "Sec 9"]) == 1
    assert "nobody is in a section 'Sec 9': there are 'Sec 2'" in capsys.readouterr().err
    assert run(["roster", "export", *here]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["ada,Ada Lovelace,a@u.de,Sec 2,00123,987,,,"]


def test_the_export_of_another_system_is_accepted_as_a_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--course", str(folder)]
    Path("g.csv").write_text(samples.GITHUB_CLASSROOM)
    assert [each["user"] for each in run_json(capsys, "roster", "import", "g.csv", *here)] == [
        "alice@example.org",
        "boz",
    ]
    Path("c.csv").write_text(samples.CANVAS)
    people = run_json(capsys, "roster", "import", "c.csv", *here)
    assert [(each["user"], each["name"]) for each in people] == [
        ("ada", "Ada Lovelace"), ("bob", "Bob Noyce"), ("cleo@example.org", "Cleo Ng"),
    ]  # fmt: skip
    Path("l.csv").write_bytes("username,name\nzoe,Zoë\n".encode("latin-1"))
    assert run(["roster", "import", "l.csv", *here]) == 2
    assert "say --encoding windows-1252" in capsys.readouterr().err
    assert run_json(capsys, "roster", "import", "l.csv", *here, "--encoding", "latin-1")[0]["name"] == "Zoë"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["add", "al ice"], 2), (["add", "__instructor__"], 2), (["reset", "nobody"], 4), (["remove", "nobody"], 4),
        (["role", "nobody", "student"], 4), (["role", "nobody", "god"], 2), (["import", "no-such-file"], 2),
    ],
)  # fmt: skip
def test_every_refusal_has_its_exit_code(folder: Path, words: list[str], code: int) -> None:
    assert run(["roster", *words, "--course", str(folder)]) == code


def test_a_folder_without_a_course_is_refused_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in (["roster", "list", "--course", "empty"], ["secret", "rotate", "empty"]):
        assert run(words) == 2
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_folder_of_the_course_is_accepted_like_the_served_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_json(capsys, "roster", "list", "--course", str(folder.parent)) == []
    assert not (folder.parent / ".mograder-secret").exists()


def test_a_running_server_accepts_a_new_secret_and_the_old_one_for_the_grace_period(
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
def test_an_invalid_grace_period_changes_nothing(folder: Path, grace: str) -> None:
    before = (folder / ".mograder-secret").read_text()
    assert run(["secret", "rotate", str(folder), "--grace", grace]) == 2
    assert (folder / ".mograder-secret").read_text() == before


def test_a_token_issued_for_a_course_reserves_the_name(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LEDGER_NAME == LEDGER
    monkeypatch.chdir(folder)
    assert run(["token", "alice"]) == 0
    plain = capsys.readouterr().out
    (alice,) = run_json(capsys, "roster", "list", "--course", ".")
    assert (alice["user"], alice["state"]) == ("alice", "claimed")
    run_json(capsys, "roster", "reset", "alice", "--course", ".")
    assert run(["token", "alice"]) == 0
    after = capsys.readouterr().out
    assert (after.split("instructor")[1], after != plain) == (plain.split("instructor")[1], True)
    assert run(["roster", "remove", "alice", "--course", "."]) == 0
    assert run(["token", "--secret-file", str(folder / ".mograder-secret"), "alice"]) == 5


def test_a_name_for_which_a_token_was_issued_cannot_be_registered(server: Running) -> None:
    assert run(["token", "alice", "--secret-file", str(server.root / ".mograder-secret")]) == 0
    reply = server.client.post("/register", json={"user": "alice", "enrollment_code": CODE})
    assert reply.status_code == 409
