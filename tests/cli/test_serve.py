"""`mograder serve` in real processes: its output, its refusals, and the sources of its settings."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mograder.cli.serve import enrollment_code, listening_host
from mograder.config import SERVE_SETTINGS, ServeSettings, resolve
from mograder.course_file import parse_course_file
from mograder.domain.codes import is_hard_to_guess
from mograder.domain.errors import RegistrationOff, Usage
from mograder.domain.names import Username
from mograder.factory import open_course
from mograder.signing import Ed25519Signer, new_private_key
from tests import prefork
from tests.parts import PATIENCE, Process, environment, free_port, open_store, submit_work

CODE = "my-course-phrase"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    files = tmp_path / "course" / "release" / "hw1" / "files"
    files.mkdir(parents=True)
    (files / "homework.py").write_text("x = 1\n")
    return files.parent.parent


@contextmanager
def serving(*words: str, **extra: str) -> Iterator[tuple[Process, str]]:
    """A running server and everything it printed until it was ready."""
    process = prefork.start(["serve", *words], {**environment(), **extra})
    assert process.stdout is not None
    seen = []
    try:
        for line in process.stdout:
            seen.append(line)
            if "Ctrl-C" in line:
                break
        else:
            raise AssertionError("".join(seen))
        yield process, "".join(seen)
    finally:
        process.kill()
        process.communicate()


def run(*words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return prefork.run(list(words), {**environment(), **extra}, PATIENCE)


def test_the_start_prints_addresses_and_next_steps_and_no_secret(release: Path) -> None:
    port = free_port()
    for name in ("exam/files/exam.py", "loose/homework.py"):
        (release / name).parent.mkdir(parents=True)
        (release / name).write_text("x = 1\n")
    course = "[[assignments]]\nname = 'exam'\nopens = 2090-02-01T09:00:00\n"
    (release.parent / "mograder.toml").write_text(course)
    with serving(str(release), "-p", str(port), "--enrollment-code", CODE) as (_, output):
        secret = (release / ".mograder-secret").read_text().strip()
        assert f"http://localhost:{port}" in output
        assert str(release) in output
        assert "2 (exam opens at Wed 2090-02-01 09:00 UTC, hw1)" in output
        assert "homework.py in loose/: students get only what is in loose/files/" in output
        assert "registration    on" in output
        assert "the enrollment code can be guessed" in output
        assert CODE not in output
        assert secret not in output
        assert "/once#" not in output  # output to a pipe may be logged: the login link is shown on a terminal only


def test_without_a_code_or_with_an_empty_one_registration_is_off(release: Path) -> None:
    for extra in ({}, {"MOGRADER_ENROLLMENT_CODE": ""}):
        with serving(str(release), "-p", str(free_port()), **extra) as (_, output):
            assert "registration    off" in output


@pytest.mark.parametrize("text", ["", " ", "\n", "\t \n\n"])
def test_a_blank_code_is_no_code_and_a_code_file_without_one_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "code").write_text(text)
    by_flag = ServeSettings(enrollment_code=text, given=frozenset({"enrollment_code"}))
    by_file = ServeSettings(enrollment_code_file=tmp_path / "code", given=frozenset({"enrollment_code_file"}))
    assert [enrollment_code(each) for each in (by_flag, ServeSettings())] == ["", ""]
    with pytest.raises(Usage, match=r"the enrollment code in .*code is empty"):
        enrollment_code(by_file)


def test_for_a_missing_code_file_a_random_code_is_proposed(tmp_path: Path) -> None:
    proposed = set()
    for _ in range(2):
        with pytest.raises(Usage, match="there is no file") as refused:
            enrollment_code(ServeSettings(enrollment_code_file=tmp_path / "code"))
        proposed |= set(re.findall(r"such as (\S+),", refused.value.message))
    assert len(proposed) == 2
    assert all(map(is_hard_to_guess, proposed))


def test_a_code_that_http_cannot_carry_is_refused(release: Path, tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(b"sch\xf6n")
    by_environment = run("serve", str(release), MOGRADER_ENROLLMENT_CODE=os.fsdecode(b"sch\xf6n"))
    by_file = run("serve", str(release), "--enrollment-code-file", str(tmp_path / "code"))
    for done in (by_environment, by_file):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("code", ["", "  "])
def test_a_mounted_course_with_an_empty_code_accepts_no_registration(release: Path, code: str) -> None:
    course = open_course(release, enrollment_code=code)
    for given in ("", " ", code):
        with pytest.raises(RegistrationOff):
            course.accounts.register("alice", given)
    course.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_exit_code_0(release: Path, number: signal.Signals) -> None:
    with serving(str(release), "-p", str(free_port())) as (process, _):
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0


def test_PORT_sets_the_port_and_listens_on_all_addresses(release: Path) -> None:  # noqa: N802 (the variable's name)
    port = free_port()
    with serving(str(release), PORT=str(port)) as (_, output):
        assert f":{port}" in output
        with socket.create_connection(("127.0.0.2", port), timeout=PATIENCE):
            pass


def test_without_PORT_the_server_listens_on_this_machine_only(release: Path) -> None:  # noqa: N802
    port = free_port()
    with serving(str(release), "-p", str(port)), pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=PATIENCE)


@pytest.mark.parametrize(
    ("host", "port", "forced", "expected"),
    [
        (None, "", False, "127.0.0.1"), (None, "80", False, "127.0.0.1"), (None, "80", True, "0.0.0.0"),
        ("127.0.0.1", "80", False, "127.0.0.1"), ("localhost", "", False, "localhost"), ("::1", "", False, "::1"),
        ("0.0.0.0", "", True, "0.0.0.0"),
    ],
)  # fmt: skip
def test_without_tokens_the_server_listens_on_this_machine_only_unless_forced(
    host: str | None, port: str, forced: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", port)
    assert listening_host(host, no_auth=True, on_all_addresses=forced) == expected


def test_a_port_in_use_is_a_one_line_error_with_exit_code_1(release: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = run("serve", str(release), "-p", port)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "cannot listen on 127.0.0.1" in ran.stderr
    assert "in use: choose another port" in ran.stderr
    assert port in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "no-such-folder"],
        ["serve", "--nope"],
        ["serve", ".", "-p", "99999"],
        ["serve", ".", "--max-upload", "0"],
        ["serve", ".", "--enrollment-code", "a", "--enrollment-code-file", "b"],
        ["serve", ".", "--enrollment-code-file", "no-such-file"],
        ["serve", ".", "--generate-tokens", "no-such-file"],
        ["serve", ".", "--release-dir", "no-such-folder"],
        ["serve", ".", "--no-auth", "--host", "0.0.0.0"],
        ["serve", ".", "--no-auth", "--host", "192.0.2.1"],
        ["serve", ".", "--no-auth", "--host", "::"],
        ["serve", ".", "--no-auth", "--host", "example.org"],
        ["serve", ".", "--tls-cert", "a.pem"],
        ["serve", ".", "--tls-key", "a.pem"],
        ["serve", ".", "--tls-cert", "a.pem", "--tls-key", "a.pem", "--tls-self-signed"],
        ["serve", ".", "--tls-names", "lab.example.org"],
        ["serve", ".", "--tls-self-signed", "--tls-names", "https://lab.example.org"],
        ["serve", ".", "--tls-self-signed", "--tls-names", "a..b"],
        ["serve", ".", "--workers", "0"],
        ["serve", ".", "--workers", "65"],
        ["serve", ".", "--store", "foo"],
    ],
)
def test_invalid_arguments_are_exit_code_2_and_create_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*words)
    assert ran.returncode == 2, ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--submitted-dir", "--grades-dir"])
def test_a_file_in_place_of_a_folder_is_an_error_at_start(release: Path, flag: str) -> None:
    ran = run("serve", str(release), flag, __file__)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"error: {__file__} is not a folder: submissions and grades are kept in folders\n"


def test_an_unusable_ledger_is_a_one_line_error_with_exit_code_1(release: Path) -> None:
    (release / ".mograder.db").mkdir()
    ran = run("serve", str(release))
    assert ran.returncode == 1, ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_an_invalid_signing_key_is_a_one_line_error_with_exit_code_1(release: Path) -> None:
    open_course(release).store.close()
    key = release / ".mograder-signing-key.pem"
    key.write_text("x")
    ran = run("serve", str(release))
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "the course's signing key cannot be read" in ran.stderr
    assert key.read_text() == "x"


def test_generate_tokens_prints_one_line_each_and_reserves_the_names(release: Path, tmp_path: Path) -> None:
    names = tmp_path / "students.txt"
    names.write_text("alice\n\n# a comment\nbob\n")
    ran = run("serve", str(release), "--generate-tokens", str(names))
    again = run("token", "alice", "bob", "--secret-file", str(release / ".mograder-secret"))
    assert ran.returncode == 0
    assert ran.stdout == again.stdout
    assert [line.split(":")[0] for line in ran.stdout.splitlines()] == ["alice", "bob", "", "instructor"]


def test_the_secret_is_private_and_reused(release: Path, tmp_path: Path) -> None:
    names = tmp_path / "students.txt"
    names.write_text("alice\n")
    first = run("serve", str(release), "--generate-tokens", str(names)).stdout
    secret = release / ".mograder-secret"
    assert len(secret.read_text()) == 65
    if sys.platform != "win32":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert run("serve", str(release), "--generate-tokens", str(names)).stdout == first


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ('timezon = "Europe/Berlin"', "timezone"),
        ('[[assignment]]\nname = "hw1"', "assignments"),
        ('[[assignments]]\nname = "hw1"\nduo = 2030-01-01', "due"),
        ("[servr]\nport = 1", "server"),
    ],
)
def test_a_misspelt_name_in_mograder_toml_is_reported_with_file_and_nearest_name(
    release: Path, text: str, nearest: str
) -> None:
    (release.parent / "mograder.toml").write_text(text)
    ran = run("serve", str(release))
    assert ran.returncode == 1
    assert "mograder.toml" in ran.stderr
    assert f"did you mean '{nearest}'?" in ran.stderr


def test_a_setting_comes_from_option_or_environment_then_file_then_default() -> None:
    nothing = dict.fromkeys(setting.name for setting in SERVE_SETTINGS)
    file = parse_course_file('[server]\nport = 9000\n[dirs]\nsubmitted = "in"\n')
    assert resolve(nothing, parse_course_file(""), Path("/c")).port == 8080
    assert resolve(nothing, file, Path("/c")).port == 9000
    assert resolve({**nothing, "port": 1}, file, Path("/c")).port == 1
    assert resolve(nothing, file, Path("/c")).submitted_dir == Path("/c/in")


def test_the_parent_of_a_served_release_folder_is_refused(release: Path) -> None:
    with serving(str(release), "-p", str(free_port())):
        pass
    ran = run("serve", str(release.parent))
    assert ran.returncode == 2
    assert "release" in ran.stderr
    assert not (release.parent / ".mograder-secret").exists()


def test_a_missing_key_that_has_signed_stops_the_start_until_the_key_is_restored_or_rotated(release: Path) -> None:
    open_course(release).store.close()
    key = release / ".mograder-signing-key.pem"
    key.unlink()
    open_course(release).store.close()  # nothing was signed, so a new key does no harm
    assert key.exists()
    submit_one(release)
    key.unlink()
    ran = run("serve", str(release), "-p", str(free_port()))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "restore it from a backup" in ran.stderr
    assert "mograder secret rotate-key" in ran.stderr
    assert not key.exists()
    assert run("secret", "rotate-key", str(release)).returncode == 0
    with serving(str(release), "-p", str(free_port())):
        assert key.exists()


def submit_one(release: Path) -> None:
    store = open_store(release)
    submit_work(store, Ed25519Signer(store.keys.signing_key(new_private_key)), Username("alice"), b"x = 1\n")
    store.close()


def test_a_missing_ledger_stops_the_start_until_the_key_is_removed(release: Path) -> None:
    submit_one(release)
    ledger, key = release / ".mograder.db", release / ".mograder-signing-key.pem"
    for path in release.glob(".mograder.db*"):
        path.unlink()
    ran = run("serve", str(release), "-p", str(free_port()))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "ledger is missing: restore it from a backup, or remove .mograder-signing-key.pem" in ran.stderr
    assert not ledger.exists()
    key.unlink()
    with serving(str(release), "-p", str(free_port())):
        assert ledger.exists()


def test_a_course_moved_from_another_machine_starts_with_its_secret_and_submissions(release: Path) -> None:
    (release / ".mograder-secret").write_text("secret\n")
    (release / ".mograder-secret").chmod(0o600)
    fetched_file = release.parent / "submitted" / "hw1" / "alice_20260310T200800.py"
    fetched_file.parent.mkdir(parents=True)
    fetched_file.write_text("x = 1\n")
    with serving(str(release), "-p", str(free_port())):
        assert fetched_file.read_text() == "x = 1\n"


def test_an_address_of_another_machine_is_a_clear_error(release: Path) -> None:
    for host in ("999.1.1.1", "192.0.2.1"):
        ran = run("serve", str(release), "--host", host, "-p", str(free_port()))
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert "--host is no address of this machine" in ran.stderr
        assert "another port" not in ran.stderr


def test_a_folder_in_place_of_the_secret_is_an_error_at_start(release: Path) -> None:
    (release / ".mograder-secret").mkdir(mode=0o700)
    ran = run("serve", str(release), "-p", str(free_port()))
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ".mograder-secret is a folder" in ran.stderr


def test_an_unreachable_database_is_a_one_line_error() -> None:
    ran = run("serve", "--store", f"postgresql://127.0.0.1:{free_port()}/x", "-p", str(free_port()))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (6, "", 1), ran.stderr


def test_a_release_folder_outside_the_course_is_reported_at_start(release: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (release.parent / "mograder.toml").write_text(f"[dirs]\nrelease = '{elsewhere}'\n")
    with serving(str(release), "-p", str(free_port())) as (_, seen):
        assert f"[dirs] release in mograder.toml names {elsewhere}, outside the course" in seen
    (release.parent / "mograder.toml").write_text("[dirs]\nrelease = 'release'\n")
    with serving(str(release), "-p", str(free_port())) as (_, seen):
        assert "outside the course" not in seen
