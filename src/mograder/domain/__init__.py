"""The course in pure Python: no input or output, no clock, no framework."""
