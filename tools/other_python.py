#!/usr/bin/env python3
"""Runs the quick tests with another Python than this one: the newest of this machine, or Debian's.

    python3 tools/other_python.py                     the newest other Python that can be had
    python3 tools/other_python.py --suite trixie      Debian's, of this release (needs root and debootstrap)
    python3 tools/other_python.py --seconds 240       stop after that time; what was not run by then is left out
    python3 tools/other_python.py -- tests/store      other tests; what follows is passed on to pytest

A Python of this machine gets a virtual environment of its own. Debian's is installed by debootstrap into a folder below
build/ and runs by chroot on a copy of this checkout. Where neither can be had, the tests are left out: the script says
so and exits with 0. It fails only when a test does.
"""
# ruff: noqa: S603, T201  (it runs programs, by their names, and talks to a person)

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEWEST_FIRST = ("3.14", "3.13", "3.12", "3.11")
SUITE, MIRROR = "trixie", "http://deb.debian.org/debian"
PACKAGES = "python3,python3-venv,ca-certificates"
QUICK = (
    "tests/test_reference.py", "tests/test_config.py", "tests/test_course_file.py", "tests/test_signing.py",
    "tests/wire", "tests/domain",
    "tests/store/shared", *(f"tests/store/folder/test_{name}.py" for name in ("layout", "ledger", "snapshot", "store")),
    "tests/cli/test_main.py", "tests/cli/test_token.py",
)  # fmt: skip
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", "build", "mutants", "__pycache__", ".*_cache", ".hypothesis")


class LeftOut(Exception):
    """The tests cannot be run here, or not in time; the text says why."""


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


@dataclass(frozen=True)
class Python:
    """Another Python. `prefix` leads to its file system, in which `checkout` and `venv` are."""

    prefix: tuple[str, ...]
    program: str
    checkout: Path
    venv: Path
    ends: float

    def run(self, *command: str | Path) -> int:
        # What this machine's pip is told to find in its own folders is not to be found below another root.
        unset = ("-u", "PIP_FIND_LINKS", "-u", "PIP_CONFIG_FILE") if self.prefix else ()
        return within(self.ends, *self.prefix, "env", "-C", self.checkout, *unset, *command)

    def install(self) -> None:
        python = self.venv / "bin" / "python"
        pip = (python, "-m", "pip", "--disable-pip-version-check", "-qq", "install", "--root-user-action=ignore")
        made_of = (self.venv / "made-of", "pyproject.toml")
        if self.run("cmp", "--quiet", *made_of) == 0:
            return
        say(f"installing into {self.venv}")
        steps: tuple[tuple[str | Path, ...], ...] = (
            (self.program, "-m", "venv", "--clear", self.venv),
            (*pip, "--upgrade", "pip>=25.1"),
            (*pip, "--editable", ".", "--group", "test"),
            ("cp", *reversed(made_of)),
        )
        for step in steps:
            if self.run(*step) != 0:
                raise LeftOut(f"this failed: {' '.join(map(str, step))}")

    def test(self, arguments: Sequence[str]) -> int:
        python = self.venv / "bin" / "python"
        self.run(python, "--version")
        return self.run(
            python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-n", str(os.cpu_count() or 1), *arguments
        )


def within(ends: float, *command: str | Path) -> int:
    """The exit code. Raises LeftOut when the time is over, or the program is not there."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, start_new_session=True)
    try:
        return process.wait(max(ends - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise LeftOut("the time is over") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


def of_this_machine(ends: float) -> Python | None:
    """The newest supported Python on the PATH that is another than this one, and has what a venv needs."""
    for version in NEWEST_FIRST:
        program = f"python{version}"
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}" or shutil.which(program) is None:
            continue
        works = subprocess.run([program, "-c", "import ensurepip, sqlite3, venv"], capture_output=True, check=False)
        if works.returncode == 0:
            return Python((), program, ROOT, ROOT / ".venv-other", ends)
    return None


def of_debian(suite: str, ends: float) -> Python:
    """Debian's Python, in a folder of its own."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise LeftOut("there is no other Python, and installing Debian's needs root")
    if shutil.which("debootstrap") is None and shutil.which("apt-get") is not None:
        within(ends, "apt-get", "-qq", "install", "-y", "--no-install-recommends", "debootstrap")
    if shutil.which("debootstrap") is None:
        raise LeftOut("there is no other Python, and no debootstrap (apt-get install debootstrap)")
    root = ROOT / "build" / f"debian-{suite}"
    ready = root / "installed"
    if not ready.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        say(f"installing Debian {suite} into {root}")
        options = ("--variant=minbase", f"--include={PACKAGES}")
        if within(ends, "debootstrap", *options, suite, root, MIRROR) != 0:
            raise LeftOut("debootstrap failed")
        ready.touch()
    for name in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):  # the names and authorities of this network
        shutil.copyfile(name, root / name.lstrip("/"))
    checkout = root / "mograder"
    shutil.rmtree(checkout, ignore_errors=True)
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=NOT_COPIED)
    if within(ends, "chroot", root, "python3", "--version") != 0:
        raise LeftOut("chroot is not allowed here")
    return Python(("chroot", str(root)), "python3", Path("/mograder"), Path("/venv"), ends)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suite", help=f"Debian's release; without it a Python of this machine, else {SUITE}")
    parser.add_argument("--seconds", type=float, default=3600, help="stop after this time (an hour)")
    parser.add_argument("tests", nargs="*", default=QUICK, help="what is passed on to pytest")
    wanted = parser.parse_args(arguments)
    ends = time.monotonic() + wanted.seconds
    try:
        python = (None if wanted.suite else of_this_machine(ends)) or of_debian(wanted.suite or SUITE, ends)
        python.install()
        say("the quick tests with another Python")
        return python.test(wanted.tests)
    except LeftOut as reason:
        say(f"left out: the tests with another Python: {reason}")
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
