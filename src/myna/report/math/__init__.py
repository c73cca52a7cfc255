"""The report of a math study."""
