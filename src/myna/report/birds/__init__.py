"""The report of a birds study."""
