"""HTML of students is made inert: balanced, and without scripts, requests, forms and links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.web.pages.inert import inert

HOSTILE = (
    "<script>steal()</script>", "<img src=x onerror=steal()>", "<p onclick=steal()>x", "<svg onload=steal()>",
    "<a href='https://evil.example/'>x</a>", "<form action='https://evil.example/'><input name=a></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>", "<iframe src='https://evil.example/'></iframe>",
    "<link rel=preconnect href='https://evil.example/'>", "<style>@import 'https://evil.example/'</style>",
    "<svg><a xlink:href='https://evil.example/'><text>x</text></a></svg>", "<base href='https://evil.example/'>",
    "<img src='https://evil.example/x.png'>", "<p style='background:url(https://evil.example/)'>x</p>",
    "<svg><style><img src=x onerror=steal()></style></svg>", "<object data='https://evil.example/'></object>",
    "<math><mtext><img src=x onerror=steal()></mtext></math>", "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
    "<noscript><p title='</noscript><img src=x onerror=steal()>'></noscript>", "<!--><img src=x onerror=steal()>-->",
    "<rect fill='url(https://evil.example/#a)'>", "<template><script>steal()</script></template>",
)  # fmt: skip


@pytest.mark.parametrize("html", HOSTILE)
def test_scripts_links_and_forms_are_removed(html: str) -> None:
    found = inert(f"<p>before</p>{html}").lower()
    assert "before" in found
    for each in ("<script", "onerror=", "onclick", "onload", "href", "<form", "<input", "<meta", "<iframe", "<link",
                 "<style", "style=", "<base", "<object", "src=", "url(", "<template", "<noscript"):  # fmt: skip
        assert each not in found.replace("&lt;img src=x onerror=", ""), found


def test_tables_images_and_svg_drawings_are_kept() -> None:
    table = '<table><tr><th scope="col">a &amp; b</th></tr></table>'
    assert inert(table) == table
    picture = '<img alt="plot" src="data:image/png;base64,iVBORw0KGgo=">'
    assert inert(picture) == picture
    drawing = '<svg viewBox="0 0 9 9"><path d="M0 0L9 9" stroke="red"></path></svg>'
    assert inert(drawing) == drawing
    assert inert("<marimo-ui-element><b>text</b></marimo-ui-element>") == "<b>text</b>"


@given(st.text("<>/=\"'ab divtrscpt&!-\n", max_size=60))
def test_the_output_is_balanced_and_cleaning_it_again_changes_nothing(html: str) -> None:
    found = inert(html)
    assert inert(found) == found
