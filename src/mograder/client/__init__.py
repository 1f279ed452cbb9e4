"""The client: one short method for each endpoint, and the files that a person keeps on disk."""
