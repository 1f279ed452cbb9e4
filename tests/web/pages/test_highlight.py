"""Highlighting of Python source: correct for usual source, and cheap for any hostile one."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.web.pages.highlight import MOST_TOKENS, highlight_python
from mograder.web.pages.source import SHOWN
from tests.parts import environment

HOSTILE = {
    "spaces": " ", "lines": "\n", "indented lines": " \n", "tabs": "\t\n  ", "open strings": '"\n',
    "long strings": '"""', "mixed long strings": "'''\"\"\"", "backslashes": "\\", "escaped quotes": '"\\',
    "comments": "#", "prefixes": "rb", "nested formats": 'f"{', "numbers": "1.", "keywords": "if ", "names": "a ",
    "decorators": "@", "definitions": "def ", "brackets": "([{", "letters": "\u00e9", "markup": "<&",
}  # fmt: skip
CPU_SECONDS = 20
"""The limit for each sample, about fifty times the usual time. A quadratic algorithm takes minutes to hours."""

PROGRAM = """
import resource, sys
from mograder.web.pages.highlight import highlight_python
resource.setrlimit(resource.RLIMIT_CPU, (%d, %d))
print(len(highlight_python(sys.stdin.read())))
"""


@pytest.mark.parametrize("token", ["if ", "<1>#\n", '"" '])
def test_beyond_a_number_of_tokens_the_rest_is_shown_in_full_without_colours(token: str) -> None:
    text = (token * SHOWN)[:SHOWN]
    found = highlight_python(text)
    assert found.count("<span") <= MOST_TOKENS
    assert unescape(re.sub("</?span[^>]*>", "", found)) == text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not limit the processor time of a process")
@pytest.mark.parametrize("kind", HOSTILE)
def test_highlighting_takes_a_bounded_amount_of_processor_time_for_any_source(kind: str) -> None:
    text = (HOSTILE[kind] * SHOWN)[:SHOWN]
    command = [sys.executable, "-c", PROGRAM % (CPU_SECONDS, CPU_SECONDS)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment(), encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20 * SHOWN


@given(st.text(max_size=200) | st.lists(st.sampled_from([*HOSTILE.values(), "x", "def f", "class A"])).map("".join))
def test_every_character_of_the_source_is_shown_exactly_once(text: str) -> None:
    shown = str(highlight_python(text))
    while "<span" in shown:
        before, _, rest = shown.partition("<span")
        shown = before + rest.partition(">")[2]
    assert unescape(shown.replace("</span>", "")) == unescape(text.replace("&", "&amp;"))


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def mean(x):", '<span class="k">def</span> <span class="nf">mean</span>(x):'),
        ("class Tea: pass", '<span class="k">class</span> <span class="nc">Tea</span>: <span class="k">pass</span>'),
        ("len(x)  # <b>", '<span class="nb">len</span>(x)  <span class="c"># &lt;b&gt;</span>'),
        ("rb'a\\'b' + x", '<span class="s">rb&#x27;a\\&#x27;b&#x27;</span> + x'),
        ('"""a\n"b" c"""', '<span class="s">&quot;&quot;&quot;a\n&quot;b&quot; c&quot;&quot;&quot;</span>'),
        ('"open\nif', '<span class="s">&quot;open</span>\n<span class="k">if</span>'),
        ("definition = 1e5", "definition = 1e5"),
    ],
)
def test_keywords_strings_and_comments_have_their_colours(source: str, shown: str) -> None:
    assert highlight_python(source) == shown
