"""Functions for notebooks: check, Grader, hint, word_count, submit. They need only marimo, also in a browser.

Their output is for the person at the notebook. Grading a submission does not rely on it.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import marimo as mo

SIDECAR = "MOGRADER_SIDECAR_PATH"
_FORMULA = re.compile(r"\$\$.+?\$\$|\$.+?\$", re.DOTALL)
_HEAD = 20_000  # characters in which a notebook's PEP 723 block is looked for
_NEAR = 100  # words outside the target up to which a word count is shown in orange
_GREEN, _ORANGE, _RED = "#34A853", "#FF9800", "#EA4335"
Kind = Literal["neutral", "warn", "success", "info", "danger"]
_KINDS: dict[str, Kind] = {"success": "success", "partial": "danger", "danger": "danger", "warn": "warn"}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check. `status` is success, partial, danger (nothing earned) or warn (no code yet).

    `details` are the messages of failed conditions; `earned` and `total` are weights.
    """

    status: str
    details: tuple[Any, ...]
    earned: float
    total: float


def check(label: str, checks: Iterable[tuple[Any, ...]] | None) -> mo.Html:
    """A callout that says which conditions fail.

    `checks` has items (condition, message) or (condition, message, weight); the default weight is 1. An empty list or
    None means that the student's code is missing.
    """
    outcome = _outcome(checks)
    _tell(label, outcome)
    return _callout(label, outcome, "", _KINDS[outcome.status])


class Grader:
    """Checks with points: `Grader({"Q1": 5})`, or `Grader(mo, marks)` in older notebooks.

    The key of a check is its label before the first colon. A release with hidden tests shows no points, as the visible
    checks give only a part of them.
    """

    def __init__(self, *arguments: Any, marks: Mapping[str, float] | None = None) -> None:
        given = [argument for argument in arguments if not isinstance(argument, ModuleType)]
        given += [] if marks is None else [marks]
        if len(given) != 1 or len(arguments) > 2:
            raise TypeError('Grader takes the marks by question: Grader({"Q1": 5, "Q2": 3})')
        self.marks: dict[str, float] = dict(given[0])
        self._earned: dict[str, dict[str, tuple[float, float]]] = {}
        self._has_hidden = _hidden_tests(sys._getframe(1).f_globals.get("__file__"))

    def check(self, label: str, checks: Iterable[tuple[Any, ...]] | None) -> mo.Html:
        """As the function `check`, with the present points of the question."""
        outcome = _outcome(checks)
        _tell(label, outcome)
        key = _key(label)
        if outcome.status != "warn":
            self._earned.setdefault(key, {})[label] = (outcome.earned, outcome.total)
        else:
            self._earned.get(key, {}).pop(label, None)
        shown = "" if self._has_hidden or key not in self.marks else self._badge(key)
        return _callout(label, outcome, shown, "info" if outcome.status == "partial" else _KINDS[outcome.status])

    def scores(self) -> mo.Html:
        """A table of the questions with their present points; run its cell again to update it."""
        if self._has_hidden:
            text = "Scores will be available in your feedback after grading."
            return mo.callout(mo.md(text), kind="neutral")
        rows = [f"| {key} | {self._status(key)} | {_number(self._points(key))}/{_number(value)} |"
                for key, value in self.marks.items()]  # fmt: skip
        earned, available = sum(map(self._points, self.marks)), sum(self.marks.values())
        table = "\n".join(["| Question | Status | Marks |", "|---|---|---|", *rows])
        total = f"| **Total** | | **{_number(earned)}/{_number(available)}** |"
        kind: Kind = "success" if earned >= available else "neutral"
        return mo.callout(mo.md(f"## Your Score\n\n{table}\n{total}"), kind=kind)

    def _points(self, key: str) -> float:
        """round(available * earned weight / total weight, 1), over all checks of the key."""
        parts = self._earned.get(key, {}).values()
        total = sum(part[1] for part in parts)
        return round(self.marks[key] * sum(part[0] for part in parts) / total, 1) if total else 0.0

    def _status(self, key: str) -> str:
        parts = self._earned.get(key, {}).values()
        earned, total = sum(part[0] for part in parts), sum(part[1] for part in parts)
        if not parts:
            return "—"
        return "PASS" if earned >= total else "PARTIAL" if earned > 0 else "FAIL"

    def _badge(self, key: str) -> str:
        marks = f"[{_number(self._points(key))}/{_number(self.marks[key])} marks]"
        return f'<span style="float:right">`{marks}`</span>'


def hint(*hints: str) -> mo.Html:
    """Hints, each hidden until the reader opens it."""
    names = ["Hint"] if len(hints) == 1 else [f"Hint {number}" for number in range(1, len(hints) + 1)]
    return mo.accordion({name: mo.md(text) for name, text in zip(names, hints, strict=True)})


def word_count(
    notebook: str | os.PathLike[str], cell: str = "written_analysis", target: tuple[int, int] = (300, 500)
) -> mo.Html:
    """Shows the number of words of the written answer in a cell of the saved notebook, and the `target` range.

    `notebook` is the notebook's own file: `word_count(__file__)`. Raises OSError if it cannot be read.
    """
    low, high = target
    with open(notebook, encoding="utf-8") as file:
        words = count_response_words(file.read(), cell)
    if words is None:
        return mo.md(f"*Word count unavailable: no cell named `{cell}`.*")
    off = max(low - words, words - high)
    colour = _GREEN if off <= 0 else _ORANGE if off <= _NEAR else _RED
    count = f'<span style="color:{colour}; font-weight:bold">Word count: {words}</span>'
    return mo.md(f"{count} (target: {low}–{high}; updates when the notebook is saved)")


def count_response_words(source: str, cell: str = "written_analysis") -> int | None:
    """The number of words (separated by white space) of the longest text in a notebook's cell; None without the cell.

    A formula between dollar signs is one word.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == cell:
            texts = [
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            return len(_FORMULA.sub(" formula ", max(texts, key=len, default="")).split())
    return None


def submit(url: str, assignment: str, filepath: str | os.PathLike[str], user: str, token: str = "") -> str:
    """Submit the saved notebook to the course server; returns a line about the outcome.

    `token` is the student's, by default the environment variable MOGRADER_HTTPS_TOKEN. Raises RuntimeError with the
    server's message if it refuses, OSError if it cannot be reached.
    """
    place = f"{url.rstrip('/')}/assignments/{urllib.parse.quote(assignment)}/submit?user={urllib.parse.quote(user)}"
    if not place.startswith(("https://", "http://")):
        raise RuntimeError(f"{url} is no web address")
    with open(filepath, "rb") as file:
        body = file.read()
    headers = {"Content-Type": "application/octet-stream"}
    if token := token or os.environ.get("MOGRADER_HTTPS_TOKEN", ""):
        headers["Authorization"] = f"Bearer {token}"
    code, reply = (_post_in_browser if sys.platform == "emscripten" else _post)(place, body, headers)
    if code >= 400:
        raise RuntimeError(_refusal(code, reply))
    answer = json.loads(reply)
    return f"{answer.get('filename', assignment)}: {answer.get('status', 'ok')}"


def _post(place: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a POST request; returns status and body of the reply. Raises OSError."""
    request = urllib.request.Request(place, data=body, headers=headers, method="POST")  # noqa: S310 - web addresses only
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _post_in_browser(place: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """As `_post`, with the browser's XMLHttpRequest, as Python has no sockets there. Waits for the reply."""
    js, ffi = importlib.import_module("js"), importlib.import_module("pyodide.ffi")
    request = js.XMLHttpRequest.new()
    request.open("POST", place, False)
    for name, value in headers.items():
        request.setRequestHeader(name, value)
    try:
        request.send(ffi.to_js(body))
    except ffi.JsException as error:
        raise OSError(f"{place} cannot be reached: {error}") from None
    return request.status, request.responseText.encode()


def _outcome(checks: Iterable[tuple[Any, ...]] | None) -> Outcome:
    details: list[Any] = []
    earned = total = 0.0
    count = 0
    for item in checks or ():
        condition, message, *rest = item
        if len(rest) > 1:
            raise ValueError(f"a condition has a message and at most a weight, not {len(item)} parts")
        weight = float(rest[0]) if rest else 1.0
        total += weight
        count += 1
        if condition:
            earned += weight
        else:
            details.append(message)
    if not count:
        return Outcome("warn", (), 0, 0)
    status = "success" if not details else "partial" if earned > 0 else "danger"
    return Outcome(status, tuple(details), earned, total)


def _callout(label: str, outcome: Outcome, badge: str, kind: Kind) -> mo.Html:
    title = f"{badge}**{label.strip()}**"
    if outcome.status == "warn":
        text = f"{title} — waiting for your code"
    elif outcome.status == "success":
        text = f"{title} — all checks passed"
    else:
        text = f"{title} — some checks failed:\n\n" + "\n".join(f"- {_indented(detail)}" for detail in outcome.details)
    return mo.callout(mo.md(text), kind=kind)


def _indented(message: Any) -> str:
    """The message, indented so that all its lines stay in one list item."""
    return str(message).strip().replace("\n", "\n  ")


def _tell(label: str, outcome: Outcome) -> None:
    """Write one line of JSON for other tools, if there is a sidecar file. Errors are not the student's, so ignored."""
    path = os.environ.get(SIDECAR)
    if not path:
        return
    line = {
        "label": label,
        "status": outcome.status,
        "details": list(outcome.details),
        "earned_weight": outcome.earned,
        "total_weight": outcome.total,
    }
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")
    except OSError:
        return


def _key(label: str) -> str:
    return label.split(":", 1)[0].strip()


def _number(value: float) -> str:
    return f"{value:g}"


def _hidden_tests(notebook: object) -> bool:
    """Whether the notebook's PEP 723 block says that there are hidden tests."""
    if not isinstance(notebook, str):
        return False
    try:
        with open(notebook, encoding="utf-8") as file:
            head = file.read(_HEAD)
    except (OSError, UnicodeDecodeError):
        return False
    return re.search(r"(?m)^# mograder-hidden-tests = true\s*$", head) is not None


def _refusal(code: int, reply: bytes) -> str:
    try:
        return str(json.loads(reply)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {code}"
