"""Every page, light and dark, meets WCAG 2.2 AA as far as axe checks it; focus is visible; phone and paper fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from mograder.web.pages.page import Page
from tests.browser import sample_site
from tests.web.samples import SAMPLES

AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_bytes()
LIGHT = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
DARK = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""The rules of axe whose results depend on colours."""
CHECK = """async (rules) => (await axe.run({runOnly: rules, resultTypes: ["violations"]}))
    .violations.map(each => each.id + ": " + each.nodes.slice(0, 3).map(node => node.html).join(" "))"""
THIN = "for (const row of document.querySelectorAll('tbody tr:nth-child(n+6)')) row.remove()"
"""Removes all but a few of hundreds of similar rows, for which axe would take half a minute."""
UNSEEN = """() => {
    const all = [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")];
    const outlined = each => getComputedStyle(each).outlineStyle === "solid";
    const unseen = each => { each.focus(); return document.activeElement === each && !outlined(each) };
    return all.filter(unseen).map(each => each.outerHTML);
}"""
"""Elements with the focus that do not show it; a browser shows it only after a key was pressed."""

PAPER = (718, 1047)
"""Pixels across A4 with margins of a centimetre: portrait, and landscape as for a board."""


Show = Callable[[Page], Tab]


@pytest.fixture(scope="module")
def show(browser: Browser) -> Iterator[Show]:
    """One tab that shows one page after another, so that the static files and axe stay cached."""
    with browser.new_context() as context, sample_site({"axe.js": AXE}) as site:
        yield partial(site.show, context.new_page())


@pytest.mark.parametrize("page", SAMPLES.values(), ids=SAMPLES.keys())
def test_axe_finds_no_violation_focus_is_visible_and_pages_fit_a_phone_and_paper(page: Page, show: Show) -> None:
    tab = show(page)
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.emulate_media(media="screen", color_scheme="light")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    tab.evaluate(THIN)
    tab.add_script_tag(url="axe.js")
    assert tab.evaluate(CHECK, LIGHT) == []
    tab.emulate_media(color_scheme="dark")
    assert tab.evaluate(CHECK, DARK) == []
    tab.keyboard.press("Tab")
    assert tab.evaluate(UNSEEN) == []
    tab.emulate_media(media="print")
    paper = PAPER[tab.locator(".board").count()]
    tab.set_viewport_size({"width": paper, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= paper
