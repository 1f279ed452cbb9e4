"""The course in examples/ works: marimo runs every released notebook, and the solutions solve them."""

import ast
import contextlib
import csv
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mograder.coursework.autograding import Prepared
from mograder.coursework.folders import GradingFolders
from mograder.coursework.preparation import Wishes, prepare_assignment
from mograder.domain.marks import mark
from tests.examples.styles import LIBRARY, LOOPS, solved

COURSE = Path(__file__).parents[2] / "src" / "mograder" / "example"
ASSIGNMENTS = ("hw1", "hw2", "hw3")

# Runs each named notebook like a script: its folder comes first in the search path of modules.
AS_SCRIPTS = """
import os, runpy, sys
for notebook in sys.argv[1:]:
    sys.path[0] = os.path.dirname(notebook)
    runpy.run_path(notebook, run_name="__main__")
"""


def released(assignment: str) -> Path:
    return COURSE / "release" / assignment / "files" / f"{assignment}.py"


def solution(assignment: str) -> Path:
    return COURSE / "solutions" / f"{assignment}.py"


def notebooks() -> list[Path]:
    return [find(assignment) for find in (released, solution) for assignment in ASSIGNMENTS]


def a_copy(assignment: str, folder: Path) -> Path:
    """A copy in a folder of its own, so that running a notebook leaves no files in the checkout."""
    return Path(shutil.copytree(released(assignment).parent, folder / assignment))


def python(*arguments: str | Path, cwd: Path) -> str:
    """Run Python with warnings as errors; it must exit with 0. Returns its standard output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_released_file_runs_as_a_script_from_any_folder(tmp_path: Path) -> None:
    folders = {assignment: a_copy(assignment, tmp_path) for assignment in ASSIGNMENTS}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python("-c", AS_SCRIPTS, *(folder / f"{name}.py" for name, folder in folders.items()), cwd=elsewhere)


def test_a_released_file_exports_as_a_page_with_its_tasks(tmp_path: Path) -> None:
    folder = a_copy("hw2", tmp_path)
    page = folder / "page.html"
    python(*("-m", "marimo", "--yes", "export", "html", "--no-sandbox"), *(folder / "hw2.py", "-o", page), cwd=tmp_path)
    text = page.read_text(encoding="utf-8")
    assert all(f"Exercise {number}: " in text for number in range(1, 6))
    assert "solved, the residuals over time are drawn here" in text


Points = Callable[[str, str], dict[str, float | None]]


@pytest.fixture(scope="module")
def points_of() -> Iterator[Points]:
    """The points of a submission (assignment, text) for each exercise; None for one that is marked by hand."""
    folders, opened = GradingFolders.of(COURSE), dict[str, Prepared]()
    with contextlib.ExitStack() as stack:

        def points(assignment: str, text: str) -> dict[str, float | None]:
            if assignment not in opened:
                opened[assignment] = stack.enter_context(prepare_assignment(folders, assignment, None, Wishes({}, 1)))
            prepared = opened[assignment]
            report = prepared.runs.grade(text.encode(), f"{assignment}.py")
            return {each.key: each.points for each in mark(prepared.questions, report).questions}

        yield points


FULL: dict[str, list[float | None]] = {
    "hw1": [2, 3, 3, 4, 4, None], "hw2": [4, 6, 5, 5, 5, None], "hw3": [4, 2, 6, 6, 6, None],
}  # fmt: skip
"""The points of each exercise; the last one is marked by hand."""


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_three_styles_of_solution_get_full_points_and_the_released_notebook_gets_none(
    assignment: str, points_of: Points
) -> None:
    source, full = COURSE / "source" / assignment / f"{assignment}.py", FULL[assignment]
    styles = (solved(source, each[assignment]) for each in (LOOPS, LIBRARY))
    for text in (solution(assignment).read_text(encoding="utf-8"), *styles):
        assert list(points_of(assignment, text).values()) == full
    nothing = points_of(assignment, released(assignment).read_text(encoding="utf-8"))
    assert list(nothing.values()) == [0, 0, 0, 0, 0, None]


@pytest.mark.parametrize(
    ("assignment", "right", "wrong", "exercise"),
    [
        ("hw1", "(len(values) - 1)", "len(values)", 3),
        ("hw1", "ordered = sorted(values)", "values.sort(); ordered = values", 2),
        ("hw1", "abs(value - centre) > k * scale", "value - centre > k * scale", 4),
        (
            "hw1",
            "sum((value - centre) ** 2 for value in values) / (",
            "(sum(v * v for v in values) - len(values) * round(centre, 1) ** 2) / (",
            3,
        ),
        ("hw2", 'not in ("", "85.0")', '!= ""', 1),
        ("hw2", "if minute >= 30", "if minute > 30", 5),
        ("hw3", "rng.shuffle(pile)", "random.shuffle(pile)", 3),
        ("hw3", "sum(abs(shuffled_difference(a, b, rng))", "sum(shuffled_difference(a, b, rng)", 4),
        ("hw3", "rng.choices(a, k=len(a))", "rng.sample(a, k=len(a))", 5),
    ],
)  # fmt: skip
def test_common_mistakes_cost_points(assignment: str, right: str, wrong: str, exercise: int, points_of: Points) -> None:
    text = solution(assignment).read_text(encoding="utf-8")
    assert right in text
    got = points_of(assignment, text.replace(right, wrong, 1))  # the first entry is the folder of the student
    assert (got[f"Exercise {exercise}"] or 0) < (FULL[assignment][exercise - 1] or 0)


def test_the_release_and_the_solution_are_made_from_the_source(tmp_path: Path) -> None:
    """The release by `mograder generate`; the solution is the source without hidden tests and solution markers."""
    course = Path(shutil.copytree(COURSE, tmp_path / "course"))
    python("-m", "mograder", "generate", *ASSIGNMENTS, "--no-validate", cwd=course)
    for assignment in ASSIGNMENTS:
        for path in released(assignment).parent.rglob("*.*"):
            assert (course / path.relative_to(COURSE)).read_bytes() == path.read_bytes()
        source = (COURSE / "source" / assignment / f"{assignment}.py").read_text(encoding="utf-8")
        answered = re.sub(r"(?s)    ### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS\n", "    # HIDDEN TESTS\n", source)
        answered = re.sub(r"(?m)^    ### (BEGIN|END) SOLUTION\n", "", answered)
        block = r"(?s)# /// script\n.*?# ///\n"
        assert re.sub(block, "", answered) == re.sub(block, "", solution(assignment).read_text(encoding="utf-8"))


def test_marimo_check_reports_nothing() -> None:
    python("-m", "marimo", "check", "--strict", *notebooks(), cwd=COURSE)


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_line_of_text_starts_a_markdown_list_by_accident(notebook: Path) -> None:
    # A minus or an asterisk of a formula that a line break has put first begins a list in Markdown.
    assert not re.findall(r"(?m)^    [-*+] .*", notebook.read_text(encoding="utf-8"))


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_notebook_states_what_it_needs_to_run(notebook: Path) -> None:
    # The reference pattern of PEP 723, for the one type of block that it defines
    blocks = re.findall(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", notebook.read_text(encoding="utf-8"))
    assert len(blocks) == 1
    needs = tomllib.loads("".join(line[2:] for line in blocks[0][0].splitlines(keepends=True)))
    assert needs["requires-python"] == ">=3.11"
    assert [re.split(r"[<>=~!]", need)[0] for need in needs["dependencies"]] == (["marimo", "mograder"])


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_a_solution_does_not_change_the_cells_of_the_instructor(assignment: str) -> None:
    assert hidden_cells(solution(assignment)) == hidden_cells(released(assignment))
    recorded = [re.findall("mograder-cell-hashes = .*", find(assignment).read_text()) for find in (solution, released)]
    assert recorded[0] == recorded[1], "else `mograder validate` says that cells were changed"


def hidden_cells(notebook: Path) -> list[str]:
    """The cells whose code students do not see: set-up, text and checks."""
    return [
        ast.unparse(node)
        for node in ast.parse(notebook.read_text(encoding="utf-8")).body
        if "hide_code=True" in ast.unparse(node)
    ]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_the_points_of_the_exercises_add_up_to_those_of_the_assignment(assignment: str) -> None:
    course = tomllib.loads((COURSE / "mograder.toml").read_text(encoding="utf-8"))
    points = {entry["name"]: entry["points"] for entry in course["assignments"]}
    assert tuple(points) == ASSIGNMENTS
    text = released(assignment).read_text(encoding="utf-8")
    assert sum(map(int, re.findall(r"## Exercise .*\((\d+) points\)", text))) == points[assignment]
    assert f"{points[assignment]} points\n    in all" in text or f"{points[assignment]} points in all" in text


def test_every_due_date_is_in_the_future() -> None:
    course = tomllib.loads((COURSE / "mograder.toml").read_text(encoding="utf-8"))
    for entry in course["assignments"]:
        assert entry["due"].utcoffset() is not None
        assert entry["due"].year >= 2030


def test_the_grades_agree_with_the_feedback_page() -> None:
    with (COURSE / "instructor" / "grades-hw1.csv").open(newline="", encoding="utf-8") as file:
        grades = {row["username"]: row for row in csv.DictReader(file)}
    assert set(grades) == {"alice"}
    assert all(set(row) == {"username", "grade", "feedback"} and all(row.values()) for row in grades.values())
    page = (COURSE / "instructor" / "feedback" / "hw1" / "alice.html").read_text(encoding="utf-8")
    exercises = re.findall(r"<td>(\d+) / (\d+)</td>", page)
    assert sum(int(got) for got, _ in exercises) == int(grades["alice"]["grade"])
    assert f"{grades['alice']['grade']} of {sum(int(most) for _, most in exercises)} points" in page


def test_the_course_is_small_enough_for_the_package() -> None:
    assert sum(path.stat().st_size for path in shipped()) < 150_000


def test_the_course_contains_only_its_own_files() -> None:
    names = {path.relative_to(COURSE / "release").as_posix() for path in shipped() if "release" in path.parts}
    assert names == {
        "hw1/files/hw1.py",
        "hw2/files/hw2.py",
        "hw2/files/tea.csv",
        "hw3/files/charts.py",
        "hw3/files/data/codebook.md",
        "hw3/files/data/seedlings.csv",
        "hw3/files/hw3.py",
    }


def shipped() -> list[Path]:
    return [path for path in COURSE.rglob("*") if path.is_file()]
