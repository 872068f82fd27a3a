"""What setup.cfg cannot say: each folder of the lessons is installed, below share/scratchnst."""

from pathlib import Path

from setuptools import setup

LESSONS = Path("lessons")


def files(folder):
    """The lesson's own files, by their names from here on."""
    return sorted(path.as_posix() for suffix in ("py", "rst") for path in folder.glob(f"*.{suffix}"))


folders = sorted([LESSONS, *LESSONS.glob("[0-9]*"), *LESSONS.glob("[0-9]*/answers")])
setup(data_files=[(f"share/scratchnst/{folder.as_posix()}", files(folder)) for folder in folders])
