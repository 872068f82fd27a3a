"""Two sample pictures drawn by code: a lakeside village to be repainted and a whirl of brush strokes to learn from.

Both are designed on a board 4 wide and 3 high (x to the right, y down) that is stretched over the canvas, so the
motif does not depend on the number of pixels.  They are drawn with twice the pixels and shrunk for smooth edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

BOARD_WIDTH, BOARD_HEIGHT = 4.0, 3.0
SMALLEST_SIDE = 16  # pixels; below this there is nothing left to recognise
OVERSAMPLING = 2

SHORE = 1.93  # y of the far shore, where the picture turns into its own reflection
SUN = (3.25, 1.05)
SKY_STOPS = (0.0, 0.45, 0.8, 1.0)  # fractions of the way from the top of the picture to the shore
SKY_COLOURS = ((50, 92, 152), (118, 160, 196), (246, 206, 152), (250, 182, 112))
LEAF_STOPS = (-1.0, -0.2, 0.45, 1.1)  # how much a leaf turns to the sun
LEAF_COLOURS = ((16, 28, 30), (44, 70, 38), (112, 126, 48), (222, 200, 92))
HAZE = np.array((206, 182, 176))

PALETTE_STOPS = (0.0, 0.16, 0.32, 0.46, 0.56, 0.68, 0.84, 1.0)
PALETTE = (
    (18, 24, 66),  # ink
    (16, 62, 104),  # petrol
    (14, 118, 128),  # teal
    (122, 184, 168),  # sea foam
    (246, 228, 186),  # cream
    (244, 172, 68),  # amber
    (224, 88, 44),  # vermilion
    (118, 22, 52),  # wine
)

Colour = tuple[int, ...]
Points = Iterable[Sequence[float]]


class Board:
    """Pillow's drawing tools in the coordinates of the board."""

    def __init__(self, image: Image.Image) -> None:
        self.tools = ImageDraw.Draw(image)
        self.scale = np.array((image.width / BOARD_WIDTH, image.height / BOARD_HEIGHT))

    def polygon(self, points: Points, colour: Sequence[float]) -> None:
        self.tools.polygon(self._pixels(points), fill=_whole(colour))

    def line(self, points: Points, colour: Sequence[float], width: float) -> None:
        pixels = max(1, round(width * self.scale[0]))
        self.tools.line(self._pixels(points), fill=_whole(colour), width=pixels)

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, colour: Sequence[float]) -> None:
        corners = ((x - radius_x, y - radius_y), (x + radius_x, y + radius_y))
        self.tools.ellipse(self._pixels(corners), fill=_whole(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Sequence[float]) -> None:
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), colour)

    def _pixels(self, points: Points) -> list[tuple[float, float]]:
        return [tuple(point) for point in (np.asarray(points) * self.scale).tolist()]


def draw_content(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Draw a village by a mountain lake in the light of the late afternoon.

    Parameters
    ----------
    height, width : int
        Size of the picture in pixels, at least 16 each.
    seed : int
        Chooses the clouds, the mountains and all the small irregularities; the composition stays.

    Returns
    -------
    ndarray, shape (height, width, 3), uint8
        The picture, sRGB.
    """
    rng = np.random.default_rng(seed)
    canvas = _canvas_size(height, width)
    scene = _sky(canvas, rng)
    scene = _mountains(scene, rng)
    land = _image(scene)
    _village(Board(land), rng)
    picture = _image(_lake(np.asarray(land), rng))
    _boat(Board(picture))
    _near_bank(Board(picture), rng)
    return _finish(picture, height, width, rng, grain=4.0)


def _canvas_size(height: int, width: int) -> tuple[int, int]:
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"a sample needs at least {SMALLEST_SIDE} pixels a side, not {height} x {width}")
    return OVERSAMPLING * height, OVERSAMPLING * width


def _finish(image, height, width, rng, grain):
    small = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), dtype=float)
    small += grain * rng.standard_normal((height, width, 1))
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _image(pixels):
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _whole(colour):
    return tuple(int(min(max(channel, 0), 255)) for channel in colour)


def _noise(rng, canvas, rows, columns, octaves=6, roughness=0.55):
    total = np.zeros(canvas)
    for octave in range(octaves):
        cells = rng.standard_normal((rows * 2**octave + 3, columns * 2**octave + 3)).astype(np.float32)
        layer = Image.fromarray(cells).resize(canvas[::-1], Image.Resampling.BICUBIC)
        total += roughness**octave * np.asarray(layer)
    return total / total.std()


def _coordinates(canvas):
    y, x = np.mgrid[: canvas[0], : canvas[1]]
    return (x + 0.5) * BOARD_WIDTH / canvas[1], (y + 0.5) * BOARD_HEIGHT / canvas[0]


def _gradient(position, stops, colours):
    channels = np.array(colours, dtype=float).T
    return np.stack([np.interp(position, stops, channel) for channel in channels], axis=-1)


def _mix(first, second, share):
    share = np.clip(share, 0, 1)[..., None]
    return (1 - share) * first + share * second


def _sky(canvas, rng):
    x, y = _coordinates(canvas)
    sky = _gradient(y / SHORE, SKY_STOPS, SKY_COLOURS)
    distance = np.hypot(x - SUN[0], y - SUN[1])
    sky = _mix(sky, np.array((255, 236, 186)), 0.9 * np.exp(-2.2 * distance))
    aside, below = canvas[1] // 40, canvas[0] // 50
    billows = _noise(rng, (canvas[0] + below, canvas[1] + aside), 7, 4)
    density = billows[:-below, :-aside]
    lit = np.clip(0.5 + 0.7 * (density - billows[below:, aside:]), 0, 1)
    density = density + 0.3 - 0.9 * np.abs(y - 0.6)
    clouds = _mix(np.array((136, 128, 156)), np.array((255, 240, 216)), lit)
    return _mix(sky, clouds, 0.95 * np.clip(1.1 * density, 0, 1) ** 0.8)


def _mountains(sky, rng, slices=600):
    canvas = sky.shape[:2]
    ground = (slices, canvas[1])
    depth = np.linspace(0, 1, slices)[:, None]
    x = np.linspace(0, BOARD_WIDTH, canvas[1])
    ridges = 1 - np.abs(_noise(rng, ground, 5, 3, octaves=7, roughness=0.5))
    hills = _noise(rng, ground, 2, 3)
    peaks = 0.55 + 0.45 * np.exp(-((x - 1.75) ** 2) / 0.5) - 0.28 * np.exp(-((x - 3.3) ** 2) / 0.25)
    rise = np.clip((depth - 0.45) / 0.4, 0, 1) ** 1.3
    altitude = 0.10 + 0.12 * depth + (0.06 + 0.05 * hills) * np.sqrt(depth) + rise * peaks * (0.75 + 0.32 * ridges)

    slope_x = np.gradient(altitude, axis=1) * canvas[1] / BOARD_WIDTH
    slope_depth = np.gradient(altitude, axis=0) * slices / 4
    light = (1 + 0.9 * slope_x * -1 - 0.1 * slope_depth) / np.sqrt(1 + slope_x**2 + slope_depth**2)
    colour = _ground_colour(altitude, slope_x, rng) * np.clip(0.35 + 0.75 * light, 0.25, 1.35)[..., None]
    colour = _mix(colour, HAZE, (0.55 * depth + 0 * altitude))
    return _project(colour, altitude, sky)


def _ground_colour(altitude, slope, rng):
    texture = _noise(rng, altitude.shape, 40, 60, octaves=3, roughness=0.8)
    woods = np.array((62, 92, 48)) * (1 + 0.22 * texture[..., None])
    meadow = _mix(woods, np.array((150, 160, 78)), _noise(rng, altitude.shape, 8, 6, octaves=4) - 0.2)
    rock = np.array((128, 112, 118)) * (1 + 0.08 * texture[..., None])
    land = _mix(meadow, rock, (altitude - 0.5 + 0.04 * texture) / 0.12)
    return _mix(land, np.array((255, 248, 240)), (altitude - 0.84 + 0.06 * texture) / 0.1)


def _project(colour, altitude, sky):
    picture = sky.copy()
    horizon = np.maximum.accumulate(altitude, axis=0)
    rows = np.arange(int(SHORE / BOARD_HEIGHT * sky.shape[0]) + 2)
    elevation = SHORE - (rows + 0.5) * BOARD_HEIGHT / sky.shape[0]
    for column in range(sky.shape[1]):
        nearest = np.searchsorted(horizon[:, column], elevation)
        visible = nearest < len(horizon)
        picture[rows[visible], column] = colour[nearest[visible], column]
    return picture


def _village(board, rng):
    for x in np.linspace(0.1, 3.95, 34):
        if not 0.8 < x < 2.7 or rng.random() < 0.5:
            _tree(board, rng, x + rng.normal(0, 0.05), SHORE - 0.03, rng.uniform(0.14, 0.26))
    plaster, ochre, rose = (244, 226, 190), (232, 190, 120), (226, 160, 130)
    tile, slate, rust = (176, 72, 44), (84, 84, 104), (150, 56, 40)
    _house(board, rng, 0.62, SHORE - 0.10, 0.42, 0.34, rose, slate)
    _house(board, rng, 2.05, SHORE - 0.12, 0.40, 0.34, plaster, rust)
    _church(board, rng, 1.22, SHORE - 0.05)
    _house(board, rng, 0.80, SHORE - 0.02, 0.46, 0.36, plaster, tile)
    _house(board, rng, 1.93, SHORE - 0.02, 0.44, 0.33, ochre, tile)
    _house(board, rng, 2.42, SHORE - 0.01, 0.40, 0.30, plaster, slate)
    for x, size in ((0.66, 0.3), (1.36, 0.16), (1.88, 0.24), (2.40, 0.2), (2.92, 0.3)):
        _tree(board, rng, x, SHORE, size)
    board.box(0, SHORE - 0.025, BOARD_WIDTH, SHORE + 0.1, (70, 66, 52))


def _house(board, rng, left, base, width, height, wall, roof):
    wall, roof = np.array(wall), np.array(roof)
    corner, right, ridge = left + 0.58 * width, left + width, left + 0.79 * width
    eaves, top = base - 0.55 * height, base - height
    board.box(left, eaves, corner, base, 0.55 * wall)
    board.polygon(((corner, base), (right, base), (right, eaves), (ridge, top), (corner, eaves)), wall)
    board.box(left + 0.25 * width, top - 0.12 * height, left + 0.33 * width, eaves, 0.6 * roof)
    overhang = 0.05 * width
    board.polygon(
        ((left - overhang, eaves + 0.02), (corner, eaves + 0.02), (ridge, top), (left + 0.2 * width, top)), 0.85 * roof
    )
    board.line(((ridge, top), (right + overhang, eaves + 0.03)), 1.25 * roof, 0.03)
    for share in (0.1, 0.28, 0.46):
        glow = (255, 208, 110) if rng.random() < 0.4 else (44, 40, 52)
        x = left + share * width
        board.box(x - 0.02, eaves + 0.2 * height, x + 0.025, eaves + 0.4 * height, glow)
    for x in (corner + 0.13 * width, right - 0.13 * width):
        board.box(x - 0.02, eaves + 0.14 * height, x + 0.02, eaves + 0.36 * height, (60, 50, 56))


def _church(board, rng, left, base):
    stone, slate = np.array((238, 216, 178)), np.array((70, 80, 104))
    _house(board, rng, left + 0.12, base, 0.62, 0.5, stone, (150, 66, 46))
    corner, right, top = left + 0.12, left + 0.3, base - 0.72
    board.box(left, top, corner, base, 0.55 * stone)
    board.box(corner, top, right, base, stone)
    tip = (left + 0.15, top - 0.62)
    board.polygon(((left - 0.02, top), (corner, top), tip), 0.65 * slate)
    board.polygon(((corner, top), (right + 0.02, top), tip), 1.5 * slate)
    board.line((tip, (tip[0], tip[1] - 0.1)), (60, 50, 40), 0.012)
    board.line(((tip[0] - 0.03, tip[1] - 0.065), (tip[0] + 0.03, tip[1] - 0.065)), (60, 50, 40), 0.012)
    for x in (left + 0.06, left + 0.21):
        board.box(x - 0.025, top + 0.1, x + 0.025, top + 0.24, (46, 40, 52))
        board.ellipse(x, top + 0.1, 0.025, 0.03, (46, 40, 52))
    board.ellipse(left + 0.21, top + 0.36, 0.05, 0.05, (250, 240, 214))
    board.ellipse(left + 0.21, top + 0.36, 0.036, 0.036, (70, 70, 96))


def _tree(board, rng, x, base, size, slender=1.0):
    board.line(((x, base), (x, base - size)), (58, 44, 36), 0.1 * size)
    _foliage(board, rng, (x, base - 0.95 * size), (0.62 * size * slender, 0.75 * size), 500, 0.06 * size)


def _foliage(board, rng, centre, radii, dabs, dab_size):
    lobes = rng.normal(0, 0.42, (max(5, dabs // 60), 2))
    lobe = lobes[rng.integers(0, len(lobes), dabs)]
    turn, radius = rng.uniform(0, 2 * np.pi, dabs), 0.42 * np.sqrt(rng.random(dabs))
    within = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * radius[:, None]
    light = within @ (1.5, -1.9) + lobe @ (0.35, -0.7) + rng.normal(0, 0.2, dabs)
    shades = _gradient(light, LEAF_STOPS, LEAF_COLOURS) * rng.uniform(0.85, 1.1, (1, 3))
    places = np.array(centre) + (lobe + within) * radii
    for index in np.argsort(lobe[:, 1] * 0 + light):
        size = dab_size * rng.uniform(0.6, 1.4)
        board.ellipse(*places[index], 1.3 * size, 0.8 * size, shades[index])


def _lake(land, rng):
    canvas = land.shape[:2]
    shore = round(SHORE / BOARD_HEIGHT * canvas[0])
    rows = np.arange(canvas[0] - shore)
    nearness = rows[:, None] / len(rows)
    reflection = land.copy()
    reflection[shore:] = land[np.maximum(shore - 1 - (1.2 * rows).astype(int), 0)]
    reflection = _image(reflection)
    _boat(Board(reflection), upright=-1)
    reflection = np.asarray(reflection, dtype=float)

    # Ripples are as wide as the eye sees them: crowded under the far shore, broad at the near one.
    swell = _noise(rng, canvas, 60, 9, octaves=4, roughness=0.6)
    waves = swell[((canvas[0] - 1) * (1 - 0.12 / (0.12 + nearness[:, 0]))).astype(int)]
    reach = canvas[0] * (0.002 + 0.016 * nearness)
    source_row = np.clip(shore + rows[:, None] + waves * reach, shore, canvas[0] - 1).astype(int)
    source_column = np.clip(np.arange(canvas[1]) + 0.35 * waves * reach, 0, canvas[1] - 1).astype(int)
    water = 0.9 * reflection[source_row, source_column]
    water = _mix(water, np.array((22, 62, 84)), 0.12 + 0.5 * nearness + 0.12 * waves)
    x = np.linspace(0, BOARD_WIDTH, canvas[1])
    glitter = np.exp(-(((x - SUN[0]) / (0.14 + 0.3 * nearness)) ** 2)) * np.clip(1.2 * waves - 0.5, 0, 1)
    picture = land.copy()
    picture[shore:] = _mix(water, np.array((255, 226, 160)), glitter)
    return picture


def _boat(board, upright=1):
    x, y = 2.72, 2.42

    def shape(points, colour):
        board.polygon([(x + across, y - upright * up) for across, up in points], colour)

    shape(((-0.42, 0.13), (0.42, 0.15), (0.28, -0.02), (-0.3, -0.02)), (58, 28, 30))
    shape(((-0.42, 0.13), (0.42, 0.15), (0.41, 0.11), (-0.41, 0.09)), (226, 120, 60))
    shape(((-0.03, 0.1), (0, 0.1), (0, 0.98), (-0.03, 0.98)), (70, 44, 34))
    shape(((0.03, 0.2), (0.46, 0.24), (0.2, 0.6), (0.03, 0.95)), (252, 240, 214))
    shape(((0.03, 0.2), (0.46, 0.24), (0.37, 0.36), (0.03, 0.34)), (216, 84, 48))
    shape(((-0.06, 0.2), (-0.38, 0.2), (-0.06, 0.84)), (206, 182, 164))


def _near_bank(board, rng):
    x = np.linspace(0, 2.0, 60)
    edge = 2.62 + 0.4 * (x / 2.0) ** 2 + 0.02 * np.sin(9 * x)
    board.polygon([*zip(x, edge, strict=True), (0, BOARD_HEIGHT + 0.1)], (30, 36, 30))
    for _ in range(900):
        root = 2.0 * rng.random() ** 1.2
        foot = 2.62 + 0.4 * (root / 2.0) ** 2 + rng.random() * 0.4
        lean, tall = rng.normal(0.04, 0.05), rng.uniform(0.08, 0.26)
        shade = _gradient(rng.uniform(-0.9, 1.0), LEAF_STOPS, LEAF_COLOURS)
        board.line(((root, foot), (root + 0.3 * lean, foot - 0.6 * tall), (root + lean, foot - tall)), shade, 0.012)
    board.line(((0.1, 3.0), (0.16, 1.9), (0.1, 1.0), (0.3, 0.2)), (40, 30, 28), 0.13)
    for tip in ((0.7, 0.75), (0.6, 0.3), (-0.2, 0.6)):
        board.line(((0.12, 1.3), tip), (40, 30, 28), 0.05)
    for centre in ((0.15, 0.35), (0.62, 0.2), (0.2, 0.95), (0.75, 0.7)):
        _foliage(board, rng, centre, (0.42, 0.32), 700, 0.03)


def draw_style(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Style."""
    rng = np.random.default_rng(seed)
    canvas = _canvas_size(height, width)
    vortices = _vortices(rng)
    x, y = _coordinates(canvas)
    base = _colours(np.stack([x, y], -1), vortices) * 0.6
    paint = _image(np.concatenate([base, np.zeros((*canvas, 1))], axis=-1))
    board = Board(paint)
    for count, stroke_width, length in ((500, 0.22, 1.1), (1300, 0.12, 0.8), (2200, 0.065, 0.5)):
        _strokes(board, rng, vortices, count, stroke_width, length)
    return _finish(_impasto(paint), height, width, rng, grain=1.0)


def _vortices(rng):
    centres = np.array(((2.75, 1.15), (0.85, 2.2), (0.6, 0.55), (3.7, 2.6), (1.75, 3.1)))
    centres = centres + rng.normal(0, 0.06, centres.shape)
    reach = np.array((0.95, 0.75, 0.6, 0.6, 0.5)) * rng.uniform(0.9, 1.1, 5)
    spin = np.array((1.0, -1.0, 1.0, -1.0, 0.8))
    return centres, reach, spin


def _flow(points, vortices):
    centres, reach, spin = vortices
    away = points[..., None, :] - centres
    pull = spin * np.exp(-((away / reach[:, None]) ** 2).sum(-1)) / reach
    turn = np.stack([-away[..., 1], away[..., 0]], axis=-1)
    drift = np.stack([0.35 + 0 * points[..., 0], 0.18 * np.cos(1.7 * points[..., 0])], axis=-1)
    flow = (pull[..., None] * turn).sum(-2) + drift
    return flow / np.linalg.norm(flow, axis=-1, keepdims=True)


def _warmth(points, vortices):
    centres, reach, spin = vortices
    distance = np.sqrt((((points[..., None, :] - centres) / reach[:, None]) ** 2).sum(-1))
    heat = (np.array((1.0, 0.75, -0.2, 0.55, -0.3)) * np.exp(-(distance**2) * 0.8)).sum(-1)
    return 0.22 + 0.7 * heat + 0.08 * np.sin(3.0 * points[..., 0] + 4 * points[..., 1])


def _colours(points, vortices, jitter=0.0):
    return _gradient(np.clip(_warmth(points, vortices) + jitter, 0, 1), PALETTE_STOPS, PALETTE)


def _strokes(board, rng, vortices, count, stroke_width, length, steps=14):
    point = rng.uniform((-0.2, -0.2), (BOARD_WIDTH + 0.2, BOARD_HEIGHT + 0.2), (count, 2))
    colour = _colours(point, vortices, rng.normal(0, 0.05, count))
    path = [point]
    for _ in range(steps):
        path.append(path[-1] + length / steps * _flow(path[-1], vortices))
    path = np.stack(path, axis=1)
    direction = _flow(path, vortices)
    normal = np.stack([-direction[..., 1], direction[..., 0]], axis=-1)
    bristles = max(3, round(stroke_width / 0.014))
    offset = np.linspace(-0.5, 0.5, bristles)
    shade = rng.normal(1, 0.1, (count, bristles)) + rng.normal(0, 0.06, (count, 1))
    # A round brush: the outer bristles touch the canvas later and leave it earlier than the middle ones.
    start = steps * (0.8 * offset**2 + 0.1 * rng.random((count, bristles)))
    end = steps * (1 - 1.2 * offset**2 - 0.2 * rng.random((count, bristles)))
    moment = start[..., None] + (end - start)[..., None] * np.linspace(0, 1, steps)
    before, share = moment.astype(int), (moment % 1)[..., None]
    stroke = np.arange(count)[:, None, None]
    rail = path + 0 * normal
    middle = (1 - share) * rail[stroke, before] + share * rail[stroke, before + 1]
    side = (1 - share) * normal[stroke, before] + share * normal[stroke, before + 1]
    lines = middle + stroke_width * offset[:, None, None] * side
    relief = 150 + 300 * (shade - 1) - 60 * np.abs(offset)
    for stroke in range(count):
        for line, tone, height in zip(lines[stroke], shade[stroke], relief[stroke]):
            board.line(line, (*(colour[stroke] * tone), height), 0.02)


def _impasto(paint):
    pixels = np.asarray(paint, dtype=float)
    relief = pixels[..., 3]
    slope = np.gradient(relief, axis=0) + np.gradient(relief, axis=1)
    return _image(pixels[..., :3] * (1 + np.clip(0.004 * slope, -0.3, 0.35))[..., None])
