"""`mograder demo`: a small real course to try everything on, by hand or by itself (--check)."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click
from msgspec import Struct

from mograder.cli.arguments import OUT_FOLDER
from mograder.cli.demo_students import STUDENTS, write_submissions
from mograder.cli.serve import serve
from mograder.domain.codes import new_course_code
from mograder.domain.errors import MograderError, Usage
from mograder.domain.names import INSTRUCTOR
from mograder.domain.tokens import SECRET_NAME, sign

USUAL_PORT = 8080


def make_course(folder: Path) -> Path:
    """Write the example course into `folder`, which must be empty or missing. Returns the folder to serve."""
    if folder.exists() and any(folder.iterdir()):
        raise Usage(f"{folder} is not empty: name a new folder for the demo course")
    with resources.as_file(resources.files("mograder") / "example") as example:
        shutil.copytree(example, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "__marimo__"))
    return folder / "release"


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else any port that is free now."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            if sys.platform != "win32":  # there it would take a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise MograderError("no free port on this machine")


@click.command()
@click.argument("folder", required=False, type=OUT_FOLDER)
@click.option("--port", "-p", type=click.IntRange(1, 65535), help="Port to listen on. [default: 8080, or a free one]")
@click.option("--check", is_flag=True, help="Try everything automatically, and report each step.")
@click.pass_context
def demo(ctx: click.Context, folder: Path | None, port: int | None, check: bool) -> None:
    """Make a small real course in FOLDER (a temporary one by default) and serve it.

    It prints the commands to try as a student and as the instructor. The course stays when the demo ends if FOLDER
    was named.

    \b
    Examples:
      mograder demo
      mograder demo my-first-course
      mograder demo --check
    """
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mograder-demo-")))
        root = make_course(folder if folder is not None else scratch / "course")
        code = new_course_code(secrets.choice)
        address = port or free_port(USUAL_PORT)
        if check:
            stack.enter_context(serving(root, address, code, "--grading-workers", "0"))  # `walk` grades
            if not walk(root, f"http://127.0.0.1:{address}", code, scratch):
                raise MograderError("the demo failed: see the steps above")
            return
        click.echo(guide(root.resolve(), f"http://localhost:{address}", code))
        ctx.invoke(serve, folder=root, port=address, host="127.0.0.1", enrollment_code=code)


def program() -> str:
    """How to call this program from another terminal: by name when that finds it, else by path."""
    called = Path(sys.argv[0])
    if shutil.which("mograder") or called.stem != "mograder":
        return "mograder"
    return shlex.quote(str(called.resolve()))


def guide(root: Path, url: str, code: str) -> str:
    """The commands to try, ready to be pasted into other terminals."""
    course, name = root.parent, program()
    secret = shlex.quote(str(root / SECRET_NAME))
    instructor = f"--url {url}"
    given = course / "instructor"
    from mograder.coursework.preparation import what_grading_lacks

    missing = what_grading_lacks()
    grade = f"""\
  {name} https fetch-submissions hw1 {instructor} -o submitted/hw1/
  {name} https upload-grades hw1 {instructor} --grades-csv {shlex.quote(str(given / "grades-hw1.csv"))}
  {name} https upload-feedback hw1 {instructor} --feedback-dir {shlex.quote(str(given / "feedback" / "hw1"))}

Nothing can be graded here: {missing}
"""
    if not missing:
        grade = f"""\
  cd {shlex.quote(str(course))}
  {name} autograde hw1
  {name} feedback hw1 --grades-csv grades.csv
  {name} https upload-grades hw1 {instructor} --grades-csv grades.csv
  {name} https upload-feedback hw1 {instructor}
"""
    return f"""\
A demo course is in {course}. Its enrollment code is {code}.

As a student, in a second terminal (choose a name, say alice, and enter the code):
  {name} https login --url {url}
  {name} https fetch --list
  {name} https fetch hw1 -o hw1/
  {name} https submit hw1 hw1/hw1.py
  {name} https feedback hw1

As the instructor, in a third (the first line is for a POSIX shell):
  export MOGRADER_HTTPS_TOKEN="$({name} token --bare --secret-file {secret})"
{grade}"""


# --check


@contextlib.contextmanager
def serving(root: Path, port: int, code: str, *more: str) -> Iterator[int]:
    """A server in a process of its own, ready when the block begins and stopped when it ends. Gives the process id."""
    words = [sys.executable, "-m", "mograder", "serve", str(root), "--host", "127.0.0.1", "-p", str(port), *more]
    environment = {**os.environ, "MOGRADER_ENROLLMENT_CODE": code, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")  # noqa: S603
    try:
        assert process.stdout is not None
        if not any("Ctrl-C" in line for line in process.stdout):
            raise MograderError("the server did not start")
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=20)


class Step(Struct, frozen=True):
    """One command: its purpose, the words after `mograder`, and the text that its output must contain.

    `at` is the person who runs it, with logins of their own.
    """

    title: str
    words: list[str]
    expected: str
    exit_code: int = 0
    at: str = "alice"
    folder: Path | None = None
    """Where it is typed, if not in a folder of the person's own."""


def walk(root: Path, url: str, code: str, scratch: Path) -> bool:
    """Run the course from registration to feedback by the real command line. Returns whether every step held."""
    environment = {**os.environ, "MOGRADER_ENROLLMENT_CODE": code, "NO_COLOR": "1"}
    for name in ("MOGRADER_HTTPS_TOKEN", "MOGRADER_HTTPS_URL"):
        environment.pop(name, None)
    from mograder.coursework.preparation import what_grading_lacks

    missing = what_grading_lacks()
    steps = [*_steps(root, url), *(_returning(root, url) if missing else _grading(root, url, scratch))]
    results = [_say(step, _run(step, scratch / step.at, environment)) for step in [*steps, *_last()]]
    kept = sorted(path.name for path in (root.parent / "submitted" / "hw1").glob("alice_*.py"))
    link = root.parent / "submitted" / "hw1" / "alice.py"
    both = len(kept) == 2 and link.read_bytes() == (root.parent / "solutions" / "hw1.py").read_bytes()
    results.append(
        _say(Step("both submissions are kept, alice.py is the last", [], ""), "" if both else f"found {kept}")
    )
    held = sum(results)
    click.echo(f"{held} of {len(results)} steps held")
    if missing:
        click.echo(f"nothing was graded: {missing}")
    return held == len(results)


def _steps(root: Path, url: str) -> list[Step]:
    course = root.parent
    register = ["https", "login", "--url", url, "--user", "alice"]
    instructor = _instructor(root, url)
    solution = str(course / "solutions" / "hw1.py")
    collect = ["https", "fetch-submissions", "hw1", *instructor, "-o", "collected"]
    return [
        Step("a student registers", register, "alice"),
        Step("a classmate cannot take the name", register, "taken", 5, "mallory"),
        Step("sees what there is to do", ["https", "fetch", "--list"], "hw1"),
        Step("fetches it", ["https", "fetch", "hw1", "-o", "hw1"], "Fetched 1 file(s)"),
        Step("has not submitted yet", ["https", "feedback", "hw1"], "No submission yet."),
        Step("submits for the first time", ["https", "submit", "hw1", "hw1/hw1.py"], "Submitted"),
        Step("submits the solution", ["https", "submit", "hw1", solution], "Submitted"),
        Step("the instructor collects", collect, "Downloaded 1"),
        Step("collects again, nothing new", collect, "skipped 1"),
    ]  # fmt: skip


def _instructor(root: Path, url: str) -> list[str]:
    return ["--url", url, "--token", sign((root / SECRET_NAME).read_text().strip(), INSTRUCTOR)]


def _returning(root: Path, url: str) -> list[Step]:
    """Steps that return the grades and feedback of the example, for a machine that cannot grade."""
    given, instructor = root.parent / "instructor", _instructor(root, url)
    grade = ["https", "upload-grades", "hw1", *instructor, "--grades-csv", str(given / "grades-hw1.csv")]
    give_back = ["https", "upload-feedback", "hw1", *instructor, "--feedback-dir", str(given / "feedback" / "hw1")]
    return [Step("grades", grade, "Uploaded"), Step("returns feedback", give_back, "Uploaded")]


def _grading(root: Path, url: str, scratch: Path) -> Iterator[Step]:
    """Steps in which three more students submit, and the instructor grades all four; see demo_students.py."""
    course, instructor = root.parent, _instructor(root, url)
    files = write_submissions(course / "solutions" / "hw1.py", scratch / "written")
    (course / "marks").mkdir(exist_ok=True)
    shutil.copy(course / "instructor" / "marks-hw1.csv", course / "marks" / "hw1.csv")
    for each in STUDENTS[1:]:
        login = ["https", "login", "--url", url, "--user", each.name]
        yield Step(f"{each.name} registers", login, each.name, at=each.name)
        submit = ["https", "submit", "hw1", str(files[each.name])]
        yield Step(f"{each.name} submits {each.does}", submit, "Submitted", at=each.name)
    yield Step("the instructor makes the release from the source", ["generate", "hw1"], "hw1.py", folder=course)
    yield Step("grades everybody", ["autograde", "hw1"], "hw1: graded 4 submissions", folder=course)
    for each in STUDENTS:
        record = f"autograded/hw1/{each.name}.json"
        yield Step(f"{each.name}, {each.does}: {each.points} points", ["verify", record], each.expected, folder=course)
    pages = ["feedback", "hw1", "--grades-csv", "grades.csv"]
    yield Step("adds marks by hand, and makes pages and grades", pages, "Made 4 feedback pages", folder=course)
    grades = ["https", "upload-grades", "hw1", *instructor, "--grades-csv", "grades.csv"]
    yield Step("returns grades", grades, "Uploaded 4 grade(s)", folder=course)
    yield Step("returns pages", ["https", "upload-feedback", "hw1", *instructor], "Uploaded 4", folder=course)


def _last() -> list[Step]:
    return [
        Step("the student reads the grade", ["https", "feedback", "hw1"], "Grade: 18"),
        Step("but cannot collect", ["https", "fetch-submissions", "hw1", "-o", "others"], "only an instructor", 3),
        Step("and finds no hw9", ["https", "fetch", "hw9"], "hw9", 2),
    ]


def _run(step: Step, own: Path, environment: dict[str, str]) -> str:
    """Run a step in its folder, by default `own`, its person's. Returns what was wrong with it, "" for nothing."""
    folder = step.folder or own
    own.mkdir(exist_ok=True)
    home = {name: str(own / ".home") for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "APPDATA")}
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "mograder", *step.words], cwd=folder, env={**environment, **home},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    output = ran.stdout + ran.stderr
    if ran.returncode != step.exit_code:
        return f"exit {ran.returncode}, expected {step.exit_code}: {output.strip()}"
    return "" if step.expected in output else f"no {step.expected!r} in: {output.strip()}"


def _say(step: Step, wrong: str) -> bool:
    shown = ["TOKEN" if word.startswith(f"{INSTRUCTOR}:") else word for word in step.words]
    click.echo(f"{'FAILED' if wrong else 'ok    '}  {step.title}")
    if shown:
        click.echo(f"        mograder {shlex.join(shown)}")
    if wrong:
        click.echo(f"        {wrong}")
    return not wrong
