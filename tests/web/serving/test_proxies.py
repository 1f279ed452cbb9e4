"""Behind proxies: forwarding headers of trusted proxies are used, those of others are ignored."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mograder.domain.errors import Usage
from mograder.web.serving.proxies import Proxies
from tests.parts import STRICT, running

TRUSTED = Proxies.parse("127.0.0.1, 10.0.0.0/8, 2001:db8::/32")


def seen(client: str, *headers: tuple[str, str], proxies: Proxies = TRUSTED) -> tuple[str, str, str]:
    """Client, scheme and host as the application sees them."""
    sent = [(b"host", b"inner"), *((name.lower().encode(), value.encode()) for name, value in headers)]
    scope: dict[str, Any] = {"type": "http", "client": (client, 1), "scheme": "http", "headers": sent}
    changed = proxies.seen_through(scope)
    assert scope["headers"] == sent
    (host,) = [value for name, value in changed["headers"] if name == b"host"]
    return changed["client"][0], changed["scheme"], host.decode()


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),  # the client has invented the left one
        (["6.6.6.6", "192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7, 10.1.2.3, 2001:db8::7"], "192.0.2.7"),
        (["10.0.0.9, 10.1.2.3"], "10.0.0.9"),  # a client behind both proxies
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["[2001:4860::1]:4711"], "2001:4860::1"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, unknown"], "127.0.0.1"),
        (["192.0.2.7, unknown, 10.1.2.3"], "10.1.2.3"),
        (["", ", ,"], "127.0.0.1"),
        ([], "127.0.0.1"),
    ],
)
def test_the_client_is_the_right_most_address_that_is_no_trusted_proxy(said: list[str], client: str) -> None:
    assert seen("127.0.0.1", *(("X-Forwarded-For", each) for each in said))[0] == client


def test_scheme_and_host_are_taken_from_the_nearest_proxy() -> None:
    assert seen("10.9.9.9", ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "course.example.org")) == (
        "10.9.9.9", "https", "course.example.org",
    )  # fmt: skip
    assert seen("::ffff:10.9.9.9", ("X-Forwarded-Proto", "http, HTTPS"))[1] == "https"
    for nonsense in ("javascript", "", "https, ftp"):
        assert seen("10.9.9.9", ("X-Forwarded-Proto", nonsense))[1] == "http"
    for nonsense in ('evil"', "a/b", "a b", "", "user@host"):
        assert seen("10.9.9.9", ("X-Forwarded-Host", nonsense))[2] == "inner"


@pytest.mark.parametrize("client", ["192.0.2.1", "11.0.0.1", "nonsense"])
def test_forwarding_headers_of_an_untrusted_proxy_are_ignored(client: str) -> None:
    headers = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example")]
    assert seen(client, *headers) == (client, "http", "inner")
    assert seen("127.0.0.1", *headers, proxies=Proxies.parse("")) == ("127.0.0.1", "http", "inner")


@pytest.mark.parametrize("text", ["proxy.example.org", "10.0.0.1/8", "1.2.3", "*"])
def test_an_invalid_proxy_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(Usage, match="trusted proxies"):
        Proxies.parse(text)


def test_a_real_server_counts_guesses_by_the_forwarded_client_and_shows_the_public_address(course_folder: Path) -> None:
    with running(course_folder, "--trusted-proxies", "127.0.0.0/8", first=STRICT) as server:

        def guess(client: str) -> int:
            body = {"user": "alice", "enrollment_code": "wrong"}
            body["user"] = f"s{client.replace('.', '-')}-{next(numbers)}"
            return server.client.post(
                "/register", json=body, headers={"X-Forwarded-For": f"6.6.6.6, {client}"}
            ).status_code

        numbers = iter(range(100))
        assert [guess("192.0.2.7") for _ in range(21)] == [403] * 20 + [429]
        assert guess("192.0.2.8") == 403
        public = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "course.example.org"}
        stated = tomllib.loads(server.client.get("/mograder.toml", headers=public).text)
        assert stated["https"]["url"] == "https://course.example.org"


def test_without_trusted_proxies_forwarding_headers_are_ignored(course_folder: Path) -> None:
    with running(course_folder) as server:
        public = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
        stated = tomllib.loads(server.client.get("/mograder.toml", headers=public).text)
        assert stated["https"]["url"] == server.url
