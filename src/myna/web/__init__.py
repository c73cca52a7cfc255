"""The local web page and its JSON API: asks the two models in turn, and shows the runs."""
