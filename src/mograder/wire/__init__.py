"""The protocol, declared once: endpoints (a table), messages, and their encoding."""
