"""Courses in a PostgreSQL database."""
