# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo>=0.20", "mograder"]
# mograder-assignment = "hw1"
# mograder-hidden-tests = true
# mograder-cell-hashes = "7797d0d2,cae36bda,137d038a,490c7a2a,875b5bde,f5e3692b,9e853520,3ec9343b,b9eb8f1e,c7bf76e7,6767be46,e876cb44,3895a526,ba607a43,e3c623ec,2e18fc1f,56628ba2,e63d4c44,b5f5459d,4e2ad9ea"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Describing repeated measurements")

with app.setup(hide_code=True):
    import math
    import statistics

    import marimo as mo
    from mograder.runtime import Grader


@app.cell(hide_code=True)
def _():
    # === MOGRADER: MARKS ===
    _marks = {
        "Exercise 1": 2,
        "Exercise 2": 3,
        "Exercise 3": 3,
        "Exercise 4": 4,
        "Exercise 5": 4,
        "Exercise 6": 4,
    }
    grader = Grader(_marks)
    return (grader,)


@app.cell(hide_code=True)
def _():
    # The check cells use this function. You need not read it, but please leave it unchanged.
    def agrees(got, wanted):
        if isinstance(wanted, list):
            same_length = isinstance(got, list | tuple) and len(got) == len(wanted)
            return same_length and all(map(agrees, got, wanted))
        return isinstance(got, int | float) and math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-9)

    return (agrees,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    # 1 · Describing repeated measurements

    Somebody hung a weight on 99.4 cm of string and timed ten full swings with a stopwatch, twenty-four
    times. The same thing was measured each time, and yet the numbers differ. This sheet is about what may
    be said from such a list: where its centre lies, how widely it scatters, which readings to distrust,
    and how well the result is known.

    How to work: write your code where it says so and run the cell. The coloured box below an exercise
    says whether it is solved, and if not, what to look at. Write the functions yourself, from `sum`,
    `len`, `sorted` and `math`; the module `statistics` is for the checks. A few more checks are made when
    you submit. 20 points in all.
    """)
    return


@app.cell
def _():
    length = 0.994  # of the pendulum, in metres

    # Time of ten swings, in seconds, in the order in which they were taken
    timings = [
        19.89, 20.11, 20.05, 20.03, 19.96, 19.94, 20.10, 20.04,
        20.14, 19.91, 19.97, 19.94, 19.91, 20.00, 20.03, 18.03,
        19.98, 20.09, 19.97, 20.10, 20.03, 20.02, 20.01, 20.01,
    ]  # fmt: skip
    return length, timings


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 1: the mean (2 points)

    $$\bar x = \frac{1}{n} \sum_{i=1}^{n} x_i$$
    """)
    return


@app.function
def mean(values):
    """The arithmetic mean of a list of numbers."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, grader, timings):
    grader.check(
        "Exercise 1: the mean",
        [
            (agrees(mean([2, 4, 9]), 5), "`mean([2, 4, 9])` should be 5."),
            (agrees(mean([0.5]), 0.5), "`mean([0.5])` should be 0.5."),
            (agrees(mean(timings), statistics.mean(timings)), "Try it on `timings`: sum them up by hand."),
        ],
    )
    return



@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 2: the median (3 points)

    The middle value of the sorted list; with an even number of values, the mean of the two in the middle.
    Your function must not change the list that it is given.
    """)
    return


@app.function
def median(values):
    """The middle of the sorted values."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, grader, timings):
    _given = [3, 1, 2]
    median(_given)
    grader.check(
        "Exercise 2: the median",
        [
            (agrees(median([9, 2, 4]), 4), "`median([9, 2, 4])` should be 4."),
            (agrees(median([9, 2, 4, 5]), 4.5), "`median([9, 2, 4, 5])` should be 4.5."),
            (
                agrees(median(_given), 2) and _given == [3, 1, 2],
                "The list should be the same after the call: `sorted(x)` copies, `x.sort()` does not.",
            ),
            (agrees(median(timings), statistics.median(timings)), "Try it on `timings`."),
        ],
    )
    return



@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 3: the standard deviation (3 points)

    The usual measure of scatter for a *sample*. It divides by $n - 1$ because the mean comes from the same
    data:

    $$s = \sqrt{\frac{1}{n-1} \sum_{i=1}^{n} (x_i - \bar x)^2}$$
    """)
    return


@app.function
def standard_deviation(values):
    """The sample standard deviation of two or more numbers."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, grader, timings):
    grader.check(
        "Exercise 3: the standard deviation",
        [
            (agrees(standard_deviation([1, 2, 3]), 1), "`standard_deviation([1, 2, 3])` should be 1. Did you divide by $n$?"),
            (agrees(standard_deviation([5, 5]), 0), "`standard_deviation([5, 5])` should be 0."),
            (agrees(standard_deviation(timings), statistics.stdev(timings)), "Try it on `timings`."),
        ],
    )
    # HIDDEN TESTS
    return



@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 4: readings to distrust (4 points)

    One wild reading pulls the mean towards itself and makes $s$ much larger. Measured in units of this $s$,
    it may no longer look far away. It hardly changes the *median absolute deviation*, which is the median of
    all $|x_i - m|$, where $m$ is the median. For normally distributed readings, 1.4826 times the median
    absolute deviation is about as large as $s$.

    Return, in their order, the values that lie further from the median than $k$ times 1.4826 times the
    median absolute deviation.
    """)
    return


@app.function
def outliers(values, k=3):
    """The values further than k robust standard deviations from the median, in their order."""
    # YOUR CODE HERE
    pass


@app.cell(hide_code=True)
def _(agrees, grader, timings):
    grader.check(
        "Exercise 4: readings to distrust",
        [
            (agrees(outliers([1, 2, 3, 4, 100]), [100]), "`outliers([1, 2, 3, 4, 100])` should be `[100]`."),
            (
                agrees(outliers([-90, 1, 2, 3, 4]), [-90]),
                "`outliers([-90, 1, 2, 3, 4])` should be `[-90]`: far below counts too.",
            ),
            (
                agrees(outliers([1, 2, 3, 4, 6], k=1), [1, 6]),
                "With a smaller `k`, more values are flagged: `outliers([1, 2, 3, 4, 6], k=1)` should be `[1, 6]`.",
            ),
            (agrees(outliers(timings), [18.03]), "In `timings` one reading should stand out."),
        ],
    )
    # HIDDEN TESTS
    return



@app.cell(hide_code=True)
def _():
    threshold = mo.ui.slider(0.5, 5, 0.5, value=3, label="k", show_value=True)
    threshold
    return (threshold,)


@app.cell(hide_code=True)
def _(threshold, timings):
    def _strip(values, flagged):
        """A dot for each value, in the order in which they were taken; the flagged ones are filled."""
        low, high = min(values), max(values)
        dots = "".join(
            f'<circle cx="{20 + 25 * i}" cy="{90 - 80 * (value - low) / (high - low):.1f}" r="5" '
            f'fill="{"crimson" if value in flagged else "none"}"><title>{value} s</title></circle>'
            for i, value in enumerate(values)
        )
        return mo.Html(
            f'<svg viewBox="0 0 620 100" width="100%" role="img" stroke="currentColor">{dots}</svg>'
        )

    # Move k: how small may it be before ordinary readings are flagged?
    _flagged = outliers(timings, threshold.value)
    _strip(timings, _flagged if isinstance(_flagged, list) else [])
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 5: the result and its uncertainty (4 points)

    The mean of $n$ readings is more precise than one reading: its *standard error* is $s / \sqrt{n}$. The
    period $T$ (the time of *one* swing) and the length $L$ give the acceleration of free fall. Because $T$
    enters squared, its relative uncertainty is twice that of $T$:

    $$g = \frac{4 \pi^2 L}{T^2} \qquad \frac{u_g}{g} = 2\,\frac{u_T}{T}$$

    Work without the readings that you flagged with $k = 3$, and take the length as exact.
    """)
    return


@app.cell
def _():
    gravity = ...
    gravity_error = ...
    kept = ...
    period = ...
    period_error = ...
    # YOUR CODE HERE
    pass
    return gravity, gravity_error, kept, period, period_error


@app.cell(hide_code=True)
def _(
    agrees,
    grader,
    gravity,
    gravity_error,
    kept,
    length,
    period,
    period_error,
    timings,
):
    _kept = [value for value in timings if value > 19]
    _period = statistics.mean(_kept) / 10
    _period_error = statistics.stdev(_kept) / math.sqrt(len(_kept)) / 10
    _gravity = 4 * math.pi**2 * length / _period**2
    grader.check(
        "Exercise 5: the result and its uncertainty",
        [
            (agrees(kept, _kept), "`kept` should be all timings except one, in their order."),
            (agrees(period, _period), "`period` is the time of one swing; the stopwatch timed ten."),
            (
                agrees(period_error, _period_error),
                "`period_error` is the standard error of the mean, for one swing.",
            ),
            (agrees(gravity, _gravity), "`gravity` should be near 9.8 m/s²."),
            (
                agrees(gravity_error, 2 * _gravity * _period_error / _period),
                "The relative error of `gravity` is twice that of `period`.",
            ),
        ],
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 6: in your own words (4 points)

    Where you live, $g$ is 9.81 m/s². Does your result agree with it? What do you think happened in the
    reading that you left out? May it be left out, and what would you have to know to be sure? Write three or
    four sentences below; a person reads them.
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
    Submit as often as you like; the last one counts: `mograder https submit "hw1" hw1.py`
    """)
    return


if __name__ == "__main__":
    app.run()
