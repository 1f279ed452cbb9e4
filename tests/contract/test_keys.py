"""What every store promises about keys."""

from __future__ import annotations

from tests.contract.parts import NOTE, Open
from tests.parts import (
    NOON,
    SECOND,
)


def test_a_course_always_has_a_secret_that_does_not_change_by_itself(open_again: Open) -> None:
    first = open_again()
    assert first.keys.secrets()[0]
    assert open_again().keys.secrets() == first.keys.secrets()


def test_a_new_secret_comes_first_and_the_old_one_is_kept_until_it_expires(open_again: Open) -> None:
    store, other = open_again(), open_again()
    (old,) = store.keys.secrets()
    far = 4_000_000_000 * SECOND
    store.keys.change_secret("second", far, NOTE)
    assert store.keys.secrets() == other.keys.secrets() == ("second", old)
    other.keys.change_secret("third", far + SECOND, NOTE)
    assert store.keys.secrets() == open_again().keys.secrets() == ("third", "second", old)
    store.keys.change_secret("fourth", NOON, NOTE)  # an end in the past: no grace period, for earlier secrets either
    assert store.keys.secrets() == other.keys.secrets() == ("fourth",)
    assert len(store.audit.events()) == 3
