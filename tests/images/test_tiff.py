"""TIFF files of every layout, made by hand, against the pixels that were put into them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from PIL import Image
from tiff_files import make_tiff

from scratchnst import images
from scratchnst.errors import UserError

GREY, GREY_INVERTED, RGB, PALETTE, CMYK = 1, 0, 2, 3, 5
COLOURS = {GREY: 1, GREY_INVERTED: 1, RGB: 3, CMYK: 4}
UNUSED, PREMULTIPLIED, STRAIGHT = 0, 1, 2
SHORT, LONG = 3, 4
REDUCED = (254, LONG, (1,))


def values(channels, dtype="u1", height=11, width=14, seed=0):
    numbers = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return (numbers * (257 if dtype == "u2" else 1)).astype(dtype)


def load(tmp_path, data):
    (tmp_path / "a.tif").write_bytes(data)
    return images.load(tmp_path / "a.tif")


def refusal(tmp_path, data):
    with pytest.raises(UserError) as caught:
        load(tmp_path, data)
    sentence = str(caught.value)
    assert sentence.startswith(str(tmp_path / "a.tif"))
    assert sentence.endswith(".")
    assert ": " in sentence
    assert "damaged" not in sentence
    return sentence


def expected(samples, photometric, extra):
    """What a viewer shows, over white."""
    numbers = samples.astype(float) / np.iinfo(samples.dtype).max
    count = COLOURS[photometric]
    colour = numbers[..., :count]
    if photometric == GREY_INVERTED:
        colour = 1 - colour
    if photometric == CMYK:
        colour = (1 - colour[..., :3]) * (1 - colour[..., 3:])
    if extra and extra[0] != UNUSED:
        alpha = numbers[..., count : count + 1]
        colour = colour + 1 - alpha if extra[0] == PREMULTIPLIED else 1 + (colour - 1) * alpha
    return 255 * np.broadcast_to(colour, (*colour.shape[:2], 3))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("photometric", [GREY, GREY_INVERTED, RGB, CMYK])
@pytest.mark.parametrize("extra", [(), (UNUSED,), (PREMULTIPLIED,), (STRAIGHT,)])
def test_layouts(tmp_path, dtype, photometric, extra):
    """In planes and not, in strips of all sizes, either byte order, with and without compression and predictor."""
    samples = values(COLOURS[photometric] + len(extra), dtype)
    if extra == (PREMULTIPLIED,):
        samples[..., :-1] = np.minimum(samples[..., :-1], samples[..., -1:])
    wanted = expected(samples, photometric, extra)
    compressions = [("none", 1), ("packbits", 1), ("lzw", 1), ("lzw", 2), ("deflate", 2)]
    for (compression, predictor), order, planar, rows in product(compressions, "<>", (1, 2), (None, 4)):
        settings = {"order": order, "planar": planar, "rows_per_strip": rows}
        data = make_tiff(samples, photometric, extra=extra, compression=compression, predictor=predictor, **settings)
        if (photometric == CMYK and extra in [(PREMULTIPLIED,), (STRAIGHT,)]) or (
            (photometric, extra) == (GREY_INVERTED, (PREMULTIPLIED,))
        ):
            assert "is a TIFF of a kind that is not read" in refusal(tmp_path, data)
        else:
            assert np.abs(load(tmp_path, data) - wanted).max() <= (3 if extra == (PREMULTIPLIED,) else 1.01), settings


def test_tiles_in_planes(tmp_path):
    """Tiles of 16x16, those at the right and below padded."""
    samples = values(3, "u2", 20, 40)
    padded = np.pad(samples, ((0, 12), (0, 8), (0, 0)))
    tiles = [
        padded[top : top + 16, left : left + 16, channel].tobytes()
        for channel, top, left in product(range(3), (0, 16), (0, 16, 32))
    ]
    strips = (273, SHORT, ()), (278, SHORT, ()), (279, SHORT, ())
    tags = [(322, SHORT, (16,)), (323, SHORT, (16,)), (325, LONG, (512,) * len(tiles)), *strips]
    first = make_tiff(samples, RGB, planar=2, tags=[*tags, (324, LONG, (0,) * len(tiles))], pieces=tiles)
    assert np.abs(load(tmp_path, first) - samples / 257).max() <= 1


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("planar", [1, 2])
def test_grey_of_few_bits(tmp_path, bits, planar):
    samples = values(1) >> (8 - bits)
    data = make_tiff(samples, GREY, bits=bits, planar=planar)
    assert np.abs(load(tmp_path, data) - samples * 255.0 / (2**bits - 1)).max() <= 1


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("scale", [1, 257])
def test_colour_tables_of_8_and_16_bits(tmp_path, bits, scale):
    table = np.random.default_rng(1).integers(1, 256, (2**bits, 3))
    samples = values(1) >> (8 - bits)
    tags = [(320, SHORT, tuple((table.T * scale).ravel().tolist()))]
    data = make_tiff(samples, PALETTE, bits=bits, tags=tags)
    np.testing.assert_array_equal(load(tmp_path, data), table[samples[..., 0]])


@pytest.mark.parametrize("extra", [(), (STRAIGHT,)])
def test_a_fourth_channel_of_zeros_is_no_transparency(tmp_path, extra):
    samples = values(4)
    samples[..., 3] = 0
    np.testing.assert_array_equal(load(tmp_path, make_tiff(samples, RGB, extra=extra)), samples[..., :3])


@pytest.mark.parametrize(
    ("samples", "photometric", "said"),
    [
        (values(3).astype("f4"), RGB, "RGB, 3 channels of 32-bit floating-point numbers"),
        (values(3).astype("u4"), RGB, "RGB, 3 channels of 32-bit whole numbers"),
        (values(5), CMYK, "CMYK, 5 channels of 8-bit whole numbers"),
        (values(3).astype("i2"), RGB, "RGB, 3 channels of 16-bit whole numbers with a sign"),
        (values(1).astype("i1"), GREY, "grey, 1 channel of 8-bit whole numbers with a sign"),
        (values(1).astype("i2"), GREY, "grey, 1 channel of 16-bit whole numbers with a sign"),
        (values(2), 77, "colours of an unknown kind, 2 channels"),
    ],
)
def test_other_layouts_are_named(tmp_path, samples, photometric, said):
    assert said in refusal(tmp_path, make_tiff(samples, photometric))


@pytest.mark.parametrize(
    ("number", "said"), [(34712, "JPEG 2000"), (52546, "JPEG XL"), (34887, "LERC"), (999, "method 999")]
)
def test_other_compressions_are_named(tmp_path, number, said):
    data = make_tiff(values(3), tags=[(259, 3, (number,))])
    assert f"is a TIFF compressed by {said}, which is not read: " in refusal(tmp_path, data)


def test_nothing_else_is_printed(tmp_path, capfd):
    """Libtiff tells of errors, and of each strip, on standard error."""
    whole = make_tiff(values(3, height=64), compression="lzw")
    assert "cannot be read as a picture" in refusal(tmp_path, whole.replace(b"\x80", b"\xff", 30))
    assert capfd.readouterr() == ("", "")


def page(samples, *tags, **settings):
    return samples, RGB, {"tags": tags, **settings}


class TestPages:
    small, large = values(3, height=4, width=5), values(3, height=16, width=20, seed=1)

    def test_the_first_of_full_resolution(self, tmp_path):
        data = make_tiff(self.small, tags=[REDUCED], more=[page(self.large)])
        np.testing.assert_array_equal(load(tmp_path, data), self.large)
        assert images.size(tmp_path / "a.tif") == (16, 20)

    def test_one_of_full_resolution_that_pillow_does_not_read(self, tmp_path):
        deep = values(3, "u2", 16, 20)
        data = make_tiff(self.small, tags=[REDUCED], more=[page(deep, planar=2)])
        assert np.abs(load(tmp_path, data) - deep / 257).max() <= 1

    def test_the_first_if_all_are_whole(self, tmp_path):
        np.testing.assert_array_equal(load(tmp_path, make_tiff(self.small, more=[page(self.large)])), self.small)

    def test_a_mask_is_no_picture(self, tmp_path):
        data = make_tiff(self.small, tags=[(254, LONG, (4,))], more=[page(self.large)])
        np.testing.assert_array_equal(load(tmp_path, data), self.large)

    def test_the_old_mark_of_a_preview(self, tmp_path):
        data = make_tiff(self.small, tags=[(255, SHORT, (2,))], more=[page(self.large)])
        np.testing.assert_array_equal(load(tmp_path, data), self.large)

    def test_a_preview_alone_is_the_picture(self, tmp_path):
        np.testing.assert_array_equal(load(tmp_path, make_tiff(self.small, tags=[REDUCED])), self.small)

    @pytest.mark.parametrize("tags", [[], [REDUCED]])
    def test_the_picture_lies_below_its_preview(self, tmp_path, tags):
        data = make_tiff(self.small, tags=tags, more=[page(self.large, sub=True)])
        assert "holds a preview of 5x4 pixels, and the picture itself where" in refusal(tmp_path, data)

    def test_previews_below_the_picture(self, tmp_path):
        data = make_tiff(self.large, more=[page(self.small, REDUCED, sub=True)])
        np.testing.assert_array_equal(load(tmp_path, data), self.large)

    @pytest.mark.parametrize("tags", [[(50706, 1, (1, 4, 0, 0))], [REDUCED, (50706, 1, (1, 4, 0, 0))]])
    def test_camera_raw(self, tmp_path, tags):
        assert "is a camera raw file: develop it" in refusal(tmp_path, make_tiff(self.small, tags=tags))

    def test_data_of_a_sensor(self, tmp_path):
        sensor = values(1, "u2", 16, 20), 32803, {"sub": True}
        data = make_tiff(self.small, tags=[REDUCED], more=[sensor])
        assert "is a camera raw file: develop it" in refusal(tmp_path, data)

    def test_pages_in_a_circle(self, tmp_path):
        data = bytearray(make_tiff(self.small))
        start = int.from_bytes(data[4:8], "little")
        count = int.from_bytes(data[start : start + 2], "little")
        data[start + 2 + 12 * count : start + 6 + 12 * count] = data[4:8]
        np.testing.assert_array_equal(load(tmp_path, bytes(data)), self.small)


def test_orientation_and_profile_of_a_layout_that_we_read(tmp_path):
    samples = values(3, "u2")
    upright = load(tmp_path, make_tiff(samples, planar=2))
    turned = load(tmp_path, make_tiff(samples, planar=2, tags=[(274, SHORT, (6,))]))
    np.testing.assert_array_equal(turned, np.rot90(upright, -1))
    assert images.size(tmp_path / "a.tif") == turned.shape[:2]


def test_damaged_anywhere(tmp_path):
    """A file with changed bytes is read, or refused with a UserError."""
    data = make_tiff(values(2, "u2"), GREY, extra=(STRAIGHT,), compression="lzw", predictor=2, rows_per_strip=4)
    random = np.random.default_rng(0)
    for count in np.repeat([1, 3, 10], 40):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[random.integers(0, len(data), count)] = random.integers(0, 256, count)
        (tmp_path / "a.tif").write_bytes(damaged.tobytes())
        try:
            loaded = images.load(tmp_path / "a.tif")
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert 0 <= loaded.min() <= loaded.max() <= 255


def test_a_layout_that_we_read_may_not_be_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 70)
    assert "too large" in refusal(tmp_path, make_tiff(values(3, "u2"), planar=2))
