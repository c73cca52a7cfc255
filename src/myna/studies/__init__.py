"""Studies: many runs from one plan, and the statistics over them."""
