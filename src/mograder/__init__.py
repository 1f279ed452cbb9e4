"""One command turns a folder into a course: students fetch and submit, instructors collect and return."""

__version__ = "1.0.0.dev0"
