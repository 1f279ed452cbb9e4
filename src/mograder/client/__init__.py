"""The client: one short method an endpoint, and what a person has on disk."""
