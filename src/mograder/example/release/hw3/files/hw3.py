# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo>=0.20", "mograder"]
# mograder-assignment = "hw3"
# mograder-hidden-tests = true
# mograder-cell-hashes = "2b4b15dd,549c99d4,b8402dcf,bfdcaf81,9ed78438,d789ada9,77361047,4b489ad5,2b5dbba9,3824868d,7152c618,ecd883ce,e3745322,b110baf1,de971a73,92351e03,9786c490,635d64d1,8bb6e229,9d626661,b5f5459d,fa1e6754"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Is the difference real? Shuffling and resampling")

with app.setup(hide_code=True):
    import csv
    import math
    import random
    import statistics

    import marimo as mo
    from mograder.runtime import Grader

    import charts


@app.cell(hide_code=True)
def _():
    # === MOGRADER: MARKS ===
    _marks = {
        "Exercise 1": 4,
        "Exercise 2": 2,
        "Exercise 3": 6,
        "Exercise 4": 6,
        "Exercise 5": 6,
        "Exercise 6": 6,
    }
    grader = Grader(_marks)
    return (grader,)


@app.cell(hide_code=True)
def _():
    # The check cells use this function. You need not read it, but please leave it unchanged.
    def agrees(got, wanted):
        if isinstance(wanted, list | tuple):
            same_length = isinstance(got, list | tuple) and len(got) == len(wanted)
            return same_length and all(map(agrees, got, wanted))
        return isinstance(got, int | float) and math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-9)

    return (agrees,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 3 · Is the difference real? Shuffling and resampling

    Seventy-two tomato seedlings grew for three weeks, half of them in potting mix, half in potting mix
    with compost. Those with compost came out taller on average. But two halves of *one* group would
    differ a little, too: could chance alone have made this difference, and how large may it really be?

    Both questions have an answer that needs no formula and no table of a distribution, only a computer
    that shuffles cards patiently. The heights are in `data/seedlings.csv`; `data/codebook.md` says what its
    columns mean. `charts.py` draws the pictures (use it, leave it unchanged). Only this notebook is
    submitted; a few more checks are made then. 30 points in all.
    """)
    return


@app.cell
def _():
    with (mo.notebook_dir() / "data" / "seedlings.csv").open(newline="") as _file:
        rows = list(csv.DictReader(_file))  # a dictionary of strings for each seedling

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
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(rows):
    control = [int(row["height_mm"]) for row in rows if row["treatment"] == "control"]
    compost = [int(row["height_mm"]) for row in rows if row["treatment"] == "compost"]
    return compost, control


@app.cell(hide_code=True)
def _(agrees, compost, control, grader, rows):
    grader.check(
        "Exercise 1: sort into groups",
        [
            (
                agrees(heights(rows, "control"), control),
                '`heights(rows, "control")` should be 36 numbers in the order of the rows, not text.',
            ),
            (agrees(heights(rows, "compost"), compost), "It should work for the compost, too."),
            (agrees(heights(rows, "sand"), []), "A treatment that no seedling got has no heights: `[]`."),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell
def _(compost, control):
    # From here on, the two lists are called `control` and `compost`.
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
    """The mean of b minus the mean of a."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, grader):
    grader.check(
        "Exercise 2: the difference",
        [
            (agrees(difference([1, 3], [7]), 5), "`difference([1, 3], [7])` should be 5."),
            (agrees(difference([7], [1, 3]), -5), "`difference([7], [1, 3])` should be -5: the sign matters."),
        ],
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 3: shuffle once (6 points)

    Suppose that compost does nothing. Then the labels "control" and "compost" are mere names, and any
    other way to deal them out to the same seventy-two heights would have been as likely. So: put both
    lists in one pile, shuffle it, deal out as many values as `a` has to a new first group and the rest to a
    second, and return their difference.

    `rng` is a random generator with the method `rng.shuffle(a_list)`. Use no other generator, so that your
    notebook gives the same answer each time it runs.
    """)
    return


@app.function
def shuffled_difference(a, b, rng):
    """The difference after the values of both groups are dealt out again; a and b do not change."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(grader):
    def _many(a, b):
        rng = random.Random(1)
        return [shuffled_difference(a, b, rng) for _ in range(50)]

    _a, _b = [1, 2, 3], [4, 5, 6]
    _is_number = isinstance(shuffled_difference(_a, _b, random.Random(1)), int | float)
    grader.check(
        "Exercise 3: shuffle once",
        [
            (set(_many([5, 5], [5, 5, 5])) == {0}, "When all values are equal, the difference is 0."),
            (set(_many([0], [1])) == {-1, 1}, "With `[0]` and `[1]` it should sometimes be 1 and sometimes -1."),
            (
                set(_many([0, 0, 0], [6])) == {-2, 6},
                "The groups keep their sizes: with `[0, 0, 0]` and `[6]` the difference is 6 or -2.",
            ),
            (
                _is_number and (_a, _b) == ([1, 2, 3], [4, 5, 6]),
                "The lists `a` and `b` should be the same after the call.",
            ),
            (
                _is_number and _many([1, 2, 3], [4, 5, 6]) == _many([1, 2, 3], [4, 5, 6]),
                "Use `rng` for the shuffling: the same seed should give the same differences.",
            ),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 4: shuffle often (6 points)

    How often does chance alone make a difference as large as the observed one, *in either direction*? Make
    `repeats` shuffled differences, all with one generator, `random.Random(seed)`. Let $k$ be the number of
    those whose absolute value is at least that of the observed difference. The deal that really happened is
    one of the possible deals and is counted, too, so that $p$ is never zero:

    $$p = \frac{k + 1}{\text{repeats} + 1}$$
    """)
    return


@app.function
def p_value(a, b, repeats, seed):
    """The share of deals with a difference at least as large as that of a and b, either way."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, grader):
    def _p(a, b, repeats=999):
        return p_value(a, b, repeats, 2)

    def _is_near(p):
        return isinstance(p, int | float) and 0.015 < p < 0.045

    grader.check(
        "Exercise 4: shuffle often",
        [
            (agrees(_p([1, 2, 3], [1, 2, 3]), 1), "Two equal groups have $p = 1$: every difference is at least 0."),
            (
                agrees(_p([0, 0], [9, 9], repeats=0), 1),
                "Without a shuffle, only the real deal is counted: $p = 1$.",
            ),
            (
                agrees(_p([0], [1]), 1),
                "With `[0]` and `[1]`, both deals are as large as the real one: $p = 1$. Count both directions.",
            ),
            (
                _is_near(_p([0, 1, 2, 3], [10, 11, 12, 13])),
                "For `[0, 1, 2, 3]` and `[10, 11, 12, 13]` $p$ should be near 2/70: 2 of the 70 deals separate them.",
            ),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell(hide_code=True)
def _():
    repeats = mo.ui.slider(100, 3000, 100, value=1000, label="shuffles", show_value=True)
    repeats
    return (repeats,)


@app.cell(hide_code=True)
def _(compost, control, repeats):
    _rng = random.Random(3)
    _observed = difference(control, compost)
    _shuffled = [shuffled_difference(control, compost, _rng) for _ in range(repeats.value)]
    _p = p_value(control, compost, repeats.value, seed=3)
    if all(isinstance(number, int | float) for number in (_observed, _p, *_shuffled)):
        _shown = mo.vstack(
            [
                charts.histogram(_shuffled, marks=[-_observed, _observed], unit="mm"),
                mo.md(
                    f"Observed: {_observed:.1f} mm (lines). With {repeats.value} shuffles $p$ = {_p:.3f}."
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

    With other seedlings, the difference would have been a little different. The *bootstrap* lets the sample
    stand for all seedlings: draw from `a` as many values as it has, *with replacement* (`rng.choices`), do
    the same with `b`, and note the difference. Do this `repeats` times with one generator,
    `random.Random(seed)`. Sort the differences and return, as `(low, high)`, those at the positions
    `int(0.025 * repeats)` and `int(0.975 * repeats)`: the middle 95 % lie between them.
    """)
    return


@app.function
def bootstrap_interval(a, b, repeats, seed):
    """(low, high): the middle 95 % of the differences of resampled groups."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, compost, control, grader):
    def _interval(a, b, repeats=1000):
        found = bootstrap_interval(a, b, repeats, 4)
        return found if isinstance(found, list | tuple) and len(found) == 2 else (math.nan, math.nan)

    # For groups of this size the interval is about as wide as the textbook's 2 * 1.96 standard errors.
    _textbook = 2 * 1.96 * math.sqrt(statistics.variance(control) / 36 + statistics.variance(compost) / 36)
    _difference = statistics.mean(compost) - statistics.mean(control)
    _low, _high = _interval(control, compost)
    grader.check(
        "Exercise 5: how large is it?",
        [
            (
                agrees(_interval([1, 1], [4, 4, 4], 100), (3, 3)),
                "Without scatter the interval has no width: for `[1, 1]` and `[4, 4, 4]` it should be `(3, 3)`.",
            ),
            (
                abs((_low + _high) / 2 - _difference) < 0.5,
                "The observed difference should lie near the middle of the interval.",
            ),
            (
                0.85 < (_high - _low) / _textbook < 1.15,
                "The width is not right. Is it the middle 95 %? Do you draw as many values as each group has?",
            ),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell
def _():
    # Your p and your interval for the seedlings, with 2000 repeats each
    p = interval = ...
    # YOUR CODE HERE
    pass
    mo.md(f"p = {p}, 95 % interval = {interval} mm")
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 6: in your own words (6 points)

    What do $p$ and the interval say about compost, and what do they not say? Then read the codebook once
    more: the compost was given to whole *trays*. Why may shuffling single seedlings be too optimistic,
    and what would you shuffle instead? Write five or six sentences; a person reads them.
    """)
    return


@app.cell
def written_analysis():
    response_text = "*Your answer here.*"
    # YOUR CODE HERE
    pass
    mo.md(response_text)
    return


@app.cell(hide_code=True)
def _(grader):
    grader.scores()
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ---
    Submit as often as you like; the last one counts: `mograder https submit "hw3" hw3.py`
    """)
    return


if __name__ == "__main__":
    app.run()
