"""The systemd unit that `serve --print-unit` prints."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command import run_command
from tests.parts import make_course_folder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="systemd is on Linux alone")


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """The served root of a course that belongs to a user other than root, with a path that a unit must quote."""
    root = make_course_folder(tmp_path / "a course %n $HOME")
    if os.geteuid() == 0:
        daemon = pwd.getpwnam("daemon").pw_uid
        for path in [tmp_path, *tmp_path.rglob("*")]:
            os.chown(path, daemon, -1)
    return root


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def check_unit(unit: str, folder: Path, exposure: int) -> None:
    """systemd, if installed, accepts the unit and rates its exposure at most so many tenths (docs/running.md)."""
    if not shutil.which("systemd-analyze"):
        return
    path = folder / "mograder.service"
    path.write_text(unit)
    ran = analyzed("verify", "--man=no", path)
    said = [line for line in ran.stderr.splitlines() if path.name in line]
    assert (ran.returncode, said) == (0, []), ran.stderr
    if "--offline" in analyzed("--help").stdout:  # since systemd 250
        ran = analyzed("security", "--offline=true", "--no-pager", f"--threshold={exposure}", path)
        assert ran.returncode == 0, ran.stdout


def analyzed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=90)


def test_the_unit_runs_the_typed_command_as_the_owner_and_may_write_only_in_the_course(
    owned: Path, tmp_path: Path
) -> None:
    (tmp_path / "code.txt").write_text(CODE_TEXT)
    ran = run_command(
        "serve", owned, "--print-unit", "-p", 443, "--host", "0.0.0.0", "--trusted-proxies", "10.0.0.1, 10.0.0.2",
        "--enrollment-code-file", tmp_path / "code.txt", "--submitted-dir", tmp_path / "kept",
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    found = settings_of(ran.stdout)
    shown = str(owned).replace("%", "%%")
    assert f'mograder serve "{shown.replace("$", "$$")}" --port 443 --host 0.0.0.0' in found["ExecStart"]
    assert '--trusted-proxies "10.0.0.1, 10.0.0.2"' in found["ExecStart"]
    assert found["User"] == pwd.getpwuid(owned.stat().st_uid).pw_name
    written = [line.partition("=")[2] for line in ran.stdout.splitlines() if line.startswith("ReadWritePaths=")]
    assert written == [f'"{Path(shown).parent}"', str(tmp_path / "kept")]
    assert found["AmbientCapabilities"] == found["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert found["RestrictNamespaces"] == "yes"
    assert CODE_TEXT not in ran.stdout
    check_unit(ran.stdout, tmp_path, exposure=17)


def test_the_unit_of_a_course_with_grading_allows_the_namespaces_of_the_sandbox(owned: Path, tmp_path: Path) -> None:
    ran = run_command("serve", owned, "--print-unit", "--grading-workers", 2)
    found = settings_of(ran.stdout)
    assert {"user", "mnt", "pid", "net"} <= set(found["RestrictNamespaces"].split())
    assert {"@mount", "seccomp", "sethostname"} <= set(found["SystemCallFilter"].split())
    assert "ProtectKernelTunables" not in found  # a partly covered /proc cannot be mounted again
    assert found["CapabilityBoundingSet"] == ""
    assert "AmbientCapabilities" not in found
    check_unit(ran.stdout, tmp_path, exposure=34)


def test_print_unit_refuses_a_secret_on_the_command_line_and_a_course_of_root(owned: Path, course_folder: Path) -> None:
    for words in (("--enrollment-code", "swordfish"), ("--store", "postgresql://u:swordfish@db/x")):
        ran = run_command("serve", owned, "--print-unit", *words)
        assert ran.returncode == 2
        assert "/etc/mograder.env" in ran.stderr
        assert "swordfish" not in ran.stdout + ran.stderr
    if os.geteuid() == 0:
        assert "belongs to root" in run_command("serve", course_folder, "--print-unit").stderr
    assert not list(owned.glob(".mograder*"))  # nothing was created


CODE_TEXT = "nine swings"
