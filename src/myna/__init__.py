"""Myna: birds named by a from-scratch ResNet, and word problems turned into programs that run."""

__version__ = "0.1.0"
