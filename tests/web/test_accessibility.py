"""axe finds nothing against WCAG 2.2 AA on any page, light and dark; focus shows; a telephone and paper will do."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mograder.web.pages.page import Page
from tests.browser import show
from tests.web.samples import SAMPLES

AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """async (rules) => (await axe.run({runOnly: {type: "tag", values: rules}, resultTypes: ["violations"]}))
    .violations.map(each => each.id + ": " + each.nodes.slice(0, 3).map(node => node.html).join(" "))"""
THIN = "for (const row of document.querySelectorAll('tbody tr:nth-child(n+6)')) row.remove()"
"""Of hundreds of the same rows a few stay: axe would take half a minute for all."""
UNSEEN = """() => {
    const all = [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")];
    const outlined = each => getComputedStyle(each).outlineStyle === "solid";
    const unseen = each => { each.focus(); return document.activeElement === each && !outlined(each) };
    return all.filter(unseen).map(each => each.outerHTML);
}"""
"""What has the focus and does not show it; after a key was pressed, for a browser shows it to those who use keys."""

PAPER = (718, 1047)
"""Pixels across A4 within a centimetre on each side: upright, and on its side as a board is."""


@pytest.mark.parametrize("page", SAMPLES.values(), ids=SAMPLES.keys())
def test_axe_finds_nothing_focus_is_seen_and_the_page_fits_a_telephone_and_paper(page: Page, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 800})
    try:
        tab = show(context, page)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.evaluate(THIN)
        tab.evaluate(AXE)
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert tab.evaluate(CHECK, RULES) == []
        tab.keyboard.press("Tab")
        assert tab.evaluate(UNSEEN) == []
        tab.emulate_media(media="print")
        paper = PAPER[tab.locator(".board").count()]
        tab.set_viewport_size({"width": paper, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= paper
    finally:
        context.close()
