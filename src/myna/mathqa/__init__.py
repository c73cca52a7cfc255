"""The math study: a word problem becomes a program, and the program its answer."""
