"""Runs submissions against an instructor's tests, in two sandboxed processes, so that no code of theirs shares one."""
