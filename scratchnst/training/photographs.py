"""Photographs to train on: read once, shrunk, and cut into random crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.images import samples

SCALES = (256, 512)  # pixels of a photograph's longer side, from and to: crops show more or less of it
SAMPLES = 3  # pairs of pictures drawn by this program
LEAST_SPREAD = 4.0  # standard deviation of the pixel values of a picture that shows something
ATTEMPTS = 20


class Photographs:
    """Pictures in memory, 8 bits a channel, of at most SCALES[1] pixels a side.

    Attributes
    ----------
    names : of the pictures
    """

    def __init__(self, pictures: Iterable[tuple[str, np.ndarray]]):
        self.names, self._pictures = [], []
        for name, picture in pictures:
            self.names.append(name)
            self._pictures.append(Image.fromarray(np.rint(np.clip(picture, 0, 255)).astype(np.uint8)))

    def __len__(self) -> int:
        return len(self.names)

    def hold_out(self, count: int) -> tuple[np.ndarray, ...]:
        """Take so many pictures, evenly spread, out of those to be trained on, and return them, (H, W, 3)."""
        numbers = {round(number) for number in np.linspace(0, len(self) - 1, count + 2)[1:-1]}
        held_out = tuple(np.asarray(self._pictures[number], np.float32) for number in sorted(numbers))
        kept = [number for number in range(len(self)) if number not in numbers]
        self.names = [self.names[number] for number in kept]
        self._pictures = [self._pictures[number] for number in kept]
        return held_out

    def crops(self, random: np.random.Generator, count: int, side: int) -> np.ndarray:
        """Return `count` crops (count, side, side, 3), float32, RGB 0-255: each of a photograph of random scale."""
        return np.stack([self._crop(random, side) for _ in range(count)])

    def _crop(self, random, side):
        """A crop that shows something, if one of some does: a norm divides by the spread of what it is given."""
        for _ in range(ATTEMPTS):
            crop = self._any_crop(random, side)
            if crop.std() >= LEAST_SPREAD:
                break
        return crop

    def _any_crop(self, random, side):
        """A square of a photograph whose longer side would have SCALES pixels, enlarged if it must be; or mirrored."""
        picture = self._pictures[random.integers(len(self._pictures))]
        width, height = picture.size
        scale = max(random.uniform(*SCALES) / max(width, height), side / min(width, height))
        square = min(side / scale, width, height)  # of the picture's pixels
        left, top = random.uniform(0, width - square), random.uniform(0, height - square)
        box = (left, top, left + square, top + square)
        crop = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box), np.float32)
        return crop[:, ::-1] if random.random() < 0.5 else crop


def from_folder(folder: Path, side: int, skip: Callable[[str], None]) -> Photographs:
    """Return the photographs of a folder, and tell `skip` of each that cannot be used, in a sentence.

    Raises
    ------
    UserError
        If the folder cannot be read, or has no picture that can be used.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in images.PICTURE_SUFFIXES)
    except OSError as error:
        raise UserError(f"{folder} is not a readable folder ({error.strerror}): name one with pictures.") from None
    found = []
    for path in paths:
        try:
            found.append((path.name, _checked(path.name, _shrunk(path), side)))
        except UserError as error:
            skip(f"skipped: {error}")
    if not found:
        kinds = ", ".join(images.PICTURE_SUFFIXES)
        raise UserError(f"{folder} has no picture to train on ({kinds}, {side} pixels a side or more): name another.")
    return Photographs(found)


def at_hand(side: int) -> Photographs:
    """Return the photographs that scikit-image and scikit-learn bring along, where installed, and drawn pictures."""
    found = [*_of_scikit_image(), *_of_scikit_learn()]
    for seed in range(1, 1 + SAMPLES):  # seed 0 is for previews
        found.append((f"sample content {seed}", samples.draw_content(seed=seed)))
        found.append((f"sample style {seed}", samples.draw_style(seed=seed)))
    return Photographs((name, picture) for name, picture in found if min(picture.shape[:2]) >= side)


def _shrunk(path):
    given = images.size(path)
    shape = images.fitted_shape(given, min(SCALES[1], max(given)))
    return images.resize(images.load(path, shape), *shape)


def _checked(name, picture, side):
    height, width, _ = picture.shape
    if min(height, width) < side:
        raise UserError(f"{name} has {width}x{height} pixels, less than the {side} of a crop.")
    if picture.std() < LEAST_SPREAD:
        raise UserError(f"{name} is of one colour.")
    return picture


def _of_scikit_image():
    """Colour photographs that lie in the package itself, not those that it would download."""
    if find_spec("skimage") is None:
        return
    from skimage import data

    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        try:
            yield (
                f"scikit-image's {name}",
                images.fit(np.asarray(getattr(data, name)()[..., :3], np.float32), SCALES[1]),
            )
        except Exception:  # it is not in this version, or would have to be downloaded
            continue


def _of_scikit_learn():
    if find_spec("sklearn") is None:
        return
    from sklearn.datasets import load_sample_images

    found = load_sample_images()
    for name, picture in zip(found.filenames, found.images):
        yield f"scikit-learn's {Path(name).name}", images.fit(np.asarray(picture, np.float32), SCALES[1])
