"""Tokens: a valid token identifies its person, and every other text is refused in the same way."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import Unauthenticated
from mograder.domain.names import Username
from mograder.domain.tokens import Token, from_header, pasted, sign, token_lines
from tests.parts import ALICE, BOB, compared_in_constant_time

USERNAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}", fullmatch=True).map(Username)
SECRETS = st.text(min_size=1).filter(lambda text: text.isprintable())
GENERATIONS = st.integers(0, 10_000)
HEX = "0" * 64


def test_a_token_has_the_format_of_published_clients_and_servers() -> None:
    digest = hmac.new("sëcret".encode(), b"alice", hashlib.sha256).hexdigest()
    assert sign("sëcret", ALICE) == f"alice:{digest}"


@given(secret=SECRETS, user=USERNAMES, generation=GENERATIONS)
def test_a_signed_token_is_valid(secret: str, user: Username, generation: int) -> None:
    token = from_header(f"Bearer {sign(secret, user, generation)}")
    assert token.username == user
    assert token.verify([secret], generation)


@given(secret=SECRETS, other=SECRETS, user=USERNAMES, generation=GENERATIONS, later=GENERATIONS)
def test_another_secret_or_generation_signs_another_token(
    secret: str, other: str, user: Username, generation: int, later: int
) -> None:
    token = Token.parse(sign(secret, user, generation))
    assert token.verify([other], generation) == (secret == other)
    assert token.verify([secret], later) == (generation == later)
    assert token.verify([other, secret], generation)
    assert not token.verify([], generation)


def test_a_token_of_one_user_is_not_valid_for_another() -> None:
    digest = Token.parse(sign("secret", ALICE)).hex
    assert not Token(BOB, digest).verify(["secret"], 0)


def test_no_name_has_the_token_of_another_name_after_a_reset() -> None:
    with pytest.raises(Unauthenticated):
        Token.parse(f"alice:1:{HEX}")


@given(
    text=st.one_of(
        st.text(), st.text(alphabet="a:0f /Bbearer"), st.text(max_size=3).map(lambda name: f"Bearer {name}:{HEX}")
    )
)
def test_every_text_is_a_valid_token_or_refused(text: str) -> None:
    for parse in (Token.parse, from_header):
        try:
            token = parse(text)
        except Unauthenticated:
            continue
        assert Username.parse(token.username) == token.username
        assert not token.verify(["secret"], 0)


@pytest.mark.parametrize(
    "text",
    ["", ":", "alice", "alice:", f":{HEX}", f"alice:{HEX[1:]}", f"alice:{HEX}0", f"alice:{HEX[1:]}A",
     f"alice:{HEX[1:]}ä", f"ali ce:{HEX}", f"alice :{HEX}", f"alice: {HEX}", f"../x:{HEX}",
     f"alice:{HEX[:-1]}\n", f"alice:{HEX[1:]}٣", "\ud800"],
)  # fmt: skip
def test_a_malformed_token_is_refused(text: str) -> None:
    for parse, value in ((Token.parse, text), (from_header, f"Bearer {text}")):
        with pytest.raises(Unauthenticated, match="malformed"):
            parse(value)


@pytest.mark.parametrize("value", [None, "", "Bearer", f"Basic alice:{HEX}", f"alice:{HEX}", f"Bearer\talice:{HEX}"])
def test_a_header_that_is_no_bearer_is_refused_with_what_is_expected(value: str | None) -> None:
    with pytest.raises(Unauthenticated, match=r"Bearer <token>|expected username:hex"):
        from_header(value)


@pytest.mark.parametrize("value", [f"bearer alice:{HEX}", f"BEARER  alice:{HEX} ", f" Bearer alice:{HEX}"])
def test_case_of_bearer_and_surrounding_space_are_ignored(value: str) -> None:
    assert from_header(value) == Token(ALICE, HEX)


def test_a_token_is_compared_in_constant_time_with_every_secret() -> None:
    token = Token.parse(sign("first", ALICE))
    for secrets in (["first", "second", "third"], ["none", "of", "them"]):
        with compared_in_constant_time() as compared:
            token.verify(secrets, 0)
        assert len(compared) == 3


def test_token_lines_are_names_an_empty_line_and_the_instructor() -> None:
    lines = token_lines([(ALICE, "alice:1"), (BOB, "bob:2")], "s").splitlines()
    assert lines[:3] == ["alice: alice:1", "bob: bob:2", ""]
    assert lines[3:] == token_lines([], "s").splitlines() == [f"instructor: {sign('s', Username('__instructor__'))}"]


@given(user=USERNAMES)
def test_a_token_is_found_in_pasted_text_and_other_text_is_unchanged(user: Username) -> None:
    token = sign("secret", user)
    lines = [line for line in token_lines([(user, token)], "secret").splitlines() if line]
    assert pasted(lines[0]) == token
    assert pasted(lines[1]) == sign("secret", Username("__instructor__"))
    for form in ("{}", " {}\n", "TOKEN={}", "export MOGRADER_HTTPS_TOKEN='{}'", 'token = "{}"'):
        assert pasted(form.format(token)) == token
    for other in (f"{token} {token}", f"TOKEN={token[:-1]}", "ABCD-EFGH", ""):
        assert pasted(other) == other
