"""The exception that means: the user can mend this; its kind that tells of a run's settings; how values are shown."""

from typing import ClassVar


class UserError(ValueError):
    """A mistake in what the user gave: the command line prints its one line and exits with `status`.

    The message names the file, the place in it, the value found and what was expected.

    Args:
        message: line breaks and other characters that do not print are escaped, as those of a name or a value from a
            file could break the line or command the terminal.
    """

    status: ClassVar[int] = 2

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


class DivergedError(UserError):
    """A training whose loss or gradient became no number.

    Its status tells a search that the settings are at fault, and not the machine, the data or another process.
    """

    status = 3


def show(value: object) -> str:
    """Return a value for an error message, in one line and not too long."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        return "so large a number"
    return text if len(text) <= 80 else text[:77] + "..."
