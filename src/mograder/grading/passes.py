"""Plans the check cells in two passes: the visible checks of all cells, then the cells with hidden tests, whole.

Invariant: no visible check runs after a hidden test has called the submission, so that nothing that its student reads
can depend on the arguments of hidden tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mograder.grading.plan import Plan, plan
from mograder.notebook.cells import Notebook, parse
from mograder.notebook.source import Source, check_notebook, without_hidden_tests, without_solutions


@dataclass(frozen=True)
class CheckPlan:
    """What the check process runs. `places` are those of check cells in `plan`.

    `again` maps the place of each cell of the second pass to the place of the same cell in the first.
    """

    plan: Plan
    places: frozenset[int]
    again: Mapping[int, int]


def plan_checks(source: Source) -> CheckPlan:
    """The cells of the checks, in the order in which they run.

    A check cell whose hidden tests define what another cell reads runs once, whole, in the first pass.
    """
    whole = plan(parse(check_notebook(source)))
    cells = list(whole.notebook.cells)
    wanted = {without_solutions(cell, source.blocks).code: cell for cell in source.check_cells}
    places = [place for place in whole.order if cells[place].code in wanted]
    again: dict[int, int] = {}
    for place in places:
        cell = cells[place]
        visible = without_hidden_tests(wanted[cell.code], source.blocks)
        others = frozenset().union(*(each.refs for number, each in enumerate(whole.notebook.cells) if number != place))
        if visible.code != cell.code and not (cell.defs - visible.defs) & others:
            again[len(cells)] = place
            cells.append(cell)
            cells[place] = visible
    made = Plan(Notebook(tuple(cells), whole.notebook.text), (*whole.order, *again), whole.failures)
    return CheckPlan(made, frozenset((*places, *again)), again)
