"""The course folder on disk and its SQLite ledger."""
