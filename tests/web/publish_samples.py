"""Sample pages for creating assignments and publishing files, and a student's page with instructions."""

from __future__ import annotations

from msgspec.structs import replace

from mograder.domain.publishing import tag_of
from mograder.domain.rules import RuleTexts
from mograder.web.pages.markdown import rendered
from mograder.web.pages.page import Page
from mograder.web.pages.publish import FilesPage, NewAssignmentPage
from tests.web.sample_parts import LONG, SCRIPT, TASKS, TEACHER
from tests.web.student_samples import FRESH

TEXT = f"""\
# What to do

Fit *both* models to `tea.csv` and **say which one** is [better](https://example.org/better).

## Steps

1. read the data
2. fit
   - a line
   - an exponential

| model | parameters |
|-------|-----------:|
| line  | 2 |

```python
result = fit(model, data, sigma=0.1, absolute_sigma=True, maxfev=10_000)  # {LONG}
```

> {SCRIPT}
"""
NONE = FilesPage(TEACHER, TASKS[0], (), "", tag_of(""), rendered(""))
SAMPLES: dict[str, Page] = {
    "new-assignment": NewAssignmentPage(TEACHER, "Europe/Berlin"),
    "new-assignment-refused": NewAssignmentPage(
        TEACHER, "Europe/Berlin", name=f'"{SCRIPT}', texts=RuleTexts(title=SCRIPT, due="2030-03-10T12:00"),
        problem="there is an assignment 'hw1': choose another name",
    ),
    "files": NONE,
    "files-some": replace(
        NONE, names=("homework.py", f"{LONG}.csv"), text=TEXT, shown=rendered(TEXT), done="The instructions are stored"
    ),
    "my-assignment-instructions": replace(FRESH, instructions=rendered(TEXT)),
    "my-assignment-viewing": replace(FRESH, frame=replace(TEACHER, is_instructor=False, viewing=True)),
}  # fmt: skip
