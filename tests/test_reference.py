"""The documentation is correct: generated pages are up to date, links have targets, and commands exist as shown."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from mograder.cli import mograder
from mograder.wire.endpoints import BY_NAME
from tools import reference

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples/README.md"])
named = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("name", reference.pages())
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert written == reference.pages()[name], "run: python tools/reference.py"


def test_an_outdated_page_is_detected_and_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    assert reference.main(["--check"]) == 1
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "settings.md").write_text("something else")
    assert reference.stale() == [tmp_path / "settings.md"]


def test_the_page_of_modules_names_every_module() -> None:
    source = ROOT / "src/mograder"
    modules = [path.name for path in source.rglob("*.py") if "example" not in path.parts and path.name[:2] != "__"]
    assert sorted(re.findall(r"^\| `(\w+\.py)`", reference.modules(), re.MULTILINE)) == sorted(modules)


def test_folders_and_modules_named_in_the_architecture_exist() -> None:
    written = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    places = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", written))
    assert {"domain/", "store/folder/", "web/pages/", "client/", "cli/"} <= places
    for place in places:
        assert (ROOT / "src/mograder" / place).exists() or (ROOT / place).exists(), place


def test_the_openapi_description_has_every_endpoint_and_every_reference_resolves() -> None:
    document = reference.openapi()
    operations = {each["operationId"] for path in document["paths"].values() for each in path.values()}
    assert operations == set(BY_NAME)
    assert json.loads(json.dumps(document)) == document
    for target in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for part in target.split("/"):
            found = found[part]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert declared == set(re.findall(r"\{(\w+)\}", path))


@named
def test_links_in_the_documentation_have_a_target(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(found), f"there is no heading for {target}"


def prose(document: Path) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@named
def test_tests_named_in_the_documentation_exist(document: Path) -> None:
    for path in re.findall(r"tests/[\w/]+\.py", document.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file(), path


@named
def test_commands_in_the_documentation_exist_with_their_options(document: Path) -> None:
    if document == ROOT / "CHANGELOG.md":
        return  # it describes earlier versions
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(?:\w*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(mograder [^`]+)`", text)
    for line in lines:
        if re.match(r"\s*mograder ", line) and "[OPTIONS]" not in line:
            check_command(line)


def check_command(line: str) -> None:
    """Every sub-command and option of a line that starts with `mograder` exists."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = mograder
    context = click.Context(command, info_name="mograder")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command, context = found, click.Context(found, parent=context)
    known = {flag for option in command.get_params(context) for flag in (*option.opts, *option.secondary_opts)}
    for word in words:
        if word.startswith("-") and word not in ("-", "--help"):
            assert word.partition("=")[0] in known, f"{line}: there is no {word}"
