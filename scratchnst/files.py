"""Files that are read, and files that are written: whole or not at all, and never over another one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedIOBase, BufferedReader, BufferedWriter, FileIO
from pathlib import Path
from typing import cast

from scratchnst.errors import FileError, UserError

try:
    import fcntl
except ImportError:  # no Unix: there nobody can delete a file that is open
    fcntl = None  # type: ignore[assignment]

LITTLE = 1 << 16  # bytes that a disk with room has at least
_TEMPORARY = re.compile(r"\.scratchnst-[0-9a-f]{16}\.tmp")
_PROCESSES = "/proc/"  # where links such as /dev/stdout lead


def names_a_file(text: str) -> bool:
    """Tell whether a path can be that of a file: it ends in a name, and the system can have one of that name."""
    try:
        os.fsencode(text)
    except UnicodeError:
        return False
    return os.path.basename(text) not in ("", os.curdir, os.pardir) and "\0" not in text


def users_place(variable: str, default: Callable[[str], str]) -> Path:
    """Return the path that an environment variable names, else the one that `default` finds for this program.

    Raises
    ------
    UserError
        If that is in the home directory, and there is none.
    """
    try:
        return Path(os.path.expanduser(os.environ.get(variable) or default("scratchnst")))
    except RuntimeError:
        raise UserError(f"there is no home directory: set the variable HOME, or {variable}.") from None


def open_input(path: str | os.PathLike) -> BufferedReader:
    """Open a file to read from.

    Raises
    ------
    UserError
        If it is a pipe, a device or the like, from which reading might never end.
    OSError
        If it cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # `open` refuses a directory
        raise UserError(f"{path} is a device or the like, not an ordinary file: name another.")
    return open(path, "rb")


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` so that at any moment `path` holds the old content or all of the new.

    A link is replaced; what it leads to stays as it is.

    Raises
    ------
    UserError
        If the file cannot be written; what was there before is intact.
    """
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BufferedWriter]:
    """Yield a file that takes the place of `path` when the block ends without an error; see `write_atomically`."""
    with _told(path), _temporary_file(path) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())  # the content must be on the disk before the name points to it
        file.close()
        os.replace(file.name, _entry(path))


@contextmanager
def open_log(path: str | os.PathLike, keep: int = 0) -> Iterator[FileIO]:
    """Put a new file in the place of `path`, and yield it to be written bit by bit, each of which is there at once.

    The first `keep` bytes of the old file are those of the new one.

    Raises
    ------
    UserError
        If another process is writing such a file there.
    OSError
        If there can be none.
    """
    with _temporary_file(path) as file:
        check_not_in_use(path)
        if keep:
            with open_input(path) as before:
                file.write(before.read(keep))
            file.flush()
        os.replace(file.name, _entry(path))
        # Without a buffer, nothing is left to be written, which might fail, when it is closed.
        yield cast(FileIO, file.raw)


def check_not_in_use(path: str | os.PathLike) -> None:
    """Raise a UserError if another process is writing a log to `path`."""
    try:
        with open(path, "rb") as file:
            _lock(file)
    except BlockingIOError:
        raise UserError(f"{path} is being written by another run: name another file.") from None
    except OSError:
        pass  # there is none, or there are no locks


@contextmanager
def room_for(path: str | os.PathLike, size: int) -> Iterator[None]:
    """Hold `size` bytes of the disk of `path` within the block, so that the file can be written after it.

    Raises
    ------
    UserError
        If there is not that much room.
    """
    with ExitStack() as stack:
        with _told(path):
            file = stack.enter_context(_temporary_file(path))
            _allocate(file, size)
        yield


def check_outputs(outputs: Iterable[str | os.PathLike], inputs: Iterable[str | os.PathLike | None] = ()) -> None:
    """Make sure, before a long computation, that it can write its outputs, and that none replaces another file of it.

    Raises
    ------
    UserError
        As for `check_writable` and `check_apart`.
    """
    outputs = list(outputs)
    for path in outputs:
        check_writable(path)
    check_apart(outputs, inputs)


def check_apart(outputs: Iterable[str | os.PathLike], inputs: Iterable[str | os.PathLike | None]) -> None:
    """Raise a UserError if an output is an input or another output, by whatever path or link."""
    taken: set[tuple] = set()
    for path in inputs:
        taken |= identities(path) if path else set()
    for path in outputs:
        found = identities(path)
        if found & taken:
            raise UserError(f"{path} is named twice, as input or other output: name another file.")
        taken |= found


def identities(path: str | os.PathLike) -> set[tuple]:
    """Return what two paths have in common if they lead to the same file, or to the same name in the same folder."""
    found: set[tuple] = set()
    with suppress(OSError, ValueError):
        file = os.stat(path)
        found.add((file.st_dev, file.st_ino))
    with suppress(OSError, ValueError):
        folder = os.stat(os.path.dirname(path) or os.curdir)
        found.add((folder.st_dev, folder.st_ino, os.path.basename(path)))
    return found


def is_replaceable(path: str | os.PathLike) -> bool:
    """Tell whether no content is lost if a file replaces `path`: there is none, a link to one, or an empty one."""
    return os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) == 0


def check_writable(path: str | os.PathLike, suffixes: Collection[str] | None = None) -> None:
    """Make sure, before a long computation, that its result can be written to `path`; a file there stays as it is.

    `suffixes` are those allowed, in lower case and with their dots; None allows any.

    Raises
    ------
    UserError
        If the suffix is not allowed, the directory does not exist or takes no file, or `path` exists and is not an
        ordinary file.
    """
    if suffixes is not None:
        check_suffix(path, suffixes)
    with _told(path), _temporary_file(path) as file:  # os.access would not do: it is wrong for root
        _allocate(file, LITTLE)


def check_suffix(path: str | os.PathLike, suffixes: Collection[str]) -> None:
    """Raise a UserError unless `path` ends in one of `suffixes`, in lower or upper case."""
    if Path(path).suffix.lower() not in suffixes:
        raise UserError(f"{path} has no suffix that can be written: use one of {', '.join(suffixes)}.")


@contextmanager
def _told(path: str | os.PathLike) -> Iterator[None]:
    """Raise a FileError for an OSError within the block."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{path} cannot be written ({error.strerror or error}): mend this or name another place."
        ) from error


@contextmanager
def _temporary_file(path: str | os.PathLike) -> Iterator[BufferedWriter]:
    """A new file in the folder of `path`; it is deleted afterwards unless it was renamed."""
    folder = _entry(path).parent
    _remove_leftovers(folder)
    file = _locked_file(folder)
    try:
        with file:
            yield file
    finally:
        Path(file.name).unlink(missing_ok=True)


def _locked_file(folder: Path) -> BufferedWriter:
    """Create a temporary file, locked as long as it is open."""
    while True:
        # Unlike tempfile's, it has the permissions of any new file.
        file = open(folder / f".scratchnst-{secrets.token_hex(8)}.tmp", "xb")  # noqa: SIM115
        with suppress(OSError):
            _lock(file)
        if os.path.exists(file.name):
            return file
        file.close()  # another process took it for a leftover before it was locked


def _remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed: nobody holds a lock on them."""
    names: list[str] = []
    with suppress(OSError):  # it may be written, and not be listed
        names = [name for name in os.listdir(folder) if _TEMPORARY.fullmatch(name)]
    for path in (folder / name for name in names):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                with path.open("r+b") as file:
                    _lock(file)
                path.unlink()


def _lock(file: BufferedIOBase) -> None:
    """Lock an open file, or raise a BlockingIOError if somebody else has, or an OSError where there are no locks."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _allocate(file: BufferedWriter, size: int) -> None:
    """Let a file take `size` bytes of the disk, where the system can do that."""
    try:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
    except AttributeError:
        pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise


def _entry(path: str | os.PathLike) -> Path:
    """Return the path with its folder resolved, or raise an error if there can be no file of ours."""
    if not names_a_file(os.fspath(path)):
        raise UserError(f"{os.fspath(path)!r} does not end in the name of a file: name one.")
    folder = Path(os.path.realpath(os.path.dirname(path) or os.curdir))
    if not folder.is_dir():
        raise UserError(f"{path} cannot be written, {folder} is no directory: create it first.")
    entry = folder / os.path.basename(path)
    try:
        mode = os.stat(entry).st_mode
    except FileNotFoundError:
        return entry
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a directory: name a file in it.")
    if not stat.S_ISREG(mode) or (entry.is_symlink() and os.readlink(entry).startswith(_PROCESSES)):
        raise UserError(f"{path} is a device or the like, not an ordinary file: name another.")
    return entry
