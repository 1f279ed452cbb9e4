"""The page of one result, for its student or for graders. The template gets a ResultPage and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mograder.domain.deadlines import IN_TIME, Lateness
from mograder.domain.disclosure import ShownResult, limit_in_words, where_in_words
from mograder.domain.marks import WHOLE, in_words
from mograder.domain.names import counted
from mograder.domain.results import CheckStatus, Outcome

SHOWN = 256 * 1024
"""Characters of a submission that are shown."""

LONGEST_LINE = 10_000
"""Characters of the longest line that is coloured. The lexer takes very long for longer ones."""

_WORDS = {
    CheckStatus.SUCCESS: "passed", CheckStatus.PARTIAL: "partly passed", CheckStatus.DANGER: "not passed",
    CheckStatus.WARN: "nothing to check yet", CheckStatus.NOT_RUN: "did not run",
}  # fmt: skip


@dataclass(frozen=True)
class ResultPage:
    """What a result's page shows. `details` are (name, value) for its end, `source` is the submission as safe HTML.

    `after_penalty` is the mark after the penalty for late work, None if there is no penalty.
    """

    title: str
    shown: ShownResult
    lateness: Lateness = IN_TIME
    after_penalty: float | None = None
    details: tuple[tuple[str, str], ...] = ()
    source: Markup | None = None

    @property
    def sound(self) -> bool:
        return self.shown.outcome is Outcome.GRADED

    @property
    def waiting(self) -> str:
        """Which questions a person has yet to mark, in words; "" for none."""
        if not self.shown.marks.waiting:
            return ""
        if self.shown.marks.waiting == (WHOLE,):
            return "this is marked by a person, who has not done so yet"
        keys = self.shown.marks.waiting
        return f"{', '.join(keys)} {'is' if len(keys) == 1 else 'are'} yet to be marked"


def render_result(page: ResultPage) -> str:
    """The page as HTML that refers to no other file."""
    return _environment().get_template("result.html").render(page=page)


def coloured(text: str) -> Markup:
    """A submission's source as safe HTML with syntax highlighting; at most SHOWN characters."""
    # From the submodules: the packages replace themselves on import, which fails when several threads import them.
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers.python import PythonLexer
    from pygments.lexers.special import TextLexer

    text = text[:SHOWN]
    lexer = PythonLexer() if max(map(len, text.splitlines()), default=0) < LONGEST_LINE else TextLexer()
    formatter = HtmlFormatter(nowrap=True)
    return Markup(highlight(text, lexer, formatter))  # noqa: S704 (pygments escapes what it colours)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mograder.coursework.rendering"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    style = resources.files("mograder.coursework.rendering").joinpath("templates", "result.css").read_text()
    environment.globals["style"] = Markup(style)  # noqa: S704 (ours)
    environment.filters |= {
        "counted": counted,
        "in_words": in_words,
        "limit": limit_in_words,
        "sentence": _sentence,
        "status": _WORDS.__getitem__,
        "where": where_in_words,
    }
    return environment


def _sentence(message: str) -> str:
    """A message of ours as a sentence, with a capital and a full stop. A name at its start is not changed."""
    message = message.rstrip(",")
    first = message[:1].upper() if message.startswith(_BEGINNINGS) else message[:1]
    return f"{first}{message[1:]}{'' if message.endswith(('.', '!', '?')) else '.'}"


_BEGINNINGS = ("a ", "the ", "it ", "this ", "graded")
"""How our messages begin. Any other beginning is a name."""
