"""mograder.runtime in Pyodide, the Python of marimo's browser build, in a real browser."""

from __future__ import annotations

import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Error

from mograder.wheel import own_wheel
from tests.browser import chromium, find_chromium
from tests.parts import Running, free_port

NOTEBOOK = """
def written_analysis(mo):
    mo.md("Seven words with $a + b$ in it.")
"""

PROGRAM = """
import json, os
from mograder.runtime import Grader, check, count_response_words, hint, submit, word_count

with open("notebook.py", "w") as file:
    file.write(NOTEBOOK)
grader = Grader({"Q1": 5, "Essay": 10})
outputs = [
    check("Q1: right", [(True, "unused")]),
    check("Q1: half", [(True, "unused"), (False, "add all three", 3)]),
    check("Q1: waiting", []),
    grader.check("Q1: half", [(True, "unused"), (False, "add all three")]),
    grader.scores(),
    hint("look at the sum", "it is six"),
    word_count("notebook.py", target=(5, 10)),
]
print(json.dumps([output.text for output in outputs] + [count_response_words(NOTEBOOK)]))
"""

SUBMITTING = """
said = submit(SERVER, "hw1", "notebook.py", "alice", TOKEN)
refused = []
for server, token in ((SERVER, "alice:forged"), (NOWHERE, TOKEN)):
    try:
        submit(server, "hw1", "notebook.py", "alice", token)
    except Exception as error:
        refused.append(type(error).__name__)
print(json.dumps([said, *refused]))
"""

PAGE = """<!doctype html><script type="module">
import { loadPyodide } from "./package/pyodide.mjs"
window.run = async (wheels, own, program) => {
  const python = await loadPyodide()
  await python.loadPackage(wheels)
  python.unpackArchive(await (await fetch("./yaml.zip")).arrayBuffer(), "zip")
  await python.runPythonAsync(`import micropip; await micropip.install(${JSON.stringify(own)})`)
  const lines = []
  python.setStdout({ batched: line => lines.push(line) })
  await python.runPythonAsync(program)
  return lines
}
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base
        """Log nothing."""


@pytest.fixture
def pyodide(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a page that can run a program in Pyodide, and the wheels of marimo."""
    found = os.environ.get("MOGRADER_PYODIDE")
    if not found:
        pytest.skip("set MOGRADER_PYODIDE to a folder with Pyodide and marimo for it (python3 tools/test.py does)")
    for name in ("package", "wheels"):
        (tmp_path / name).symlink_to(Path(found) / name)
    (tmp_path / "index.html").write_text(PAGE)
    with zipfile.ZipFile(
        tmp_path / "yaml.zip", "w"
    ) as archive:  # PyYAML has no wheel for browsers, but works there as pure Python
        for module in Path(yaml.__file__).parent.glob("*.py"):
            archive.write(module, f"yaml/{module.name}")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        wheels = [f"{url}wheels/{each.name}" for each in sorted((tmp_path / "wheels").iterdir())]
        yield url, wheels
        server.shutdown()
        thread.join()


def run_in_browser(executable: str, url: str, asked: list[object]) -> list[str]:
    """The lines that a program prints in Pyodide. `asked` are the wheels of marimo, our own one, and the program."""
    with chromium(executable) as browser:
        tab = browser.new_page()
        tab.goto(url)
        tab.wait_for_function("() => window.run !== undefined")
        lines: list[str] = tab.evaluate("([wheels, own, program]) => window.run(wheels, own, program)", asked)
        return lines


def test_a_notebook_in_a_browser_installs_the_wheel_of_the_server_and_submits(
    pyodide: tuple[str, list[str]], server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, wheels = pyodide
    wheel, executable = own_wheel(), find_chromium()
    assert wheel is not None
    if executable is None:
        assert os.environ.get("CI", "").lower() != "true", "in CI the tests in a browser must run"
        pytest.skip("there is no Chromium here: apt-get install chromium")
    nowhere = f"http://127.0.0.1:{free_port()}"
    program = f"NOTEBOOK = {NOTEBOOK!r}\n{PROGRAM}"
    names = f"SERVER, NOWHERE, TOKEN = {server.url!r}, {nowhere!r}, {server.token('alice')!r}\n"
    asked = [wheels, f"{server.url}/client/{wheel.name}", names + program + SUBMITTING]
    try:
        shown, sent = run_in_browser(executable, url, asked)
    except Error as error:
        if "crashed" not in error.message:
            raise
        shown, sent = run_in_browser(executable, url, asked)  # Chromium itself ended the page, which happens rarely
    monkeypatch.chdir(tmp_path)
    here = io.StringIO()
    with redirect_stdout(here):
        exec(program, {})
    assert json.loads(shown) == json.loads(here.getvalue())
    assert json.loads(sent) == ["alice.py: ok", "RuntimeError", "OSError"]
    assert (server.submitted / "hw1" / "alice.py").read_text() == NOTEBOOK
