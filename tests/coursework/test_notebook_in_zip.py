"""Which notebook of a zip is graded, and the error if it is missing."""

from __future__ import annotations

import io
import zipfile

import pytest

from mograder.coursework.notebook_in_zip import NoNotebook, graded_notebook, notebook_in


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return made.getvalue()


@pytest.mark.parametrize(
    ("names", "named", "found"),
    [
        (("a.py", "hw1.py", "submission.json"), True, "hw1.py"),
        (("mine/hw1.py", "mine/a.py", "__MACOSX/mine/hw1.py"), True, "mine/hw1.py"),
        (("mine.py", "tea.csv"), False, "mine.py"),
    ],
)
def test_the_expected_notebook_is_graded_or_the_only_one(names: tuple[str, ...], named: bool, found: str) -> None:
    assert notebook_in(zipped(*names), "alice.zip", "hw1.py", named) == (found.encode(), found)


@pytest.mark.parametrize(
    ("names", "named", "said"),
    [
        (("a.py", "b.py", "submission.json"), True, "the zip holds a.py, b.py: hw1.py is missing"),
        (("mine.py",), True, "the zip holds mine.py: hw1.py is missing"),
        (("x/hw1.py", "y/hw1.py"), True, "more than one could be the notebook"),
        (("a.py", "b.py"), False, "more than one could be the notebook"),
        ((), False, "the zip holds nothing: hw1.py is missing"),
    ],
)
def test_a_zip_without_the_notebook_is_an_error_that_names_what_is_there_and_missing(
    names: tuple[str, ...], named: bool, said: str
) -> None:
    with pytest.raises(NoNotebook, match=said):
        notebook_in(zipped(*names), "alice.zip", "hw1.py", named)


def test_a_file_that_is_not_a_zip_is_graded_unchanged_and_a_broken_zip_is_an_error() -> None:
    assert notebook_in(b"x = 1", "alice.py", "hw1.py", True) == (b"x = 1", "alice.py")
    with pytest.raises(NoNotebook, match="cannot be read"):
        notebook_in(b"PK\x03\x04rest", "alice.zip", "hw1.py", True)


def test_of_the_expected_files_the_one_named_like_the_source_is_graded() -> None:
    assert graded_notebook((), "hw1.py") == "hw1.py"
    assert graded_notebook(("a.py", "hw1.py"), "hw1.py") == "hw1.py"
    assert graded_notebook(("tea.csv", "a.py", "b.py"), "hw1.py") == "a.py"
    assert graded_notebook(("essay.pdf",), "hw1.py") == "hw1.py"
