"""Who is looking at the same work: shown to others on two servers until it expires."""

from __future__ import annotations

from pathlib import Path

from mograder.domain.presence import SLOT, Presence
from mograder.store.folder.store import FolderStore
from tests.parts import NOON, Clock, open_store


def test_others_who_look_at_the_same_work_are_reported_until_their_note_expires(course_folder: Path) -> None:
    clock, stores = Clock(NOON), (open_store(course_folder), open_store(course_folder))
    assert isinstance(stores[0], FolderStore)
    one, other = (Presence(each.guard, clock) for each in stores)
    everybody = ("grace", "guy", "tom")
    assert one.meet("grace", "hw1 s01", everybody) == ()
    assert other.meet("guy", "hw1 s01", everybody) == ("grace",)
    assert one.meet("grace", "hw1 s01", everybody) == ("guy",)
    assert other.meet("tom", "hw1 s02", everybody) == ()
    clock.now += SLOT
    assert one.meet("grace", "hw1 s01", everybody) == ("guy",)
    clock.now += SLOT
    assert one.meet("grace", "hw1 s01", everybody) == ()
    assert other.meet("guy", "hw1 s01", everybody) == ("grace",)
    for each in stores:
        each.close()
