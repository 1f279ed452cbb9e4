"""The example course's notebooks solved in other styles than the model solution: loops, and the standard library."""

# ruff: noqa: E501  (its tables are notebooks' code)

from __future__ import annotations

import textwrap
from pathlib import Path

from mograder.notebook.cells import parse
from mograder.notebook.marks import HIDDEN_COMMENT, BlockKind, find_blocks

WORDS = 'response_text = "In my own words."'

LOOPS = {
    "hw1": (
        "total = 0.0\nfor value in values:\n    total += value\nreturn total / len(values)",
        "rest = list(values)\nwhile len(rest) > 2:\n    rest.remove(min(rest))\n    rest.remove(max(rest))\nreturn mean(rest)",
        "centre, total = mean(values), 0.0\nfor value in values:\n    total += (value - centre) ** 2\nreturn (total / (len(values) - 1)) ** 0.5",
        "found, m = [], median(values)\nfor value in values:\n    if abs(value - m) > k * 1.4826 * median([abs(v - m) for v in values]):\n        found.append(value)\nreturn found",
        "kept = []\nfor timing in timings:\n    if timing > 19:\n        kept.append(timing)\nperiod = mean(kept) / 10\n"
        "period_error = standard_deviation(kept) / len(kept) ** 0.5 / 10\ngravity = 4 * 3.141592653589793**2 * length / period**2\n"
        "gravity_error = gravity * 2 * period_error / period",
        WORDS,
    ),
    "hw2": (
        "found = []\nfor row in rows:\n    if row['tea_c'] == '' or float(row['tea_c']) == 85:\n        continue\n"
        "    found.append([float(row[name]) for name in ('minute', 'tea_c', 'room_c')])\nreturn found",
        "n = len(x)\nsx = sy = sxx = sxy = 0.0\nfor u, v in zip(x, y):\n    sx += u\n    sy += v\n"
        "mx, my = sx / n, sy / n\nfor u, v in zip(x, y):\n    sxx += (u - mx) * (u - mx)\n    sxy += (u - mx) * (v - my)\n"
        "b = sxy / sxx\nreturn (b, my - b * mx)",
        "minutes, log_excess = [], []\nfor _minute, _tea, _room in clean(rows):\n    minutes.append(_minute)\n    log_excess.append(math.log(_tea - _room))\n"
        "_b, _a = fit_line(minutes, log_excess)\ntau, start_excess = 1 / -_b, math.e**_a",
        "found = []\nfor i in range(len(x)):\n    found.append(y[i] - intercept - slope * x[i])\nreturn found",
        "_x, _y = [], []\nfor _u, _v in zip(minutes, log_excess):\n    if not _u < 30:\n        _x.append(_u)\n        _y.append(_v)\n"
        "_b, _a = fit_line(_x, _y)\ntau_late = -1 / _b\nwithin_one_degree = _a * tau_late",
        WORDS,
    ),
    "hw3": (
        "found = []\nfor row in rows:\n    if row['treatment'] == treatment:\n        found.append(float(row['height_mm']))\nreturn found",
        "total = 0\nfor value in b:\n    total += value / len(b)\nfor value in a:\n    total -= value / len(a)\nreturn round(total, 9)",
        "pile = list(a) + list(b)\nfor i in range(len(pile) - 1, 0, -1):\n    j = rng.randrange(i + 1)\n    pile[i], pile[j] = pile[j], pile[i]\n"
        "return difference(pile[: len(a)], pile[len(a) :])",
        "k, rng = 0, random.Random(seed)\nfor _ in range(repeats):\n    if abs(shuffled_difference(a, b, rng)) >= abs(difference(a, b)):\n        k += 1\nreturn (k + 1) / (repeats + 1)",
        "found, rng = [], random.Random(seed)\nfor _ in range(repeats):\n    new_a = [a[rng.randrange(len(a))] for _ in a]\n    new_b = [b[rng.randrange(len(b))] for _ in b]\n"
        "    found.append(difference(new_a, new_b))\nfound.sort()\nreturn [found[int(0.025 * repeats)], found[int(0.975 * repeats)]]",
        "p, interval = 0.01, (1, 9)",
        WORDS,
    ),
}  # fmt: skip
LIBRARY = {
    "hw1": (
        "return math.fsum(values) / len(values)",
        "import numpy as np\nreturn float(np.median(values))",
        "import numpy as np\nreturn np.std(values, ddof=1)",
        "import numpy as np\nv = np.asarray(values)\nfar = np.abs(v - np.median(v))\nreturn v[far > k * 1.4826 * np.median(far)].tolist()",
        "import numpy as np\nkept = np.array([t for t in timings if t > 19]).tolist()\nperiod = np.mean(kept) / 10\nperiod_error = np.std(kept, ddof=1) / np.sqrt(len(kept)) / 10\n"
        "gravity = float(4 * np.pi**2 * length / period**2)\ngravity_error = 2 * gravity * period_error / period",
        WORDS,
    ),
    "hw2": (
        "return [tuple(map(float, row.values())) for row in rows if row['tea_c'] and float(row['tea_c']) != 85.0]",
        "from statistics import linear_regression\nreturn tuple(linear_regression(x, y))",
        "minutes = [each[0] for each in clean(rows)]\nlog_excess = list(map(lambda each: math.log(each[1] - each[2]), clean(rows)))\n"
        "_line = statistics.linear_regression(minutes, log_excess)\ntau, start_excess = -1 / _line.slope, math.exp(_line.intercept)",
        "return [v - u * slope - intercept for u, v in zip(x, y, strict=True)]",
        "_late = {m: v for m, v in zip(minutes, log_excess) if m >= 30}\n_line = statistics.linear_regression(list(_late), list(_late.values()))\n"
        "tau_late, within_one_degree = -1 / _line.slope, -_line.intercept / _line.slope",
        WORDS,
    ),
    "hw3": (
        "return list(map(int, (row['height_mm'] for row in filter(lambda row: row['treatment'] == treatment, rows))))",
        "return statistics.mean(b) - statistics.mean(a)",
        "pile = rng.sample([*a, *b], len(a) + len(b))\nreturn difference(pile[: len(a)], pile[len(a) :])",
        "rng, observed = random.Random(seed), abs(difference(a, b))\nreturn (1 + [abs(shuffled_difference(a, b, rng)) >= observed for _ in range(repeats)].count(True)) / (1 + repeats)",
        "rng = random.Random(seed)\none = lambda: difference(rng.choices(a, k=len(a)), rng.choices(b, k=len(b)))\nfound = sorted(one() for _ in range(repeats))\n"
        "return found[int(repeats * 0.025)], found[int(repeats * 0.975)]",
        "p = p_value(control, compost, 500, 1)\ninterval = bootstrap_interval(control, compost, 500, 1)",
        WORDS,
    ),
}  # fmt: skip


def solved(source: Path, answers: tuple[str, ...]) -> str:
    """The source with these answers in place of its solutions, in order, and without its hidden tests."""
    text = source.read_text(encoding="utf-8")
    blocks, _ = find_blocks(parse(text))
    lines, left = text.split("\n"), list(answers)
    for block in reversed(blocks):
        code = HIDDEN_COMMENT if block.kind is BlockKind.HIDDEN_TESTS else left.pop()
        first = lines[block.begin - 1]
        indent = first[: len(first) - len(first.lstrip())]
        lines[block.begin - 1 : block.end] = textwrap.indent(code, indent).split("\n")
    assert not left, "as many answers as there are solutions"
    return "\n".join(lines)
