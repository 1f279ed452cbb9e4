"""`mograder serve --print-unit`: the systemd unit that runs the same command as a service, with few rights."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mograder.config import SERVE_SETTINGS
from mograder.domain.errors import Usage

ENVIRONMENT_FILE = "/etc/mograder.env"
_SECRETS = {"enrollment_code": "MOGRADER_ENROLLMENT_CODE", "store": "MOGRADER_STORE"}
_NOT_FOR_A_SERVICE = ("generate_tokens",)
_LOWEST_FREE_PORT = 1024

_ALWAYS = """\
# The service can write to nothing but the folders named here, and no process of it can gain rights.
ProtectSystem=strict
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectClock=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM"""

_WITHOUT_GRADING = """\
PrivateDevices=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged"""

_WITH_GRADING = """\
# Submissions run in a sandbox (bubblewrap), which makes namespaces, a /proc, a loopback device and a host name of its
# own: settings that forbid this are left out.
RestrictNamespaces=cgroup ipc mnt net pid user uts
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallFilter=@system-service @mount seccomp sethostname
# The environments of notebooks, and what uv keeps.
CacheDirectory=mograder
Environment=XDG_CACHE_HOME=%C/mograder"""


@dataclass(frozen=True)
class Service:
    """What runs: `words` of the command, as `user` and `group`, with the folders that it reads and writes."""

    words: Sequence[str]
    user: str
    group: str
    written: Sequence[Path]
    read: Sequence[Path]
    port: int
    grading: bool


def service_of(
    folder: Path | None, typed: Mapping[str, object], written: Sequence[Path], port: int, grading: bool
) -> Service:
    """The service of `mograder serve FOLDER` with the options that were `typed`, which writes in the folders `written`.

    It runs as the owner of the folder. Raises Usage for a secret that everybody could read in the unit, and for root.
    """
    for name, variable in _SECRETS.items():
        if typed.get(name) and (name != "store" or "@" in str(typed[name])):
            raise Usage(
                f"a unit can be read by everybody on the machine: put {variable}=… into {ENVIRONMENT_FILE} "
                f"(chmod 600), which it names, and leave out --{name.replace('_', '-')}"
            )
    for name in _NOT_FOR_A_SERVICE:
        if typed.get(name):
            raise Usage(f"--{name.replace('_', '-')} prints and exits: it is for no service")
    user, group = _owner(folder)
    paths = {each.name: Path(str(typed[each.name])).absolute() for each in SERVE_SETTINGS
             if each.kind is Path and typed.get(each.name)}  # fmt: skip
    words = [_program(), "serve", *([str(folder.absolute())] if folder else [])]
    for each in SERVE_SETTINGS:
        value = paths.get(each.name, typed.get(each.name))
        if value not in (None, False):
            words += [each.flag] if each.kind is bool else [each.flag, str(value)]
    written = list(dict.fromkeys(each for each in written if not any(other in each.parents for other in written)))
    read = [Path(words[0]), Path(sys.prefix), *written, *paths.values()]
    return Service(words, user, group, written, read, port, grading)


def unit(service: Service) -> str:
    """The text of the unit."""
    low = service.port < _LOWEST_FREE_PORT
    capabilities = "CAP_NET_BIND_SERVICE" if low else ""
    at_home, in_tmp = (
        any(each.resolve().is_relative_to(folder) for each in service.read for folder in folders)
        for folders in (("/home", "/root"), ("/tmp", "/var/tmp"))  # noqa: S108 (nothing is put there)
    )
    lines = [
        "# As /etc/systemd/system/mograder.service; then: systemctl daemon-reload && systemctl enable --now mograder",
        "[Unit]",
        "Description=mograder course server",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(_quoted(each).replace('$', '$$') for each in service.words)}",
        f"User={service.user}",
        f"Group={service.group}",
        *([f"WorkingDirectory={_specified(str(service.written[0]))}"] if service.written else []),
        f"# Secrets, such as {' and '.join(_SECRETS.values())}.",
        f"EnvironmentFile=-{ENVIRONMENT_FILE}",
        "Restart=on-failure",
        "RestartSec=2",
        "# 2: the options or the settings are wrong.",
        "RestartPreventExitStatus=2",
        "KillMode=mixed",
        "TimeoutStopSec=60",
        "UMask=0077",
        "LimitNOFILE=65536",
        "",
        _ALWAYS,
        f"ProtectHome={'read-only' if at_home else 'yes'}",
        f"PrivateTmp={'no' if in_tmp else 'yes'}",
        *(f"ReadWritePaths={_quoted(str(each))}" for each in service.written),
        f"CapabilityBoundingSet={capabilities}",
        *([f"AmbientCapabilities={capabilities}"] if low else []),
        _WITH_GRADING if service.grading else _WITHOUT_GRADING,
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines)


def _owner(folder: Path | None) -> tuple[str, str]:
    """The user and group that own the folder. Raises Usage for root, and where there are no such owners."""
    try:
        import grp
        import pwd
    except ImportError:
        raise Usage("--print-unit is for systemd, which is on Linux alone") from None
    user = folder.stat().st_uid if folder else os.geteuid()
    if user == 0:
        whose = f"{folder} belongs to root" if folder else "you are root"
        raise Usage(
            f"{whose}: a service needs no such rights. make a user (useradd --system mograder), "
            + ("give the course to it (chown -R mograder:), and print the unit again" if folder else "and print as it")
        )
    try:
        entry = pwd.getpwuid(user)
        return entry.pw_name, grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        raise Usage(f"{folder} belongs to user {user}, who has no name here: give it to another") from None


def _program() -> str:
    """The command by which this one was started, else the one that is beside this Python."""
    beside = Path(sys.executable).with_name("mograder")
    found = str(beside) if beside.exists() else shutil.which("mograder")
    if not found:
        raise Usage("there is no command mograder in this environment: install it, and print the unit with it")
    return found


def _quoted(word: str) -> str:
    """A word of a command line as systemd reads it."""
    word = _specified(word)
    if word and all(letter.isalnum() or letter in "-_./:=,@%$+" for letter in word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _specified(text: str) -> str:
    """A text in which systemd expands nothing. Raises Usage."""
    if not text.isprintable():
        raise Usage(f"{text!r} cannot be written into a unit: rename it")
    return text.replace("%", "%%")
