"""One command turns a folder into a course: students fetch and submit, instructors collect and return."""

__version__ = "1.0.0.dev0"

DISTRIBUTION = "mograder-course"
"""The name of the distribution. The `mograder` of the Python Package Index is another program."""
