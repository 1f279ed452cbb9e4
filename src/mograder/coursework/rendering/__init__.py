"""Renders results as pages that stand alone: one file, no script, nothing from elsewhere."""
