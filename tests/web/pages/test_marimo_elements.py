"""The content of marimo elements is shown without scripts; elements that cannot be shown are named."""

from __future__ import annotations

import re
from collections.abc import Callable

import marimo as mo
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mograder.web.pages.inert import inert
from mograder.web.pages.marimo_elements import without_scripts
from tests.web.pages.test_inert import HOSTILE

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "<y>"]})
CELLS = ["a", "b", "1", "x", "2", "&lt;y&gt;"]


def figure() -> Figure:
    made = Figure((1, 1))
    made.subplots().plot([1, 2])
    return made


def shown(html: str) -> str:
    return str(inert(without_scripts(html)))


def words(html: str) -> list[str]:
    return re.sub(r"<[^>]*>", " ", shown(html)).split()


SAID: dict[str, tuple[Callable[[], mo.Html], list[str]]] = {
    "slider": (lambda: mo.ui.slider(1, 10, value=3, label="the *k*"), ["(slider)", "the", "k:", "3"]),
    "dropdown": (lambda: mo.ui.dropdown(["u", "v"], value="v", label="which"), ["(dropdown)", "which:", "v"]),
    "button": (lambda: mo.ui.button(label="press"), ["(button)", "press"]),
    "form": (lambda: mo.ui.text(value="yes", label="q").form(), ["(text)", "q:", "yes"]),
    "array": (lambda: mo.ui.array([mo.ui.checkbox(True, label="ok")]), ["(checkbox)", "ok:", "true"]),
    "table": (lambda: mo.ui.table(FRAME, label="grades"), ["grades", *CELLS]),
    "frame": (lambda: mo.as_html(FRAME), CELLS),
    "tabs": (lambda: mo.ui.tabs({"One": mo.md("first"), "Two": mo.md("second")}),
             ["One", "|", "Two", "first", "second"]),
    "accordion": (lambda: mo.accordion({"Head": mo.md("body")}), ["Head", "body"]),
    "callout": (lambda: mo.callout(mo.md("take care"), kind="warn"), ["take", "care"]),
    "stat": (lambda: mo.stat(3, label="mean", caption="of two"), ["mean", "3", "of", "two"]),
    "tree": (lambda: mo.tree([1, {"key": "text"}]), ["1", "key:", "text"]),
    "mermaid": (lambda: mo.mermaid("graph LR; A--B"), ["graph", "LR;", "A--B"]),
    "formula": (lambda: mo.md("so $\\alpha_1$ and\n\n$$x$$"), ["so", r"$\alpha_1$", "and", "$$x$$"]),
    "in a text": (lambda: mo.md(f"here {mo.ui.slider(1, 4, value=2)} it is"), ["here", "(slider)", "2", "it", "is"]),
    "rows": (lambda: mo.vstack([mo.md("above"), mo.ui.number(1, 5, value=2)]), ["above", "(number)", "2"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_the_text_of_an_element_is_shown(name: str) -> None:
    make, wanted = SAID[name]
    assert words(make().text) == wanted


def test_a_figure_is_an_image_and_a_long_table_says_how_many_rows_are_shown() -> None:
    assert '<img alt="picture" src="data:image/png;base64,iVBOR' in shown(mo.as_html(figure()).text)
    long = words(mo.ui.table(pd.DataFrame({"a": range(500)})).text)
    assert " ".join(long[-6:]) == f"the first {len(long) - 7} of 500 rows"


@pytest.mark.parametrize(("html", "wanted"), [
    ("<marimo-plotly data-figure='{}'></marimo-plotly>", "(plotly: this needs scripts, and is left out)"),
    ("<marimo-table data-data='\"no\"' data-initial-value='[]'></marimo-table>", "(table)"),
    ("<marimo-stat data-value='{'></marimo-stat>", ""),
    ("<iframe src='/x'></iframe>", "(iframe: left out)"),
    ("<div><script>draw()</script></div>", "(this shows nothing without scripts)"),
])  # fmt: skip
def test_an_element_that_cannot_be_shown_is_named(html: str, wanted: str) -> None:
    assert " ".join(words(html)) in (wanted, f"{wanted} (this shows nothing without scripts)".strip())


@pytest.mark.parametrize("html", HOSTILE)
def test_no_html_inside_an_element_is_executed(html: str) -> None:
    inside = mo.callout(mo.Html(html)).text + mo.tree([mo.Html(html)]).text + mo.ui.slider(1, 2, label=html).text
    found = shown(f"{html}{inside}").lower()
    for each in re.findall(r"<[^>]*>", found):
        assert not re.search(r"script|on\w+=|href|form|input|meta|frame|link|style|base>|object|url\(|template", each)
        assert "src=" not in each or 'src="data:image/png' in each
