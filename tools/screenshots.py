#!/usr/bin/env python3
"""Writes pictures of the pages, in every state and at three widths, into a folder.

.venv-test/bin/python tools/screenshots.py FOLDER          all of them, light and dark
.venv-test/bin/python tools/screenshots.py FOLDER home     those whose name starts so
.venv-test/bin/python tools/screenshots.py --readme        the README's, into docs/images/
"""
# ruff: noqa: T201  (it talks to a person; the tests' parts are found from the project's folder)

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser import chromium, find_chromium, sample_site
from tests.web.samples import SAMPLES

WIDTHS = (360, 800, 1440)
README = {"home": "body", "my-assignment-received": "body", "board": "form.filter", "invite": "body"}
"""Pages of the README, and what each picture begins with."""
TALLEST = 3000
"""Pixels of height; a longer page is cut off."""


def main(arguments: list[str]) -> int:
    executable = find_chromium()
    if not arguments or executable is None:
        print(__doc__ if executable else "no Chromium here: apt-get install chromium")
        return 2
    if arguments == ["--readme"]:
        return readme(executable)
    folder, start = Path(arguments[0]), arguments[1] if len(arguments) > 1 else ""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium(executable) as browser, sample_site() as site:
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                size = {"width": width, "height": 900}
                context = browser.new_context(viewport=size, color_scheme=scheme, locale="en-GB", timezone_id="UTC")
                for name, page in SAMPLES.items():
                    if name.startswith(start):
                        tab = site.show(context.new_page(), page)
                        height = min(TALLEST, tab.evaluate("document.documentElement.scrollHeight"))
                        clip = {"x": 0, "y": 0, "width": width, "height": max(height, 400)}
                        tab.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True, clip=clip)
                        tab.close()
                context.close()
    print(f"written to {folder}")
    return 0


def readme(executable: str) -> int:
    """Small pictures of a few pages, as a desktop shows them."""
    folder = Path(__file__).resolve().parent.parent / "docs" / "images"
    folder.mkdir(exist_ok=True)
    with chromium(executable) as browser, sample_site() as site:
        context = browser.new_context(viewport={"width": 900, "height": 540}, locale="en-GB", timezone_id="UTC")
        for name, first in README.items():
            tab = site.show(context.new_page(), SAMPLES[name])
            tab.evaluate("first => document.querySelector(first).scrollIntoView()", first)
            tab.screenshot(path=folder / f"{name}.png")
    print(f"written to {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
