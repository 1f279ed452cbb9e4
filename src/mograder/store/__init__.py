"""Adapters of the store port (domain/store.py)."""
