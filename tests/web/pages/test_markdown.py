"""Instructions in Markdown, as a hostile author would write them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.web.pages.markdown import rendered

TAGS = {
    "p", "a", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "br", "h3", "h4", "h5", "h6",
    "table", "thead", "tbody", "tr", "th", "td", "div",
}  # fmt: skip
ATTRIBUTES = {"href", "rel", "title", "class", "start", "tabindex", "role", "aria-label"}


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check(text: str) -> None:
    for tag, attributes in Tags(rendered(text)).found:
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES
        if tag == "a":
            assert str(attributes["href"]).lower().startswith(("https:", "http:", "mailto:"))
            assert "noopener" in str(attributes["rel"])


@pytest.mark.parametrize("text", [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))", "[x](JaVaScript:alert(1))", "[x](data:text/html,x)", "[x](//evil.example)",
    "<javascript:alert(1)>", "[x]: javascript:alert(1)\n\n[x]", "[a](https://x.example \"' onclick='x\")",
    "```\"><script>\nx\n```", "# <b>x", "| <i> |\n|-:|\n| ![a](b) |", "&lt;script&gt;", "[x](/my/hw1)",
    "[x](&#106;avascript:alert(1))",
])  # fmt: skip
def test_hostile_markdown_yields_only_the_tags_of_markdown(text: str) -> None:
    check(text)


@given(st.text(st.sampled_from("<>![]()`*_#|-\n \"'&:/ahjs;x="), max_size=80))
def test_any_text_yields_only_the_tags_of_markdown(text: str) -> None:
    check(text)


def test_headings_are_below_those_of_the_page_and_links_are_safe() -> None:
    assert rendered("# A\n\n###### B") == "<h3>A</h3>\n<h6>B</h6>\n"
    assert 'rel="external noopener noreferrer nofollow"' in rendered("[x](https://example.org)")
    assert rendered(" \n") == ""
