"""The report of a search over settings."""
