"""Two sample pictures drawn by code: a lakeside village as content, and curved brush strokes as style.

Coordinates are those of a board 4 wide and 3 high (x to the right, y down) that is stretched over the canvas, so the
motif does not depend on the number of pixels.  The pictures are drawn at twice their size and scaled down, which
smooths edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from scratchnst import images

BOARD_WIDTH, BOARD_HEIGHT = 4.0, 3.0
SMALLEST_SIDE = 16  # pixels; the motif cannot be recognised in fewer
OVERSAMPLING = 2

SHORE = 1.93  # y of the far shore, below which the picture is reflected
SUN = (3.3, 1.12)
SKY_STOPS = (0.0, 0.6, 1.05, 1.4)  # y of each colour
SKY_COLOURS = ((40, 84, 148), (104, 154, 196), (244, 208, 158), (252, 178, 104))
CLOUD_SHADE, CLOUD_LIGHT = (134, 124, 156), (255, 240, 214)
WOODS, MEADOW, ROCK, SNOW = (58, 88, 48), (152, 160, 76), (130, 112, 112), (255, 250, 244)
HAZE = (204, 184, 180)
MOUNTAIN_SHADE, MOUNTAIN_LIGHT = (0.30, 0.36, 0.52), (1.22, 1.1, 0.94)  # factors on the colour of the ground
PLASTER, OCHRE, ROSE, STONE = (244, 226, 190), (234, 190, 116), (228, 158, 126), (242, 220, 180)
TILE, RUST, SLATE, TIMBER = (184, 72, 42), (150, 56, 40), (78, 86, 112), (46, 36, 34)
WINDOW, LAMPLIGHT = (46, 42, 54), (255, 210, 112)
LEAF_STOPS = (-1.0, -0.2, 0.45, 1.1)  # how much a leaf faces the sun
LEAF_COLOURS = ((16, 28, 30), (44, 70, 38), (112, 126, 48), (212, 190, 86))
BARK = (128, 96, 66)
TRUNK_Y, TRUNK_LEFT, TRUNK_RIGHT = (0.5, 1.4, 2.4, 3.0), (0.14, 0.07, 0.08, 0.0), (0.2, 0.19, 0.24, 0.36)
DEEP_WATER, GLITTER = (20, 62, 88), (255, 226, 160)

LABELS = {"sky": (0, 0, 255), "land": (0, 255, 0), "water": (255, 0, 0)}

# From the coldest to the hottest: ink, petrol, teal, sea foam, cream, amber, vermilion, wine.
WARMTH_STOPS = (0.0, 0.16, 0.32, 0.45, 0.55, 0.68, 0.84, 1.0)
WARMTH_COLOURS = (
    *((28, 30, 82), (14, 62, 104), (12, 122, 132), (128, 190, 172)),
    *((248, 230, 188), (246, 172, 62), (226, 82, 42), (116, 18, 52)),
)
VORTICES = np.array(  # x, y, reach, spin (positive: clockwise) and heat
    (
        (2.75, 1.15, 0.95, 1.0, 1.0),
        (0.85, 2.15, 0.75, -1.0, 0.85),
        (0.60, 0.60, 0.60, 1.0, -0.25),
        (3.80, 2.50, 0.60, -1.0, 0.6),
        (1.75, 3.10, 0.50, 0.8, -0.3),
    )
)
BRISTLE = 0.014  # distance between neighbouring bristles of a brush
BRUSHES = ((500, 0.22, 1.1), (1300, 0.12, 0.8), (2400, 0.065, 0.5))  # strokes, their width and length


class Board:
    """Pillow's drawing tools in the coordinates of the board."""

    def __init__(self, image: Image.Image) -> None:
        self._tools = ImageDraw.Draw(image)
        self._scale = np.array((image.width / BOARD_WIDTH, image.height / BOARD_HEIGHT))

    def polygon(self, points: Iterable[Sequence[float]], colour: Sequence[float]) -> None:
        flat = (np.asarray(points) * self._scale).ravel().tolist()
        self._tools.polygon(flat, fill=tuple(_channels(colour)))

    def line(self, points: Iterable[Sequence[float]], colour: Sequence[float], width: float) -> None:
        self.lines(np.asarray([points]), np.asarray([colour]), width)

    def lines(self, paths: np.ndarray, colours: np.ndarray, width: float) -> None:
        """Draw paths, shape (lines, points, 2), in order, each in its colour, shape (lines, channels)."""
        pixels = max(1, round(width * self._scale[0]))
        flat = (paths * self._scale).reshape(len(paths), -1)
        for path, colour in zip(flat.tolist(), _channels(colours)):
            self._tools.line(path, fill=tuple(colour), width=pixels)

    def ellipses(self, centres: np.ndarray, radii: np.ndarray, colours: np.ndarray) -> None:
        """Draw ellipses; centres and radii have shape (ellipses, 2), the colours (ellipses, channels)."""
        centres, radii = np.asarray(centres), np.asarray(radii)
        corners = np.concatenate([centres - radii, centres + radii], axis=1) * np.tile(self._scale, 2)
        for box, colour in zip(corners.tolist(), _channels(colours)):
            self._tools.ellipse(box, fill=tuple(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Sequence[float]) -> None:
        self.polygon(((left, top), (right, top), (right, bottom), (left, bottom)), colour)


def draw_pair(side: int, drawn: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return content and style, (side, side, 3) float64, drawn on `drawn` x `drawn` pixels and resized."""
    content, style = (
        images.resize(draw(drawn, drawn, seed).astype(np.float64), side, side) for draw in (draw_content, draw_style)
    )
    return content, style


def draw_content(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Return a village by a mountain lake in the late afternoon, (height, width, 3) uint8, RGB in sRGB.

    Both sides have 16 pixels or more.  `seed` chooses clouds, mountains, leaves and ripples; the composition stays.
    """
    rng = np.random.default_rng(seed)
    scenery = _mountains(_sky(_canvas_size(height, width), rng), rng)
    land = _image(scenery)
    _village(Board(land), rng)
    picture = _image(_lake(_weathered(np.asarray(land), scenery, rng), rng))
    _boat(Board(picture))
    _near_bank(Board(picture), rng)
    _near_tree(Board(picture), rng)
    return _finished(picture, height, width, rng, grain=2.5)


def draw_labels(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Return which part of `draw_content` is sky, land or water, (height, width, 3) uint8, each in its label's colour.

    What stands in front, the boat and the near tree, counts as what is behind it.
    """
    rng = np.random.default_rng(seed)
    sky = _sky(_canvas_size(height, width), rng)
    ground = (_mountains(sky, rng) != sky).any(axis=2)
    shore = round(SHORE / BOARD_HEIGHT * len(sky))
    labels = np.where(ground[..., np.newaxis], LABELS["land"], LABELS["sky"])
    labels[shore:] = LABELS["water"]
    return labels[::OVERSAMPLING, ::OVERSAMPLING].astype(np.uint8)


def draw_style(height: int = 384, width: int = 512, seed: int = 0) -> np.ndarray:
    """Return brush strokes along the stream lines of some hot and cold vortices, (height, width, 3) uint8, RGB in sRGB.

    Both sides have 16 pixels or more.  `seed` chooses the strokes and shifts the vortices a little.
    """
    rng = np.random.default_rng(seed)
    canvas = _canvas_size(height, width)
    vortices = VORTICES + rng.normal(0, 0.05, VORTICES.shape) * (1, 1, 1, 0, 0)
    ground = 0.6 * _warmth_colour(np.stack(_coordinates(canvas), axis=-1), vortices)
    # The fourth channel is not transparency but the thickness of the paint, by which `_lit_from_above` shades it.
    paint = _image(np.concatenate([ground, np.zeros((*canvas, 1))], axis=-1))
    for count, stroke_width, length in BRUSHES:
        _strokes(Board(paint), rng, vortices, count, stroke_width, length)
    return _finished(_lit_from_above(paint), height, width, rng, grain=1.0)


# Used by both


def _canvas_size(height, width):
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(f"a sample needs at least {SMALLEST_SIDE} pixels a side, not {height} x {width}")
    return OVERSAMPLING * height, OVERSAMPLING * width


def _coordinates(canvas):
    y, x = np.mgrid[: canvas[0], : canvas[1]]
    return (x + 0.5) * BOARD_WIDTH / canvas[1], (y + 0.5) * BOARD_HEIGHT / canvas[0]


def _channels(colours):
    return np.clip(colours, 0, 255).astype(int).tolist()


def _image(pixels):
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _finished(image, height, width, rng, grain):
    small = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), dtype=float)
    small += grain * rng.standard_normal((height, width, 1))
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _noise(rng, shape, rows, columns, octaves=6, roughness=0.55):
    """Smooth noise of standard deviation 1: a random grid of `rows` x `columns`, and each octave half as coarse."""
    total = np.zeros(shape)
    for octave in range(octaves):
        bumps = rng.standard_normal((rows * 2**octave, columns * 2**octave)).astype(np.float32)
        smooth = Image.fromarray(bumps).resize(shape[::-1], Image.Resampling.BICUBIC)
        total += roughness**octave * np.asarray(smooth)
    return total / total.std()


def _gradient(position, stops, colours):
    return np.stack([np.interp(position, stops, channel) for channel in np.transpose(colours)], axis=-1)


def _mix(first, second, share):
    share = np.clip(share, 0, 1)[..., None]
    return (1 - share) * first + share * np.array(second)


# The village by the lake


def _sky(canvas, rng):
    x, y = _coordinates(canvas)
    sky = _gradient(y, SKY_STOPS, SKY_COLOURS)
    from_sun = np.hypot(x - SUN[0], y - SUN[1])
    aside, below = max(1, canvas[1] // 50), max(1, canvas[0] // 50)
    billows = _noise(rng, (canvas[0] + below, canvas[1] + aside), 8, 5, roughness=0.5)
    density = billows[:-below, :-aside]
    facing_sun = 0.5 + 0.9 * (density - billows[below:, aside:])
    clouds = _mix(CLOUD_SHADE, CLOUD_LIGHT, facing_sun)
    sky = _mix(sky, clouds, 0.95 * np.clip(1.6 * (density + 0.1 - 0.9 * np.abs(y - 0.55)), 0, 1))
    sky = _mix(sky, (255, 226, 164), 0.9 * np.exp(-2.4 * from_sun))
    return _mix(sky, (255, 250, 226), (0.11 - from_sun) / 0.02)


def _mountains(sky, rng, slices=600):
    canvas = sky.shape[:2]
    depth = np.linspace(0, 1, slices)[:, None]
    x = np.linspace(0, BOARD_WIDTH, canvas[1])
    ridges = 1 - np.abs(_noise(rng, (slices, canvas[1]), 5, 3, octaves=7, roughness=0.5))
    hills = 0.11 + 0.12 * depth + (0.06 + 0.05 * _noise(rng, (slices, canvas[1]), 2, 3)) * np.sqrt(depth)
    from_peak = x - 2.05 + 0.1 * _noise(rng, (slices, canvas[1]), 8, 4, octaves=4)
    gap = np.exp(-((x - SUN[0]) ** 2) / 0.25)  # a saddle, so that the sun stands above the mountains
    crest = 0.5 + 0.65 * np.exp(-np.hypot(from_peak, 0.08) / 0.55) - 0.3 * gap
    altitude = hills + np.clip((depth - 0.45) / 0.4, 0, 1) ** 1.3 * crest * (0.75 + 0.32 * ridges)
    to_right = np.gradient(altitude, axis=1) * canvas[1] / BOARD_WIDTH
    away = np.gradient(altitude, axis=0) * slices / BOARD_WIDTH  # the land is as deep as it is wide
    light = (0.6 - 1.0 * to_right - 0.1 * away) / np.sqrt(1 + to_right**2 + away**2)
    colour = _ground_colour(altitude, rng) * _mix(MOUNTAIN_SHADE, MOUNTAIN_LIGHT, light)
    return _seen_from_the_lake(_mix(colour, HAZE, 0.5 * depth), altitude, sky)


def _ground_colour(altitude, rng):
    texture = _noise(rng, altitude.shape, 40, 60, octaves=3, roughness=0.8)
    patches = _noise(rng, altitude.shape, 8, 6, octaves=4)
    grown = _mix(WOODS, MEADOW, patches - 0.2) * (1 + 0.2 * texture[..., None])
    land = _mix(grown, ROCK, (altitude - 0.5 + 0.04 * texture) / 0.12)
    return _mix(land, SNOW, (altitude - 0.78 + 0.06 * texture) / 0.08)


def _seen_from_the_lake(colour, altitude, sky):
    """Draw the terrain (slices from near to far, columns) over the sky: at each pixel the nearest that is visible."""
    picture = sky.copy()
    skyline = np.maximum.accumulate(altitude, axis=0)
    rows = np.arange(int(SHORE / BOARD_HEIGHT * len(sky)) + 1)
    needed = SHORE - (rows + 0.5) * BOARD_HEIGHT / len(sky)
    for column in range(sky.shape[1]):
        nearest = np.searchsorted(skyline[:, column], needed)
        hit = nearest < len(skyline)
        picture[rows[hit], column] = colour[nearest[hit], column]
    return picture


def _village(board, rng):
    for x in np.linspace(0.05, 3.95, 50):
        if not 0.8 < x < 2.7 or rng.random() < 0.5:
            _tree(board, rng, x + rng.normal(0, 0.05), rng.uniform(0.1, 0.25), rng.uniform(0.6, 1.1))
    _house(board, rng, 0.55, SHORE - 0.12, 0.42, 0.34, ROSE, SLATE)
    _house(board, rng, 2.08, SHORE - 0.14, 0.40, 0.36, PLASTER, RUST)
    _church(board, rng, 1.22, SHORE - 0.04)
    _house(board, rng, 0.80, SHORE - 0.02, 0.46, 0.38, PLASTER, TILE)
    _house(board, rng, 1.93, SHORE - 0.02, 0.44, 0.34, OCHRE, TILE)
    _house(board, rng, 2.44, SHORE - 0.01, 0.40, 0.31, ROSE, SLATE)
    for x, size in ((0.66, 0.28), (1.36, 0.15), (1.87, 0.28), (2.40, 0.2), (2.98, 0.32)):
        _tree(board, rng, x, size, rng.uniform(0.5, 0.9))
    board.box(0, SHORE - 0.03, BOARD_WIDTH, SHORE + 0.1, (150, 134, 106))
    board.box(0, SHORE - 0.012, BOARD_WIDTH, SHORE + 0.1, (58, 54, 46))


def _house(board, rng, left, base, width, height, wall, roof):
    wall, roof = np.array(wall), np.array(roof)
    corner, right, ridge, overhang = left + 0.58 * width, left + width, left + 0.79 * width, 0.05 * width
    eaves, top = base - 0.55 * height, base - height
    board.box(left, eaves, corner, base, 0.55 * wall)
    board.polygon(((corner, base), (right, base), (right, eaves), (ridge, top), (corner, eaves)), wall)
    board.box(left + 0.25 * width, top - 0.14 * height, left + 0.34 * width, eaves, 0.6 * roof)
    lower_edge = (left - overhang, eaves + 0.02), (corner - 0.01, eaves + 0.02)
    board.polygon((*lower_edge, (ridge, top), (left + 0.2 * width, top)), 0.9 * roof)
    board.line(((corner, eaves + 0.02), (ridge, top), (right + overhang, eaves + 0.03)), 1.25 * roof, 0.022)
    for share in (0.1, 0.28, 0.46):
        x, glass = left + share * width, LAMPLIGHT if rng.random() < 0.4 else WINDOW
        board.box(x - 0.02, eaves + 0.2 * height, x + 0.025, eaves + 0.4 * height, glass)
    for x in (corner + 0.13 * width, right - 0.13 * width):
        board.box(x - 0.02, eaves + 0.14 * height, x + 0.02, eaves + 0.36 * height, WINDOW)


def _church(board, rng, left, base):
    _house(board, rng, left + 0.12, base, 0.62, 0.52, STONE, RUST)
    corner, right, eaves, tip = left + 0.12, left + 0.3, base - 0.74, (left + 0.15, base - 1.36)
    board.box(left, eaves, corner, base, 0.55 * np.array(STONE))
    board.box(corner, eaves, right, base, STONE)
    board.polygon(((left - 0.02, eaves), (corner, eaves), tip), 0.6 * np.array(SLATE))
    board.polygon(((corner, eaves), (right + 0.02, eaves), tip), 1.3 * np.array(SLATE))
    board.line((tip, (tip[0], tip[1] - 0.1)), TIMBER, 0.012)
    board.line(((tip[0] - 0.03, tip[1] - 0.065), (tip[0] + 0.03, tip[1] - 0.065)), TIMBER, 0.012)
    for x in (left + 0.06, left + 0.21):
        board.box(x - 0.025, eaves + 0.1, x + 0.025, eaves + 0.24, WINDOW)
        board.ellipses([(x, eaves + 0.1)], [(0.025, 0.03)], [WINDOW])
    dial = (left + 0.21, eaves + 0.36)
    board.ellipses([dial, dial], [(0.05, 0.05), (0.038, 0.038)], [TIMBER, PLASTER])


def _tree(board, rng, x, size, slender):
    board.line(((x, SHORE), (x, SHORE - size)), TIMBER, 0.1 * size)
    _foliage(board, rng, (x, SHORE - 0.95 * size), (0.62 * size * slender, 0.75 * size), 500, 0.05 * size)


def _foliage(board, rng, centre, radii, leaves, leaf_size, brightness=1.0):
    """A crown of round lobes, each of them and the whole crown lit from the upper right."""
    lobes = rng.normal(0, 0.42, (max(5, leaves // 60), 2))
    lobe = lobes[rng.integers(0, len(lobes), leaves)]
    turn, radius = rng.uniform(0, 2 * np.pi, leaves), 0.42 * np.sqrt(rng.random(leaves))
    within = radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    facing_sun = within @ (1.5, -1.9) + lobe @ (0.35, -0.7) + rng.normal(0, 0.25, leaves)
    colours = brightness * _gradient(facing_sun, LEAF_STOPS, LEAF_COLOURS) * rng.uniform(0.86, 1.04, 3)
    places = np.array(centre) + (lobe + within) * radii
    sizes = leaf_size * rng.uniform(0.6, 1.4, (leaves, 1)) * (1.3, 0.8)
    order = np.argsort(facing_sun)  # leaves in the sun are drawn over those in the shade
    board.ellipses(places[order], sizes[order], colours[order])


def _weathered(land, scenery, rng):
    stains = 1 + 0.07 * _noise(rng, land.shape[:2], 60, 80, octaves=3, roughness=0.9)
    built = np.any(np.abs(land - scenery) > 1, axis=-1)
    return land * np.where(built, stains, 1)[..., None]


def _lake(land, rng):
    canvas = land.shape[:2]
    shore = round(SHORE / BOARD_HEIGHT * canvas[0])
    rows = np.arange(canvas[0] - shore)
    mirrored = land.copy()
    mirrored[shore:] = land[np.maximum(shore - 1 - (1.2 * rows).astype(int), 0)]
    mirrored = _image(mirrored)
    _boat(Board(mirrored), upright=-1)

    # Perspective: rows of the swell lie close together at the far shore and further apart at the near one.
    nearness = rows[:, None] / len(rows)
    swell = _noise(rng, canvas, 60, 9, octaves=4, roughness=0.6)
    waves = swell[((canvas[0] - 1) * (1 - 0.12 / (0.12 + nearness[:, 0]))).astype(int)]
    throw = canvas[0] * (0.002 + 0.016 * nearness) * waves
    source_row = np.clip(shore + rows[:, None] + throw, shore, canvas[0] - 1).astype(int)
    source_column = np.clip(np.arange(canvas[1]) + 0.35 * throw, 0, canvas[1] - 1).astype(int)
    water = 0.92 * np.asarray(mirrored)[source_row, source_column]
    water = _mix(water, DEEP_WATER, 0.1 + 0.5 * nearness + 0.12 * waves) * (1 + 0.1 * waves[..., None])
    from_sun = (np.linspace(0, BOARD_WIDTH, canvas[1]) - SUN[0]) / (0.14 + 0.3 * nearness)
    picture = land.copy()
    picture[shore:] = _mix(water, GLITTER, np.exp(-(from_sun**2)) * np.clip(1.3 * waves - 0.4, 0, 1))
    return picture


def _boat(board, upright=1):
    def part(outline, colour):
        board.polygon([(2.68 + across, 2.42 - upright * up) for across, up in outline], colour)

    part(((-0.42, 0.13), (0.42, 0.16), (0.28, -0.02), (-0.3, -0.02)), (70, 30, 32))
    part(((-0.42, 0.13), (0.42, 0.16), (0.40, 0.11), (-0.41, 0.09)), (236, 130, 62))
    part(((-0.012, 0.1), (0.012, 0.1), (0.012, 1.0), (-0.012, 1.0)), TIMBER)
    part(((0.03, 0.2), (0.46, 0.24), (0.22, 0.62), (0.03, 0.97)), (252, 242, 218))
    part(((0.03, 0.2), (0.46, 0.24), (0.38, 0.37), (0.03, 0.34)), (220, 82, 44))
    part(((-0.03, 0.2), (-0.38, 0.2), (-0.03, 0.88)), (208, 182, 160))


def _near_bank(board, rng):
    def edge(x):
        return 2.62 + 0.1 * x**2 + 0.02 * np.sin(9 * x)

    x = np.linspace(0, 2, 60)
    board.polygon([*zip(x, edge(x)), (0, BOARD_HEIGHT + 0.1)], (30, 36, 30))
    blades = 1100
    lean, tall = rng.normal(0.04, 0.05, blades), rng.uniform(0.08, 0.26, blades)
    root = 2 * rng.random(blades) ** 1.2
    foot = edge(root) + 0.4 * rng.random(blades)
    paths = np.stack([root, foot, root + 0.3 * lean, foot - 0.6 * tall, root + lean, foot - tall], axis=-1)
    shades = _gradient(rng.uniform(-0.9, 1.0, blades), LEAF_STOPS, LEAF_COLOURS)
    board.lines(paths.reshape(blades, 3, 2), shades, 0.012)


def _near_tree(board, rng):
    board.polygon([*zip(TRUNK_LEFT, TRUNK_Y), *zip(TRUNK_RIGHT[::-1], TRUNK_Y[::-1])], TIMBER)
    fibres = 90
    y = rng.uniform(0.6, 2.3, (fibres, 1)) + np.linspace(0, 0.7, 5)
    left, right = np.interp(y, TRUNK_Y, TRUNK_LEFT), np.interp(y, TRUNK_Y, TRUNK_RIGHT)
    across = rng.random((fibres, 1))
    tone = rng.uniform(0.4, 1.1, (fibres, 1)) * (0.35 + 0.65 * across)
    board.lines(np.stack([left + across * (right - left), y], axis=-1), tone * BARK, 0.014)
    for tip in ((0.75, 0.75), (0.6, 0.3), (-0.2, 0.6)):
        board.line(((0.16, 1.3), tip), TIMBER, 0.04)
    for centre in ((0.15, 0.35), (0.55, 0.15), (0.1, 0.95), (0.62, 0.62)):
        _foliage(board, rng, centre, (0.4, 0.32), 2400, 0.014, brightness=0.75)


# The brush strokes


def _flow(points, vortices):
    """Unit vectors of the flow: the vortices added to a drift to the right that rises and falls."""
    reach, spin = vortices[:, 2:3], vortices[:, 3:4]
    away = (points[..., None, :] - vortices[:, :2]) / reach
    strength = spin * np.exp(-np.sum(away**2, axis=-1, keepdims=True))
    inwards = -0.12 * np.abs(strength) * away  # turns the circles into spirals
    flow = np.sum(strength * away[..., ::-1] * (-1, 1) + inwards, axis=-2)
    flow += np.stack([np.full(points.shape[:-1], 0.35), 0.18 * np.cos(1.7 * points[..., 0])], axis=-1)
    return flow / (np.linalg.norm(flow, axis=-1, keepdims=True) + 1e-9)


def _warmth_colour(points, vortices, deviation=0.0):
    away = (points[..., None, :] - vortices[:, :2]) / vortices[:, 2:3]
    heat = np.exp(-0.8 * np.sum(away**2, axis=-1)) @ vortices[:, 4]
    bands = 0.08 * np.sin(points @ (3.0, 4.0))
    return _gradient(0.14 + 0.78 * heat + bands + deviation, WARMTH_STOPS, WARMTH_COLOURS)


def _strokes(board, rng, vortices, count, width, length):
    start = rng.uniform((-0.4, -0.4), (BOARD_WIDTH + 0.4, BOARD_HEIGHT + 0.4), (count, 2))
    bristles = round(width / BRISTLE)
    offsets = np.linspace(-0.5, 0.5, bristles)
    lines = _bristle_lines(rng, start, vortices, width * offsets, length)
    middle = lines[:, bristles // 2, lines.shape[2] // 2]
    # Most strokes have the colour of their place, a few a warmer or colder one.
    astray = rng.choice((-0.3, 0.0, 0.3), count, p=(0.012, 0.976, 0.012))
    colours = _warmth_colour(middle, vortices, astray + rng.normal(0, 0.05, count))
    tones = rng.normal(1, 0.1, (count, bristles)) + rng.normal(0, 0.06, (count, 1))
    thickness = 150 + 300 * (tones - 1) - 60 * np.abs(offsets)
    paint = np.concatenate([tones[..., None] * colours[:, None], thickness[..., None]], axis=-1)
    board.lines(lines.reshape(-1, *lines.shape[2:]), paint.reshape(-1, 4), 1.4 * BRISTLE)


def _bristle_lines(rng, start, vortices, offsets, length, steps=14):
    """Points, shape (strokes, bristles, steps, 2), of parallel lines along the flow."""
    points = [start]
    for _ in range(steps):
        midway = points[-1] + 0.5 * length / steps * _flow(points[-1], vortices)
        points.append(points[-1] + length / steps * _flow(midway, vortices))
    path = np.stack(points, axis=1)
    normal = _flow(path, vortices)[..., ::-1] * (-1, 1)
    rails = path[:, None] + offsets[:, None, None] * normal[:, None]
    # A round brush: the outer bristles begin later and end earlier than the middle ones.
    outward = (offsets / np.ptp(offsets)) ** 2
    ragged = rng.random((2, len(start), len(offsets)))
    first, last = 0.8 * outward + 0.1 * ragged[0], 1 - 1.2 * outward - 0.2 * ragged[1]
    moment = steps * (first[..., None] + (last - first)[..., None] * np.linspace(0, 1, steps))
    before, share = moment.astype(int), moment[..., None] % 1
    stroke, bristle = np.ogrid[: len(start), : len(offsets)]
    here = rails[stroke[..., None], bristle[..., None], before]
    return (1 - share) * here + share * rails[stroke[..., None], bristle[..., None], before + 1]


def _lit_from_above(paint):
    pixels = np.asarray(paint, dtype=float)
    slope = np.gradient(pixels[..., 3], axis=0) + np.gradient(pixels[..., 3], axis=1)
    return _image(pixels[..., :3] * (1 + np.clip(0.006 * slope, -0.3, 0.4))[..., None])
