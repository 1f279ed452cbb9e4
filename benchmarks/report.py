"""The figures as tables for a person and as a plot; docs/performance.md gets both between its marks."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Figures = dict[str, float]
Results = Mapping[str, Mapping[str, list[Figures]]]

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, PLOT = DOCS / "performance.md", DOCS / "performance.svg"
BEGIN, END = "<!-- what follows is written by benchmarks/run.py -->", "<!-- end of what is written -->"


@dataclass(frozen=True)
class Row:
    """One line of a table: how many times better than the published one, and how much is the goal."""

    case: str
    title: str
    figure: str
    unit: str
    goal: float | None = None
    less_is_better: bool = False


ROWS = (
    Row("first look", "first look at one's status after a rush", "rate", "a second", 5),
    Row("first files", "20 files, each student's first download", "rate", "a second"),
    Row("forms", "rush of forms, as browsers send them", "rate", "a second"),
    Row("list", "list 20 assignments, from folders", "rate", "a second", 30),
    Row("manifest", "list 20 assignments, from a manifest", "rate", "a second", 10),
    Row("file", "one file of 20 KB, by one person (flatters)", "rate", "a second", 6),
    Row("large", "file of 5 MB", "rate", "a second"),
    Row("status", "status of people who have submitted nothing, 500 grades (flatters)", "rate", "a second", 10),
    Row("submissions", "list 500 submissions", "rate", "a second", 100),
    Row("rush", "rush: 500 students, 100 at once, raw (flatters)", "rate", "a second", 8),
    Row("rush", "rush: slowest of a hundred answers", "p99", "s", 20, less_is_better=True),
    Row("storm", "storm: 50 students, 20 versions each", "rate", "a second", 25),
    Row("start", "start until the first answer", "seconds", "s", 4, less_is_better=True),
    Row("help", "--help", "seconds", "s", 6, less_is_better=True),
    Row("rush", "most memory in a rush", "memory", "MiB", 1, less_is_better=True),
)


def _ratios(results: Results, row: Row) -> list[float]:
    """Round by round, how many times better ours was: infinitely where the other answered nothing."""
    rounds = zip(results[row.case]["ours"], results[row.case].get("published", []), strict=False)
    pairs = [(ours[row.figure], theirs[row.figure]) for ours, theirs in rounds]
    return [theirs / ours if row.less_is_better else ours / theirs if theirs else math.inf for ours, theirs in pairs]


def _median(results: Results, case: str, who: str, figure: str) -> float | None:
    values = [each[figure] for each in results.get(case, {}).get(who, []) if figure in each]
    return statistics.median(values) if values else None


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return ""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def tables(results: Results) -> str:
    """Everything that was measured, in Markdown: first what a course does that lives."""
    parts = (_living, _beside_itself, _beside_theirs, _beside_the_machine, _grading, _checks)
    return "\n\n".join(text for part in parts if (text := part(results)))


LIVING = (
    ("live status", "status of people who have submitted and are graded"),
    ("live list", "list 20 assignments, as students"),
    ("live submissions", "list 500 submissions"),
)


def _living(results: Results) -> str:
    """Answers a second, while nothing happens and while submissions come in."""
    lines = []
    for case, title in LIVING:
        live, quiet, part = _part(results, (case, "ours", "live"), (case, "ours", "quiet"))
        theirs = _median(results, case, "published", "live")
        if part is not None:
            better = f"{live / theirs:.2g}x" if theirs and live else "-"
            met = "yes" if part >= 0.7 else "no"
            lines.append([title, _number(quiet), _number(live), f"{part:.0%}", "70 %", met, _number(theirs), better])
    head = ["answers a second", "quiet", "20 submissions/s", "part", "goal", "met", "published, the same", "better"]
    return _table(head, lines)


BESIDE = (
    ("forms", "rush of forms, beside one of raw bodies", ("form", "raw"), 0.9, "a second"),
    ("first files", "first downloads, beside later ones", ("rate", "again"), 0.7, "a second"),
    ("first look", "first look at one's status after a rush, beside the next", ("rate", "again"), None, "a second"),
)


def _beside_itself(results: Results) -> str:
    """What is done for the first time, or in another way, beside the same done again."""
    lines = []
    for case, title, (first, again), goal, unit in BESIDE:
        one, other, part = _part(results, (case, "ours", first), (case, "ours", again))
        if one is not None and part is not None:
            met = "-" if goal is None else "yes" if part >= goal else "no"
            shown = "-" if goal is None else f"{goal:.0%}"
            lines.append([f"{title}, {unit}", _number(one), _number(other), f"{part:.0%}", shown, met])
    counts = sorted(int(name) for name in results.get("growth", {}).get("ours", [{}])[0])
    if counts:
        least, most = (_median(results, "growth", "ours", str(count)) or 0 for count in (counts[0], counts[-1]))
        title = f"list of submissions after one more, {counts[-1]:,} before beside {counts[0]:,}, s"
        met = "yes" if most <= 1.5 * least else "no"
        lines.append([title, _number(most), _number(least), f"{most / least:.2g}x", "1.5x", met])
    after, quiet, part = _part(results, ("board", "ours", "after"), ("board", "ours", "quiet"))
    if after is not None and part is not None:
        title = "board, 100 of 1,000 people by 20 assignments, after a submission beside quiet, s"
        lines.append([title, _number(after), _number(quiet), f"{part:.2g}x", "-", "-"])
    return _table(["", "first", "beside it", "part", "goal", "met"], lines)


def _beside_theirs(results: Results) -> str:
    lines = []
    for row in ROWS:
        if row.case not in results:
            continue
        ratios = _ratios(results, row)
        times = f"{statistics.median(ratios):.2g}" if ratios else "-"
        if ratios and statistics.median(ratios) >= 10:
            times = f"{statistics.median(ratios):.0f}"
        spread = f"{min(ratios):.2g} to {max(ratios):.2g}" if ratios else "-"
        goal = "-" if row.goal is None else f"{row.goal:g}"
        met = "-" if row.goal is None or not ratios else "yes" if statistics.median(ratios) >= row.goal else "no"
        ours, theirs = (_number(_median(results, row.case, who, row.figure)) for who in ("ours", "published"))
        lines.append([f"{row.title}, {row.unit}", ours, theirs, f"{times}x" if ratios else "-", spread, goal, met])
    return _table(["", "ours", "published", "better", "over the rounds", "goal", "met"], lines)


def _part(
    results: Results, ours: tuple[str, str, str], of: tuple[str, str, str]
) -> tuple[float | None, float | None, float | None]:
    mine, limit = _median(results, *ours), _median(results, *of)
    return mine, limit, mine / limit if mine and limit else None


def _beside_the_machine(results: Results) -> str:
    wanted = (
        (
            "rush, of what SQLite commits in batches of 100",
            ("rush", "ours", "rate"),
            ("disk", "machine", "batched"),
            55,
        ),
        ("status, of nginx with the same bytes", ("status", "ours", "rate"), ("nginx", "machine", "status"), 40),
        ("file of 20 KB, of nginx", ("file", "ours", "rate"), ("nginx", "machine", "file"), 40),
        ("file of 5 MB, of nginx", ("large", "ours", "rate"), ("nginx", "machine", "large"), 40),
    )
    lines = []
    for title, ours, of, goal in wanted:
        mine, limit, part = _part(results, ours, of)
        if mine is not None:
            shown = "-" if part is None else f"{part:.0%}"
            met = "-" if part is None else "yes" if part * 100 >= goal else "no"
            lines.append([title, _number(mine), _number(limit), shown, f"{goal} %", met])
    counted = _median(results, "flushes", "ours", "flushes")
    if counted is not None:
        met = "yes" if counted < 20 else "no"
        lines.append(["flushes of the disk for 100 submissions", _number(counted), "100", "-", "under 20", met])
    disk = {name: _median(results, "disk", "machine", name) for name in ("one", "eight", "batched", "appended")}
    said = (
        f"Durable writes of 20 KB a second on this disk: one writer {_number(disk['one'])}, eight writers "
        f"{_number(disk['eight'])}, SQLite in batches of 100 {_number(disk['batched'])}, appended to one file and "
        f"flushed every 100 {_number(disk['appended'])}."
    )
    return _table(["", "ours", "the machine", "part", "goal", "met"], lines) + ("\n\n" + said if disk["one"] else "")


def _grading(results: Results) -> str:
    """Grading on its own, beside the published program, and beside a rush."""
    lines = [*_grading_beside(results), *_grading_alone(results)]
    return _table(["grading", "ours", "beside it", "part", "goal", "met"], lines)


def _grading_beside(results: Results) -> Iterator[list[str]]:
    """Two figures of ours, or ours and the published one: title, both, the ratio, the goal."""
    rows = (
        ("`autograde -j 2` of hw1, submissions a minute, beside the published one", ("autograde", "ours", "rate"),
         ("autograde", "published", "rate"), 40.0, False),
        ("the same, processor of a submission, s", ("autograde", "ours", "processor"),
         ("autograde", "published", "processor"), 1 / 40, True),
        ("rush of notebooks with a worker, a second, beside one without", ("graded rush", "ours", "with"),
         ("graded rush", "ours", "without"), 0.9, False),
        ("the same, slowest of a hundred answers, s", ("graded rush", "ours", "p99 with"),
         ("graded rush", "ours", "p99 without"), 1.3, True),
        ("memory after all submissions, MiB, beside after a tenth", ("grader memory", "ours", "last"),
         ("grader memory", "ours", "first"), 1.1, True),
    )  # fmt: skip
    for title, ours, of, goal, less_is_better in rows:
        mine, other, part = _part(results, ours, of)
        if mine is not None:
            met = "-" if part is None else "yes" if (part <= goal if less_is_better else part >= goal) else "no"
            shown = "-" if part is None else f"{part:.2g}x" if part < 10 else f"{part:.0f}x"
            yield [title, _number(mine), _number(other), shown, f"{goal:.3g}x", met]


def _grading_alone(results: Results) -> Iterator[list[str]]:
    rows = (
        ("processor of a notebook beyond its own run, s", "grader memory", "processor", 0.2),
        ("first result on an idle machine, median, s", "first result", "median", 10.0),
        ("the same, 95 of 100, s", "first result", "p95", None),
    )
    for title, case, figure, goal in rows:
        mine = _median(results, case, "ours", figure)
        if mine is not None:
            met = "-" if goal is None else "yes" if mine <= goal else "no"
            yield [title, _number(mine), "-", "-", "-" if goal is None else f"at most {goal:g}", met]
    drained = results.get("backlog", {}).get("ours", [{}])[0]
    for name in drained:
        mine, beside, part = _part(
            results, ("backlog", "ours", name), ("backlog", "ours", f"autograde -j {_jobs(name)}")
        )
        shown = "-" if part is None else f"{part:.2g}x"
        yield [f"all submissions wait, a minute: {name}", _number(mine), _number(beside), shown, "-", "-"]


def _jobs(name: str) -> int:
    """How many are graded at once there."""
    return 2 if "2" in name else 1


def _checks(results: Results) -> str:
    """What must hold beside the figures."""
    lines = []
    if "rush" in results:
        p50, p99 = (_median(results, "rush", "ours", name) or 0 for name in ("p50", "p99"))
        met = "yes" if p99 <= 2 * p50 else "no"
        lines.append(f"- Rush: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms; at most twice the p50: {met}.")
    for case in ("rush", "storm"):
        for who, rounds in results.get(case, {}).items():
            lost = [each["kept"] for each in rounds if "kept" in each]
            kept = f", {min(lost):.1%} of the acknowledged versions kept" if lost else ""
            lines.append(f"- {case.capitalize()}, {who}: {sum(each['errors'] for each in rounds):.0f} errors{kept}.")
    return "\n".join(lines)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write(results: Results) -> None:
    """Put tables and plot into the documentation, in the place of those before."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    rounds = len(results["rush"]["ours"])
    about = (
        f"Measured on {os.cpu_count()} x {_processor()}, Linux {platform.release()}, Python "
        f"{platform.python_version()}: medians of {rounds} rounds, the ratio taken in each round."
    )
    plot(results)
    drawing = f"![How many times faster than the published server]({PLOT.name})"
    PAGE.write_text(f"{before}{BEGIN}\n\n{about}\n\n{drawing}\n\n{tables(results)}\n\n{END}{after}")


def plot(results: Results) -> None:
    """A bar for each line of the first table, and a mark where its goal is."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "mograder"  # the same figures give the same file
    from matplotlib import pyplot

    drawn = [(row, _ratios(results, row)) for row in ROWS if row.case in results]
    medians = [(row, statistics.median(ratios)) for row, ratios in reversed(drawn) if ratios]
    rows = [(row, ratio) for row, ratio in medians if math.isfinite(ratio)]
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1))
    axes.barh([row.title for row, _ in rows], [ratio for _, ratio in rows], color="#4878a8")
    goals = [(row.goal, place) for place, (row, _) in enumerate(rows) if row.goal]
    axes.plot(*zip(*goals, strict=True), "|", color="#c44e52", markersize=14, markeredgewidth=2, label="goal")
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times better than the published server (logarithmic)")
    axes.legend(loc="lower right")
    for place, (_, ratio) in enumerate(rows):
        axes.annotate(f" {ratio:.2g}x" if ratio < 10 else f" {ratio:.0f}x", (ratio, place), va="center", fontsize=8)
    figure.savefig(PLOT, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
