"""A figure as one picture: labelled panels in rows, a title above them and a caption below."""

from __future__ import annotations

import unicodedata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scratchnst import images
from scratchnst.figures.panels import Figure, Panel

INK, PAPER = (20, 20, 20), (255, 255, 255)
INSET, FRAME = 0.3, 0.008  # of a picture's width: a style in its corner, and the white line around it
LINES = 62  # as many lines of text would be as high as the sheet is wide
SMALLEST_TEXT = 13  # pixels
SPACING = 1.35  # from line to line, in heights of the text


def draw(figure: Figure, size: int) -> np.ndarray:
    """Return the figure as an image (height, width, 3), RGB 0-255.

    Panels to be made are shown as they are in their files, pictures that are given with `size` pixels on the longer
    side, each row in the middle of its columns.
    """
    rows = [[(panel.label, _picture(panel, size)) for panel in row] for row in figure.rows]
    column = max(picture.width for row in rows for _, picture in row)
    columns = max(len(row) for row in rows)
    gap = max(8, column // 32)
    width = columns * (column + gap) + gap
    text = _Text(max(SMALLEST_TEXT, width // LINES), width - 2 * gap)
    label = _Text(text.size, column)
    title, caption = text.lines(figure.title), text.lines(figure.caption)
    labels = [max(len(label.lines(name)) for name, _ in row) * label.step for row in rows]
    heights = [max(picture.height for _, picture in row) for row in rows]
    height = sum(labels) + sum(heights) + (len(rows) + 3) * gap + (len(title) + len(caption)) * text.step
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    top = text.write(pen, gap, gap, title) + gap
    for row, label_height, picture_height in zip(rows, labels, heights):
        for number, (name, picture) in enumerate(row):
            left = gap + number * (column + gap) + (column - picture.width) // 2
            lines = label.lines(name)
            label.write(pen, left, top + label_height - len(lines) * label.step, lines)
            sheet.paste(picture, (left, top + label_height))
        top += label_height + picture_height + gap
    text.write(pen, gap, top, caption)
    return np.asarray(sheet, dtype=float)


class _Text:
    """Text of one size, broken into lines of at most `width` pixels."""

    def __init__(self, size: int, width: int):
        self.size, self.width = size, width
        self.font, self.step = ImageFont.load_default(size), round(SPACING * size)

    def lines(self, text: str) -> list[str]:
        """Return the lines of a text, in ASCII: Pillow's own font has little else."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        lines = [""]
        for word in plain.split(" "):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if lines[-1] and self.font.getlength(longer) > self.width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines

    def write(self, pen: ImageDraw.ImageDraw, left: int, top: int, lines: list[str]) -> int:
        """Write lines below each other and return where the next would begin."""
        for line in lines:
            pen.text((left, top), line, fill=INK, font=self.font)
            top += self.step
        return top


def _picture(panel: Panel, size: int) -> Image.Image:
    """The picture of a panel, with its inset."""
    if panel.settings is None:
        shape = images.fitted_shape(images.size(panel.picture), size)
        picture = images.resize(images.load(panel.picture, shape), *shape)
    else:
        picture = images.load(panel.picture)
    shown = _pillow(picture)
    if panel.inset is not None:
        height, width = images.size(panel.inset)
        factor = INSET * min(shown.width / width, shown.height / height)
        shape = max(1, round(factor * height)), max(1, round(factor * width))
        small = images.resize(images.load(panel.inset, shape), *shape)
        frame = max(1, round(FRAME * shown.width))
        shown.paste(PAPER, (0, shown.height - small.shape[0] - frame, small.shape[1] + frame, shown.height))
        shown.paste(_pillow(small), (0, shown.height - small.shape[0]))
    return shown


def _pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(image).astype(np.uint8))
