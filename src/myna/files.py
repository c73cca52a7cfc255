"""Reading files with errors that a user understands, and writing them so that a crash never leaves half of one."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from myna.errors import UserError

T = TypeVar("T")
_WRITE_BITS = 0o222


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block ends well.

    The new file keeps the old one's permissions. If the block raises, `path` is left as it was.

    Raises:
        UserError: the file cannot be written: no permission, a full disk, a folder of that name; or it is there and
            may only be read.
    """
    path = _follow(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            _refuse_read_only(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)
            mode = (path if path.exists() else temporary).stat().st_mode & 0o7777
            yield temporary
            # Whoever wrote the file may have made it anew, with other permissions.
            temporary.chmod(mode)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
    finally:
        # The first error is the one to tell, as where the parent is no folder.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _follow(path: Path) -> Path:
    """Return where links lead; `Path.resolve` gives up at those that go round in a circle."""
    return Path(os.path.realpath(path))


def _refuse_read_only(path: Path) -> None:
    """Raise PermissionError for a file that may only be read.

    Its folder may well let it be replaced, and root may write anything: neither is what its owner meant.
    """
    if path.exists() and not path.stat().st_mode & _WRITE_BITS:
        raise PermissionError(errno.EACCES, "read-only")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell in one line that `path`, a file or a folder, cannot be written, if the block finds it so.

    Raises:
        UserError: no permission, a full disk, a folder where a file should be.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """Find out that a file cannot be written before the work that is to fill it.

    Raises:
        UserError: no permission, a folder of that name, or a file that is there and may only be read.
    """
    path = _follow(path)
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _refuse_read_only(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
            pass


def take_turns(items: Iterable[T], lock: Callable[[T], Path], work: Callable[[T], object]) -> None:
    """Work on each item while no other process does; those that share a folder divide the items among themselves.

    What others are at comes last: `work` waits for it, and should find it done.

    Args:
        items: in the order in which they are tried.
        lock: the file that stands for an item; a process that dies lets go of it.
        work: what to do for an item that is not done.
    """
    busy = []
    for item in items:
        lock(item).parent.mkdir(parents=True, exist_ok=True)
        try:
            turn = FileLock(lock(item)).acquire(timeout=0)
        except Timeout:
            busy.append(item)
            continue
        with turn:
            work(item)
    for item in busy:
        with FileLock(lock(item)):
            work(item)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8.

    Raises:
        UserError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write `value` to `path` atomically, as JSON.

    Raises:
        UserError: the file cannot be written.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False) + "\n"
    with replacing(path) as temporary:
        # Half of a surrogate pair, which JSON may hold and UTF-8 may not, goes back to its escape.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_json(path: Path) -> Any:
    """Read JSON from `path`.

    Raises:
        UserError: the file is missing, unreadable or not JSON; the message names file and line.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        # Brackets nested without end, or a whole number of thousands of digits.
        raise UserError(f"{path}: not JSON that can be read: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that ought to hold an object.

    Raises:
        UserError: as `read_json`, or it holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected an object, not a {type(value).__name__}")
    return value


def is_there(path: Path) -> bool:
    """Return whether there is a file or a folder of this name; none has a name that is too long."""
    try:
        return path.exists()
    except OSError:
        return False


def read_text(path: Path) -> str:
    """Read UTF-8 text from `path`, without the mark that some programs put before it.

    Raises:
        UserError: the file is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start}: not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a name that no file can have
        raise UserError(f"{path}: cannot be read: {error}") from None
