"""Labelled pictures in rows, a title above them and a caption below, as one picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PAPER = (20, 20, 20), (255, 255, 255)
LINES = 62  # as many lines of text would be as high as the sheet is wide
SMALLEST_TEXT = 13  # pixels
SPACING = 1.35  # from line to line, in heights of the text


def draw(rows: Sequence[Sequence[tuple[str, Image.Image]]], title: str = "", caption: str = "") -> np.ndarray:
    """Return a sheet (height, width, 3), RGB 0-255: rows of labels and pictures, each in the middle of its column."""
    column = max(picture.width for row in rows for _, picture in row)
    columns = max(len(row) for row in rows)
    gap = max(8, column // 32)
    width = columns * (column + gap) + gap
    text = _Text(max(SMALLEST_TEXT, width // LINES), width - 2 * gap)
    label = _Text(text.size, column)
    above, below = text.lines(title), text.lines(caption)
    labels = [max(len(label.lines(name)) for name, _ in row) * label.step for row in rows]
    heights = [max(picture.height for _, picture in row) for row in rows]
    height = sum(labels) + sum(heights) + (len(rows) + 3) * gap + (len(above) + len(below)) * text.step
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    top = text.write(pen, gap, gap, above) + gap
    for row, label_height, picture_height in zip(rows, labels, heights):
        for number, (name, picture) in enumerate(row):
            left = gap + number * (column + gap) + (column - picture.width) // 2
            lines = label.lines(name)
            label.write(pen, left, top + label_height - len(lines) * label.step, lines)
            sheet.paste(picture, (left, top + label_height))
        top += label_height + picture_height + gap
    text.write(pen, gap, top, below)
    return np.asarray(sheet, dtype=float)


def picture(image: np.ndarray) -> Image.Image:
    """Return an image (H, W, 3), RGB 0-255, as `draw` takes it."""
    return Image.fromarray(np.rint(image).astype(np.uint8))


class _Text:
    """Text of one size, broken into lines of at most `width` pixels."""

    def __init__(self, size: int, width: int):
        self.size, self.width = size, width
        self.font, self.step = ImageFont.load_default(size), round(SPACING * size)

    def lines(self, text: str) -> list[str]:
        """Return the lines of a text, in ASCII: Pillow's own font has little else."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        lines = [""]
        for word in (part for whole in plain.split(" ") for part in self._parts(whole)):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if lines[-1] and self.font.getlength(longer) > self.width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def _parts(self, word: str) -> Iterator[str]:
        """Yield a word, or pieces of it that fit into a line."""
        while self.font.getlength(word) > self.width and len(word) > 1:
            fits = next((end for end in range(len(word), 1, -1) if self.font.getlength(word[:end]) <= self.width), 1)
            yield word[:fits]
            word = word[fits:]
        yield word

    def write(self, pen: ImageDraw.ImageDraw, left: int, top: int, lines: list[str]) -> int:
        """Write lines below each other and return where the next would begin."""
        for line in lines:
            pen.text((left, top), line, fill=INK, font=self.font)
            top += self.step
        return top
