"""Resource limits: excessive use affects only its own question, and nothing of it remains on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mograder.domain.results import Outcome
from mograder.grading.environment import Environment
from mograder.grading.limits import Limits, Tests
from mograder.grading.runner import Grader
from mograder.grading.sandbox import Sandbox
from tests.grading.conftest import Grade
from tests.grading.notebooks import SOURCE, earned, submission

LIMITS = Limits(cell_seconds=1, total_seconds=30, memory_mb=256, processes=32, file_mb=8, output_kb=64, calls=2_000)


@pytest.fixture(scope="module")
def grade(sandbox: Sandbox, environment: Environment) -> Iterator[Grade]:
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, sandbox, 1) as grader:
        yield lambda text: grader.grade(text.encode(), "hw1.py")


IN_A_CELL = {
    "an endless loop": ("time", "answer = 0\nwhile True:\n    answer += 1"),
    "a loop that catches everything": (
        "time", "answer = 0\nwhile True:\n    try:\n        while True:\n            answer += 1\n"
                "    except BaseException:\n        pass"),
    "a loop in C": ("time", "answer = sum(iter(int, 1))"),
    "a sleep without signals": (
        "time", "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(60)\nanswer = 1"),
    "a list of 10 GiB": ("memory", "answer = [0] * (10 << 30)"),
    "a string that grows": ("memory", "answer = 'x'\nwhile True:\n    answer += answer"),
    "a million prints": ("output", "for _number in range(1_000_000):\n    print('all checks passed')\nanswer = 1"),
    "a large print": ("output", "print('x' * 10_000_000)\nanswer = 1"),
    "too many threads": (
        "processes", "import threading, time\n_threads = [threading.Thread(target=time.sleep, args=(9,), daemon=True) for _ in range(500)]\n"
                     "for _thread in _threads:\n    _thread.start()\nanswer = 1"),
    "a fork bomb": ("processes", "import os\nwhile True:\n    os.fork()"),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_A_CELL)
def test_a_limit_affects_only_the_cell_that_reaches_it(grade: Grade, name: str) -> None:
    what, code = IN_A_CELL[name]
    report = grade(submission({"answer": code}))
    assert report.outcome in (Outcome.LIMIT, Outcome.CODE_FAILED), report
    assert what in {limit.what for limit in report.limits} or name == "a fork bomb", report
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"], report


ENDING = {
    "exit": "import sys\nsys.exit(0)",
    "exit at once": "import os\nos._exit(0)",
    "kill": "import os\nos.kill(os.getpid(), 9)",
    "kill everything": "import os\nos.kill(-1, 9)",
    "kill the parent": "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(5)",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "recursion without end": "import sys\nsys.setrecursionlimit(10**9)\ndef _down():\n    return _down() + 1\n_down()",
    "recursion": "def _down():\n    return _down() + 1\n_down()",
    "closing everything": "import os\nos.closerange(0, 256)",
    "a full disk": "with open('big', 'wb') as _file:\n    while True:\n        _file.write(bytes(1 << 20))",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDING)
def test_a_cell_that_ends_its_process_loses_only_its_own_question(grade: Grade, name: str) -> None:
    report = grade(submission({"answer": ENDING[name] + "\nanswer = 42"}))
    assert report.outcome in (Outcome.CODE_FAILED, Outcome.LIMIT), report
    assert all(each.line is not None for each in (*report.failures, *report.limits))
    assert all(failure.error for failure in report.failures)
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"], report


IN_A_FUNCTION = {
    "an endless loop": "def is_even(number):\n    while True:\n        pass",
    "a loop that catches everything": "def is_even(number):\n    while True:\n        try:\n            pass\n"
                                      "        except BaseException:\n            pass",
    "much memory": "def is_even(number):\n    return [0] * (10 << 30)",
    "recursion": "def is_even(number):\n    return is_even(number)",
    "a crash": "import ctypes\ndef is_even(number):\n    return ctypes.string_at(0)",
    "a large number": "def is_even(number):\n    return 1 << 100_000_000",
    "a deep value": "def is_even(number):\n    value = []\n    for _ in range(100_000):\n        value = [value]\n    return value",
    "a value that holds itself": "def is_even(number):\n    value = []\n    value.append(value)\n    return value",
    "a large value": "def is_even(number):\n    return list(range(6_000_000))",
    "a large text": "def is_even(number):\n    return 'x' * 100_000_000",
}  # fmt: skip


@pytest.mark.parametrize("name", IN_A_FUNCTION)
def test_a_function_that_does_not_return_loses_only_the_question_that_calls_it(grade: Grade, name: str) -> None:
    report = grade(submission({"even": IN_A_FUNCTION[name]}))
    assert report.outcome in (Outcome.LIMIT, Outcome.GRADED), report
    assert [key for key, share in earned(report).items() if share < 1] == ["even", "secret"], report


ENDLESS = {
    "a generator": "import itertools\nclass Squares:\n    def __iter__(self):\n        return itertools.count()\n"
                   "    def __len__(self):\n        return 10\nsquares = Squares()",
    "an infinite repr": "class Squares:\n    def __repr__(self):\n        return repr(self)\n    def __len__(self):\n"
                        "        return 10\nsquares = Squares()",
    "a length that lies": "class Squares:\n    def __len__(self):\n        return 1 << 62\n    def __getitem__(self, n):\n"
                          "        return 9\nsquares = Squares()",
    "a value that takes for ever to read": "class Squares:\n    def __iter__(self):\n        while True:\n            pass\n"
                                           "        yield 1\nsquares = Squares()",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_value_loses_only_the_question_that_reads_it(grade: Grade, name: str) -> None:
    report = grade(submission({"squares": ENDLESS[name]}))
    assert report.outcome in (Outcome.LIMIT, Outcome.GRADED), report
    assert [key for key, share in earned(report).items() if share < 1] == ["squares", "secret"], report


def test_the_total_time_is_limited(sandbox: Sandbox, environment: Environment) -> None:
    limits = Limits(cell_seconds=1, total_seconds=2)
    slow = {key: f"{code}\nwhile True:\n    pass" for key, code in {"answer": "a = 1", "array": "b = 1"}.items()}
    more = {"squares": "while True:\n    pass", "honest": "while True:\n    pass"}
    with Grader(Tests(SOURCE, "hw1", limits=limits), environment, sandbox, 1) as grader:
        report = grader.grade(submission(slow | more).encode(), "hw1.py")
        assert report.outcome is Outcome.LIMIT
        assert {limit.what for limit in report.limits} == {"time"}
        assert any("2 s in all" in limit.detail for limit in report.limits)
        assert set(earned(grader.grade(submission().encode(), "hw1.py")).values()) == {0.0, 1.0}


LEAVE = """
import os, subprocess
for _folder in (".", "/tmp", "/dev/shm"):
    try:
        os.makedirs(f"{_folder}/deep/er", exist_ok=True)
        with open(f"{_folder}/deep/er/alice", "w") as _file:
            _file.write("42")
        os.chmod(f"{_folder}/deep", 0)
    except OSError:
        pass
os.environ["ANSWER"] = "42"
if not os.fork():
    os.setsid()
    import socket, time
    _socket = socket.socket(socket.AF_UNIX)
    _socket.bind("\\0alice")
    _socket.listen()
    time.sleep(600)
"""
FIND = """
import glob, os, socket
_left = [_p for _f in (".", "/tmp", "/dev/shm") for _p in glob.glob(f"{_f}/**/alice", recursive=True)]
_left += [_f for _f in ("deep", "/tmp/deep", "/dev/shm/deep") if os.path.exists(_f)]
_left += [_p for _p in glob.glob("/proc/[0-9]*") if int(_p[6:]) not in (1, os.getpid(), os.getppid())]
_left += [os.environ["ANSWER"]] if "ANSWER" in os.environ else []
try:
    _socket = socket.socket(socket.AF_UNIX)
    _socket.connect("\\0alice")
    _left.append("socket")
except OSError:
    pass
name = ", ".join(map(str, _left)) or "Ada"
def double(x):
    return 2 * x
"""


def test_nothing_of_one_submission_remains_for_the_next(grade: Grade) -> None:
    grade(submission({}, LEAVE))
    assert earned(grade(submission({"honest": FIND})))["honest"] == 1


def test_the_memory_of_many_processes_is_counted_together(grade: Grade) -> None:
    code = "import os, time\nfor _ in range(8):\n    if not os.fork():\n        _x = bytearray(200 << 20)\n        time.sleep(30)\n" \
           "        os._exit(0)\ntime.sleep(30)\nanswer = 42"  # fmt: skip
    report = grade(submission({"answer": code}))
    assert "memory" in {limit.what for limit in report.limits}, report
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"], report


TO_THE_PARENT = {
    "limits its files": "resource.prlimit(parent, resource.RLIMIT_FSIZE, (0, 0))",
    "limits its open files": "resource.prlimit(parent, resource.RLIMIT_NOFILE, (8, 8))",
    "limits its memory": "resource.prlimit(parent, resource.RLIMIT_AS, (1 << 28, 1 << 28))",
    "limits its processes": "resource.prlimit(parent, resource.RLIMIT_NPROC, (1, 1))",
    "stops it": "os.kill(parent, signal.SIGSTOP)",
    "stops it by a descriptor": "signal.pidfd_send_signal(os.pidfd_open(parent), signal.SIGSTOP)",
    "stops its thread": "ctypes.CDLL(None).tgkill(parent, parent, signal.SIGSTOP)",
    "makes it wait": "os.setpriority(os.PRIO_PROCESS, parent, 19)",
    "gives it one processor": "os.sched_setaffinity(parent, {max(os.sched_getaffinity(0))})",
    "schedules it": "os.sched_setscheduler(parent, os.SCHED_IDLE, os.sched_param(0))",
}


@pytest.mark.parametrize("name", TO_THE_PARENT)
def test_a_submission_cannot_change_the_process_from_which_the_next_is_forked(grade: Grade, name: str) -> None:
    tried = f"""
import ctypes, os, resource, signal
parent = os.getppid()
try:
    _answer = {TO_THE_PARENT[name]}
    changed = _answer != -1
except OSError:
    changed = False
answer = 42 if changed else 0
"""
    report = grade(submission({"answer": tried}))
    assert earned(report)["answer"] == 0.0, "it was allowed"
    following = grade(submission())
    assert following.outcome is Outcome.GRADED, following.error
    assert following.limits == ()


def test_a_submission_may_limit_itself(grade: Grade) -> None:
    own = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.sched_setaffinity(0, os.sched_getaffinity(0))
answer = 42
"""
    assert earned(grade(submission({"answer": own})))["answer"] == 1.0
