"""What commands read from the environment and the machine: proxies, certificates, time zones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mograder.client.client import Client
from mograder.client.connection import RetryPolicy
from mograder.client.outbox import Outbox
from mograder.domain.errors import NetworkFailure
from tests.cli.conftest import Mograder, work
from tests.parts import Running

BROKEN = [
    ("ALL_PROXY", "socks5://127.0.0.1:9"), ("all_proxy", "socks4://127.0.0.1:9"), ("HTTPS_PROXY", "nonsense"),
    ("HTTP_PROXY", "ftp://127.0.0.1"), ("SSL_CERT_FILE", "/nowhere/ca.pem"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BROKEN)
def test_an_environment_variable_that_prevents_connections_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    client = Client("https://course.example.org", patience=RetryPolicy(total=0))
    with pytest.raises(NetworkFailure) as failed:
        client.assignments()
    assert f"{name}={value}" in failed.value.message
    assert "\n" not in failed.value.message


def test_the_password_of_a_proxy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://alice:my-password@127.0.0.1:9")
    client = Client("https://course.example.org", patience=RetryPolicy(total=0))
    with pytest.raises(NetworkFailure, match="ALL_PROXY=socks5://127") as failed:
        client.assignments()
    assert "my-password" not in failed.value.message


def test_submissions_are_kept_in_the_outbox_while_the_environment_prevents_connections(
    alice: Mograder,
    server: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    said = alice("submit", "hw1", work(), code=6).err
    assert "ALL_PROXY=socks5://127.0.0.1:9" in said
    assert "a copy of homework.py is kept" in said
    assert len(Outbox().all()) == 1
    monkeypatch.delenv("ALL_PROXY")
    assert "which was waiting, is submitted" in alice("feedback", "hw1").err
    assert (server.submitted / "hw1/alice.py").read_bytes() == b"x = 1\n"


@pytest.mark.parametrize("zone", ["Europe/London", "America/Argentina/Ushuaia", "UTC"])
def test_time_zones_are_known_on_a_system_that_has_none(zone: str, tmp_path: Path) -> None:
    (tmp_path / "mograder.toml").write_text(f"timezone = '{zone}'\n[[assignments]]\nname = 'hw1'\ndue = 2030-02-08\n")
    code = "from pathlib import Path; from mograder import course_file as f; f.read_course_file(Path('mograder.toml'))"
    environment = {**os.environ, "PYTHONTZPATH": ""}
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
