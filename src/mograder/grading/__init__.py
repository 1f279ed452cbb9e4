"""Runs submissions against an instructor's tests: two sandboxed processes, so that no test meets a student's code."""
