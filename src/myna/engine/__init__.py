"""The training engine both studies share."""
