"""Figures, tables and the HTML report: what all reports share here, what is of one study in `math` and `birds`."""
