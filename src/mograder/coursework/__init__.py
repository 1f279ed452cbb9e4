"""The folders of a course on an instructor's machine: from a source notebook to releases, records and feedback."""
