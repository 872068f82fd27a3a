"""Download weights into the user's cache.

Downloads go on where they were interrupted, try several servers, and are checked; a file appears under its name when it
is complete.  (The library pooch begins anew after an interruption, and knows one address a file.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import platformdirs
import requests
from filelock import FileLock
from tqdm import tqdm

from scratchnst.errors import UserError
from scratchnst.files import users_place
from scratchnst.weights.published import checksum

CACHE_VARIABLE = "SCRATCHNST_CACHE"
TIMEOUTS = (10.0, 30.0)  # seconds to connect, and without a byte afterwards
ROUNDS = 2  # every mirror is tried twice, since the connection may have broken off
MOST_REDIRECTS = 10
CHUNK = 1 << 14  # bytes; at most this much is lost when a connection breaks


class CacheFile(Protocol):
    """A file that the cache may hold: its name there, its length in bytes, where it comes from, and what it must be."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def origin(self) -> str: ...

    def is_right(self, path: Path) -> bool:
        """Return whether `path` is this file, by its length and checksum."""
        ...


@dataclass(frozen=True)
class RemoteFile:
    """A file that several servers hold.

    Attributes
    ----------
    name : its name in the cache
    mirrors : its addresses, the preferred one first
    size : its length in bytes
    md5 : its checksum, in lower-case hexadecimal
    """

    name: str
    mirrors: tuple[str, ...]
    size: int
    md5: str

    @property
    def origin(self) -> str:
        """The preferred address."""
        return self.mirrors[0]

    def is_right(self, path: Path) -> bool:
        """Return whether `path` is this file, by its length and checksum."""
        return _size(path) == self.size and checksum(path, "md5") == self.md5


_KERAS_NAME = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
VGG19 = RemoteFile(
    name=_KERAS_NAME,
    mirrors=(
        f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{_KERAS_NAME}",
        f"https://github.com/fchollet/deep-learning-models/releases/download/v0.1/{_KERAS_NAME}",
    ),
    size=80_134_624,
    md5="253f8cb515780f3b799900260a226db6",
)


class NotDelivered(UserError):
    """No mirror delivered a file; `failures` says of each mirror why."""

    def __init__(self, message: str, failures: Mapping[str, str]):
        super().__init__(message)
        self.failures = failures


class _MirrorError(Exception):
    """A server answered, but not with the file; the message says with what."""


def cache_directory() -> Path:
    """Return the directory that SCRATCHNST_CACHE names, else the system's own for caches."""
    return users_place(CACHE_VARIABLE, platformdirs.user_cache_dir)


def cached(file: CacheFile, directory: Path | None = None) -> Path | None:
    """Return the path of a file of the right size in `directory`, by default the cache, or None; it is not read.

    `fetch` has put it there only if its checksum was right.
    """
    try:
        path = (directory or cache_directory()) / file.name
    except UserError:  # where there is no home directory, there is no cache
        return None
    return path if _size(path) == file.size else None


def fetch(
    file: RemoteFile,
    directory: Path | None = None,
    progress: bool = True,
    timeouts: tuple[float, float] = TIMEOUTS,
) -> Path:
    """Return the path of a file in the cache, downloaded if it is not there already.

    What an interrupted download has received stays beside it, in a file ending in ``.part``; the next one asks only for
    the rest.  Of several processes at once, one downloads and the others wait.

    Parameters
    ----------
    file : the file wanted
    directory : where to keep it; None means `cache_directory()`
    progress : whether to draw a progress bar if the standard error stream is a terminal
    timeouts : seconds to wait for a connection, and for further data

    Returns
    -------
    The path of a file whose checksum has just been verified.

    Raises
    ------
    NotDelivered
        If no mirror delivered the file; under its name there is then nothing.
    UserError
        If it cannot be stored; the same.
    """
    return keep(file, lambda path: _download(file, path, progress, timeouts), directory)


def keep(file: CacheFile, obtain: Callable[[Path], None], directory: Path | None = None) -> Path:
    """Return the path of a file in the cache, obtained if it is not there already.

    Of several processes at once, one obtains it and the others wait.

    Parameters
    ----------
    file : the file wanted
    obtain : puts the right file at the path that it is given, or raises an error and puts none there
    directory : where to keep it; None means `cache_directory()`

    Raises
    ------
    UserError
        If it cannot be stored, and what `obtain` raises.
    """
    path = (directory or cache_directory()) / file.name
    lock = path.with_name(f"{file.name}.lock")
    try:
        if file.is_right(path):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            if not file.is_right(path):  # another process may have obtained it meanwhile
                path.unlink(missing_ok=True)
                obtain(path)
        with suppress(OSError):  # once the file is there, the lock is not needed
            lock.unlink()
    except OSError as error:
        raise UserError(
            f"{path} cannot be stored or read ({error.strerror or error}): mend this, or name another directory by the "
            f"variable {CACHE_VARIABLE}, or download {file.origin} yourself and name it with --network FILE."
        ) from error
    return path


def _download(file: RemoteFile, path: Path, progress: bool, timeouts: tuple[float, float]) -> None:
    part = path.with_name(f"{file.name}.part")
    failures = {}
    with requests.Session() as session:
        session.max_redirects = MOST_REDIRECTS
        for mirror in file.mirrors * ROUNDS:
            try:
                if _size(part) < file.size:
                    _extend(part, file, mirror, session, progress, timeouts)
                _check(part, file)
            except (requests.RequestException, ValueError, _MirrorError) as error:  # ValueError: a malformed redirect
                failures[mirror] = _reason(error)
            else:
                os.replace(part, path)
                return
    what = "; ".join(f"{mirror}: {reason}" for mirror, reason in failures.items())
    raise NotDelivered(
        f"{file.name} could not be downloaded ({what}): try again later, or download it from one of these addresses "
        f"yourself and put it at {path}, or name a file that you have with --network FILE.",
        failures,
    )


def _extend(
    part: Path, file: RemoteFile, mirror: str, session: requests.Session, progress: bool, timeouts: tuple[float, float]
) -> None:
    """Append to `part` what it lacks, or begin anew if the server sends only whole files."""
    held = _size(part)
    headers = {"Accept-Encoding": "identity"}  # compressed bytes could not be resumed
    if held:
        headers["Range"] = f"bytes={held}-"
    with session.get(mirror, headers=headers, stream=True, timeout=timeouts) as response:
        start = _start(response, held, file.size)
        bar = tqdm(
            desc=file.name,
            initial=start,
            total=file.size,
            unit="B",
            unit_scale=True,
            disable=None if progress else True,  # tqdm's None: unless on a terminal
        )
        with bar, open(part, "ab" if start else "wb") as output:
            for chunk in response.iter_content(CHUNK):
                output.write(chunk)
                bar.update(len(chunk))
                start += len(chunk)
                if start > file.size:
                    break
            output.flush()
            os.fsync(output.fileno())  # the content must be on the disk before the final name points to it


def _start(response: requests.Response, held: int, size: int) -> int:
    """Return the position in the file of an answer's first byte, once its headers are those of the file."""
    if response.status_code == 200:
        start = 0
    elif response.status_code == 206 and held:
        start = held
        if not response.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            raise _MirrorError("it sent another part of the file than was asked for")
    else:
        raise _MirrorError(f"it answered {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _MirrorError("it sent a web page instead of the file")
    length = response.headers.get("Content-Length", str(size - start))
    if length != str(size - start):
        raise _MirrorError(f"it offered {length} bytes instead of {size - start}")
    return start


def _check(part: Path, file: RemoteFile) -> None:
    """Raise an error and delete `part`, which was received to its end, unless it is the whole file."""
    if file.is_right(part):
        return
    size = _size(part)
    part.unlink()
    if size > file.size:
        raise _MirrorError(f"it sent more than {file.size} bytes")
    if size < file.size:
        raise _MirrorError(f"it sent only {size} of {file.size} bytes")
    raise _MirrorError("the checksum of what it sent is wrong")


def _size(path: Path) -> int:
    return os.path.getsize(path) if os.path.isfile(path) else 0


def _reason(error: Exception) -> str:
    """What went wrong, in the operating system's words if it has any."""
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        cause = next((cause for cause in _causes(error) if not isinstance(cause, requests.RequestException)), None)
        if isinstance(cause, TimeoutError):
            return "it did not answer in time"
        return cause.strerror if cause and cause.strerror else "the connection broke off"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return str(error).rstrip(".")


def _causes(error: BaseException | None) -> Iterator[OSError]:
    """The operating system's errors behind an error, the nearest first."""
    while error is not None:
        if isinstance(error, OSError):
            yield error
        error = error.__cause__ or error.__context__
