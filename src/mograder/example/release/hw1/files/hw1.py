# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo>=0.20"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Describing repeated measurements")

with app.setup(hide_code=True):
    import math
    import reprlib
    import statistics
    from dataclasses import dataclass

    import marimo as mo


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
    # 1 · Describing repeated measurements

    Somebody hung a weight on 99.4 cm of string and timed ten full swings with a stopwatch, twenty-four
    times. The same thing was measured each time, and yet the numbers differ. This sheet is about what may
    be said from such a list: where its centre lies, how widely it scatters, which readings to distrust,
    and how well the result is known.

    How to work: replace each `...` by your own code and run the cell. The coloured box below an exercise
    says whether it is solved, and if not, what to look at. Write the functions yourself, from `sum`,
    `len`, `sorted` and `math`; the module `statistics` is for the checks. 20 points in all.
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
    return ...


@app.cell(hide_code=True)
def _(check, timings):
    check_1 = check(
        "Exercise 1",
        ("`mean([2, 4, 9])` should be 5.", lambda: mean([2, 4, 9]), 5),
        ("`mean([0.5])` should be 0.5.", lambda: mean([0.5]), 0.5),
        ("Try it on `timings`: sum them up by hand.", lambda: mean(timings), statistics.mean(timings)),
    )
    check_1
    return (check_1,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 2: the median (3 points)

    The value in the middle when the list is sorted; with an even number of values, the mean of the two in
    the middle. Your function must not change the list that it is given.
    """)
    return


@app.function
def median(values):
    """The middle of the sorted values."""
    return ...


@app.cell(hide_code=True)
def _(check, timings):
    def _list_after():
        values = [3, 1, 2]
        median(values)
        return values

    check_2 = check(
        "Exercise 2",
        ("`median([9, 2, 4])` should be 4.", lambda: median([9, 2, 4]), 4),
        ("`median([9, 2, 4, 5])` should be 4.5.", lambda: median([9, 2, 4, 5]), 4.5),
        (
            "The list should be the same after the call: `sorted(x)` copies, `x.sort()` does not.",
            _list_after,
            [3, 1, 2],
        ),
        ("Try it on `timings`.", lambda: median(timings), statistics.median(timings)),
    )
    check_2
    return (check_2,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 3: the standard deviation (3 points)

    The usual measure of scatter for a *sample*, with $n - 1$ below the line since the mean came from the
    same data:

    $$s = \sqrt{\frac{1}{n-1} \sum_{i=1}^{n} (x_i - \bar x)^2}$$
    """)
    return


@app.function
def standard_deviation(values):
    """The sample standard deviation of two or more numbers."""
    return ...


@app.cell(hide_code=True)
def _(check, timings):
    check_3 = check(
        "Exercise 3",
        (
            "`standard_deviation([1, 2, 3])` should be 1. Did you divide by $n$?",
            lambda: standard_deviation([1, 2, 3]),
            1,
        ),
        ("`standard_deviation([5, 5])` should be 0.", lambda: standard_deviation([5, 5]), 0),
        ("Try it on `timings`.", lambda: standard_deviation(timings), statistics.stdev(timings)),
    )
    check_3
    return (check_3,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 4: readings to distrust (4 points)

    One wild reading pulls the mean towards itself and blows up $s$, so that it may hide itself: it is not so
    far away in units of an $s$ that it made. The *median absolute deviation*, which is the median of all
    $|x_i - m|$ where $m$ is the median, hardly notices it. For bell-shaped scatter 1.4826 times that is about
    as large as $s$.

    Return, in their order, the values that lie further from the median than $k$ times 1.4826 times the
    median absolute deviation.
    """)
    return


@app.function
def outliers(values, k=3):
    """The values further than k robust standard deviations from the median, in their order."""
    return ...


@app.cell(hide_code=True)
def _(check, timings):
    check_4 = check(
        "Exercise 4",
        ("`outliers([1, 2, 3, 4, 100])` should be `[100]`.", lambda: outliers([1, 2, 3, 4, 100]), [100]),
        (
            "`outliers([-90, 1, 2, 3, 4])` should be `[-90]`: far below counts too.",
            lambda: outliers([-90, 1, 2, 3, 4]),
            [-90],
        ),
        (
            "With a smaller `k` more is flagged: `outliers([1, 2, 3, 4, 6], k=1)` should be `[1, 6]`.",
            lambda: outliers([1, 2, 3, 4, 6], k=1),
            [1, 6],
        ),
        ("In `timings` one reading should stand out.", lambda: outliers(timings), [18.03]),
    )
    check_4
    return (check_4,)


@app.cell(hide_code=True)
def _():
    threshold = mo.ui.slider(0.5, 5, 0.5, value=3, label="k", show_value=True)
    threshold
    return (threshold,)


@app.cell(hide_code=True)
def _(threshold, timings):
    def _strip(values, flagged):
        """Each value a dot on a line in the order taken, the flagged ones filled."""
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

    A mean of $n$ readings is known better than one of them; its *standard error* is $s / \sqrt{n}$. From
    the period $T$ (the time of *one* swing) and the length $L$ follows the acceleration of free fall, and
    since $T$ enters squared, its relative uncertainty is twice that of $T$:

    $$g = \frac{4 \pi^2 L}{T^2} \qquad \frac{u_g}{g} = 2\,\frac{u_T}{T}$$

    Work without the readings that you flagged with $k = 3$, and take the length as exact.
    """)
    return


@app.cell
def _():
    kept = ...  # the timings without the outliers
    period = ...  # the time of one swing, in seconds
    period_error = ...  # its standard error, in seconds
    gravity = ...  # in m/s²
    gravity_error = ...  # in m/s²
    return gravity, gravity_error, kept, period, period_error


@app.cell(hide_code=True)
def _(
    check,
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
    check_5 = check(
        "Exercise 5",
        ("`kept` should be the timings but one, in their order.", lambda: kept, _kept),
        ("`period` is the time of one swing; the stopwatch timed ten.", lambda: period, _period),
        (
            "`period_error` is the standard error of the mean, of one swing.",
            lambda: period_error,
            _period_error,
        ),
        ("`gravity` should be near 9.8 m/s².", lambda: gravity, _gravity),
        (
            "`gravity_error` is twice as large, relative to `gravity`, as that of the period.",
            lambda: gravity_error,
            2 * _gravity * _period_error / _period,
        ),
    )
    check_5
    return (check_5,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 6: in your own words (4 points)

    Where you live $g$ is 9.81 m/s². Does your result agree with it? And what do you think happened in the
    reading that you left out: may it be left out, and what would you have to know to be sure? Three or
    four sentences, below. This one is read by a person.
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
    last one counts: `mograder https submit "hw1" hw1.py`
    """)
    return


if __name__ == "__main__":
    app.run()
