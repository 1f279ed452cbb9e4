"""Two servers on one folder against the model: any actions in any order, with crashes in between."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mograder.domain.errors import NameTaken
from mograder.domain.names import AssignmentName, Username
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.store import FolderStore
from mograder.store.shared.files import IN_MEMORY
from tests.crashes import BEGIN, Say, die_before
from tests.model import (
    HW2,
    USERS,
    Model,
    Write,
    explaining,
    grading,
    planning,
    read_contents,
    registering,
    rotating,
    submitting,
)
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, make_course_folder, open_store
from tests.store.test_crashes import check_folder

people = st.sampled_from((ALICE, BOB))
letters = st.sampled_from("aaabbbccL")  # L: a large file
moments = st.sampled_from([NOON + seconds * SECOND for seconds in range(-3, 4)])  # a clock that is set back and forth


def submit_work(user: Username, letter: str, received: int, assignment: AssignmentName) -> Write:
    content = letter.encode() * (IN_MEMORY + 1 if letter == "L" else 1)
    return submitting(user, content, received, assignment)


pages = st.dictionaries(people, st.binary(max_size=20), min_size=1)
writes = st.one_of(
    st.builds(submit_work, people, letters, moments, st.sampled_from((HW1, HW2))),
    st.builds(grading, st.dictionaries(people, st.sampled_from("123"), min_size=1), st.sampled_from((HW1, HW2))),
    st.builds(explaining, pages),
    st.builds(registering, st.sampled_from(USERS), st.text("xyz", max_size=3)),
    st.builds(planning, st.integers(1, 3), st.sampled_from((HW1, HW2))),
    st.builds(rotating, st.sampled_from(("second", "third"))),
)
servers = st.integers(0, 1)


class Course(RuleBasedStateMachine):
    """Each rule changes a store and the model; after each one the contents of both stores equal the model."""

    @initialize()
    def begin(self) -> None:
        self.after = contextlib.ExitStack()
        self.root = make_course_folder(Path(self.after.enter_context(tempfile.TemporaryDirectory())), "hw1", "hw2")
        self.stores: list[FolderStore | None] = [None, None]
        self.model = Model(secrets=[*self.open(0).keys.secrets()])
        self.signer = Ed25519Signer(self.open(0).keys.signing_key(new_private_key))

    def open(self, number: int) -> FolderStore:
        store = self.stores[number] or open_store(self.root)
        self.stores[number] = store
        return store

    @rule(server=servers, write=writes)
    def write(self, server: int, write: Write) -> None:
        try:
            write.model(self.model)
        except NameTaken:
            with pytest.raises(NameTaken):
                write.do(self.open(server), self.signer)
        else:
            write.do(self.open(server), self.signer)

    @rule(server=servers)
    def settle(self, server: int) -> None:
        assert self.open(server).settler.settle()

    @rule(server=servers)
    def stop(self, server: int) -> None:
        if store := self.stores[server]:
            store.close()
            self.stores[server] = None

    @rule(write=writes, step=st.integers(1, 30))
    def crash(self, write: Write, step: int) -> None:
        """A server starts, writes, and is killed at some step; everything that it acknowledged is there."""

        def act(say: Say) -> None:
            store = open_store(self.root)
            say(BEGIN)
            with contextlib.suppress(NameTaken):
                write.do(store, self.signer)
                say("answered")
            store.close()

        # No SQLite database may be open in a process that forks.
        self.stop(0)
        self.stop(1)
        ended = die_before(step, act)
        with contextlib.suppress(NameTaken):
            after = self.model.copy()
            write.model(after)
            before, wanted, found = self.model.contents(), after.contents(), read_contents(self.open(0), self.signer)
            changed = {key for key in wanted if before[key] != wanted[key]}
            if "answered" in ended.said or any(found[key] == wanted[key] for key in changed):
                # An upload that was not acknowledged may be stored in part; it is repeated.
                if "answered" not in ended.said:
                    write.do(self.open(0), self.signer)
                self.model = after

    @invariant()
    def both_look_like_the_model(self) -> None:
        wanted = self.model.contents()
        for number in (0, 1):
            assert read_contents(self.open(number), self.signer) == wanted

    def teardown(self) -> None:
        self.stop(0)
        self.stop(1)
        check_folder(self.root)
        self.after.close()


TestTwoServersOnOneFolder = Course.TestCase
TestTwoServersOnOneFolder.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
