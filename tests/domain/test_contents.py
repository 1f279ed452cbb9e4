"""The report of what a course contains and what was left out."""

from __future__ import annotations

import unicodedata

from mograder.domain.assignments import Assignment, Plan, Rules
from mograder.domain.contents import LeftOut, Survey, contents
from mograder.domain.names import AssignmentName

NFC = AssignmentName(unicodedata.normalize("NFC", "übung"))
NFD = AssignmentName(unicodedata.normalize("NFD", "übung"))


def test_work_and_rules_of_a_missing_assignment_are_reported() -> None:
    survey = Survey(work=((AssignmentName("hw1"), 2), (AssignmentName("old"), 1)))
    plan = Plan(rules={AssignmentName("hw1"): Rules(), AssignmentName("typo"): Rules()})
    found = contents([Assignment(AssignmentName("hw1"), "hw1")], plan, survey)
    assert [each.what for each in found.left_out] == ["the work of 1 person for 'old'", "rules for 'typo'"]
    assert [each.expected for each in found.left_out] == [False, True]


def test_a_name_in_another_unicode_form_is_the_same_name() -> None:
    for here, there in ((NFC, NFD), (NFD, NFC)):
        survey = Survey(work=((here, 2),))
        assert contents([Assignment(there, there)], Plan(rules={here: Rules("Tee")}), survey).left_out == ()
        assert Plan(rules={here: Rules("Tee")}).rules_of(there) == Rules("Tee")


def test_whatever_the_store_left_out_is_in_the_report_unchanged() -> None:
    out = LeftOut("a", "b", "c")
    assert contents([], Plan(), Survey(left_out=(out,))).left_out == (out,)
