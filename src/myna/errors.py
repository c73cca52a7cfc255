"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in what the user gave: the command line prints its one line and exits with status 2.

    The message names the file, the place in it, the value found and what was expected.
    """
