# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo>=0.20"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Is the difference real? Shuffling and resampling")

with app.setup(hide_code=True):
    import csv
    import math
    import random
    import reprlib
    import statistics
    from dataclasses import dataclass

    import marimo as mo

    import charts


@app.cell(hide_code=True)
def _():
    # What the check cells use. You need not read it; please leave it as it is.
    @dataclass(frozen=True)
    class Verdict:
        exercise: str
        fault: str | None = None

        @property
        def solved(self):
            return self.fault is None

        def _display_(self):
            if self.solved:
                return mo.callout(mo.md(f"**{self.exercise} is solved.**"), kind="success")
            return mo.callout(mo.md(f"**{self.exercise} is not solved yet.** {self.fault}"), kind="warn")

    def agrees(got, wanted):
        if isinstance(wanted, list | tuple):
            same_length = isinstance(got, list | tuple) and len(got) == len(wanted)
            return same_length and all(map(agrees, got, wanted))
        if isinstance(wanted, int | float) and not isinstance(wanted, bool):
            return isinstance(got, int | float) and math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-9)
        return got == wanted

    def check(exercise, *claims):
        """The first claim (hint, call, wanted) whose call does not give what is wanted decides."""
        for hint, call, wanted in claims:
            try:
                got = call()
            except Exception as error:
                return Verdict(exercise, f"{hint} Trying it raised `{type(error).__name__}: {error}`.")
            if not agrees(got, wanted):
                seen = "" if got is None or got is ... else f" Yours gives `{reprlib.repr(got)}`."
                return Verdict(exercise, hint + seen)
        return Verdict(exercise)

    return (check,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 3 · Is the difference real? Shuffling and resampling

    Seventy-two tomato seedlings grew for three weeks, half of them in potting mix, half in potting mix
    with compost. Those with compost came out taller on average. But two halves of *one* group would
    differ a little, too: could chance alone have made this difference, and how large may it be in truth?

    Both questions have an answer that needs no formula and no table of a distribution, only a computer
    that shuffles cards patiently. The heights are in `data/seedlings.csv`, what its columns mean in
    `data/codebook.md`; `charts.py` draws the pictures (use it, leave it unchanged). Only this notebook is
    handed in. 30 points in all.
    """)
    return


@app.cell
def _():
    with (mo.notebook_dir() / "data" / "seedlings.csv").open(newline="") as _file:
        rows = list(csv.DictReader(_file))  # one dictionary of strings a seedling

    mo.ui.table(rows, page_size=6, selection=None)
    return (rows,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 1: sort into groups (4 points)

    Return the heights of one treatment, as numbers, in the order of the rows.
    """)
    return


@app.function
def heights(rows, treatment):
    """The heights in millimetres of the seedlings with that treatment."""
    return ...


@app.cell(hide_code=True)
def _(check, rows):
    control = [int(row["height_mm"]) for row in rows if row["treatment"] == "control"]
    compost = [int(row["height_mm"]) for row in rows if row["treatment"] == "compost"]
    check_1 = check(
        "Exercise 1",
        ('`heights(rows, "control")` should be 36 numbers.', lambda: len(heights(rows, "control")), 36),
        (
            "They should be numbers in the order of the rows, not text.",
            lambda: heights(rows, "control"),
            control,
        ),
        ("It should work for the compost, too.", lambda: heights(rows, "compost"), compost),
        ("A treatment that nobody got has no heights: `[]`.", lambda: heights(rows, "sand"), []),
    )
    check_1
    return check_1, compost, control


@app.cell
def _(compost, control):
    # From here on the two lists are `control` and `compost`.
    charts.strips({"control": control, "compost": compost}, unit="mm")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 2: the difference (2 points)

    By how much is the mean of `b` larger than the mean of `a`?
    """)
    return


@app.function
def difference(a, b):
    """The mean of b less the mean of a."""
    return ...


@app.cell(hide_code=True)
def _(check):
    check_2 = check(
        "Exercise 2",
        ("`difference([1, 3], [7])` should be 5.", lambda: difference([1, 3], [7]), 5),
        ("`difference([7], [1, 3])` should be -5: the sign matters.", lambda: difference([7], [1, 3]), -5),
    )
    check_2
    return (check_2,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 3: shuffle once (6 points)

    Suppose that compost does nothing. Then the labels "control" and "compost" are mere names, and any
    other way to deal them out to the same seventy-two heights would have been as likely. So: put both
    lists in one pile, shuffle it, deal out as many as `a` had to a new first group and the rest to a
    second, and return their difference.

    `rng` is a random generator with `rng.shuffle(a_list)` and others; use no other, so that your notebook
    gives the same answer each time it runs.
    """)
    return


@app.function
def shuffled_difference(a, b, rng):
    """The difference after the values of both groups are dealt out anew; a and b stay as they are."""
    return ...


@app.cell(hide_code=True)
def _(check):
    def _many(a, b):
        rng = random.Random(1)
        return [shuffled_difference(a, b, rng) for _ in range(200)]

    def _lists_after():
        a, b = [1, 2, 3], [4, 5, 6]
        shuffled_difference(a, b, random.Random(1))
        return a, b

    check_3 = check(
        "Exercise 3",
        ("When all values are equal the difference is 0.", lambda: set(_many([5, 5], [5, 5, 5])), {0}),
        (
            "With `[0]` and `[1]` it should sometimes be 1 and sometimes -1.",
            lambda: set(_many([0], [1])),
            {-1, 1},
        ),
        (
            "The groups keep their sizes: with `[0, 0, 0]` and `[6]` it is 6 or -2.",
            lambda: set(_many([0, 0, 0], [6])),
            {-2, 6},
        ),
        ("The lists `a` and `b` should be the same after the call.", _lists_after, ([1, 2, 3], [4, 5, 6])),
        (
            "Use `rng` for the shuffling: the same seed should give the same differences.",
            lambda: _many([1, 2, 3], [4, 5, 6]) == _many([1, 2, 3], [4, 5, 6]),
            True,
        ),
    )
    check_3
    return (check_3,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 4: shuffle often (6 points)

    How often does chance alone make a difference as large as the one observed, *in either direction*? Of
    `repeats` shuffled differences let $k$ be the number whose absolute value is at least that of the
    observed one. The deal that really happened is one of the possible ones and is counted, too, so that
    the answer is never zero:

    $$p = \frac{k + 1}{\text{repeats} + 1}$$
    """)
    return


@app.function
def p_value(a, b, repeats, rng):
    """The share of deals with a difference at least as large as that of a and b, either way."""
    return ...


@app.cell(hide_code=True)
def _(check):
    def _p(a, b, repeats=999):
        return p_value(a, b, repeats, random.Random(2))

    check_4 = check(
        "Exercise 4",
        ("Two equal groups have $p = 1$: each deal is as large as 0.", lambda: _p([1, 2, 3], [1, 2, 3]), 1),
        (
            "Without a single shuffle only the real deal is counted: $p = 1$.",
            lambda: _p([0, 0], [9, 9], repeats=0),
            1,
        ),
        (
            "With `[0]` and `[1]` both deals are as large as the real one: $p = 1$. Count either direction.",
            lambda: _p([0], [1]),
            1,
        ),
        (
            "For `[0, 1, 2, 3]` and `[10, 11, 12, 13]` it should be near 2 in 70: of 70 deals two part them.",
            lambda: 0.015 < _p([0, 1, 2, 3], [10, 11, 12, 13]) < 0.045,
            True,
        ),
    )
    check_4
    return (check_4,)


@app.cell(hide_code=True)
def _():
    repeats = mo.ui.slider(100, 3000, 100, value=1000, label="shuffles", show_value=True)
    repeats
    return (repeats,)


@app.cell(hide_code=True)
def _(check_2, check_3, check_4, compost, control, repeats):
    if check_2.solved and check_3.solved and check_4.solved:
        _rng = random.Random(3)
        _observed = difference(control, compost)
        _shown = mo.vstack(
            [
                charts.histogram(
                    [shuffled_difference(control, compost, _rng) for _ in range(repeats.value)],
                    marks=[-_observed, _observed],
                    unit="mm",
                ),
                mo.md(
                    f"Observed: {_observed:.1f} mm (lines). With {repeats.value} shuffles "
                    f"$p$ = {p_value(control, compost, repeats.value, _rng):.3f}."
                ),
            ]
        )
    else:
        _shown = mo.md("*When exercises 2 to 4 are solved, the shuffled differences are drawn here.*")
    _shown
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 5: how large is it? The bootstrap (6 points)

    Had we grown other seedlings, the difference would have come out a little differently. The *bootstrap*
    lets the sample stand for all seedlings: draw from `a` as many values as it has, *with replacement*
    (`rng.choices`), the same from `b`, and note the difference; do so `repeats` times. Sort the differences
    and return, as `(low, high)`, those at the positions `int(0.025 * repeats)` and
    `int(0.975 * repeats)`: between them lie the middle 95 %.
    """)
    return


@app.function
def bootstrap_interval(a, b, repeats, rng):
    """(low, high): the middle 95 % of the differences of resampled groups."""
    return ...


@app.cell(hide_code=True)
def _(check, compost, control):
    def _width(a, b):
        low, high = bootstrap_interval(a, b, 1000, random.Random(4))
        return high - low

    def _middle(a, b):
        low, high = bootstrap_interval(a, b, 1000, random.Random(4))
        return (low + high) / 2

    # For groups of this size the interval is about as wide as the textbook's 2 * 1.96 standard errors.
    _textbook = 2 * 1.96 * math.sqrt(statistics.variance(control) / 36 + statistics.variance(compost) / 36)
    _difference = statistics.mean(compost) - statistics.mean(control)
    check_5 = check(
        "Exercise 5",
        (
            "Groups without scatter leave no doubt: for `[1, 1]` and `[4, 4, 4]` it should be `(3, 3)`.",
            lambda: bootstrap_interval([1, 1], [4, 4, 4], 100, random.Random(4)),
            (3, 3),
        ),
        (
            "The observed difference should lie near the middle of the interval.",
            lambda: abs(_middle(control, compost) - _difference) < 0.5,
            True,
        ),
        (
            "The width is not right. Is it the middle 95 %, with replacement, from each group its own number?",
            lambda: 0.85 < _width(control, compost) / _textbook < 1.15,
            True,
        ),
    )
    check_5
    return (check_5,)


@app.cell
def _():
    # Your p and your interval for the seedlings, with 2000 repeats each
    p = ...
    interval = ...
    mo.md(f"p = {p}, 95 % interval = {interval} mm")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 6: in your own words (6 points)

    What do $p$ and the interval say about compost, and what do they not say? Then read the codebook once
    more: the compost was given to whole *trays*. Why may shuffling single seedlings be too optimistic,
    and what would you shuffle instead? Five or six sentences; this one is read by a person.
    """)
    return


@app.cell
def _():
    mo.md(r"""
    *Your answer here.*
    """)
    return


@app.cell(hide_code=True)
def _(check_1, check_2, check_3, check_4, check_5):
    _solved = sum(check.solved for check in (check_1, check_2, check_3, check_4, check_5))
    mo.md(f"""
    ---
    **{_solved} of 5** exercises are solved, and one is read by a person. Hand in as often as you like; the
    last one counts: `mograder https submit "hw3" hw3.py`
    """)
    return


if __name__ == "__main__":
    app.run()
