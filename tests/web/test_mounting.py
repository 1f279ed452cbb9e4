"""The application works below a path of another one, and the example of docs/mounting.md runs unchanged."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

DOCUMENT = Path(__file__).parents[2] / "docs" / "mounting.md"
CODE = "nine swings or ten"
NOTEBOOK = """\
import marimo

app = marimo.App(app_title="Welcome aboard")


@app.cell
def _():
    return


if __name__ == "__main__":
    app.run()
"""

PageRequest = Callable[[httpx2.AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture
def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PageRequest], None]:
    """Runs the example of the document in a new folder and sends requests to it without a network."""
    for name, text in {
        "course/release/hw1/files/homework.py": "x = 1\n",
        "course/release/Übung 2/files/aufgabe.py": "x = 2\n",
        "notebooks/welcome.py": NOTEBOOK,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {"__name__": "together"}
    exec(compile(example[1], "together.py", "exec"), names)
    app = names["app"]
    assert isinstance(app, Starlette)

    async def run(visitor: PageRequest) -> None:
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://server.example") as client,
        ):
            await visitor(client)

    return lambda visitor: asyncio.run(run(visitor))


def test_the_example_serves_the_notebook_and_the_course(visit: Callable[[PageRequest], None]) -> None:
    async def visitor(client: httpx2.AsyncClient) -> None:
        page = await client.get("/")
        assert page.status_code == 200
        assert "Welcome aboard" in page.text
        assert (await client.get("/course/")).json() == {"status": "ok"}

    visit(visitor)


def test_a_student_works_below_the_mount_path(visit: Callable[[PageRequest], None], tmp_path: Path) -> None:
    async def visitor(client: httpx2.AsyncClient) -> None:
        joined = await client.post("/course/register", json={"user": "alice", "enrollment_code": CODE})
        token = {"Authorization": f"Bearer {joined.json()['token']}"}
        listed = (await client.get("/course/assignments", headers=token)).json()
        assert [each["name"] for each in listed] == ["hw1", "Übung 2"]
        for assignment, content in zip(listed, (b"x = 1\n", b"x = 2\n"), strict=True):
            file = await client.get(f"/course{assignment['files'][0]['url']}", headers=token)
            assert file.content == content
        sent = await client.post("/course/assignments/hw1/submit?user=alice", content=b"x = 3\n", headers=token)
        assert sent.json()["status"] == "ok"

    visit(visitor)
    assert (tmp_path / "course/submitted/hw1/alice.py").read_bytes() == b"x = 3\n"


def test_unknown_paths_below_the_mount_path_get_the_404_of_the_course(visit: Callable[[PageRequest], None]) -> None:
    async def visitor(client: httpx2.AsyncClient) -> None:
        for path in ("/course/nothing", "/course/course/", "/course/%2e%2e/"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"

    visit(visitor)


def test_a_browser_gets_pages_below_the_mount_path(visit: Callable[[PageRequest], None]) -> None:
    async def visitor(client: httpx2.AsyncClient) -> None:
        page = await client.get("/course/", headers={"Accept": "text/html"})
        style = re.search(r'href="(/course/static/[^"]+\.css)"', page.text)
        assert style
        assert (await client.get(style[1])).status_code == 200
        form = {"user": "alice", "code": CODE}
        joined = await client.post("/course/join", data=form, headers={"Origin": "http://server.example"})
        assert "http://server.example/course --token -" in joined.text
        assert "<bdi>alice</bdi>" in joined.text
        assert "; Path=/course;" in joined.headers["set-cookie"]
        home = await client.get("/course/", headers={"Accept": "text/html"})
        assert "Übung 2" in home.text

    visit(visitor)
