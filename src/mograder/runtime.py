"""What notebooks import: check, Grader, hint, word_count."""
