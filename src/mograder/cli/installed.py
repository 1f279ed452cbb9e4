"""Finds other distributions in this environment that bring a command `mograder`: the one installed last wins."""

from __future__ import annotations

from importlib import metadata

from mograder import DISTRIBUTION, __version__


def others() -> list[str]:
    """Name and version of every other distribution that brings a command `mograder`, sorted."""
    found = {
        f"{each.metadata['Name']} {each.version}"
        for each in metadata.distributions()
        if each.metadata["Name"] != DISTRIBUTION
        and each.version != __version__  # a checkout that was installed under the name that it had before
        and any(entry.group == "console_scripts" and entry.name == "mograder" for entry in each.entry_points)
    }
    return sorted(found)


def warning() -> str:
    """A warning that names other distributions and says what to do, "" if there are none."""
    found = others()
    if not found:
        return ""
    return (
        f"{', '.join(found)} is in this environment, too, and brings a command of the same name: files of the two are "
        "mixed. install one of them in an environment of its own"
    )
