"""Instructions in Markdown as HTML that is safe in a page: no HTML of the author, no images, few kinds of links.

Invariant: every tag of the result is one that the library itself writes for Markdown; all text is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

Instructions = Markup

_SCHEMES = frozenset({"http", "https", "mailto"})
_TOP = 3
"""The highest level of a heading in instructions; the page's own headings are above it."""


def rendered(text: str) -> Instructions:
    """The text as HTML, "" for none."""
    return _rendered(text) if text.strip() else Markup()


@lru_cache(128)
def _rendered(text: str) -> Instructions:
    """Cached, because the whole class reads the same text."""
    return Markup(_library().render(text))  # noqa: S704 (see the invariant)


@cache
def _library() -> MarkdownIt:
    library = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    library.validateLink = _is_safe  # type: ignore[method-assign, assignment]
    library.add_render_rule("link_open", _link)
    for rule in ("th_open", "td_open"):
        library.add_render_rule(rule, _cell)
    for rule in ("heading_open", "heading_close"):
        library.add_render_rule(rule, _heading)
    library.add_render_rule(
        "table_open", lambda *_: '<div class="scroll" tabindex="0" role="group" aria-label="Table">\n<table>\n'
    )
    library.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    return library


def _is_safe(link: str) -> bool:
    try:
        return urlsplit(link.strip()).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> Any:
    tokens[index].attrSet("rel", "external noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, env)


def _cell(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> Any:
    """A cell without the style for its alignment, which the pages' security policy refuses."""
    tokens[index].attrs.pop("style", None)
    return self.renderToken(tokens, index, options, env)


def _heading(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> Any:
    """A heading of Markdown below those of the page."""
    level = min(int(tokens[index].tag.removeprefix("h")) + _TOP - 1, 6)
    return f"<{'/' if tokens[index].nesting < 0 else ''}h{level}>" + ("\n" if tokens[index].nesting < 0 else "")
