"""A power cut right after the answer: the disk is copied at that moment, and the course started from the copy.

The course is on its own file system in an image. What a program has written but not synced is in memory and not in the
image, so the copy has the content of a disk after a power cut; mounting it replays the journal of the file system.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.config import utc_now
from mograder.store.folder import doctor
from mograder.store.folder.layout import Folders
from mograder.store.shared.files import IN_MEMORY
from tests.parts import CODE, NOTEBOOK, Running, make_course_folder, running, sha256

MEGABYTES = 24
LARGE = b"x" * (IN_MEMORY + 1)


def run(*words: str | Path) -> None:
    """Run a system program; skip the test where it may not be run."""
    program = shutil.which(str(words[0]), path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"there is no {words[0]} here")
    done = subprocess.run([program, *map(str, words[1:])], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine mounts no image: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount the file system in `image`, which is known to be possible here."""
    place.mkdir()
    # No commits of the journal during the test except those by fsync.
    subprocess.run(["mount", "-o", "loop,commit=300", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def new_disk(image: Path) -> Path:
    """Make a file system in the file `image`; skip the test where images cannot be made or mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount an image")
    with image.open("wb") as file:
        file.truncate(MEGABYTES * 1024 * 1024)
    run("mkfs.ext4", "-q", "-F", image)
    place = image.with_name("trial")
    place.mkdir()
    run("mount", "-o", "loop", image, place)
    subprocess.run(["umount", place], check=True)
    return image


def test_everything_acknowledged_survives_a_power_cut_right_after_the_answer(tmp_path: Path) -> None:
    image = new_disk(tmp_path / "disk")
    copies = {}
    with mounted(image, tmp_path / "live") as disk:
        root = make_course_folder(disk)
        subprocess.run(["sync", "-f", disk], check=True)
        with running(root) as server:
            for name, work in WORK.items():
                work(server)
                (root / f"unsynced {name}").write_bytes(NOTEBOOK)
                copies[name] = shutil.copyfile(image, tmp_path / f"after {name}")
            server.kill()
    done: list[str] = []
    kept = []
    for name, copy in copies.items():
        done.append(name)
        with mounted(copy, tmp_path / f"{name} again") as disk:
            root = disk / "course" / "release"
            with running(root) as server:
                for each in done:
                    CHECKS[each](server)
            found = doctor.check(Folders.of(root), utc_now())
            assert [each for each in found if each.severity == "error" and "MiB are free" not in each.what] == []
            if (root / f"unsynced {name}").exists():
                kept.append(name)
    assert len(kept) < len(copies), "what nobody synced is on every disk: these were no power cuts"


def submit_small(server: Running) -> None:
    assert server.submit("alice", b"small").status_code == 200


def submit_large(server: Running) -> None:
    assert server.submit("bob", LARGE).status_code == 200


def grade(server: Running) -> None:
    grades = [{"username": "alice", "grade": "1"}]
    assert server.client.post("/assignments/hw1/grades", json=grades, headers=server.bearer()).status_code == 200


def explain(server: Running) -> None:
    page = {"files": ("alice.html", b"<p>well done", "text/html")}
    assert server.client.post("/assignments/hw1/feedback", files=page, headers=server.bearer()).status_code == 200


def register(server: Running, status: int = 200) -> None:
    wanted = {"user": "carol", "enrollment_code": CODE}
    assert server.client.post("/register", json=wanted).status_code == status


def check_submission(server: Running, name: str, content: bytes) -> None:
    listed = server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()
    assert [each["sha256"] for each in listed if each["username"] == name] == [sha256(content)]
    folder = server.submitted / "hw1"
    assert (folder / os.readlink(folder / f"{name}.py")).read_bytes() == content
    again = server.submit(name, content)
    assert again.json()["repeated"] is True


def check_status(server: Running) -> dict[str, object]:
    reply = server.client.get("/assignments/hw1/status?user=alice", headers=server.bearer("alice"))
    return dict(reply.json())


def check_grade(server: Running) -> None:
    assert check_status(server)["grade"] == "1"


def check_page(server: Running) -> None:
    reply = server.client.get("/assignments/hw1/feedback/alice", headers=server.bearer("alice"))
    assert reply.content == b"<p>well done"


WORK = {
    "small": submit_small,
    "large": submit_large,
    "grades": grade,
    "feedback": explain,
    "registration": register,
}
CHECKS = {
    "small": lambda server: check_submission(server, "alice", b"small"),
    "large": lambda server: check_submission(server, "bob", LARGE),
    "grades": check_grade,
    "feedback": check_page,
    "registration": lambda server: register(server, 409),
}
