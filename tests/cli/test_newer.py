"""The notice that the server has a newer mograder."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Mograder
from tests.hostile import HostileServer, as_json


def test_a_newer_server_version_is_mentioned_once_a_day_and_not_with_json(
    mograder: Mograder, hostile_server: HostileServer
) -> None:
    hostile_server.answer("GET /assignments", as_json([], Mograder_Version="99.1"))
    words = ("fetch", "--list", "--url", hostile_server.url)
    ran = mograder(*words, "--json")
    assert (json.loads(ran.out), ran.err) == ([], "")
    told = mograder(*words).err
    assert told.count("\n") == 1
    assert f"{hostile_server.url} has mograder 99.1" in told
    assert f"{hostile_server.url}/install" in told
    assert mograder(*words).err == ""


@pytest.mark.parametrize("version", ["0.9", "1.0.0.dev0", "", "99 \x1b[31m", "latest"])
def test_a_version_that_is_not_newer_is_not_mentioned(
    mograder: Mograder, hostile_server: HostileServer, version: str
) -> None:
    hostile_server.answer("GET /assignments", as_json([], Mograder_Version=version))
    assert mograder("fetch", "--list", "--url", hostile_server.url).err == ""
