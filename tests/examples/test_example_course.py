"""The course in examples/ is real: marimo runs every notebook as handed out, and the solutions solve them."""

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mograder.coursework.exams import Wishes, opened_exam
from mograder.coursework.folders import GradingFolders
from mograder.domain.marks import mark

COURSE = Path(__file__).parents[2] / "src" / "mograder" / "example"
ASSIGNMENTS = ("hw1", "hw2", "hw3")
CHECKED_INSIDE = ("hw2", "hw3")
"""Those whose notebooks hold checks of their own, as courses without sources have them."""

CHECKS = [f"check_{number}" for number in range(1, 6)]

MISTAKES = [
    ("hw2", 'not in ("", "85.0")', '!= ""', "check_1"),
    ("hw2", "if minute >= 30", "if minute > 30", "check_5"),
    ("hw3", "rng.shuffle(pile)", "random.shuffle(pile)", "check_3"),
    ("hw3", "sum(abs(shuffled_difference(a, b, rng))", "sum(shuffled_difference(a, b, rng)", "check_4"),
    ("hw3", "rng.choices(a, k=len(a))", "rng.sample(a, k=len(a))", "check_5"),
]
"""Assignment, what is right in its solution, what is wrong in its place, and the check that must notice it."""

# Runs the notebook of each folder that is named, in the same process, which imports marimo once. Prints which of its
# checks are solved, as one line of JSON a folder.
SOLVED = """
import importlib, json, os, sys
for folder in sys.argv[1:]:
    os.chdir(folder)
    before = set(sys.modules)
    sys.path.insert(0, folder)
    outputs, values = importlib.import_module(os.path.basename(folder)).app.run()
    print(json.dumps({name: values[name].solved for name in sorted(values) if name.startswith("check_")}))
    sys.path.remove(folder)
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]
"""

# Runs each notebook that is named as Python runs a script: its folder is the first where modules are looked for.
AS_SCRIPTS = """
import os, runpy, sys
for notebook in sys.argv[1:]:
    sys.path[0] = os.path.dirname(notebook)
    runpy.run_path(notebook, run_name="__main__")
"""


def handed_out(assignment: str) -> Path:
    return COURSE / "release" / assignment / "files" / f"{assignment}.py"


def solution(assignment: str) -> Path:
    return COURSE / "solutions" / f"{assignment}.py"


def notebooks() -> list[Path]:
    return [find(assignment) for find in (handed_out, solution) for assignment in ASSIGNMENTS]


def a_copy(assignment: str, folder: Path) -> Path:
    """A student's own folder: running a notebook leaves nothing in the checkout."""
    return Path(shutil.copytree(handed_out(assignment).parent, folder / assignment))


def python(*arguments: str | Path, cwd: Path) -> str:
    """Standard output of a Python in which warnings are errors; fails with all it said unless it exits 0."""
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


@pytest.mark.parametrize("assignment", CHECKED_INSIDE)
def test_a_released_file_exports_as_a_page_that_tells_what_is_to_do(assignment: str, tmp_path: Path) -> None:
    folder = a_copy(assignment, tmp_path)
    page = folder / "page.html"
    python(
        *("-m", "marimo", "--yes", "export", "html", "--no-sandbox"),
        *(folder / f"{assignment}.py", "-o", page),
        cwd=tmp_path,
    )
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"Exercise (\d) is not solved yet", text) == ["1", "2", "3", "4", "5"]
    assert not re.findall(r"Exercise \d is solved", text)


def test_the_checks_of_a_notebook_are_solved_by_the_solution_and_notice_common_mistakes(tmp_path: Path) -> None:
    folders: list[Path] = []

    def notebook(name: str, assignment: str, text: str) -> None:
        folders.append(a_copy(assignment, tmp_path / name))
        (folders[-1] / f"{assignment}.py").write_text(text, encoding="utf-8")

    for assignment in CHECKED_INSIDE:
        notebook("as handed out", assignment, handed_out(assignment).read_text(encoding="utf-8"))
    for assignment in CHECKED_INSIDE:
        notebook("solved", assignment, solution(assignment).read_text(encoding="utf-8"))
    for number, (assignment, right, wrong, _) in enumerate(MISTAKES):
        text = solution(assignment).read_text(encoding="utf-8")
        assert right in text
        # The first place is the student's; a check further down may well say the same.
        notebook(f"mistake {number}", assignment, text.replace(right, wrong, 1))
    lines = python("-c", SOLVED, *folders, cwd=tmp_path).splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(found) == len(folders)
    assert found[:2] == [dict.fromkeys(CHECKS, False)] * 2
    assert found[2:4] == [dict.fromkeys(CHECKS, True)] * 2
    for (*_, check), solved in zip(MISTAKES, found[4:], strict=True):
        assert not solved[check], check


@pytest.fixture(scope="module")
def points_of() -> Iterator[Callable[[str], dict[str, float | None]]]:
    """What a submission of hw1 gets for each exercise, graded with the source; None for what a person marks."""
    folders = GradingFolders.of(COURSE)
    with opened_exam(folders, "hw1", None, Wishes({}, 1)) as exam:

        def points(text: str) -> dict[str, float | None]:
            report = exam.runs.grade(text.encode(), "hw1.py")
            return {each.key: each.points for each in mark(exam.questions, report).questions}

        yield points


FULL = {"Exercise 1": 2, "Exercise 2": 3, "Exercise 3": 3, "Exercise 4": 4, "Exercise 5": 4, "Exercise 6": None}


def test_the_source_gives_all_points_to_the_solution_and_none_to_what_is_handed_out(
    points_of: Callable[[str], dict[str, float | None]],
) -> None:
    assert points_of(solution("hw1").read_text(encoding="utf-8")) == FULL
    assert points_of(handed_out("hw1").read_text(encoding="utf-8")) == {
        key: None if points is None else 0 for key, points in FULL.items()
    }


@pytest.mark.parametrize(
    ("right", "wrong", "exercise"),
    [
        ("(len(values) - 1)", "len(values)", "Exercise 3"),
        ("ordered = sorted(values)", "values.sort(); ordered = values", "Exercise 2"),
        ("abs(value - centre) > k * scale", "value - centre > k * scale", "Exercise 4"),
        (
            "sum((value - centre) ** 2 for value in values) / (",
            "(sum(v * v for v in values) - len(values) * round(centre, 1) ** 2) / (",
            "Exercise 3",
        ),
    ],
)  # fmt: skip
def test_a_common_mistake_costs_points(
    right: str, wrong: str, exercise: str, points_of: Callable[[str], dict[str, float | None]]
) -> None:
    text = solution("hw1").read_text(encoding="utf-8")
    assert right in text
    got = points_of(text.replace(right, wrong, 1))
    assert (got[exercise] or 0) < (FULL[exercise] or 0)


def test_the_release_and_the_solution_are_made_from_the_source(tmp_path: Path) -> None:
    """The release by `mograder generate`; the solution is the source without hidden tests and marks of solutions."""
    course = Path(shutil.copytree(COURSE, tmp_path / "course"))
    python("-m", "mograder", "generate", "hw1", "--no-validate", cwd=course)
    release = handed_out("hw1").read_text(encoding="utf-8")
    assert (course / handed_out("hw1").relative_to(COURSE)).read_text(encoding="utf-8") == release
    source = (COURSE / "source" / "hw1" / "hw1.py").read_text(encoding="utf-8")
    solved = re.sub(r"(?s)    ### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS\n", "    # HIDDEN TESTS\n", source)
    solved = re.sub(r"(?m)^    ### (BEGIN|END) SOLUTION\n", "", solved)
    block = r"(?s)# /// script\n.*?# ///\n"
    assert re.sub(block, "", solved) == re.sub(block, "", solution("hw1").read_text(encoding="utf-8"))


def test_marimo_finds_nothing_to_criticise() -> None:
    python("-m", "marimo", "check", "--strict", *notebooks(), cwd=COURSE)


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_line_of_text_turns_into_a_list(notebook: Path) -> None:
    # A minus or an asterisk of a formula that a line break has put first begins a list in Markdown.
    assert not re.findall(r"(?m)^    [-*+] .*", notebook.read_text(encoding="utf-8"))


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_notebook_says_what_it_needs_to_run(notebook: Path) -> None:
    # The reference pattern of PEP 723, for the one type of block that it defines
    blocks = re.findall(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", notebook.read_text(encoding="utf-8"))
    assert len(blocks) == 1
    needs = tomllib.loads("".join(line[2:] for line in blocks[0][0].splitlines(keepends=True)))
    assert needs["requires-python"] == ">=3.11"
    assert [re.split(r"[<>=~!]", need)[0] for need in needs["dependencies"]] == (
        ["marimo", "mograder"] if notebook.stem == "hw1" else ["marimo"]
    )


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_a_solution_leaves_the_instructors_cells_as_they_were(assignment: str) -> None:
    assert hidden_cells(solution(assignment)) == hidden_cells(handed_out(assignment))


def hidden_cells(notebook: Path) -> list[str]:
    """The cells whose code students do not see: set-up, text and checks."""
    return [
        ast.unparse(node)
        for node in ast.parse(notebook.read_text(encoding="utf-8")).body
        if "hide_code=True" in ast.unparse(node)
    ]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_the_points_of_the_exercises_sum_up_to_those_of_the_assignment(assignment: str) -> None:
    course = tomllib.loads((COURSE / "mograder.toml").read_text(encoding="utf-8"))
    points = {entry["name"]: entry["points"] for entry in course["assignments"]}
    assert tuple(points) == ASSIGNMENTS
    text = handed_out(assignment).read_text(encoding="utf-8")
    assert sum(map(int, re.findall(r"## Exercise .*\((\d+) points\)", text))) == points[assignment]
    assert f"{points[assignment]} points\n    in all" in text or f"{points[assignment]} points in all" in text


def test_every_due_date_is_a_moment_still_to_come() -> None:
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


def test_the_course_is_small_enough_to_travel_in_the_package() -> None:
    assert sum(path.stat().st_size for path in shipped()) < 100_000


def test_the_course_holds_only_what_was_put_there() -> None:
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
