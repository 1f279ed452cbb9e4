"""axe finds nothing against WCAG 2.2 AA on any page in any state, light and dark; nothing is wider than a telephone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mograder.web.pages import Page
from tests.browser import show
from tests.web.samples import SAMPLES

AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """async (rules) => (await axe.run({runOnly: {type: "tag", values: rules}, resultTypes: ["violations"]}))
    .violations.map(each => each.id + ": " + each.nodes.slice(0, 3).map(node => node.html).join(" "))"""


ONE_OF_EACH = {name: page for name, page in SAMPLES.items() if not name.endswith("-many")}
"""Without those that have hundreds of the same rows, for which axe takes half a minute."""


@pytest.mark.parametrize("page", ONE_OF_EACH.values(), ids=ONE_OF_EACH.keys())
def test_axe_finds_nothing_and_the_page_fits_a_telephone(page: Page, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 800})
    try:
        tab = show(context, page)
        tab.evaluate(AXE)
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert tab.evaluate(CHECK, RULES) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    finally:
        context.close()
