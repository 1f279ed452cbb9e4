"""`mograder schedule`: an assignment's times, title and limits; on the served folder itself, or over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from mograder.cli.arguments import as_typed
from mograder.cli.completion import assignment_names
from mograder.cli.connect import Server, course_option, reads_from_a_server, somewhere
from mograder.cli.output import json_option, result
from mograder.domain.rules import RuleTexts
from mograder.wire import messages


@click.command(short_help="Show and change an assignment's times, title and limits.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--title", help="Its title for people.")
@click.option("--opens", metavar="TIME", help="Before this, students see only the title and this time.")
@click.option("--due", metavar="TIME", help="A submission is late after this time and the grace period.")
@click.option("--closes", metavar="TIME", help="Nothing is accepted after this, except with an extension.")
@click.option("--max-size", metavar="SIZE", help="Largest submission: bytes, or such as '10 MiB'.")
@click.option("--accepts", metavar="ENDINGS", help="File endings that are taken, such as '.py .zip'.")
@click.option("--points", help="How many points it is worth.")
@click.option("--hidden", metavar="yes|no", help="Whether it is hidden from students until it opens.")
@click.option("--files", metavar="NAMES", help="The files that make a submission, such as 'part1.py, part2.py'.")
@click.option("--counts", metavar="latest|on-time", help="Which submission counts; else as in the course.")
@click.option("--penalties", metavar="yes|no", help="Whether late work costs something; else as in the course.")
@click.option("--grace-minutes", metavar="MINUTES", help="How long after the due time nothing is late.")
@click.option("--per-day", metavar="PERCENT", help="What each late day begun costs.")
@click.option("--max-penalty", metavar="PERCENT", help="What late work costs at most.")
@click.option("--apply-penalties", metavar="yes|no", help="Whether the cost is taken off the marks that are released.")
@click.option("--release-at-once", metavar="yes|no", help="Whether marks by checks alone are released at once.")
@course_option
@reads_from_a_server
@json_option
def schedule(
    assignment: str, course: Path | str | None, server: Server, as_json: bool, **wanted: str | None
) -> None:  # fmt: skip
    """Show the settings of ASSIGNMENT, or change them in the course's mograder.toml, where everything else stays.

    TIME is a date, which means its end (with --opens its start), or a date and time; in the course's zone, unless it
    has an offset. "" removes a setting. Students see the change at once. Receipts keep the due time that was in force
    when they were issued; lateness is computed anew.

    With --course it works on the folder that is served, while a server runs or not; otherwise over HTTP, with an
    instructor's token, found as for mograder https.

    \b
    Examples:
      mograder schedule hw1
      mograder schedule hw1 --due 2030-02-08T17:00 --closes 2030-02-10
      mograder schedule hw1 --accepts ".py .zip" --max-size "10 MiB" --course course/release/
      mograder schedule hw1 --closes ""
      mograder schedule hw1 --counts on-time --penalties yes --per-day 10
    """
    said = {key: text for key, text in wanted.items() if text is not None}
    with as_typed():
        RuleTexts().changes_to(RuleTexts(**said))
    with somewhere(course, server) as place:
        found = place.rules(assignment)
        if said:
            found = place.change_rules(assignment, messages.NewRules(found.tag, **said))
    result(as_json, found, _shown(found))


def _shown(rules: messages.RulesInfo) -> str:
    times = [
        (name, f"{text.replace('T', ' ')} ({rules.timezone})" if text else "")
        for name, text in (("Opens", rules.opens), ("Due", rules.due), ("Closes", rules.closes))
    ]
    lines = [
        ("Assignment", rules.assignment), ("Title", rules.title), *times, ("Max size", rules.max_size),
        ("Accepts", rules.accepts), ("Points", rules.points), ("Hidden", rules.hidden),
        ("Files", rules.files.replace("\n", ", ")), ("At once", rules.release_at_once),
    ]  # fmt: skip
    late = [
        ("Counts", rules.counts, ""), ("Penalties", rules.penalties, ""), ("Grace", rules.grace_minutes, " min"),
        ("Per day", rules.per_day, " %"), ("At most", rules.max_penalty, " %"), ("Applied", rules.apply_penalties, ""),
    ]  # fmt: skip
    told = [(name, text or "-") for name, text in lines]
    told += [(name, f"{text}{unit}" if text else "as in the course") for name, text, unit in late]
    return "\n".join(f"{f'{name}:':12}{text}" for name, text in told)
