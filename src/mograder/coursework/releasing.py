"""Finds sources in a course folder and writes their releases. It writes no release that still shows a solution."""

from __future__ import annotations

import html
import os
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath

from msgspec import Struct

from mograder import course_file
from mograder.client.files import read_foreign, write_file
from mograder.client.trust import check_written_inside
from mograder.domain.errors import BadName, BadRequest, NotFound, Usage
from mograder.domain.names import AssignmentName, counted
from mograder.notebook.cells import NotebookError, parse, read_text, text_bytes
from mograder.notebook.leaks import leaks
from mograder.notebook.marks import find_markers
from mograder.notebook.release import make_release
from mograder.notebook.source import Source, SourceErrors, read_source

NEVER = frozenset({"__marimo__", "__pycache__", ".venv"})
_ENTRY_TIME = (2025, 1, 1, 0, 0, 0)  # the time of every file in an archive: equal files give equal archives
_SEARCHED = 8 * 1024 * 1024  # bytes of a file beside the notebook that are searched for solutions


class BadSource(BadRequest):
    """A source from which no release can be made. `lines` are for the instructor: "FILE:LINE: what is wrong"."""

    code = "bad_source"

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


class SourceFolder(Struct, frozen=True):
    """One assignment's sources. `others` are the other files of its folder, relative to `folder`."""

    assignment: str
    folder: Path
    notebooks: tuple[Path, ...]
    others: tuple[PurePosixPath, ...]


class ReleasedNotebook(Struct, frozen=True):
    """A release that is ready to be written."""

    path: Path
    source: Source
    text: str
    solutions: int
    hidden_tests: int


class Planned(Struct, frozen=True):
    """A release that is checked and not written yet. `files` has the bytes of each file by its path in `target`."""

    assignment: str
    notebooks: tuple[ReleasedNotebook, ...]
    target: Path
    files: dict[PurePosixPath, bytes]


def find_sources(words: Sequence[str], course: Path) -> tuple[SourceFolder, ...]:
    """The sources that the words of a command name: assignments, or paths of notebooks. Raises NotFound and Usage."""
    source = course / (course_file.read_course_file(course / course_file.CONFIG_NAME).dirs.source or "source")
    found = [_by_name(word, source) if is_name(word) else _by_path(Path(word), source) for word in words]
    return tuple(dict.fromkeys(found))


def is_name(word: str) -> bool:
    """Whether `word` names an assignment and is no path: it has no separator and does not end with `.py`."""
    return "/" not in word and os.sep not in word and not word.endswith(".py")


def release_folder(course: Path, output: Path | None) -> Path:
    """The folder for releases: `output`, else `[dirs] release`, else release/."""
    return output or course / (course_file.read_course_file(course / course_file.CONFIG_NAME).dirs.release or "release")


def target_of(release: Path, assignment: str, *, in_files: bool | None) -> Path:
    """The assignment's folder in `release`, or files/ in it with `in_files`.

    With None, it is as in the assignment's earlier release, else as in the other releases, else without files/.
    """
    folder = release / assignment
    if in_files is None:
        in_files = (folder / "files").is_dir()
        if not folder.exists() and release.is_dir():
            in_files = any((each / "files").is_dir() for each in release.iterdir() if each.is_dir())
    return folder / "files" if in_files else folder


def plan(found: SourceFolder, target: Path, *, lecture: bool = False, submit_url: str = "") -> Planned:
    """The release of an assignment, checked and not written. Raises BadSource with everything that is wrong."""
    notebooks: list[ReleasedNotebook] = []
    wrong: list[str] = []
    for path in found.notebooks:
        try:
            source = read_source(read_text(read_foreign(path)), found.assignment)
            made = make_release(source, lecture=lecture, submit_url=submit_url)
        except SourceErrors as error:
            wrong += [f"{path}:{mistake.line}: {mistake.message}" for mistake in error.mistakes]
        except NotebookError as error:
            wrong.append(f"{path}:{error.line or 1}: {error.reason}")
        else:
            notebooks.append(ReleasedNotebook(path, source, made.text, made.solutions, made.hidden_tests))
    others = {name: read_foreign(found.folder / name) for name in found.others}
    wrong += _markers_in(others, found.folder)
    for each in notebooks:
        wrong += _leaks_of(each, others, found.folder)
    if wrong:
        raise BadSource(wrong)
    files = {PurePosixPath(each.path.name): _as_source(each) for each in notebooks} | others
    if others:
        files[PurePosixPath(f"{found.assignment}.zip")] = _archive(files)
    return Planned(found.assignment, tuple(notebooks), target, files)


def _as_source(made: ReleasedNotebook) -> bytes:
    return text_bytes(made.text, read_foreign(made.path))


def write(planned: Planned, home: Path) -> tuple[Path, ...]:
    """Write the files that differ from those in the target, and return their paths. Other files stay.

    Raises Usage, before anything is written, where a file would be outside of `home`.
    """
    check_written_inside(home, *(planned.target / name for name in planned.files))
    written = []
    for name, content in planned.files.items():
        path = planned.target / name
        if not path.is_file() or path.read_bytes() != content:
            write_file(path, content)
            written.append(path)
    return tuple(written)


def _by_name(word: str, source: Path) -> SourceFolder:
    try:
        name = AssignmentName.parse(word)
    except BadName as error:
        raise Usage(error.message) from None
    folder = source / name
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}: put the notebook with solutions at {folder / name}.py")
    notebooks, others = _sorted_out(folder)
    if not notebooks:
        raise NotFound(f"there is no marimo notebook in {folder}: put the one with solutions at {folder / name}.py")
    return SourceFolder(name, folder, notebooks, others)


def _by_path(path: Path, source: Path) -> SourceFolder:
    """A notebook in a folder of source/ comes with the files there; one elsewhere comes alone, named by its file."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}: name a notebook, or an assignment without '/' and '.py'")
    folder = path.parent
    if folder.resolve().parent == source.resolve():
        return SourceFolder(folder.name, folder, (path,), _sorted_out(folder)[1])
    return SourceFolder(path.stem, folder, (path,), ())


def _sorted_out(folder: Path) -> tuple[tuple[Path, ...], tuple[PurePosixPath, ...]]:
    """(notebooks, other files) of an assignment's folder. Pages and archives made from a notebook are left out."""
    notebooks = tuple(path for path in sorted(folder.glob("*.py")) if _is_notebook(path))
    made = {f"{path.stem}{suffix}" for path in notebooks for suffix in (".html", ".ipynb", ".zip", ".pdf")}
    others = [
        name for name in _files(folder)
        if folder / name not in notebooks and str(name) not in made and name.name != f"{folder.name}.zip"
    ]  # fmt: skip
    return notebooks, tuple(others)


def _files(folder: Path) -> Iterator[PurePosixPath]:
    """The files in a folder and below, sorted, without hidden files and links to files outside of the folder."""
    home = folder.resolve()
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if name not in NEVER and not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or name.endswith((".pyc", "~")) or name in NEVER:
                continue
            if path.is_file() and path.resolve().is_relative_to(home):
                yield PurePosixPath(path.relative_to(folder).as_posix())


def _is_notebook(path: Path) -> bool:
    """Whether a file is a marimo notebook. A file with a syntax error counts as one, so that it is refused and not
    given out as data.
    """
    try:
        parse(read_text(read_foreign(path)))
    except NotebookError as error:
        return "not a marimo notebook" not in error.reason and "is empty" not in error.reason
    return True


def _text(content: bytes) -> str | None:
    if len(content) > _SEARCHED or b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _markers_in(others: dict[PurePosixPath, bytes], folder: Path) -> Iterator[str]:
    for name, content in others.items():
        for line in find_markers(_text(content) or ""):
            yield f"{folder / name}:{line}: a marker in a file that is no notebook: students would get it as it is"


def _leaks_of(made: ReleasedNotebook, others: dict[PurePosixPath, bytes], folder: Path) -> Iterator[str]:
    texts = {str(name): text for name, content in others.items() if (text := _text(content))}
    shown = {name: html.unescape(text) if name.endswith((".html", ".htm", ".svg")) else text
             for name, text in texts.items()}  # fmt: skip
    for leak in leaks(made.source, made.text, shown):
        where = f"the release's line {leak.line}" if not leak.file else f"{folder / leak.file}:{leak.line}"
        yield f"{made.path}:{leak.source_line}: {where} would still show this line: {leak.secret}"


def _archive(files: dict[PurePosixPath, bytes]) -> bytes:
    """A zip of the files. Equal files give equal bytes."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=str):
            entry = zipfile.ZipInfo(str(name), _ENTRY_TIME)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def summary(made: ReleasedNotebook) -> str:
    """What was removed, in words: "4 solutions and 2 hidden tests removed"."""
    solutions, hidden = counted(made.solutions, "solution"), counted(made.hidden_tests, "hidden test")
    return f"{solutions} and {hidden} removed" if made.hidden_tests else f"{solutions} removed"
