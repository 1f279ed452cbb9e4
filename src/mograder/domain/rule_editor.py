"""Reads, checks and changes the rules of assignments in mograder.toml."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, time, tzinfo

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment, CountingRule
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, ChangedMeanwhile, NotFound
from mograder.domain.names import AssignmentName, printable
from mograder.domain.release import ReleaseStore
from mograder.domain.rules import ConfigStore, RuleChange, RuleTexts


@dataclass(frozen=True)
class RulesAsText:
    """The rules of an assignment as texts, and the zone of their times. `tag` changes whenever they may have."""

    assignment: AssignmentName
    texts: RuleTexts
    zone: str
    tag: str


@dataclass(frozen=True)
class RuleEditor:
    """Reads and changes the rules of assignments for an instructor. `max_upload` is in bytes."""

    config: ConfigStore
    release: ReleaseStore
    clock: Callable[[], int]
    max_upload: int

    def of(self, name: AssignmentName) -> RulesAsText:
        """The rules in force, from mograder.toml and, where that has none, from a manifest. Raises NotFound."""
        return self._look(name)[0]

    def change(self, actor: Actor, name: AssignmentName, wanted: RuleTexts, tag: str) -> RulesAsText:
        """Write differing rules into the course's mograder.toml; returns the rules that are in force then.

        `tag` is that of the rules that the person has seen. Raises BadRequest, NotFound, ChangedMeanwhile and
        Unreadable; then nothing changes.
        """
        held, assignment, zone, version = self._look(name)
        if held.tag != tag:
            raise ChangedMeanwhile(f"the rules of {name!r} were changed meanwhile: look at them, and try again")
        changes = held.texts.changes_to(wanted)
        self._check(assignment, changes, zone)
        self._write(actor, name, changes, version)
        return self.of(name)

    def set_up(self, actor: Actor, name: AssignmentName, wanted: RuleTexts) -> None:
        """Write the rules of an assignment that does not exist yet; rules that mograder.toml has for it are replaced.

        Raises BadRequest, ChangedMeanwhile and Unreadable; then nothing changes.
        """
        version, plan = self.config.version(), self.config.plan()
        assignment = Assignment(name, str(name), rules=plan.rules_of(name))
        changes = RuleTexts.of(assignment.rules, plan.zone).changes_to(wanted)
        self._check(assignment, changes, plan.zone)
        self._write(actor, name, changes, version)

    def _write(self, actor: Actor, name: AssignmentName, changes: Sequence[RuleChange], version: str) -> None:
        if changes:
            detail = "; ".join(each.text for each in changes)
            event = Event(self.clock(), actor.username, "rules", name, detail)
            self.config.change_rules(name, changes, version, event)

    def count(self, actor: Actor, rule: CountingRule) -> None:
        """Write the course's counting rule into mograder.toml. Raises ChangedMeanwhile and Unreadable."""
        version, before = self.config.version(), self.config.plan().counts
        if rule is not before:
            change = RuleChange("counts", before, rule, rule.value)
            self.config.change_rules(
                None, [change], version, Event(self.clock(), actor.username, "rules", "", change.text)
            )

    def _look(self, name: AssignmentName) -> tuple[RulesAsText, Assignment, tzinfo, str]:
        version = self.config.version()  # before the rest, so that a change in between is detected
        assignment, zone = self.release.find(name), self.config.plan().zone
        if assignment is None:
            raise NotFound(f"there is no assignment {printable(name)!r}")
        texts = RuleTexts.of(assignment.rules, zone)
        # The version of mograder.toml alone does not cover a manifest.
        tag = hashlib.sha256("\0".join((version, *astuple(texts))).encode()).hexdigest()
        return RulesAsText(assignment.name, texts, str(zone), tag), assignment, zone, version

    def _check(self, assignment: Assignment, changes: Sequence[RuleChange], zone: tzinfo) -> None:
        schedule = assignment.rules.schedule
        moments = {"opens": schedule.opens, "due": schedule.due, "closes": schedule.closes}
        entry = assignment.entry or {}
        for each in changes:
            if each.value is None and (entry.get(each.key) or (each.key == "due" and entry.get("duedate"))):
                raise BadRequest(f"assignments.json says {each.key!r} of {assignment.name!r}: take it out there")
            if each.key in moments:
                of_day = time.min if each.key == "opens" else deadlines.END_OF_DAY
                moments[each.key] = (
                    deadlines.moment_of(each.value, zone, of_day) if isinstance(each.value, date) else None
                )
            elif each.key == "max_size" and isinstance(each.value, int) and each.value > self.max_upload:
                raise BadRequest(
                    f"a submission of {each.after} is too large: this server takes {self.max_upload} bytes"
                )
        said = {key: moment for key, moment in moments.items() if moment is not None}
        if list(said.values()) != sorted(said.values()):
            shown = ", ".join(f"{key} {deadlines.readable(moment, zone)}" for key, moment in said.items())
            raise BadRequest(f"the times of {assignment.name!r} are out of order: {shown}")
