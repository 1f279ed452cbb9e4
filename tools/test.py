#!/usr/bin/env python3
"""Installs what the tests need into virtual environments of their own, then runs every check.

    python3 tools/test.py              everything; stops at the first step that fails
    python3 tools/test.py -k receipt   the same; what follows is passed on to pytest
    python3 tools/test.py --setup      install only

Needs Python 3.11 or newer with venv, and the package registries; nothing else.
"""
# ruff: noqa: S603, T201, UP036  (it runs programs, talks to a person, and is started by any Python)

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / ".venv-test"
PUBLISHED = ROOT / ".venv-published"
PUBLISHED_VERSION = "mograder==0.3.16"
PYODIDE = ROOT / ".venv-pyodide"
PYODIDE_BUILD = "https://registry.npmjs.org/pyodide/-/pyodide-314.0.7.tgz"
PYODIDE_SHA256 = "66b7949e5a0cba2250b586d7e368bf12fb482800748d182c4618254b685ffaa0"
PYODIDE_PLATFORM = ("--platform", "pyemscripten_2026_0_wasm32", "--platform", "any", "--python-version", "3.14")
PYODIDE_PACKAGES = (
    "click", "docutils", "itsdangerous", "jedi", "markdown", "micropip", "msgspec", "narwhals", "packaging", "parso",
    "pygments", "pymdown-extensions", "tomlkit", "typing-extensions",
)  # fmt: skip
"""What marimo imports in a browser, and the installer there."""
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of a name of its own is made in it
NEEDED_MEMORY = 2 << 30
IN_CI = os.environ.get("CI", "").lower() == "true"

CHROMIUM = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "msedge",
)  # fmt: skip
DEBIAN_PACKAGES = {
    "strace": (("strace",), "the test that watches the system calls of a submission"),
    "e2fsprogs": (("mkfs.ext4",), "the test that cuts the power"),
    "wrk": (("wrk",), "the benchmarks of what is read"),
    "nginx-light": (("nginx",), "the benchmark beside nginx"),
    "chromium-headless-shell fonts-noto-core": (CHROMIUM, "the tests of the pages in a real browser"),
}
"""Packages: the program they bring (under any of these names), and what is left out without it."""


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None) -> int:
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=env, check=False).returncode


def program(venv: Path, name: str) -> Path:
    """An executable of a virtual environment, on any system."""
    return venv / "Scripts" / f"{name}.exe" if sys.platform == "win32" else venv / "bin" / name


def bring_debian_packages() -> None:
    """Install what is missing where apt is there and we may; elsewhere say what is left out. Never fails."""
    missing = [package for package, (names, _) in DEBIAN_PACKAGES.items() if not any(map(shutil.which, names))]
    if missing and shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say(f"installing Debian packages: {', '.join(missing)}")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "-qq", "update", env=quiet)
        for package in missing:  # each for itself: a distribution that lacks one may have the others
            run("apt-get", "-qq", "install", "-y", "--no-install-recommends", *package.split(), env=quiet)
    for package in missing:
        names, left_out = DEBIAN_PACKAGES[package]
        if not any(map(shutil.which, names)):
            say(f"left out: {left_out} (it needs {names[0]}: apt-get install {package})")


def install(venv: Path, requirements: list[str]) -> bool:
    """Make `venv` with `requirements`, unless it was made of the same before. Whether it is there."""
    known = (ROOT / "pyproject.toml").read_bytes() + repr((sys.version, str(ROOT), requirements)).encode()
    mark, stamp = hashlib.sha256(known).hexdigest(), venv / "installed-for"
    if stamp.is_file() and stamp.read_text() == mark and program(venv, "python").exists():
        return True
    say(f"installing into {venv.name}")
    pip = (program(venv, "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    made = (
        run(sys.executable, "-m", "venv", "--clear", venv) == 0
        and run(*pip, "--upgrade", "pip>=25.1") == 0
        and run(*pip, *requirements) == 0
    )
    if made:
        stamp.write_text(mark)
    return made


def published_client() -> Path | None:
    """The published mograder's executable, None when it cannot be had."""
    if install(PUBLISHED, [PUBLISHED_VERSION]) and program(PUBLISHED, "mograder").exists():
        return program(PUBLISHED, "mograder")
    return None


def browser_build() -> Path | None:
    """A folder with Pyodide, the Python of browsers, and wheels of marimo for it; None when they cannot be had."""
    stamp = PYODIDE / PYODIDE_SHA256
    if stamp.is_file():
        return PYODIDE
    say(f"fetching Pyodide and marimo for it into {PYODIDE.name}")
    shutil.rmtree(PYODIDE, ignore_errors=True)
    try:
        with urllib.request.urlopen(PYODIDE_BUILD, timeout=60) as reply:
            build = reply.read()
        if hashlib.sha256(build).hexdigest() != PYODIDE_SHA256:
            say(f"{PYODIDE_BUILD} is not what it was")
            return None
        with tarfile.open(fileobj=io.BytesIO(build)) as archive:
            archive.extractall(PYODIDE, filter="data")
    except OSError as error:
        say(f"{PYODIDE_BUILD}: {error}")
        return None
    version = "import importlib.metadata as about; print('marimo==' + about.version('marimo'))"
    marimo = subprocess.run([program(TESTS, "python"), "-c", version], capture_output=True, text=True, check=True)
    packages = (marimo.stdout.strip(), *PYODIDE_PACKAGES)
    pip = (program(TESTS, "python"), "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps")
    if run(*pip, "--only-binary", ":all:", *PYODIDE_PLATFORM, "-d", PYODIDE / "wheels", *packages) != 0:
        return None
    stamp.touch()
    return PYODIDE


@contextlib.contextmanager
def scratch_folder() -> Iterator[str | None]:
    """A folder in memory for the files of the tests, None where there is no room for one, or programs do not run there.

    Thousands of tests flush files of a course to the disk: on a disk that takes two thirds of the whole time.
    """
    folder = None
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= NEEDED_MEMORY:
            folder = tempfile.mkdtemp(prefix="mograder-tests-", dir=MEMORY)
            Path(folder).chmod(0o755)  # a database that runs as another user must come through
    try:
        yield folder if folder is not None and runs_programs(Path(folder)) else None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def runs_programs(folder: Path) -> bool:
    """Whether a program in this folder can be run: its file system may forbid that."""
    script = folder / "program"
    try:
        script.write_text("#!/bin/sh\nexit 0\n")
        script.chmod(0o755)
        return subprocess.run([script], check=False).returncode == 0
    except OSError:
        return False
    finally:
        script.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):
        say(f"this is Python {sys.version.split()[0]}: mograder needs 3.11 or newer")
        return 2
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        say("this Python has no venv: on Debian and Ubuntu, apt-get install python3-venv")
        return 2
    bring_debian_packages()
    if not install(TESTS, ["--editable", ".", "--group", "test", "--group", "quality"]):
        say("the packages that the tests need could not be installed: see pip's message above")
        return 1
    client = published_client()
    if client is None and IN_CI:
        say(f"{PUBLISHED_VERSION} could not be installed, and in CI tests/interop must run")
        return 1
    if client is None:
        say(f"left out: tests/interop, because {PUBLISHED_VERSION} could not be installed")
    pyodide = browser_build()
    if pyodide is None:
        say("left out: tests/test_runtime_in_browser.py, because Pyodide could not be fetched")
    if arguments == ["--setup"]:
        return 0

    env = {key: value for key, value in os.environ.items() if key not in {"MOGRADER_PUBLISHED", "MOGRADER_PYODIDE"}}
    if client is not None:
        env["MOGRADER_PUBLISHED"] = str(client)
    if pyodide is not None:
        env["MOGRADER_PYODIDE"] = str(pyodide)
    with scratch_folder() as scratch:
        return run_checks(arguments, env if scratch is None else {**env, "TMPDIR": scratch})


def run_checks(arguments: list[str], env: dict[str, str]) -> int:
    """Run the checks in their order; the exit code of the first that fails."""
    python = program(TESTS, "python")
    steps: list[tuple[str | Path, ...]] = [
        (python, "-m", "ruff", "check", "."),
        (python, "-m", "ruff", "format", "--check", "."),
        (python, "-m", "mypy"),
        (program(TESTS, "lint-imports"),),
        (python, "-m", "pytest", "-n", "auto", "--dist", "worksteal", *arguments),
    ]
    for step in steps:
        say(" ".join([Path(step[0]).stem, *map(str, step[1:])]))
        code = run(*step, env=env)
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
