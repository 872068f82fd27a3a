"""Pictures of every kind are read as float RGB in sRGB, and written without loss."""

from __future__ import annotations

import errno
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from icc_files import D50, SRGB_BLUE, SRGB_GREEN, SRGB_RED, gamma, make_profile, only_black_counts_profile, rgb_profile
from PIL import Image, ImageCms

from scratchnst import images
from scratchnst.errors import UserError

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def noise(height=5, width=7, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height=24, width=32):
    """A picture without the sharp edges that JPEG blurs."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 5 + 60, columns * 4 + 50, rows * 2 + columns * 3], axis=2).astype(np.uint8)


def load_saved(folder, image, name="picture.png", **options):
    """What `load` makes of an image that Pillow has written."""
    image.save(folder / name, **options)
    loaded = images.load(folder / name)
    assert loaded.dtype == np.float32
    assert loaded.shape[2:] == (3,)
    return loaded


def encoded(image, kind, **options):
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_png(width, height, depth, color_type, data, chunks=()):
    """A PNG written by hand, for the kinds that Pillow reads but does not write."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    stride = len(data) // height
    rows = b"".join(b"\0" + data[row * stride : (row + 1) * stride] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    extra = b"".join(chunk(*each) for each in chunks)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def make_tiff(width, height, bits, photometric, samples, data, order="<"):
    """An uncompressed TIFF of one strip; `data` in the byte order of `order`."""
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, samples, bits),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, None),
        (277, 3, 1, samples),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
    ]
    after = 8 + 2 + 12 * len(entries) + 4
    bits_table = struct.pack(f"{order}{samples}H", *[bits] * samples)
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    out += struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack(order + "HHI", tag, kind, count)
        if tag == 258 and samples > 2:
            out += struct.pack(order + "I", after)
        elif tag == 273:
            out += struct.pack(order + "I", after + len(bits_table))
        else:
            out += struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    return out + struct.pack(order + "I", 0) + bits_table + data


RED_IS_GREEN = rgb_profile(SRGB_GREEN, SRGB_RED, SRGB_BLUE, 2.2)
LINEAR_RGB = rgb_profile(SRGB_RED, SRGB_GREEN, SRGB_BLUE, 1.0)
LINEAR_GREY = make_profile(b"GRAY", {b"wtpt": D50, b"kTRC": gamma(1.0)})
LINEAR_128 = 188  # 255 * (1.055 * (128 / 255) ** (1 / 2.4) - 0.055) = 187.8


class TestLoadModes:
    def test_rgb(self, tmp_path):
        assert np.array_equal(load_saved(tmp_path, Image.fromarray(noise())), noise())

    def test_accepts_a_path_as_string(self, tmp_path):
        Image.fromarray(noise()).save(tmp_path / "a.png")
        assert np.array_equal(images.load(str(tmp_path / "a.png")), noise())

    def test_grey(self, tmp_path):
        loaded = load_saved(tmp_path, Image.fromarray(noise(channels=1)))
        assert np.array_equal(loaded, np.repeat(noise(channels=1)[..., None], 3, axis=2))

    def test_one_bit(self, tmp_path):
        loaded = load_saved(tmp_path, Image.fromarray(np.array([[True, False, True]])))
        assert loaded.tolist() == [[[255] * 3, [0] * 3, [255] * 3]]

    def test_palette(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, 1, 2, 3])
        image.putpixel((1, 0), 1)
        assert load_saved(tmp_path, image).tolist() == [[[255, 0, 0], [1, 2, 3]]]

    def test_cmyk_tiff(self, tmp_path):
        image = Image.new("CMYK", (2, 1), (0, 255, 255, 0))
        image.putpixel((1, 0), (0, 0, 0, 255))
        assert load_saved(tmp_path, image, "a.tif").tolist() == [[[255, 0, 0], [0, 0, 0]]]

    def test_cmyk_jpeg(self, tmp_path):
        loaded = load_saved(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "a.jpg", quality=100)
        assert np.abs(loaded - RED).max() <= 2

    def test_lab(self, tmp_path):
        image = Image.new("LAB", (2, 1), (255, 128, 128))
        image.putpixel((1, 0), (0, 128, 128))
        loaded = load_saved(tmp_path, image, "a.tif")
        assert np.abs(loaded - [[[255] * 3, [0] * 3]]).max() <= 1

    def test_jpeg(self, tmp_path):
        loaded = load_saved(tmp_path, Image.fromarray(smooth()), "a.jpg", quality=95, subsampling=0)
        assert np.abs(loaded - smooth()).max() <= 8

    def test_first_of_several_frames(self, tmp_path):
        frames = [Image.new("RGB", (4, 4), color) for color in (RED, GREEN)]
        for name in ("a.gif", "a.png", "a.webp", "a.tif"):
            loaded = load_saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
            assert loaded.shape == (4, 4, 3), name
            assert np.abs(loaded - RED).max() <= 3, name  # WebP is lossy here

    def test_the_suffix_does_not_matter(self, tmp_path):
        assert np.array_equal(load_saved(tmp_path, Image.fromarray(noise()), "a.jpg", format="PNG"), noise())

    def test_floating_point_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="floating-point"):
            load_saved(tmp_path, Image.fromarray(np.ones((2, 2), np.float32)), "a.tif")


class TestLoadDeep:
    values = np.array([[0, 32896, 65535], [257, 128, 60000]], np.uint16)
    expected = np.repeat((values / 257)[..., None], 3, axis=2)

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_grey(self, tmp_path, name):
        loaded = load_saved(tmp_path, Image.fromarray(self.values), name)
        assert loaded[0, 1].tolist() == [128.0] * 3
        assert np.allclose(loaded, self.expected, atol=1e-4)

    def test_big_endian_grey_tiff(self, tmp_path):
        (tmp_path / "a.tif").write_bytes(make_tiff(3, 2, 16, 1, 1, self.values.astype(">u2").tobytes(), ">"))
        assert np.allclose(images.load(tmp_path / "a.tif"), self.expected, atol=1e-4)

    def test_inverted_grey_tiff(self, tmp_path):
        (tmp_path / "a.tif").write_bytes(make_tiff(3, 2, 16, 0, 1, self.values.tobytes()))
        assert np.allclose(images.load(tmp_path / "a.tif"), 255 - self.expected, atol=1e-4)

    def test_twelve_bit_grey_tiff(self, tmp_path):
        packed = bytes([0xFF, 0xF0, 0x00])  # 4095 and 0
        (tmp_path / "a.tif").write_bytes(make_tiff(2, 1, 12, 1, 1, packed))
        assert images.load(tmp_path / "a.tif").tolist() == [[[255] * 3, [0] * 3]]

    def test_grey_in_32_bits(self, tmp_path):
        loaded = load_saved(tmp_path, Image.fromarray(self.values.astype(np.int32)), "a.tif")
        assert np.allclose(loaded, self.expected, atol=1e-4)

    @pytest.mark.parametrize("value", [-1, 65536])
    def test_grey_beyond_16_bits_is_refused(self, tmp_path, value):
        with pytest.raises(UserError, match="16 bits"):
            load_saved(tmp_path, Image.fromarray(np.array([[value]], np.int32)), "a.tif")

    def test_transparent_grey(self, tmp_path):
        image = Image.fromarray(self.values)
        loaded = load_saved(tmp_path, image, transparency=128)
        assert loaded[1, 1].tolist() == [255] * 3
        assert np.allclose(loaded[0], self.expected[0], atol=1e-4)

    def test_oriented_grey(self, tmp_path):
        exif = Image.Exif()
        exif[274] = 6
        loaded = load_saved(tmp_path, Image.fromarray(self.values), exif=exif)
        assert np.allclose(loaded, np.rot90(self.expected, -1), atol=1e-4)

    def test_rgb_png(self, tmp_path):
        (tmp_path / "a.png").write_bytes(make_png(1, 1, 16, 2, struct.pack(">3H", 32896, 0, 65535)))
        assert images.load(tmp_path / "a.png").tolist() == [[[128, 0, 255]]]

    @pytest.mark.parametrize("order", "<>")
    def test_rgb_tiff(self, tmp_path, order):
        data = struct.pack(order + "6H", 32896, 0, 65535, 257, 514, 771)
        (tmp_path / "a.tif").write_bytes(make_tiff(2, 1, 16, 2, 3, data, order))
        assert images.load(tmp_path / "a.tif").tolist() == [[[128, 0, 255], [1, 2, 3]]]


class TestLoadTransparency:
    half = (255 - 127 / 255 * 155, 255 - 127 / 255 * 55, 255 - 127 / 255 * 255)  # (100, 200, 0) at 127 / 255

    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
    def test_rgba(self, tmp_path, name):
        image = Image.new("RGBA", (3, 1), (100, 200, 0, 127))
        image.putpixel((1, 0), (1, 2, 3, 255))
        image.putpixel((2, 0), (1, 2, 3, 0))
        options = {"lossless": True} if name == "a.webp" else {}
        loaded = load_saved(tmp_path, image, name, **options)
        assert np.allclose(loaded, [[self.half, [1, 2, 3], WHITE]], atol=1e-4)

    def test_grey_with_alpha(self, tmp_path):
        image = Image.new("LA", (2, 1), (0, 51))
        image.putpixel((1, 0), (7, 255))
        assert np.allclose(load_saved(tmp_path, image), [[[204] * 3, [7] * 3]], atol=1e-4)

    def test_deep_grey_with_alpha(self, tmp_path):
        (tmp_path / "a.png").write_bytes(make_png(1, 1, 16, 4, struct.pack(">2H", 0, 51 * 257)))
        assert np.allclose(images.load(tmp_path / "a.png"), 204, atol=1e-4)

    def test_palette_with_alpha(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([100, 200, 0, 1, 2, 3])
        image.putpixel((1, 0), 1)
        loaded = load_saved(tmp_path, image, transparency=bytes([127, 255]))
        assert np.allclose(loaded, [[self.half, [1, 2, 3]]], atol=1e-4)

    def test_palette_of_many_colours_with_alpha(self, tmp_path):
        palette, alphas = noise(256, 1).reshape(-1, 3), noise(256, 1, 1, seed=1)
        image = Image.fromarray(np.arange(256, dtype=np.uint8)[:, None])
        image.putpalette(palette.tobytes())
        loaded = load_saved(tmp_path, image, transparency=alphas.tobytes())
        expected = 255 - (255 - palette.astype(float)) * (alphas / 255)
        assert np.allclose(loaded[:, 0], expected, atol=1e-4)

    def test_palette_with_a_transparent_entry(self, tmp_path):
        image = Image.new("P", (2, 1))
        image.putpalette([*RED, 1, 2, 3])
        image.putpixel((1, 0), 1)
        for name in ("a.gif", "a.png"):
            loaded = load_saved(tmp_path, image, name, transparency=0)
            assert loaded.tolist() == [[[255] * 3, [1, 2, 3]]]

    def test_palette_mode_with_alpha_channel(self):
        image = Image.new("PA", (1, 1))  # Pillow writes no file in this mode
        image.putpalette([100, 200, 0])
        image.putpixel((0, 0), (0, 127))
        assert np.allclose(images.reading._conversion(image)(image), [[self.half]], atol=1e-4)

    def test_transparent_colour(self, tmp_path):
        image = Image.new("RGB", (2, 1), RED)
        image.putpixel((1, 0), (1, 2, 3))
        assert load_saved(tmp_path, image, transparency=RED).tolist() == [[[255] * 3, [1, 2, 3]]]

    def test_transparent_grey_and_bit(self, tmp_path):
        assert load_saved(tmp_path, Image.new("L", (1, 1), 7), transparency=7).tolist() == [[[255] * 3]]
        assert load_saved(tmp_path, Image.new("L", (1, 1), 8), transparency=7).tolist() == [[[8] * 3]]
        assert load_saved(tmp_path, Image.new("1", (1, 1), 0), transparency=0).tolist() == [[[255] * 3]]


UPRIGHT = noise(2, 3)
# How a camera that writes each orientation has stored the upright picture.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
    9: UPRIGHT,  # no such orientation
}


class TestLoadOrientation:
    @pytest.mark.parametrize("orientation", STORED)
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
    def test_all(self, tmp_path, name, orientation):
        exif = Image.Exif()
        exif[274] = orientation
        image = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
        options = {"lossless": True} if name == "a.webp" else {}
        assert np.array_equal(load_saved(tmp_path, image, name, exif=exif, **options), UPRIGHT)

    def test_jpeg(self, tmp_path):
        exif = Image.Exif()
        exif[274] = 6
        image = Image.fromarray(np.ascontiguousarray(np.rot90(smooth(), 1)))
        loaded = load_saved(tmp_path, image, "a.jpg", exif=exif, quality=95, subsampling=0)
        assert loaded.shape == smooth().shape
        assert np.abs(loaded - smooth()).max() <= 8

    def test_broken_exif_is_ignored(self, tmp_path):
        loaded = load_saved(tmp_path, Image.fromarray(UPRIGHT), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
        assert np.array_equal(loaded, UPRIGHT)
        loaded = load_saved(tmp_path, Image.fromarray(UPRIGHT), exif=b"nonsense")
        assert np.array_equal(loaded, UPRIGHT)


class TestLoadProfile:
    def test_rgb(self, tmp_path):
        for name in ("a.png", "a.tif"):
            loaded = load_saved(tmp_path, Image.new("RGB", (1, 1), RED), name, icc_profile=RED_IS_GREEN)
            assert np.abs(loaded - GREEN).max() <= 1

    def test_jpeg(self, tmp_path):
        image = Image.new("RGB", (16, 16), (128, 128, 128))
        assert np.abs(load_saved(tmp_path, image, "a.jpg", icc_profile=LINEAR_RGB) - LINEAR_128).max() <= 1

    def test_of_more_than_a_megabyte(self, tmp_path):
        profile = LINEAR_RGB + bytes(2 << 20)
        loaded = load_saved(tmp_path, Image.new("RGB", (1, 1), (128, 128, 128)), icc_profile=profile)
        assert np.abs(loaded - LINEAR_128).max() <= 1

    @pytest.mark.parametrize("steps", [4, 500])
    def test_one_table_that_stands_for_many_is_ignored(self, tmp_path, steps):
        """LittleCMS copies it for each step: megabytes become gigabytes."""
        table = b"clut\0\0\0\0" + struct.pack(">2H", 3, 3) + bytes([9] * 3 + [0] * 13) + bytes(4 * 3 * 9**3)
        places = struct.pack(">2I", 16 + 8 * steps, len(table)) * steps
        tags = {b"wtpt": D50, b"D2B1": b"mpet\0\0\0\0" + struct.pack(">2HI", 3, 3, steps) + places + table}
        profile = bytearray(make_profile(b"RGB ", tags))
        profile[8] = 4  # the version that has such steps
        loaded = load_saved(tmp_path, Image.fromarray(noise()), icc_profile=bytes(profile))
        assert np.array_equal(loaded, noise())

    def test_srgb_changes_nothing(self, tmp_path):
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        loaded = load_saved(tmp_path, Image.fromarray(noise(64, 64)), icc_profile=srgb)
        assert np.abs(loaded - noise(64, 64)).max() <= 1

    def test_palette(self, tmp_path):
        image = Image.new("P", (1, 1))
        image.putpalette(RED)
        assert np.abs(load_saved(tmp_path, image, icc_profile=RED_IS_GREEN) - GREEN).max() <= 1

    def test_converted_before_laid_on_white(self, tmp_path):
        image = Image.new("RGBA", (1, 1), (255, 0, 0, 51))
        loaded = load_saved(tmp_path, image, icc_profile=RED_IS_GREEN)
        assert np.abs(loaded - (204, 255, 204)).max() <= 1

    @pytest.mark.parametrize("profile", [LINEAR_GREY, LINEAR_RGB])
    def test_grey(self, tmp_path, profile):
        loaded = load_saved(tmp_path, Image.new("L", (1, 1), 128), icc_profile=profile)
        assert loaded.tolist() == [[[LINEAR_128] * 3]]

    def test_grey_is_exact_in_the_shadows(self, tmp_path):
        image = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        loaded = load_saved(tmp_path, image, icc_profile=LINEAR_GREY)
        light = np.arange(256)[:, None] / 255
        expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        assert np.abs(loaded[0] - expected).max() < 0.6

    def test_grey_with_alpha(self, tmp_path):
        loaded = load_saved(tmp_path, Image.new("LA", (1, 1), (128, 51)), icc_profile=LINEAR_GREY)
        assert np.allclose(loaded, 255 - (255 - LINEAR_128) / 5, atol=1e-4)

    def test_deep_grey_keeps_its_fractions(self, tmp_path):
        values = np.array([[0, 128, 257, 128 * 257]], np.uint16)
        loaded = load_saved(tmp_path, Image.fromarray(values), icc_profile=LINEAR_GREY)[0]
        # The steep foot of sRGB: 255 * 12.92 * (1 / 255) rounds to 13.
        assert np.allclose(loaded.T, [0, 13 * 128 / 257, 13, LINEAR_128], atol=1e-4)

    @pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
    def test_cmyk(self, tmp_path, name):
        profile = only_black_counts_profile()
        cyan, black = Image.new("CMYK", (16, 16), (255, 0, 0, 0)), Image.new("CMYK", (16, 16), (0, 0, 0, 255))
        assert load_saved(tmp_path, cyan, name, icc_profile=profile).min() >= 250
        assert load_saved(tmp_path, black, name, icc_profile=profile).max() <= 5

    @pytest.mark.parametrize(
        "profile",
        [
            b"nonsense",
            RED_IS_GREEN[:200],
            RED_IS_GREEN[:128] + bytes(100),
            LINEAR_GREY,
            only_black_counts_profile(),
        ],
        ids=["nonsense", "truncated", "zeros", "for grey", "for CMYK"],
    )
    def test_broken_or_unfit_is_ignored(self, tmp_path, profile):
        assert np.array_equal(load_saved(tmp_path, Image.fromarray(noise()), icc_profile=profile), noise())


class TestLoadErrors:
    def check_message(self, path, pattern):
        with pytest.raises(UserError, match=pattern) as caught:
            images.load(path)
        message = str(caught.value)
        assert str(path) in message
        assert message.endswith(".")
        assert "\n" not in message
        assert ": " in message  # what is wrong: what to do

    def test_missing(self, tmp_path):
        self.check_message(tmp_path / "a.png", "no file")
        (tmp_path / "file").write_bytes(b"x")
        self.check_message(tmp_path / "file" / "a.png", "no file")

    def test_directory(self, tmp_path):
        self.check_message(tmp_path, "directory")

    def test_name_too_long(self, tmp_path):
        self.check_message(tmp_path / ("x" * 300), "cannot be opened")

    def test_forbidden(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(images, "open_input", refuse)  # chmod would not stop root
        self.check_message(tmp_path / "a.png", "may not be read")

    def test_empty(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"")
        self.check_message(tmp_path / "a.png", "empty")

    def test_no_picture(self, tmp_path):
        (tmp_path / "a.png").write_text("not a picture")
        self.check_message(tmp_path / "a.png", "no picture")

    def test_truncated(self, tmp_path):
        for kind in ("JPEG", "PNG"):
            data = encoded(Image.fromarray(smooth()), kind)
            (tmp_path / "a").write_bytes(data[: len(data) * 2 // 3])
            self.check_message(tmp_path / "a", "cannot be read as a picture")

    def test_too_large(self, tmp_path, monkeypatch):
        Image.fromarray(noise()).save(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        self.check_message(tmp_path / "a.png", r"too large \(image size \(35 pixels\)")

    def test_large_is_fine(self, tmp_path, monkeypatch, recwarn):
        Image.fromarray(noise()).save(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow warns up to twice this
        assert np.array_equal(images.load(tmp_path / "a.png"), noise())
        assert not recwarn.list

    def test_out_of_memory(self, tmp_path, monkeypatch):
        def exhaust(*_):
            raise MemoryError

        Image.fromarray(noise()).save(tmp_path / "a.png")
        monkeypatch.setattr(images.reading, "_conversion", exhaust)
        self.check_message(tmp_path / "a.png", "memory")

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
    def test_cut_anywhere(self, tmp_path, kind):
        data = encoded(Image.fromarray(smooth()), kind)
        for end in np.linspace(0, len(data) - 1, 40).astype(int):
            load_damaged(tmp_path / "a", data[:end])

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16"])
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
    def test_corrupted_anywhere(self, tmp_path, kind, mode):
        image = Image.fromarray(smooth())
        image = Image.fromarray(noise(24, 32, 1).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
        if (kind in ("JPEG", "WEBP") and mode in ("P", "I;16")) or (kind, mode) == ("JPEG", "RGBA"):
            image = image.convert("L")
        exif = Image.Exif()
        exif[274] = 6
        data = encoded(image, kind, exif=exif, icc_profile=RED_IS_GREEN)
        rng = np.random.default_rng([len(kind), len(mode)])
        for count in np.repeat([1, 3, 10], 8):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(0, len(data), count)] = rng.integers(0, 256, count)
            damaged = repair_checksums(damaged.tobytes()) if kind == "PNG" and count < 10 else damaged.tobytes()
            load_damaged(tmp_path / "a", damaged)


def repair_checksums(png):
    """Correct the checksums of a damaged PNG's chunks, so that Pillow decodes them."""
    out, place = png[:8], 8
    while place + 12 <= len(png):
        length = struct.unpack_from(">I", png, place)[0]
        content = png[place + 4 : place + 8 + length]
        out += png[place : place + 4] + content + struct.pack(">I", zlib.crc32(content))
        place += 12 + length
    return out


def load_damaged(path, data):
    """A damaged file is read, or refused with a UserError."""
    path.write_bytes(data)
    try:
        loaded = images.load(path)
    except UserError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert loaded.ndim == 3
        assert loaded.shape[2] == 3
        assert loaded.dtype == np.float32
        assert loaded.min() >= 0
        assert loaded.max() <= 255


def test_ordinary_files_make_no_noise(tmp_path, recwarn, capfd):
    image = Image.fromarray(smooth())
    load_saved(tmp_path, image, "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff", icc_profile=RED_IS_GREEN)
    load_saved(tmp_path, image.convert("P"), "a.png", transparency=bytes(range(256)))
    load_saved(tmp_path, image.convert("LA"), "a.tif")
    load_saved(tmp_path, image.convert("RGBA"), "a.webp")
    for name in ("b.png", "b.jpg", "b.tif", "b.webp"):
        images.save(tmp_path / name, smooth().astype(float))
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


class TestSave:
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.webp", "a.PNG"])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_lossless(self, tmp_path, name, dtype):
        images.save(tmp_path / name, noise().astype(dtype))
        assert np.array_equal(images.load(tmp_path / name), noise())

    @pytest.mark.parametrize("name", ["a.jpg", "a.jpeg"])
    def test_jpeg_keeps_full_colour_resolution(self, tmp_path, name):
        stripes = np.zeros((16, 16, 3))
        stripes[:, ::2] = RED
        stripes[:, 1::2] = (0, 0, 255)
        images.save(tmp_path / name, stripes)
        assert np.abs(images.load(tmp_path / name) - stripes).max() <= 20
        with Image.open(tmp_path / name) as image:
            assert image.format == "JPEG"
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3

    def test_clips_and_rounds_to_nearest(self, tmp_path):
        images.save(tmp_path / "a.png", np.array([[[-300.0, 0.4, 0.6], [254.6, 255.4, 1e30]]]))
        assert images.load(tmp_path / "a.png").tolist() == [[[0, 0, 1], [255, 255, 255]]]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_refuses_values_that_are_not_finite(self, tmp_path, value):
        image = np.zeros((2, 2, 3))
        image[1, 1, 1] = value
        with pytest.raises(ValueError, match="finite"):
            images.save(tmp_path / "a.png", image)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("shape", [(2, 2), (2, 2, 4), (3, 2, 2), (0, 2, 3), (1, 2, 2, 3)])
    def test_refuses_other_shapes(self, tmp_path, shape):
        with pytest.raises(ValueError, match="shape"):
            images.save(tmp_path / "a.png", np.zeros(shape))

    def test_refuses_other_suffixes(self, tmp_path):
        for name in ("a.bmp", "a", "png", ".png"):
            with pytest.raises(UserError, match=r"\.png, \.jpg"):
                images.save(tmp_path / name, np.zeros((1, 1, 3)))

    @pytest.mark.parametrize(("name", "side"), [("a.webp", 16384), ("a.jpg", 65501)])
    def test_refuses_sides_that_the_format_cannot_hold(self, tmp_path, capfd, name, side):
        with pytest.raises(UserError, match=f"{side - 1} pixels"):
            images.save(tmp_path / name, np.zeros((1, side, 3), np.float16))
        assert capfd.readouterr().err == ""
        images.save(tmp_path / name, np.zeros((side - 1, 1, 3), np.float16))

    def test_missing_directory(self, tmp_path):
        with pytest.raises(UserError, match="create it"):
            images.save(tmp_path / "missing" / "a.png", np.zeros((1, 1, 3)))


class TestResize:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("size", [(3, 4), (20, 30), (1, 1), (7, 40)])
    def test_constant_stays_constant(self, dtype, size):
        color = np.array([0, 100.25, 255], dtype)
        resized = images.resize(np.broadcast_to(color, (9, 11, 3)), *size)
        assert resized.shape == (*size, 3)
        assert resized.dtype == dtype
        assert np.allclose(resized, color, atol=0.1 if dtype == np.float16 else 1e-3)

    @pytest.mark.parametrize("width", [40, 160])
    def test_ramp_stays_a_ramp(self, width):
        ramp = np.broadcast_to(np.linspace(20, 220, 80)[:, None], (5, 80, 3))
        centres = (np.arange(width) + 0.5) * 80 / width - 0.5
        expected = 20 + centres * 200 / 79
        resized = images.resize(ramp, 5, width)
        inner = slice(width // 8, -width // 8)
        assert np.abs(resized[:, inner] - expected[inner, None]).max() < 0.5
        assert np.abs(resized[:, inner] - np.rint(resized[:, inner])).max() > 0.1  # not rounded to 8 bits

    def test_shrinking_averages(self):
        board = np.indices((64, 64)).sum(axis=0) % 2 * 255.0
        resized = images.resize(np.repeat(board[..., None], 3, axis=2), 8, 8)
        assert np.abs(resized - 127.5).max() < 4

    def test_overshoot_is_clipped(self):
        edge = np.zeros((8, 8, 3))
        edge[:, 4:] = 255
        resized = images.resize(edge, 32, 32)
        assert resized.min() == 0
        assert resized.max() == 255

    def test_channels_keep_apart(self):
        image = np.zeros((6, 6, 3), np.float32)
        image[..., 1] = 200
        assert np.allclose(images.resize(image, 3, 12), (0, 200, 0), atol=1e-3)

    def test_any_memory_layout(self):
        image = noise(8, 6).astype(np.float64)
        turned = images.resize(image.transpose(1, 0, 2)[::-1], 3, 4)
        straight = images.resize(np.ascontiguousarray(image.transpose(1, 0, 2)[::-1]), 3, 4)
        assert np.array_equal(turned, straight)

    def test_same_size_is_a_copy(self):
        image = noise().astype(np.float32)
        resized = images.resize(image, 5, 7)
        assert np.array_equal(resized, image)
        assert not np.shares_memory(resized, image)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((100, 200), 50, (25, 50)),
        ((200, 100), 50, (50, 25)),
        ((30, 30), 64, (64, 64)),
        ((3, 1000), 100, (1, 100)),
        ((1000, 3), 100, (100, 1)),
        ((1, 1), 17, (17, 17)),
        ((1, 3), 7, (2, 7)),
        ((480, 641), 512, (383, 512)),
        ((40, 30), 40, (40, 30)),
        ((5, 4), 1, (1, 1)),
    ],
)
def test_fit(shape, size, expected):
    fitted = images.fit(np.full((*shape, 3), 9.5, np.float32), size)
    assert fitted.shape == (*expected, 3)
    assert fitted.dtype == np.float32
    assert np.allclose(fitted, 9.5, atol=1e-3)


def test_extend_continues_as_in_a_mirror_and_crop_undoes_it(random):
    image = np.arange(4.0 * 5 * 3).reshape(4, 5, 3)
    extended = images.extend(image, 2)
    assert extended.shape == (8, 9, 3)
    np.testing.assert_array_equal(extended[1, 2:-2], image[1])  # row 0 is the mirror, row 1 of the picture before it
    np.testing.assert_array_equal(extended[2:-2, 0], image[:, 2])
    np.testing.assert_array_equal(images.crop(extended, 2), image)
    np.testing.assert_array_equal(images.crop(image, 0), image)


def test_extend_by_more_than_there_is():
    assert images.extend(np.full((1, 2, 3), 7.0), 5).shape == (11, 12, 3)
