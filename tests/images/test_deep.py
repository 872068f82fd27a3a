"""16 bits a channel: read in full, and written as another program reads them."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from io import BytesIO

import numpy as np
import pytest
from icc_files import (
    SRGB_BLUE,
    SRGB_GREEN,
    SRGB_RED,
    make_profile,
    only_black_counts_profile,
    rgb_profile,
    table_profile,
)
from PIL import Image, ImageCms
from tiff_files import make_tiff

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.images import deep, profiles
from scratchnst.images.finish import Finish

WHITE = 65535


def values(channels=3, height=21, width=19, seed=0):
    return np.random.default_rng(seed).integers(0, WHITE + 1, (height, width, channels), dtype=np.uint16)


def make_png(values, *chunks, packed=None):
    """A PNG without filters."""
    height, width, channels = values.shape
    rows = np.pad(values.astype(">u2").view(np.uint8).reshape(height, -1), ((0, 0), (1, 0)))
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    pixels = zlib.compress(rows.tobytes()) if packed is None else packed
    parts = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return deep.PNG + b"".join(deep.chunk(*part) for part in parts)


def icc(profile):
    return b"iCCP", b"name\0\0" + zlib.compress(profile)


def load(tmp_path, data, *arguments):
    (tmp_path / "a").write_bytes(data)
    return images.load(tmp_path / "a", *arguments)


class TestReading:
    @pytest.mark.parametrize("order", "<>")
    @pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits"])
    @pytest.mark.parametrize("planar", [1, 2])
    def test_rgb_tiff(self, tmp_path, order, compression, planar):
        stored = values()
        loaded = load(tmp_path, make_tiff(stored, order=order, compression=compression, planar=planar))
        np.testing.assert_allclose(loaded, stored / 257, atol=1e-4)

    def test_rgb_tiff_of_differences(self, tmp_path):
        stored = values()
        np.testing.assert_allclose(load(tmp_path, make_tiff(stored, predictor=2)), stored / 257, atol=1e-4)

    @pytest.mark.parametrize("extra", [1, 2])
    def test_transparent_tiff(self, tmp_path, extra):
        stored = values(4)
        alpha = stored[..., 3:] / WHITE
        if extra == 1:  # multiplied
            stored[..., :3] = np.rint(stored[..., :3] * alpha)
        over_white = stored[..., :3] * (1 if extra == 1 else alpha) / 257 + 255 * (1 - alpha)
        np.testing.assert_allclose(load(tmp_path, make_tiff(stored, extra=(extra,))), over_white, atol=1e-3)

    def test_transparent_grey_tiff_where_white_is_zero(self, tmp_path):
        stored = values(2)
        alpha = stored[..., 1:] / WHITE
        loaded = load(tmp_path, make_tiff(stored, 0, extra=(2,)))
        expected = (255 - stored[..., :1] / 257) * alpha + 255 * (1 - alpha)
        np.testing.assert_allclose(loaded, np.repeat(expected, 3, axis=2), atol=1e-3)

    def test_alpha_that_is_zero_everywhere_means_nothing_in_a_tiff(self, tmp_path):
        stored = values(4)
        stored[..., 3] = 0
        np.testing.assert_allclose(load(tmp_path, make_tiff(stored, extra=(2,))), stored[..., :3] / 257, atol=1e-4)

    @pytest.mark.parametrize("channels", [2, 3, 4])
    def test_png(self, tmp_path, channels):
        stored = values(channels)
        colours, alpha = stored / 257, 1.0
        if channels != 3:
            colours, alpha = colours[..., :-1], stored[..., -1:] / WHITE
        expected = np.broadcast_to(colours * alpha + 255 * (1 - alpha), (*stored.shape[:2], 3))
        np.testing.assert_allclose(load(tmp_path, make_png(stored)), expected, atol=1e-3)

    def test_a_transparent_colour_differs_in_16_bits_from_one_like_it(self, tmp_path):
        stored = np.array([[[256, 512, 768], [256, 512, 769]]], np.uint16)
        loaded = load(tmp_path, make_png(stored, (b"tRNS", struct.pack(">3H", 256, 512, 768))))
        np.testing.assert_allclose(loaded, [[[255] * 3, stored[0, 1] / 257]], atol=1e-4)

    @pytest.mark.parametrize("filter", ["sub", "up", "avg", "paeth", "mixed"])
    @pytest.mark.parametrize("channels", [3, 4])
    @pytest.mark.parametrize("interlaced", [False, True])
    @pytest.mark.parametrize("shape", [(21, 19), (1, 1), (3, 2)])
    def test_png_of_another_program(self, tmp_path, filter, channels, interlaced, shape):
        av = pytest.importorskip("av")
        stored = values(channels, *shape)
        if channels == 4:
            stored[..., 3] = WHITE
        options = {"pred": filter, "flags": "+ildct" if interlaced else "0"}
        kind = {3: "rgb48", 4: "rgba64"}[channels]
        frame = av.VideoFrame.from_ndarray(stored, format=f"{kind}le").reformat(format=f"{kind}be")
        codec = av.CodecContext.create("png", "w")
        codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, frame.format.name
        codec.time_base, codec.options = Fraction(1, 25), options
        data = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
        assert data[28] == interlaced
        np.testing.assert_allclose(load(tmp_path, data), stored[..., :3] / 257, atol=1e-4)

    def test_gamma(self, tmp_path):
        stored = values()
        light = (stored / WHITE) ** (1 / 0.7)
        srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        loaded = load(tmp_path, make_png(stored, (b"gAMA", struct.pack(">I", 70000))))
        np.testing.assert_allclose(loaded, 255 * srgb, atol=1e-3)

    def test_profile(self, tmp_path):
        """Of linear light, in which the darkest of 8 bits' levels are far apart in sRGB."""
        stored = np.repeat(np.arange(0, 2000, 10, dtype=np.uint16)[None, :, None], 3, axis=2)
        light = stored / WHITE
        srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        linear = icc(rgb_profile(SRGB_RED, SRGB_GREEN, SRGB_BLUE, 1.0))
        np.testing.assert_allclose(load(tmp_path, make_png(stored, linear)), 255 * srgb, atol=0.05)

    def test_a_profile_of_tables_is_applied_with_8_bits(self, tmp_path):
        stored = values()
        loaded = load(tmp_path, make_png(stored, icc(table_profile())))
        assert np.array_equal(loaded, np.rint(loaded))

    def test_upright(self, tmp_path):
        stored, exif = values(), Image.Exif()
        exif[274] = 6
        turned = make_png(stored, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
        np.testing.assert_allclose(load(tmp_path, turned), np.rot90(stored, -1) / 257, atol=1e-4)
        turned = make_tiff(stored, tags=[(274, 3, (8,))])
        np.testing.assert_allclose(load(tmp_path, turned), np.rot90(stored) / 257, atol=1e-4)

    @pytest.mark.parametrize("write", [make_png, make_tiff])
    def test_shrunk_while_it_is_read(self, tmp_path, write):
        stored = np.linspace(0, WHITE, 80 * 60 * 3).reshape(80, 60, 3).astype(np.uint16)
        small = load(tmp_path, write(stored), (10, 8))
        assert small.shape == (20, 16, 3)
        np.testing.assert_allclose(small, images.resize((stored / 257).astype(np.float32), 20, 16), atol=1e-2)

    def test_what_is_lost(self, tmp_path):
        png = make_png(values())
        for damaged, said in (
            (png[:200], "truncated"),
            (png[:100] + b"\xff" + png[101:], "damaged in its pixels"),
            (make_png(values(), packed=zlib.compress(b"\0" * 50)), "truncated"),
            (make_tiff(values(), tags=[(279, 4, (2000,))]), "cannot be read as a picture"),
        ):
            with pytest.raises(UserError, match=said):
                load(tmp_path, damaged)

    def test_a_bomb(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(UserError, match="too large"):
            load(tmp_path, make_png(values()))


def parametric(kind, *numbers):
    return b"para\0\0\0\0" + struct.pack(f">HH{len(numbers)}i", kind, 0, *(round(number * 65536) for number in numbers))


def with_curve(curve):
    tags = {b"rXYZ": SRGB_GREEN, b"gXYZ": SRGB_RED, b"bXYZ": SRGB_BLUE}
    return make_profile(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


CURVES = {
    "identity": b"curv\0\0\0\0" + struct.pack(">I", 0),
    "exponent": b"curv\0\0\0\0" + struct.pack(">IH", 1, 563),
    "samples": b"curv\0\0\0\0" + struct.pack(">I9H", 9, *(round(WHITE * (k / 8) ** 1.8) for k in range(9))),
    "power": parametric(0, 2.2),
    "from an edge": parametric(1, 2.0, 1.1, -0.1),
    "constant below": parametric(2, 2.0, 0.9, -0.09, 0.19),
    "linear below": parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "shifted": parametric(4, 2.4, 0.9, 0.05, 0.07, 0.04, 0.01, 0.01),
}


class TestMatrixProfile:
    @pytest.mark.parametrize("name", CURVES)
    def test_as_littlecms(self, name):
        data, is_constant_somewhere = with_curve(CURVES[name]), name in ("from an edge", "constant below")
        colours = np.random.default_rng(3).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        profile = profiles.matrix_profile(data)
        theirs, srgb = ImageCms.ImageCmsProfile(BytesIO(data)), ImageCms.createProfile("sRGB")
        for ours, pair in (
            (profiles.between(profile, profiles.srgb()), (theirs, srgb)),
            (profiles.between(profiles.srgb(), profile), (srgb, theirs)),
        ):
            intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.NOOPTIMIZE
            transform = ImageCms.buildTransform(*pair, "RGB", "RGB", intent, flags)
            expected = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform), float)
            different = np.abs(ours(colours.astype(float)) - expected)
            assert different.max() < 1.5  # rounded, and by a table where it is dark
            if is_constant_somewhere:
                break  # any of these values would do on the way back

    @pytest.mark.parametrize("curve", ["power", "exponent", "linear below"])
    def test_there_and_back(self, curve):
        profile = profiles.matrix_profile(rgb_profile(SRGB_RED, SRGB_GREEN, SRGB_BLUE, 1.8))
        other = profiles.matrix_profile(with_curve(CURVES[curve]))
        colours = np.random.default_rng(3).uniform(100, 150, (40, 50, 3))
        there = profiles.between(profile, other)(colours)
        np.testing.assert_allclose(profiles.between(other, profile)(there), colours, atol=1e-3)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"text",
            only_black_counts_profile(),
            table_profile(),
            make_profile(b"RGB ", {b"rXYZ": SRGB_RED}),
            with_curve(b"curv\0\0\0\0" + struct.pack(">IH", 5, 1)),
            with_curve(parametric(9, 1.0)),
            with_curve(parametric(1, 1.0, 0.0, 1.0)),
            rgb_profile(SRGB_RED, SRGB_RED, SRGB_BLUE, 1.8),
        ],
        ids=["empty", "text", "CMYK", "tables", "tags", "samples", "kind", "edge", "matrix"],
    )
    def test_another_or_a_damaged_one(self, data):
        assert profiles.matrix_profile(data) is None


def read_by_av(path, kind):
    av = pytest.importorskip("av")
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        assert frame.format.name[:-2] == kind[:-2]  # nothing was converted
        return frame.to_ndarray(format=kind)


class TestWriting:
    image = np.random.default_rng(5).uniform(-10, 265, (23, 31, 3))
    alpha = np.random.default_rng(6).uniform(0, 255, (23, 31))
    expected = np.rint(np.clip(image, 0, 255) * 257)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_another_program_reads_it(self, tmp_path, name, dtype):
        images.save(tmp_path / name, self.image.astype(dtype), Finish(16))
        written = read_by_av(str(tmp_path / name), "rgb48le")
        np.testing.assert_array_equal(written, np.rint(np.clip(self.image.astype(dtype), 0, 255).astype(float) * 257))

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_another_program_reads_its_transparency(self, tmp_path, name):
        images.save(tmp_path / name, self.image, Finish(16, alpha=self.alpha))
        written = read_by_av(str(tmp_path / name), "rgba64le")
        np.testing.assert_array_equal(written, np.dstack([self.expected, np.rint(self.alpha * 257)]))

    @pytest.mark.parametrize("name", ["a.png", "a.TIFF"])
    def test_pillow_reads_the_upper_bits_profile_and_mark(self, tmp_path, name):
        profile = rgb_profile(SRGB_RED, SRGB_GREEN, SRGB_BLUE, 1.8)
        images.save(tmp_path / name, self.image, Finish(16, profile, self.alpha))
        srgb = ImageCms.createProfile("sRGB")
        with Image.open(tmp_path / name) as read:
            assert read.mode == "RGBA"
            assert read.info["icc_profile"] == profile
            assert read.getexif()[0x0131] == "scratchnst"
            found = np.asarray(ImageCms.profileToProfile(read.convert("RGB"), BytesIO(profile), srgb), float)
        assert (
            np.abs(found - np.clip(self.image, 0, 255)).max() < 12
        )  # steps of 8 bits in the dark, at an exponent of 1.8
        assert np.abs(found - np.clip(self.image, 0, 255)).mean() < 1

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_read_here_again(self, tmp_path, name):
        images.save(tmp_path / name, self.image, Finish(16))
        np.testing.assert_allclose(images.load(tmp_path / name), self.expected / 257, atol=1e-4)

    def test_all_of_16_bits(self, tmp_path):
        every = np.arange(WHITE + 1).reshape(256, 256, 1).repeat(3, axis=2)
        images.save(tmp_path / "a.png", (every / 257).astype(np.float32), Finish(16))
        np.testing.assert_array_equal(np.rint(images.load(tmp_path / "a.png") * 257), every)
