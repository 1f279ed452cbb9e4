"""Names from outside: a valid name neither leads out of a folder nor looks like a file of mograder."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadName
from mograder.domain.names import (
    MAX_USERNAME,
    AssignmentName,
    CourseName,
    FileName,
    Username,
    counted,
    is_history,
    parse_new_username,
    parse_owner,
    printable,
    some_of,
)
from mograder.domain.receipts import latest_filename, owner, version_filename
from tests.parts import NOON

PARSERS = [Username.parse, AssignmentName.parse, FileName.parse, parse_owner, parse_new_username]
NASTY = st.one_of(
    st.text(),
    st.text(alphabet="./\\ a\0\n~:*"),
    st.lists(st.sampled_from(["..", ".", "", "a", "/", "\\", "\0", "b.py", " ", "é"])).map("/".join),
)


def refusal(parse: Callable[[str], str], text: str) -> str:
    """The error for `text`, or "" if it is valid."""
    try:
        parse(text)
    except BadName as error:
        return error.message
    return ""


@given(text=NASTY)
@pytest.mark.parametrize("parse", PARSERS)
def test_a_name_never_leads_out_of_its_folder(parse: Callable[[str], str], text: str) -> None:
    try:
        name = parse(text)
    except BadName:
        return
    folder = "/course/folder"
    path = os.path.normpath(os.path.join(folder, name))
    assert path == f"{folder}/{name}"
    assert not any(part.startswith(".") or not part for part in name.split("/"))
    assert "\0" not in name
    assert "\\" not in name
    assert parse(name) == name


@given(text=st.text())
@pytest.mark.parametrize("parse", PARSERS)
def test_the_error_for_an_invalid_name_can_be_shown_on_a_terminal(parse: Callable[[str], str], text: str) -> None:
    message = refusal(parse, text)
    assert printable(message, 400) == message


@pytest.mark.parametrize("name", ["alice", "bob-smith", "user_1", "first.last", "a@b.de", "x+y@uni.de", "7", "_a"])
def test_usual_user_names_are_accepted(name: str) -> None:
    assert parse_new_username(f" {name}\n") == Username.parse(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", ".a", "-a", "@a", "+a", "a b", "a/b", "a\\b", "a:b", "a\0", "ä", "a\nb", "a" * 101, "..", "٣", "a%b"],
)
def test_an_invalid_user_name_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        Username.parse(name)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["x_20260310T200800"], "looks like a dated submission"),
        (["CON", "nul.x", "com1"], "is a device name on Windows"),
        (["a.py", "a.PY", "a.ipynb", "a.html", "a.json", "a.", "a.tmp"], "looks like a file"),
    ],
)  # fmt: skip
def test_a_name_that_looks_like_a_file_of_mograder_belongs_to_nobody(names: list[str], said: str) -> None:
    for name in names:
        assert refusal(parse_owner, name).startswith(f"{name!r} {said}"), name


@pytest.mark.parametrize("name", ["__instructor__", "__x", "__"])
def test_reserved_names_cannot_be_registered(name: str) -> None:
    assert parse_owner(name).reserved
    with pytest.raises(BadName, match="reserved"):
        parse_new_username(name)


@given(name=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}", fullmatch=True))
def test_the_latest_file_of_a_person_is_distinguished_from_versions(name: str) -> None:
    try:
        username = parse_owner(name)
    except BadName:
        return
    assert owner(latest_filename(username)) == username
    version = version_filename(username, NOON)
    assert is_history(version.removesuffix(".py"))
    assert owner(version) is None
    assert FileName.parse(version) == version


def test_a_user_name_may_contain_dots() -> None:
    assert owner("first.last.py") == owner(latest_filename(Username("first.last"))) == "first.last"


@pytest.mark.parametrize("filename", ["alice", "alice.txt", ".py", ".alice.py", "a b.py", "a/b.py", "ä.py", " a.py"])
def test_a_file_of_another_kind_belongs_to_nobody(filename: str) -> None:
    assert owner(filename) is None


@pytest.mark.parametrize("name", ["hw1", "Übung 1", "U\u0308bung", "日本", "a..b", "100%", "a:b?", "*", "~"])
def test_every_usual_folder_name_is_a_valid_assignment_name(name: str) -> None:
    assert str(AssignmentName.parse(name)) == str(FileName.parse(name)) == name


def test_file_names_may_contain_folders_and_names_may_be_long() -> None:
    for parse, longest in (
        (Username.parse, "a" * MAX_USERNAME), (AssignmentName.parse, "ä" * 100), (FileName.parse, "data/week 1/x.csv"),
        (FileName.parse, "/".join(["a" * 199] * 5) + "a"),
    ):  # fmt: skip
        assert parse(longest) == longest


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (Username.parse, " ", "no user name given"),
        (Username.parse, "a" * 101, "user name is longer than 100 characters"),
        (AssignmentName.parse, "ä" * 101, f"'{'ä' * 39}…' is longer than 200 bytes, which an "
                                         "assignment name cannot be"),
        (AssignmentName.parse, ".x", "'.x' cannot be part of an assignment name"),
        (AssignmentName.parse, "a/b", "'a/b' has a character that an assignment name cannot have"),
        (FileName.parse, "a/" * 500 + "a", "file name is longer than 1000 characters"),
        (FileName.parse, "a\\b", r"'a\\b' has a character that a file name cannot have"),
        (FileName.parse, "a/\x1bb", "'?b' has a character that a file name cannot have"),
        (FileName.parse, "a/\ud800", "'?' has a character that a file name cannot have"),
    ],
)  # fmt: skip
def test_the_error_says_what_is_wrong_with_a_name(parse: Callable[[str], str], text: str, said: str) -> None:
    assert refusal(parse, text) == said


@pytest.mark.parametrize("letter", ["\x1b", "\x9b", "\u202e", "\u200b", "\ud800", "\ue000", "\u2028", "\u2029"])
def test_control_characters_are_displayed_as_question_marks(letter: str) -> None:
    assert printable(f"a{letter}b") == "a?b"


def test_long_texts_are_truncated_for_display() -> None:
    assert printable("x" * 120) == "x" * 120
    assert printable("x" * 121) == "x" * 119 + "…"


def test_a_course_name_consists_of_characters_that_need_no_escaping_in_a_url() -> None:
    for name in ("a", "1", "algo-2.ws_26", "x" * 64):
        assert CourseName.parse(name) == name
    for name in ("", "Algo", "-a", ".a", "a b", "a/b", "ä", "x" * 65, "a\n"):
        assert refusal(CourseName.parse, name).startswith(f"{printable(name)!r} cannot be the name of a course"), name


@given(text=st.text())
def test_displayed_text_cannot_control_a_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= 120
    assert not any(ord(letter) < 32 or letter in "\x7f\x9b\u202e\u2066\u200b\u2028" for letter in shown)


def test_singular_and_plural_are_chosen_by_the_number() -> None:
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
    said = [counted(number, "minute") for number in (0, 1, 1.0, 2, 2.5, 1_000_000)]
    assert said == ["0 minutes", "1 minute", "1 minute", "2 minutes", "2.5 minutes", "1000000 minutes"]


def test_a_long_list_of_names_is_cut_and_says_by_how_many() -> None:
    assert some_of([]) == ""
    assert some_of(list("ab"), 2) == "a, b"
    assert some_of(list("abcd"), 2) == "a, b and 2 more"
    assert some_of([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert some_of(["a\u202eb"]) == "a?b"
