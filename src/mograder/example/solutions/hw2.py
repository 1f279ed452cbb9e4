# /// script
# requires-python = ">=3.11"
# dependencies = ["marimo>=0.20", "mograder"]
# mograder-assignment = "hw2"
# mograder-hidden-tests = true
# mograder-cell-hashes = "f2c3fa09,461e06a2,b8402dcf,5524527b,ecf8c49d,8caa3286,6b8b99e3,5eb422b8,1716ae58,8e940c12,67e40623,b50af00e,1fbcc626,89ea7e84,a46fae91,f2ea1b62,6c806d42,da67578c,b5f5459d,5fd9eb9a"
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Fitting a line: how fast does tea cool?")

with app.setup(hide_code=True):
    import csv
    import math
    import statistics

    import marimo as mo
    from mograder.runtime import Grader


@app.cell(hide_code=True)
def _():
    # === MOGRADER: MARKS ===
    _marks = {
        "Exercise 1": 4,
        "Exercise 2": 6,
        "Exercise 3": 5,
        "Exercise 4": 5,
        "Exercise 5": 5,
        "Exercise 6": 5,
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
    # 2 · Fitting a line: how fast does tea cool?

    A mug of tea stood on a desk for two hours. Every minute a digital thermometer in the mug and another
    one beside it were read; the readings are in `tea.csv`, next to this notebook. Newton supposed that
    a warm body cools at a rate proportional to its excess temperature over the surroundings, so that the
    excess falls off exponentially with a *time constant* $\tau$:

    $$T_\text{tea}(t) - T_\text{room} = E_0\, e^{-t/\tau}
      \qquad\Longleftrightarrow\qquad
      \ln\left(T_\text{tea} - T_\text{room}\right) = \ln E_0 - \frac{t}{\tau}$$

    The logarithm turns the curve into a straight line, and a straight line we can fit. Then we ask the
    data whether Newton was right about this mug. Write the functions yourself; the module `statistics` is
    for the checks. A few more checks are made when you submit. 30 points in all.
    """)
    return


@app.cell
def _():
    with (mo.notebook_dir() / "tea.csv").open(newline="") as _file:
        rows = list(csv.DictReader(_file))  # a dictionary of strings for each line

    mo.ui.table(rows, page_size=8, selection=None)
    return (rows,)


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 1: clean the readings (4 points)

    Look through the table before you trust it. On some lines the thermometer gave no value and the entry
    is empty. On two lines it reads 85.0, although the tea had not warmed up: this type of sensor reports
    exactly 85 °C when it has just restarted and has not measured yet.

    Turn the rows into a list of `(minute, tea, room)`, each a `float`, without those lines.
    """)
    return


@app.function
def clean(rows):
    """(minute, tea, room) as numbers, in minutes and °C, of the rows that hold a measurement."""
    return [
        (float(row["minute"]), float(row["tea_c"]), float(row["room_c"]))
        for row in rows
        if row["tea_c"] not in ("", "85.0")
    ]


@app.cell(hide_code=True)
def _(agrees, grader, rows):
    _good = {"minute": "3", "tea_c": "70.5", "room_c": "21.0"}
    _reading = (3.0, 70.5, 21.0)
    _cleaned = clean(rows)
    grader.check(
        "Exercise 1: clean the readings",
        [
            (agrees(clean([_good]), [_reading]), "A row of text should become a tuple of numbers: `[(3.0, 70.5, 21.0)]`."),
            (
                agrees(clean([_good, _good | {"tea_c": ""}]), [_reading]),
                "A row whose `tea_c` is the empty string should be left out.",
            ),
            (agrees(clean([_good | {"tea_c": "85.0"}, _good]), [_reading]), "A row with 85.0 should be left out."),
            (
                isinstance(_cleaned, list) and len(_cleaned) == 115,
                "Of the file's 121 rows 115 should remain.",
            ),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 2: least squares (6 points)

    Among all lines $y = a + b x$ the one with the smallest sum of squared residuals has

    $$b = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}{\sum_i (x_i - \bar x)^2} \qquad a = \bar y - b \bar x$$
    """)
    return


@app.function
def fit_line(x, y):
    """(slope, intercept) of the least-squares line through the points."""
    x_mean = sum(x) / len(x)
    y_mean = sum(y) / len(y)
    slope = sum((u - x_mean) * (v - y_mean) for u, v in zip(x, y)) / sum((u - x_mean) ** 2 for u in x)
    return slope, y_mean - slope * x_mean


@app.cell(hide_code=True)
def _(agrees, grader):
    grader.check(
        "Exercise 2: least squares",
        [
            (
                agrees(fit_line([0, 1, 2], [1, 3, 5]), (2, 1)),
                "The line through (0, 1), (1, 3), (2, 5) has slope 2 and intercept 1: return `(2, 1)`.",
            ),
            (agrees(fit_line([1, 2, 6], [4, 4, 4]), (0, 4)), "A level line has slope 0: `fit_line([1, 2, 6], [4, 4, 4])`."),
            (
                agrees(fit_line([0, 1, 2, 5], [1, 0, 2, 7]), tuple(statistics.linear_regression([0, 1, 2, 5], [1, 0, 2, 7]))),
                "Points that do not lie on a line: `fit_line([0, 1, 2, 5], [1, 0, 2, 7])`.",
            ),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 3: the time constant (5 points)

    Make two lists from the cleaned readings: `minutes`, and `log_excess`, the natural logarithm of tea minus
    room (the room *at that minute*). Fit the line. From its slope and intercept compute `tau`, which is $\tau$
    in minutes, and `start_excess`, which is the excess $E_0$ at the start in °C.
    """)
    return


@app.cell
def _(rows):
    readings = clean(rows)
    minutes = [minute for minute, tea, room in readings]
    log_excess = [math.log(tea - room) for minute, tea, room in readings]
    slope, intercept = fit_line(minutes, log_excess)
    tau = -1 / slope
    start_excess = math.exp(intercept)
    return log_excess, minutes, start_excess, tau


@app.cell(hide_code=True)
def _(rows):
    # The expected lists, computed from the file without your functions.
    _good = [row for row in rows if row["tea_c"] and float(row["tea_c"]) != 85]
    true_minutes = [float(row["minute"]) for row in _good]
    true_log_excess = [math.log(float(row["tea_c"]) - float(row["room_c"])) for row in _good]
    return true_log_excess, true_minutes


@app.cell(hide_code=True)
def _(
    agrees,
    grader,
    log_excess,
    minutes,
    start_excess,
    tau,
    true_log_excess,
    true_minutes,
):
    _slope, _intercept = statistics.linear_regression(true_minutes, true_log_excess)
    grader.check(
        "Exercise 3: the time constant",
        [
            (agrees(minutes, true_minutes), "`minutes` is the first of each reading's three numbers."),
            (agrees(log_excess, true_log_excess), "`log_excess` is `math.log(tea - room)` of each reading."),
            (agrees(tau, -1 / _slope), r"`tau` should be positive and near 50 minutes: the slope is $-1/\tau$."),
            (
                agrees(start_excess, math.exp(_intercept)),
                "`start_excess` should be near 55 °C: the intercept is its logarithm.",
            ),
        ],
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 4: look at what is left over (5 points)

    A fit always gives numbers, even if the model is wrong. The *residuals* $y_i - (a + b x_i)$ show whether
    it is: if the model holds, they scatter about zero without a pattern.
    """)
    return


@app.function
def residuals(x, y, slope, intercept):
    """How far each y lies above the line."""
    return [v - (intercept + slope * u) for u, v in zip(x, y)]


@app.cell(hide_code=True)
def _(agrees, grader):
    grader.check(
        "Exercise 4: look at what is left over",
        [
            (
                agrees(residuals([0, 1], [1, 5], 2, 1), [0, 2]),
                "`residuals([0, 1], [1, 5], 2, 1)` should be `[0, 2]`: the second point lies 2 above the line.",
            ),
            (
                agrees(residuals([10], [0], 1, 0), [-10]),
                "`residuals([10], [0], 1, 0)` should be `[-10]`: below the line is negative.",
            ),
        ],
    )
    # HIDDEN TESTS
    return


@app.cell(hide_code=True)
def _(true_log_excess, true_minutes):
    def _dots(x, y):
        """The residuals over time, with a line at zero."""
        top = max(map(abs, y))
        dots = "".join(
            f'<circle cx="{20 + 4.8 * u:.1f}" cy="{80 - 70 * v / top:.1f}" r="3">'
            f"<title>minute {u:.0f}</title></circle>"
            for u, v in zip(x, y, strict=True)
        )
        return mo.Html(
            f'<svg viewBox="0 0 620 160" width="100%" role="img" fill="currentColor" stroke="currentColor">'
            f'<line x1="20" x2="600" y1="80" y2="80" stroke-dasharray="4"/>{dots}</svg>'
        )

    _line = fit_line(true_minutes, true_log_excess)
    _solved = isinstance(_line, tuple) and len(_line) == 2
    _left = residuals(true_minutes, true_log_excess, *_line) if _solved else None
    if isinstance(_left, list) and len(_left) == len(true_minutes) and any(_left):
        _shown = _dots(true_minutes, _left)
    else:
        _shown = mo.md("*When exercises 2 and 4 are solved, the residuals over time are drawn here.*")
    _shown
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 5: a better fit, and how far to trust it (5 points)

    Fit again with the readings from minute 30 on only (30 itself included), and call the time constant of
    that fit `tau_late`. Then use *that* line to predict at which minute the tea will be within one degree
    of the room: `within_one_degree`. (What is the logarithm of 1?)
    """)
    return


@app.cell
def _(log_excess, minutes):
    late = [(minute, y) for minute, y in zip(minutes, log_excess) if minute >= 30]
    late_slope, late_intercept = fit_line([minute for minute, y in late], [y for minute, y in late])
    tau_late = -1 / late_slope
    within_one_degree = -late_intercept / late_slope
    return tau_late, within_one_degree


@app.cell(hide_code=True)
def _(
    agrees,
    grader,
    tau_late,
    true_log_excess,
    true_minutes,
    within_one_degree,
):
    _first = next(i for i, minute in enumerate(true_minutes) if minute >= 30)
    _slope, _intercept = statistics.linear_regression(true_minutes[_first:], true_log_excess[_first:])
    grader.check(
        "Exercise 5: a better fit, and how far to trust it",
        [
            (agrees(tau_late, -1 / _slope), "`tau_late` should be a little larger than `tau`."),
            (agrees(within_one_degree, -_intercept / _slope), "`within_one_degree` is where the line crosses zero."),
        ],
    )
    return


@app.cell(hide_code=True)
def _():
    mo.md(r"""
    ## Exercise 6: in your own words (5 points)

    Describe the pattern in the residuals of exercise 4. What does it say about the cooling in the first
    minutes, and which process that Newton left out might cause it? The recording ends at minute 120: how
    far do you trust `within_one_degree`? Write four or five sentences; a person reads them.
    """)
    return


@app.cell
def written_analysis():
    response_text = "*Your answer here.*"
    response_text = r"""
    The residuals are positive at the start, negative in the middle and positive again towards the end: a
    bow, not a cloud. So the tea cools faster at first than the line says, and slower later; the local
    time constant grows from about 45 to 52 minutes. Hot tea also loses heat by evaporation, which falls
    off much faster with temperature than the excess does, and a mug with a lid should show less of it.
    The prediction of about 206 minutes lies far outside the recording, where the room's own drift is
    nearly as large as the excess, so I would quote it as "three and a half hours, give or take a quarter
    of an hour".
    """
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
    Submit as often as you like; the last one counts: `mograder https submit "hw2" hw2.py`
    """)
    return


if __name__ == "__main__":
    app.run()
