"""A file or folder from somebody else never decides where a secret is sent, which key is trusted, what is opened, or
where a command writes: attacks of each kind in several forms, and every command in a hostile folder.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.cli import PLACES, run
from mograder.cli.https import PLACES as HTTPS
from mograder.client.client import Client
from mograder.client.collecting import collect
from mograder.client.logins import Login, Logins
from mograder.client.settings import read_settings
from mograder.client.trust import TrustedServers, harmless_name, login_page
from mograder.domain.errors import Usage, VerificationFailed
from mograder.signing import Ed25519Signer, new_private_key
from tests.cli.conftest import Mograder, work
from tests.graded_course import RIGHT, SOURCE
from tests.hostile import Answer, HostileServer, as_json, hostile
from tests.parts import CODE, Running, names_in, sha256

SECRET = "__instructor__:" + "5" * 64


def toml(server: HostileServer, more: str = "") -> None:
    Path("mograder.toml").write_text(f'[https]\nurl = "{server.url}"\n{more}')


def leaked(server: HostileServer, secret: str) -> bool:
    return any(secret in f"{asked.path}{dict(asked.headers)}{asked.body!r}" for asked in server.requests)


# where commands write


def leads_out_by_settings(name: str, folder: Path) -> None:
    Path("mograder.toml").write_text(f"[dirs]\n{name} = {json.dumps(str(folder))}\n")


def leads_up_by_settings(name: str, folder: Path) -> None:
    Path("mograder.toml").write_text(f'[dirs]\n{name} = "../{folder.name}"\n')


def leads_out_by_a_link(name: str, folder: Path) -> None:
    Path(name).symlink_to(folder)


def leads_out_by_a_link_below(name: str, folder: Path) -> None:
    Path(name).mkdir()
    Path(name, "hw1").symlink_to(folder)


def leads_in_a_circle(name: str, folder: Path) -> None:
    Path(name).symlink_to(name)


LEADING = (
    leads_out_by_settings, leads_up_by_settings, leads_out_by_a_link, leads_out_by_a_link_below, leads_in_a_circle
)  # fmt: skip


WRITING = {
    "generate hw1 --no-validate": "release", "autograde hw1 --no-sandbox": "autograded",
    "autograde hw1  --no-sandbox": "marks", "feedback hw1": "feedback",
}  # fmt: skip
"""Commands that write files, and the folder into which they write."""


@pytest.mark.skipif(os.name == "nt", reason="few may make links on Windows")
@pytest.mark.parametrize(
    ("words", "name", "lead"),
    [
        (words, name, lead)
        for words, name in WRITING.items()
        for lead in LEADING
        if (name, lead) != ("marks", leads_out_by_a_link_below)  # marks/ has no subfolders
    ],
)
def test_a_course_from_somebody_else_cannot_choose_where_results_are_written(
    words: str, name: str, lead: Callable[[str, Path], None], own_home: None, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    out.mkdir()
    for path, content in {
        "source/hw1/hw1.py": SOURCE,
        "source/hw1/authorized_keys": "x",
        "submitted/hw1/al.py": RIGHT,
    }.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content)
    lead(name, out)
    assert run(words.split()) != 0
    assert "leads outside this folder" in capsys.readouterr().err
    assert names_in(out) == []


@pytest.mark.skipif(os.name == "nt", reason="few may make links on Windows")
def test_a_link_below_a_folder_of_released_files_is_not_followed_either(own_home: None, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for path in ("source/hw1/hw1.py", "source/hw1/keys/authorized_keys"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(SOURCE if path.endswith(".py") else "x")
    Path("release/hw1").mkdir(parents=True)
    Path("release/hw1/keys").symlink_to(tmp_path / "out")
    assert run(["generate", "hw1", "--no-validate"]) == 2
    assert names_in(tmp_path / "out") == []
    assert names_in(Path("release/hw1")) == ["keys"]  # nothing of it was written
    assert run(["generate", "hw1", "--no-validate", "-o", str(tmp_path / "out")]) == 0


# where secrets are sent


COMMANDS = [
    ("fetch", "--list"), ("fetch", "hw1"), ("submit", "hw1", "homework.py"), ("feedback", "hw1"), ("receipts",),
    ("retry",), ("ask-extension", "hw1", "--until", "+1d", "--reason", "ill"), ("fetch-submissions", "hw1"),
    ("upload-grades", "hw1", "--grades-csv", "grades.csv"), ("upload-feedback", "hw1", "--feedback-dir", "."),
    ("export-grades", "hw1", "--format", "moodle", "-o", "out.csv"), ("export-feedback", "hw1", "-o", "out.zip"),
    ("login",), ("login", "--user", "mallory"), ("verify", "receipt.json"), ("whoami",),
]  # fmt: skip
OTHERS = [
    ("student", "--headless"), ("student", ".", "--headless"), ("roster", "list"), ("extend", "--list"),
    ("extend", "alice", "hw1", "+1d"), ("schedule", "hw1"), ("schedule", "hw1", "--title", "x"), ("audit",),
]  # fmt: skip


@pytest.fixture
def folder(mograder: Mograder, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> HostileServer:
    """A folder from somebody else whose server tries to be trusted."""
    keys = Ed25519Signer(new_private_key())
    hostile_server.answer("GET /.well-known/jwks.json", as_json({"keys": keys.public_keys()}))
    hostile_server.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
    toml(hostile_server)
    work()
    Path("grades.csv").write_text("username,grade\nalice,3\n")
    Path("alice.html").write_text("<p>well done")
    receipt = {"server": hostile_server.url, "receipt": keys.sign(
        {"user": "alice", "assignment": "hw1", "number": 1, "sha256": sha256(b"x = 1\n")}
    )}  # fmt: skip
    Path("receipt.json").write_text(json.dumps(receipt))
    return hostile_server


@pytest.mark.parametrize("words", [*(("https", *words) for words in COMMANDS), *OTHERS], ids=" ".join)
def test_a_token_or_code_from_the_environment_is_not_sent_to_a_url_that_only_the_folder_names(
    words: tuple[str, ...], folder: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", SECRET)
    monkeypatch.setenv("MOGRADER_ENROLLMENT_CODE", "the-code-of-the-course")
    assert run(list(words)) != 0
    assert not leaked(folder, SECRET)
    assert not leaked(folder, "the-code-of-the-course")


def test_the_tests_of_a_hostile_folder_cover_every_command_that_contacts_a_server() -> None:
    assert {words[0] for words in COMMANDS} >= set(HTTPS) - {"logout", "logins"}
    own = {"serve", "token", "doctor", "verify", "erase", "backup", "restore", "rehearse", "secret", "course", "store",
           "mirror", "demo", "generate", "validate", "autograde", "feedback", "worker", "regrade",
           "grader"}  # fmt: skip
    assert {words[0] for words in OTHERS} == set(PLACES) - own - {"https"}


def test_a_typed_url_a_login_and_a_remembered_confirmation_make_a_server_trusted(
    mograder: Mograder, folder: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", SECRET)
    said = mograder("fetch", "--list", code=2).err
    assert folder.url in said
    assert "MOGRADER_HTTPS_TOKEN" in said
    mograder("fetch", "--list", "--url", folder.url)
    assert leaked(folder, SECRET)
    folder.requests.clear()
    mograder("fetch", "--list", code=2)
    TrustedServers().remember(folder.url)
    mograder("fetch", "--list")
    assert leaked(folder, SECRET)
    TrustedServers().path.unlink()
    mograder("fetch", "--list", code=2)
    Logins().keep(Login(folder.url, "alice", "alice:" + "0" * 64))
    mograder("fetch", "--list")


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_on_a_terminal_the_user_is_asked_and_the_confirmation_is_remembered(
    answer: str, mograder: Mograder, folder: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", SECRET)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(["https", "fetch", "--list"]) == (0 if answer == "y\n" else 2)
    assert leaked(folder, SECRET) is (answer == "y\n")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    mograder("fetch", "--list", code=0 if answer == "y\n" else 2)


def test_a_typed_token_is_sent_to_the_url_of_the_folder_and_the_server_is_named(
    mograder: Mograder, folder: HostileServer
) -> None:
    ran = mograder("fetch", "--list", "--token", SECRET)
    assert leaked(folder, SECRET)
    assert f"your token goes to {folder.url}" in ran.err


# which keys are trusted


def test_the_server_that_a_receipt_names_is_not_asked_about_it_without_a_login_there(
    mograder: Mograder, folder: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mograder.toml").unlink()
    for words in ((), ("--offline",)):
        said = mograder("verify", "receipt.json", *words, code=2).err
        assert "you have no login at" in said
        assert folder.url in said
    assert folder.requests == []
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", SECRET)
    mograder("verify", "receipt.json", code=2)
    mograder("verify", "receipt.json", "--token", SECRET, code=2)
    assert not leaked(folder, SECRET)


def test_a_key_that_was_pinned_without_a_login_does_not_make_a_receipt_valid(
    mograder: Mograder, folder: HostileServer
) -> None:
    mograder("receipts", "--user", "alice", code=4)  # it pins the server's key, and finds no receipts
    Path("mograder.toml").unlink()
    mograder("verify", "receipt.json", "--offline", code=2)


def test_a_receipt_that_names_another_server_of_the_user_does_not_send_it_the_token_of_this_one(
    alice: Mograder, server: Running, hostile_server: HostileServer
) -> None:
    alice("submit", "hw1", work())
    Logins().keep(Login(hostile_server.url, "alice", "alice:" + "0" * 64))
    hostile_server.answer("GET /.well-known/jwks.json", Answer(server.client.get("/.well-known/jwks.json").content))
    (kept,) = Path(".mograder/receipts").glob("*.json")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "server": hostile_server.url}))
    alice("verify", "--token", server.token("alice"), code=4)
    assert not leaked(hostile_server, server.token("alice"))


def test_verify_names_the_server_and_its_key(alice: Mograder, server: Running) -> None:
    alice("submit", "hw1", work())
    key = server.client.get("/.well-known/jwks.json").json()["keys"][0]["kid"]
    assert f"server: {server.url}, signing with the key {key}\n" in alice("verify").out
    assert json.loads(alice("verify", "--json").out)["servers"] == [{"server": server.url, "key": key}]


# what is opened in a browser


@pytest.mark.parametrize(
    "link",
    ["file:///etc/passwd", r"\\host\share\x.exe", "javascript:alert(1)", "https://evil.example/x#once", "once#x",
     "http://evil.example/once", "{url}/c/x/feedback#y", "{url}@evil.example/once#t", "{url}/once?next=//evil#t",
     "{url}/once#t\nfile:///etc/passwd", "{url}/once#--flag x", "smb://host/once#t", "ms-word:ofe|u|{url}/once#t", ""],
)  # fmt: skip
def test_only_the_ticket_page_of_the_same_server_is_opened_in_a_browser(
    link: str, mograder: Mograder, hostile_server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, opened = tmp_path / "browser.py", tmp_path / "opened"
    program.write_text(f"import sys, pathlib\npathlib.Path({str(opened)!r}).write_text(sys.argv[1])\n")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {program} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)
    hostile_server.answer("POST /login-link", as_json({"url": link.format(url=hostile_server.url), "expires": 1.0}))
    Logins().keep(Login(hostile_server.url, "alice", "alice:" + "0" * 64))
    assert run(["student", "."]) == 7
    assert not opened.exists()


def test_a_login_link_always_has_the_address_that_was_asked() -> None:
    assert (
        login_page("https://uni.example/c", "https://uni.example/c/once#t.1-x_=")
        == "https://uni.example/c/once#t.1-x_="
    )
    assert login_page("http://10.0.0.1:80", "https://evil.example/once#ticket") == "http://10.0.0.1:80/once#ticket"
    with pytest.raises(VerificationFailed):
        login_page("https://uni.example", "https://uni.example/once")


# where commands write


OUTSIDE = [
    "/tmp",
    "../elsewhere",
    "a/../../elsewhere",
    "..",
    "C:\\Windows",
    "C:x",
    "\\\\host\\share",
    "link",
    "",
    "a\\..\\..\\b",
]


def test_the_dirs_in_the_settings_of_the_folder_cannot_lead_outside_it(
    instructor: Mograder, server: Running, tmp_path: Path
) -> None:
    server.submit("sitecustomize", b"evil = 1\n")
    (tmp_path / "elsewhere").mkdir()
    Path("link").symlink_to(tmp_path / "elsewhere")
    for named in OUTSIDE:
        Path("mograder.toml").write_text(f"[dirs]\nsubmitted = {named!r}\nfeedback = {named!r}\n")
        assert "[dirs] submitted" in instructor("fetch-submissions", "hw1", code=2).err
        assert "[dirs] feedback" in instructor("upload-feedback", "hw1", code=2).err
    assert names_in(tmp_path / "elsewhere") == []
    instructor("fetch-submissions", "hw1", "-o", str(tmp_path / "elsewhere"))  # typed by the user, so trusted
    assert "sitecustomize.py" in names_in(tmp_path / "elsewhere")


def test_a_link_in_the_folder_of_submissions_is_not_followed(
    instructor: Mograder, server: Running, tmp_path: Path
) -> None:
    server.submit("sitecustomize", b"evil = 1\n")
    (tmp_path / "elsewhere").mkdir()
    Path("submitted").mkdir()
    Path("submitted/hw1").symlink_to(tmp_path / "elsewhere")
    instructor("fetch-submissions", "hw1", code=2)
    Path("submitted/hw1").unlink()
    Path("submitted/hw1").mkdir()
    Path("submitted/hw1/.mograder").symlink_to(tmp_path / "elsewhere")
    instructor("fetch-submissions", "hw1", code=7)
    assert names_in(tmp_path / "elsewhere") == []


def test_links_in_the_folder_do_not_redirect_fetched_files_and_receipts(
    alice: Mograder, server: Running, tmp_path: Path
) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (server.root / "hw1/files/data").mkdir()
    (server.root / "hw1/files/data/sitecustomize.py").write_text("evil = 1\n")
    Path("data").symlink_to(outside)
    alice("fetch", "hw1", code=7)
    Path("data").unlink()
    Path(".mograder").rename(tmp_path / "kept")
    Path(".mograder").symlink_to(outside)
    alice("fetch", "hw1", code=7)
    assert "could not be kept" in alice("submit", "hw1", work()).err
    alice("receipts", "-o", "history")
    Path("history/hw1/.mograder/receipts").rename(tmp_path / "more")
    Path("history/hw1/.mograder/receipts").symlink_to(outside)
    alice("receipts", "-o", "history", code=7)
    assert names_in(outside) == []


def test_a_record_in_the_folder_cannot_move_files_from_outside(
    instructor: Mograder, server: Running, tmp_path: Path
) -> None:
    server.submit("alice", b"x = 1\n")
    mine = tmp_path / "mine.py"
    mine.write_text("important")
    Path("in/.mograder").mkdir(parents=True)
    names = ["../../mine", str(tmp_path / "mine"), "bob/../../../mine"]
    record = {name: {"sha256": "0", "placed": [f"{name}.py", "../../mine.py"]} for name in [*names, "bob"]}
    Path("in/.mograder/collected.json").write_text(json.dumps(record))
    instructor("fetch-submissions", "hw1", "-o", "in")
    assert mine.read_text() == "important"


def test_a_feedback_page_that_is_a_link_out_of_the_folder_is_not_sent(
    instructor: Mograder, server: Running, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("my key")
    Path("pages").mkdir()
    Path("pages/alice.html").symlink_to(tmp_path / "secret")
    assert "leads outside" in instructor("upload-feedback", "hw1", "--feedback-dir", "pages", code=1).err
    assert not (server.root / "hw1/feedback").exists()


SPELLINGS = [
    "mograder.toml", "Mograder.TOML", "MOGRADER.toml", "mograder.toml.", "mograder.toml ", "mo\u200bgrader.toml",
    "ｍograder.toml", "mograder.toml::$DATA", "mograder．toml",
]  # fmt: skip


def test_a_configuration_file_in_a_submission_is_not_unpacked_under_that_name(server: Running, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("hw1.py", "x = 1\n")
        for depth in ("", "a/", "a/b/c/", "x/mograder.toml/"):
            for name in SPELLINGS:
                archive.writestr(depth + name, '[https]\nurl = "https://evil.example"\n')
    server.submit("mallory", made.getvalue())
    with Client(server.url, server.token("__instructor__")) as client:
        assert [each.problem for each in collect(client, "hw1", tmp_path / "in")] == [""]
    unpacked = [path for path in (tmp_path / "in/mallory").rglob("*") if path.is_file()]
    assert len(unpacked) == 1 + 4 * len(SPELLINGS)
    assert all(path.suffix == ".txt" for path in unpacked if path.name != "hw1.py")
    for place in {path.parent for path in unpacked}:
        assert read_settings(place).url == ""


@pytest.mark.parametrize(
    "name", ["mograder.toml.py", "my-mograder.toml", "mograder.tom", "mograder", "toml", "grader.toml"]
)
def test_harmless_names_are_not_changed(name: str) -> None:
    assert harmless_name(name) == name


def test_a_fetched_configuration_file_does_not_become_the_configuration_of_the_folder(
    alice: Mograder, server: Running
) -> None:
    (server.root / "hw1/files/mograder.toml").write_text('[https]\nurl = "https://evil.example"\n')
    alice("fetch", "hw1")
    assert Path("mograder.toml.txt").exists()
    assert not Path("mograder.toml").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: Path(path).write_bytes(b"x = 1\n" * 400_000),
                                  lambda path: Path(path).write_text("x = " + "[" * 50_000)])  # fmt: skip
def test_a_mograder_toml_that_is_huge_or_a_pipe_does_not_block_a_command(
    make: Callable[[str], object], mograder: Mograder
) -> None:
    make("mograder.toml")
    assert "mograder.toml" in mograder("fetch", "--list", code=2).err
    with pytest.raises(Usage):
        read_settings(Path())


# as which user


def test_submit_says_as_which_user_and_to_which_server(alice: Mograder, server: Running) -> None:
    for words in ((), ("--dry-run",)):
        assert f"as alice at {server.url}" in alice("submit", "hw1", work(), *words).out


def test_a_token_of_another_user_in_the_folder_needs_confirmation(
    alice: Mograder, server: Running, course_folder: Path
) -> None:
    with hostile() as other:
        other.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
        other.answer("POST /assignments/hw1/submit", as_json({"status": "ok", "filename": "mallory.py"}))
        other.answer("POST /assignments/hw1/extension", as_json({}))
        toml(other, f'token = "mallory:{"0" * 64}"\n')
        said = alice("submit", "hw1", work(), code=2).err
        assert "mallory" in said
        assert "alice" in said
        alice("ask-extension", "hw1", "--until", "+1d", "--reason", "ill", code=2)
        assert not any(asked.method == "POST" for asked in other.requests)
        assert f"as mallory at {other.url}" in alice("submit", "hw1", work(), "--user", "mallory").out
    # At a server with a login, the login is used, whatever the folder contains.
    Path("mograder.toml").write_text(f'[https]\nurl = "{server.url}"\ntoken = "{server.token("mallory")}"\n')
    assert "as alice" in alice("submit", "hw1", work()).out


# an answer without a receipt


def test_a_missing_receipt_from_a_server_that_signs_is_an_error_and_the_submission_stays_in_the_outbox(
    alice: Mograder, server: Running
) -> None:
    (login,) = Logins().all()
    port = server.port
    keys = server.client.get("/.well-known/jwks.json").content
    assert server.stop() == 0
    with hostile(port) as other:
        other.answer("GET /assignments", as_json([{"name": "hw1", "id": "hw1", "files": []}]))
        other.answer("GET /.well-known/jwks.json", Answer(keys))
        other.answer("POST /assignments/hw1/submit", as_json({"status": "ok", "filename": "alice.py"}))
        ran = alice("submit", "hw1", work(), code=7)
        assert "gave none" in ran.err
        assert "gave none" in alice("retry", code=1).err
    assert login.url == f"http://127.0.0.1:{port}"
    assert CODE not in ran.err
