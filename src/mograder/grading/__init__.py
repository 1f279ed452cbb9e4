"""Runs submissions against an instructor's tests, each in a sandboxed process of its own."""
