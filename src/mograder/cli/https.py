"""`mograder https`: a person's side of a course, over the network; each command is imported when it is called."""

from __future__ import annotations

import click
import stamina.instrumentation

from mograder.cli.lazy import LazyGroup

PLACES = {
    "login": ("mograder.cli.login:login", "Register on a server, or keep a token."),
    "logout": ("mograder.cli.login:logout", "Forget the token of a server."),
    "whoami": ("mograder.cli.login:whoami", "Show the user and the server of commands in this folder."),
    "logins": ("mograder.cli.login:list_logins", "List your logins."),
    "fetch": ("mograder.cli.fetch:fetch_command", "Download the files of ASSIGNMENT, or list what there is."),
    "submit": ("mograder.cli.submissions:submit", "Submit files for ASSIGNMENT."),
    "retry": ("mograder.cli.submissions:retry", "Send what could not be sent."),
    "feedback": ("mograder.cli.status:feedback", "Show the state, grade and feedback of your work."),
    "ask-extension": ("mograder.cli.submissions:ask_extension", "Ask for more time."),
    "receipts": ("mograder.cli.proof:receipts", "List your receipts, and download them with your submissions."),
    "verify": ("mograder.cli.proof:verify", "Check receipts against your files and the server's chain."),
    "fetch-submissions": (
        "mograder.cli.fetch_submissions:fetch_submissions",
        "Download every student's submission that counts.",
    ),
    "upload-grades": ("mograder.cli.gradebook:upload_grades", "Upload grades from a table of any known system."),
    "export-grades": ("mograder.cli.gradebook:export_grades", "Write grades as the table that another system reads."),
    "export-feedback": ("mograder.cli.gradebook:export_feedback", "Write the zip of feedback pages that Moodle takes."),
    "upload-feedback": (
        "mograder.cli.upload_feedback:upload_feedback",
        "Upload feedback pages, one USER.html a student.",
    ),
}


@click.group(cls=LazyGroup, places=PLACES)
def https() -> None:
    """Fetch, submit and read grades as a student; collect, grade and return as an instructor.

    The URL comes from --url, else MOGRADER_HTTPS_URL, else [https] url in the working folder's mograder.toml, else
    the last login. The token comes from --token, else MOGRADER_HTTPS_TOKEN, else the login of that URL, else
    [https] token in mograder.toml.

    \b
    Examples:
      mograder https login --url https://course.example.org
      mograder https fetch hw1 -o hw1/
      mograder https submit hw1 hw1/homework.py
      mograder https feedback hw1
    """
    # on_wait tells the person about retries; stamina's own log would say it twice.
    stamina.instrumentation.set_on_retry_hooks([])
