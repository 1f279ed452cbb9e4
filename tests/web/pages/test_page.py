"""Every page in every state: it renders, its links have targets, and text from outside stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from starlette.routing import Match

from mograder.domain.course import Course
from mograder.web.api import Api
from mograder.web.app import PAGES
from mograder.web.pages.board import BoardRows
from mograder.web.pages.page import Page, assets, render
from mograder.web.pages.rendered import RenderedCells
from mograder.web.pages.routes import VIEWS, make_router
from mograder.wire.endpoints import ENDPOINTS
from tests.web.sample_parts import SCRIPT
from tests.web.samples import SAMPLES


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: Page) -> list[tuple[str, dict[str, str | None]]]:
    return Elements(render(page)).found


def kinds(page: type[Page]) -> list[type[Page]]:
    """Every class of pages except base classes."""
    found = [each for child in page.__subclasses__() for each in (child, *kinds(child))]
    return [each for each in found if hasattr(each, "template")]


each_sample = pytest.mark.parametrize("page", SAMPLES.values(), ids=SAMPLES.keys())


def test_every_page_has_a_sample() -> None:
    # BoardRows is a part of the board sent by a stream; RenderedCells is shown in a frame with its own policy
    # (test_rendered.py).
    assert set(kinds(Page)) - {BoardRows, RenderedCells} == {type(page) for page in SAMPLES.values()}


def test_every_template_belongs_to_a_page_or_is_part_of_one() -> None:
    folder = resources.files("mograder.web.pages").joinpath("templates")
    texts = {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()}
    used = {kind.template for kind in kinds(Page)}
    used |= {name for text in texts.values() for name in re.findall(r'{% (?:extends|from|include) "([^"]+)"', text)}
    assert used == set(texts)


@each_sample
def test_every_link_leads_to_a_page_of_the_application_below_its_mount_path(page: Page, course: Course) -> None:
    router = make_router(Api(course))
    for tag, attributes in elements(page):
        for name in ("href", "src", "action", "hx-get", "hx-post", "sse-connect"):
            link = attributes.get(name)
            if link is None or link.startswith("#"):
                continue
            if tag == "a" and "download" in attributes and link.startswith("data:"):  # the link to the file itself
                continue
            if {"external", "noreferrer"} <= set((attributes.get("rel") or "").split()):
                assert link.startswith("https://"), f"{link!r} is not a link to elsewhere"
                continue
            assert link.startswith("/course/"), f"<{tag} {name}={link!r}> leaves the mount"
            method = (attributes.get("method") or "get").upper() if name == "action" else "GET"
            method = "POST" if name == "hx-post" else method
            path = link.removeprefix("/course").partition("?")[0]
            scope = {"type": "http", "method": method, "path": path, "root_path": ""}
            assert any(route.matches(scope)[0] is Match.FULL for route in router.routes), f"nothing at {method} {link}"
            if path.startswith("/static/"):
                assert assets()[path.rpartition("/")[2]].tag in path


@each_sample
def test_no_text_from_outside_becomes_markup_and_no_page_has_inline_scripts(page: Page) -> None:
    assert SCRIPT not in render(page)
    for tag, attributes in elements(page):
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@each_sample
def test_every_field_has_a_label(page: Page) -> None:
    found = elements(page)
    labelled = {attributes.get("for") for tag, attributes in found if tag == "label"}
    for tag, attributes in found:
        if tag in ("input", "select", "textarea") and attributes.get("type") != "hidden":
            assert attributes["id"] in labelled or attributes.get("aria-label")


def test_the_paths_of_the_pages_are_known_to_the_application_and_are_no_paths_of_the_protocol() -> None:
    assert {view.path.split("/")[1].encode() for view in VIEWS} - {b""} == PAGES
    assert not PAGES & {row.path.split("/")[1].encode() for row in ENDPOINTS}


def test_ids_of_other_systems_are_shown_as_labels() -> None:
    assert "<dt>Canvas id</dt>" in render(SAMPLES["overview-details"])


def test_the_remarks_on_a_planned_release_are_separated() -> None:
    text = re.sub("<[^>]*>", "", render(SAMPLES["marking-release"]))
    assert "earlier submission: Essay, the mark; a newer submission exists; Essay: 8 -&gt; 9 points; Donau" in text
    assert "It is left as it is." in text
