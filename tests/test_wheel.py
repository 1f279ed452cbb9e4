"""The wheel that a server offers, made from the installed package: read as by an installer, and installed."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import mograder
from mograder.wheel import make_wheel

PACKAGE = Path(mograder.__file__).parent
ABOUT = metadata.distribution(mograder.DISTRIBUTION)


def test_the_wheel_lists_every_file_with_its_checksum_and_has_the_dependencies_of_the_installation() -> None:
    archive = zipfile.ZipFile(io.BytesIO(make_wheel(PACKAGE, ABOUT).content))
    names = archive.namelist()
    record = next(name for name in names if name.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
    assert [row[0] for row in rows] == names == [*sorted(set(names) - {record}), record]
    for name, checksum, size in rows[:-1]:
        content = archive.read(name)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (checksum, size) == (f"sha256={digest}", str(len(content)))
    said = metadata.PathDistribution(zipfile.Path(archive, f"{record.removesuffix('RECORD')}"))
    assert said.requires == ABOUT.requires
    assert (said.metadata["Name"], said.version) == (mograder.DISTRIBUTION, mograder.__version__)
    assert {each.value for each in said.entry_points if each.name == "mograder"} == {"mograder.cli:main"}
    assert "MIT License" in (said.read_text("licenses/LICENSE") or "")


def test_the_same_files_give_the_same_bytes_whatever_other_files_there_are(tmp_path: Path) -> None:
    first = make_wheel(PACKAGE, ABOUT)
    again = tmp_path / "src" / "mograder"
    shutil.copytree(PACKAGE, again)  # with other modification times
    for name in ("__pycache__/x.pyc", ".secret", "__marimo__/session.json", "cli.py~", "web/.cache/y"):
        (again / name).parent.mkdir(exist_ok=True)
        (again / name).write_text("left behind")
    (again / "link.py").symlink_to(tmp_path / "elsewhere")
    for name in ABOUT.metadata.get_all("License-File") or ():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((PACKAGE.parent.parent / name).read_bytes())
    assert make_wheel(again, ABOUT) == first
    (again / "new.py").write_text("x = 1\n")
    assert make_wheel(again, ABOUT).sha256 != first.sha256


def test_pip_installs_the_wheel_with_its_command(tmp_path: Path) -> None:
    wheel = make_wheel(PACKAGE, ABOUT)
    (tmp_path / wheel.name).write_bytes(wheel.content)
    words = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--no-index",
        "--target",
        tmp_path / "there",
        tmp_path / wheel.name,
    ]
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *words], check=True, timeout=90)
    code = "import mograder.cli as ours; print(ours.__file__); ours.main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=90,
        env={"PYTHONPATH": str(tmp_path / "there")},
    )  # fmt: skip
    assert str(tmp_path) in ran.stdout
    assert ran.stdout.endswith(f"mograder, version {mograder.__version__}\n"), ran.stderr
    scripts = [path.stem for path in (tmp_path / "there").glob("[bS]*/mograder*")]
    assert scripts == ["mograder"]
