"""Several files as one submission: which files are packed, and that equal files give equal bytes."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from mograder.bundle import pack
from mograder.client.choosing import Chosen, choose_files, names_in_zip
from mograder.client.extract import unpack
from mograder.client.files import DiskBudget
from mograder.domain.errors import Usage
from tests.parts import sha256


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    content = {
        "main.py": "x = 1\n", "data/tea.csv": "a\n", ".git/config": "g", "__pycache__/m.pyc": "c", "data/.hidden": "h",
        "übung.py": "y = 2\n",
    }  # fmt: skip
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def packed(chosen: Chosen, target: Path) -> None:
    with target.open("w+b") as file:
        pack(chosen.members, "hw1", file)


def test_a_folder_is_packed_with_its_paths_and_without_hidden_files_and_caches(project: Path, tmp_path: Path) -> None:
    bundle = choose_files([project])
    assert [name for name, _ in bundle.files] == ["data/tea.csv", "main.py", "übung.py"]
    assert {path.name for path in bundle.left_out} == {".git", "__pycache__", ".hidden"}
    packed(bundle, tmp_path / "made.zip")
    paths = unpack(tmp_path / "made.zip", tmp_path / "out", "hw.zip", DiskBudget())
    assert sorted(map(str, paths)) == ["data/tea.csv", "main.py", "submission.json", "übung.py"]
    manifest = json.loads((tmp_path / "out/submission.json").read_text())
    assert manifest["assignment"] == "hw1"
    assert manifest["files"][1] == {"name": "main.py", "size": 6, "sha256": sha256(b"x = 1\n")}


def test_the_same_files_give_the_same_zip_whenever_they_are_packed(project: Path, tmp_path: Path) -> None:
    packed(choose_files([project]), tmp_path / "one.zip")
    for path in project.rglob("*"):
        os.utime(path, (1, 1))
    (project / "main.py").chmod(0o755)
    packed(choose_files([project]), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").testzip() is None


def test_links_out_of_the_folder_are_left_out(project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("my key")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/more.py").write_text("my key")
    (project / "link.py").symlink_to(tmp_path / "secret.py")
    (project / "folder").symlink_to(tmp_path / "outside")
    (project / "inner.py").symlink_to("main.py")
    bundle = choose_files([project])
    assert [name for name, _ in bundle.files] == ["data/tea.csv", "inner.py", "main.py", "übung.py"]
    assert {path.name for path in bundle.left_out} >= {"link.py", "folder"}


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a/x.py", "b/x.py"], "rename one"), (["a/x.py", "b/X.py"], "rename one"), (["submission.json"], "rename one"),
     (["a/empty.py"], "is empty"), (["folder/"], "no files")],
)  # fmt: skip
def test_files_that_cannot_be_one_submission_are_refused_with_the_reason(
    names: list[str], said: str, tmp_path: Path
) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_text("" if "empty" in name else "x")
    with pytest.raises(Usage, match=said):
        choose_files([tmp_path / name for name in names])


@pytest.mark.parametrize("top", ["", "hw/"])
def test_the_files_of_a_zip_made_by_hand_have_the_names_they_have_in_a_folder(top: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("part1.py", "data/tea.csv", ".DS_Store", "__pycache__/x.pyc", "empty/"):
            archive.writestr(f"{top}{name}", "x" * (not name.endswith("/")))
        archive.writestr("__MACOSX/._part1.py", "x")
    assert names_in_zip(path) == ["part1.py", "data/tea.csv"]
    path.write_bytes(b"no zip")
    with pytest.raises(Usage, match="cannot be read as a zip"):
        names_in_zip(path)
