"""The protocol: the table of endpoints, the messages, and their encoding."""
