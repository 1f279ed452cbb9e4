"""Notebooks as text: cells, solutions, hidden tests, hashes. Text in, text out; nothing here runs a notebook."""
