"""What a submission may call in the process of the checks: functions of the tests and plain ones, none that access files."""

from __future__ import annotations

import functools
import io
import json
import operator
import os
import pathlib
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from mograder.grading.inside.guard import Guard
from mograder.grading.inside.library import may_call

FORBIDDEN = {
    "open": open, "io.open": io.open, "eval": eval, "getattr": getattr, "a getter": operator.attrgetter("__globals__"),
    "os.system": os.system, "a part of it": functools.partial(functools.partial(open), "x"), "str.format": str.format,
    "a class of subprocess": subprocess.Popen, "a method of a path": pathlib.Path("x").read_text,
}  # fmt: skip
ALLOWED = {
    "abs": abs, "a universal function": numpy.sin, "operator.add": operator.add, "a method of a list": [].append,
    "reading a text stream": io.StringIO().read, "a random generator": numpy.random.default_rng(0).normal,
    "a part of a function": functools.partial(max, 3), "a class": int, "the mean": numpy.mean,
}  # fmt: skip


@pytest.mark.parametrize("name", FORBIDDEN)
def test_functions_that_access_files_or_attributes_may_not_be_called(name: str) -> None:
    assert not may_call(FORBIDDEN[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_plain_functions_may_be_called(name: str) -> None:
    assert may_call(ALLOWED[name])


CALLS = """
import json, sys, warnings
import numpy as np
from mograder.grading.inside.library import Library

library = Library()
library.install()


def own(path):
    return len(open(path).read())


def outcome(function, *arguments):
    try:
        with library.calling(function):
            return str(function(*arguments))
    except PermissionError as error:
        return "refused"


path = sys.argv[1]
calls = [(np.loadtxt, path), (np.fromfile, path), (np.genfromtxt, path), (np.save, path + ".npy", 1),
         (own, path), (lambda: own(path),), (np.log, -1.0), (np.sum, [1, 2])]
found = [outcome(*call) for call in calls]
print(json.dumps(found))
"""


def test_library_functions_open_no_file_for_a_submission_but_functions_of_the_tests_do(tmp_path: Path) -> None:
    """In a separate process, because an audit hook cannot be removed."""
    (tmp_path / "hidden.txt").write_text("1 2")
    command = [sys.executable, "-c", CALLS, str(tmp_path / "hidden.txt")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == ["refused"] * 4 + ["3", "3", "nan", "3"]
    assert [path.name for path in tmp_path.iterdir()] == ["hidden.txt"]


class Own:
    """Like a class defined by the tests, which run as __main__."""

    def method(self) -> None: ...


Own.__module__ = "__main__"

SHARED = {
    "a class of the tests": Own, "a class of a library": numpy.ndarray, "a module": json, "a function": json.dumps,
    "a universal function": numpy.sin, "an array": numpy.zeros(2), "a random generator": numpy.random.default_rng(0),
    "a text stream": io.StringIO(), "a class of Python": OSError,
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("operation", ["setattr", "delattr"])
def test_no_attribute_of_shared_objects_can_be_set(name: str, operation: str) -> None:
    guard = Guard("tests.py", {})
    guard.begin(0)
    assert not guard.permits(operation, SHARED[name], "new")
    assert not guard.permits(operation, SHARED[name], "__class__")
    assert guard.permits("setattr", Own(), "new")
    assert not guard.permits("setattr", Own(), "method")
