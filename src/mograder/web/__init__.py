"""The course over HTTP, as an ASGI application that anyone can mount."""

from mograder.web.app import create_app

__all__ = ["create_app"]
