"""The bird study: a photo becomes a species."""
