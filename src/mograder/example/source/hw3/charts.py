"""Two small charts as SVG, drawn with the standard library alone."""

import marimo as mo

WIDTH, LEFT, RIGHT = 640, 80, 20


def strips(groups, unit=""):
    """A row of dots for each named list of numbers, with a bar at its mean."""
    low = min(min(values) for values in groups.values())
    high = max(max(values) for values in groups.values())
    marks = []
    for row, (name, values) in enumerate(groups.items()):
        middle = 30 + 50 * row
        marks.append(f'<text x="0" y="{middle + 4}" stroke="none">{name}</text>')
        for i, value in enumerate(values):
            x = _place(value, low, high)
            y = middle + 5 * (i % 5 - 2)  # spread a little, so that equal values can be told apart
            marks.append(f'<circle cx="{x:.1f}" cy="{y}" r="3.5" fill-opacity="0.4" stroke="none"/>')
        x = _place(sum(values) / len(values), low, high)
        marks.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 18}" y2="{middle + 18}" stroke-width="3"/>'
        )
    return _picture(marks, 30 + 50 * len(groups), low, high, unit)


def histogram(values, marks=(), bins=30, unit=""):
    """How many values fall into each bin, with a vertical line at each of the marks."""
    low, high = min(*values, *marks), max(*values, *marks)
    width = (high - low) / bins or 1
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    step = (WIDTH - LEFT - RIGHT) / bins
    shapes = [
        f'<rect x="{LEFT + i * step:.1f}" y="{140 - 120 * count / max(counts):.1f}" width="{step - 1:.1f}" '
        f'height="{120 * count / max(counts):.1f}" fill-opacity="0.4" stroke="none"/>'
        for i, count in enumerate(counts)
    ]
    for mark in marks:
        x = _place(mark, low, high)
        shapes.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="140" stroke="crimson" stroke-width="2"/>')
    return _picture(shapes, 140, low, high, unit)


def _place(value, low, high):
    """The horizontal place of a value, in pixels from the left."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / ((high - low) or 1)


def _picture(shapes, height, low, high, unit):
    """The shapes above an axis whose two ends are labelled."""
    axis = (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}"/>'
        f'<text x="{LEFT}" y="{height + 18}" stroke="none">{low:.1f} {unit}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{height + 18}" text-anchor="end" stroke="none">{high:.1f} {unit}</text>'
    )
    return mo.Html(
        f'<svg viewBox="0 0 {WIDTH} {height + 25}" width="100%" role="img" font-size="13" '
        f'fill="currentColor" stroke="currentColor">{"".join(shapes)}{axis}</svg>'
    )
