"""Sound files that Pillow refuses or takes for others, files of other kinds, and the memory that reading takes."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features
from tiff_files import make_tiff

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.images import reading, repair


def noise(height=5, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height=60, width=80):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 2 + 60, columns * 2 + 50, rows + columns], axis=2).astype(np.uint8)


def encoded(pixels, kind, **options):
    buffer = BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def load(tmp_path):
    def load(data, *arguments):
        (tmp_path / "a").write_bytes(data)
        return images.load(tmp_path / "a", *arguments)

    return load


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif(load):
    assert np.abs(load(encoded(smooth(), "AVIF", quality=95)) - smooth()).mean() < 4


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC picture: convert it to PNG or JPEG first."),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "is a HEIC picture: convert"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "is an AVIF picture, damaged or of a kind"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "is a camera raw file: develop"),
        (b"\0\0\0\x18ftypisom\0\0\0\1isomavc1", "is a video: "),
        (b"\xff\x0a\xfa\x7f\x01\x90", "is a JPEG XL picture: convert"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "is a JPEG XL picture: convert"),
        (b"8BPS\0\1" + bytes(6) + b"\0\3", "is a Photoshop file: export it"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "is a camera raw file: develop"),
        (b"IIRO\x08\0\0\0", "is a camera raw file: develop"),
        (b"FUJIFILMCCD-RAW 0201", "is a camera raw file: develop"),
        (b"%PDF-1.7\n", "is a PDF: save"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing: save"),
        (b"<!DOCTYPE html>\n<html><body>Not found", "is a web page: download"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\0\0\1\0\1\0", "is an icon: convert"),
        (b"PK\3\4", "is a ZIP archive: unpack"),
    ],
)
def test_other_kinds_are_named(load, head, said):
    with pytest.raises(UserError) as caught:
        load(head + bytes(300))
    assert said in str(caught.value)


JPEGS = {
    "baseline": encoded(smooth(), "JPEG", quality=90),
    "progressive": encoded(smooth(), "JPEG", quality=90, progressive=True),
    "with restarts": encoded(smooth(), "JPEG", quality=90, restart_marker_rows=1),
    "grey": encoded(smooth()[..., 0], "JPEG", quality=90),
    "CMYK": encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG", quality=90),
}


class TestJpegWithoutItsEnd:
    @pytest.mark.parametrize("whole", JPEGS.values(), ids=JPEGS)
    @pytest.mark.parametrize("tail", [b"", b"\xff"])
    def test_is_read(self, load, whole, tail):
        np.testing.assert_array_equal(load(whole[:-2] + tail), load(whole))

    @pytest.mark.parametrize("whole", JPEGS.values(), ids=JPEGS)
    def test_is_refused_if_pixels_lack(self, load, whole):
        for lacking in (6, 20, 100, len(whole) // 3):
            with pytest.raises(UserError, match="cannot be read as a picture"):
                load(whole[: -2 - lacking])

    def test_is_refused_if_a_scan_lacks(self, load):
        whole = encoded(smooth(), "JPEG", quality=90, progressive=True)
        starts = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
        for start in starts[1:]:
            end = whole.rfind(b"\xff\xc4", 0, start) if whole.rfind(b"\xff\xc4", 0, start) > starts[0] else start
            with pytest.raises(UserError, match="truncated"):
                load(whole[:end])

    def test_a_preview_in_the_metadata_does_not_matter(self, load):
        exif = b"Exif\0\0" + encoded(smooth(8, 8), "JPEG")
        whole = encoded(smooth(), "JPEG", quality=90, exif=exif)
        np.testing.assert_array_equal(load(whole[:-2]), load(whole))


def with_chunk(png, name, content, before=b"IDAT"):
    """A PNG with one more chunk."""
    place = png.index(before) - 4
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return png[:place] + chunk + png[place:]


LONG = b"long text " * 300_000


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"tEXt", b"Comment\0" + 70 * LONG[: 1 << 20]),
        (b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG)),
        (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 << 20))),
    ],
)
def test_png_with_long_text(load, name, content, before):
    png = with_chunk(encoded(noise(), "PNG"), name, content, before)
    np.testing.assert_array_equal(load(png), noise())


def test_png_with_a_profile_without_end(load):
    png = with_chunk(encoded(noise(), "PNG"), b"iCCP", b"huge\0\0" + zlib.compress(bytes(repair.LARGEST_PROFILE + 1)))
    np.testing.assert_array_equal(load(png), noise())


def gamma_chunk(gamma):
    return b"gAMA", struct.pack(">I", round(100_000 * gamma))


class TestGamma:
    def test_linear_light(self, load):
        light = np.arange(256) / 255
        expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        png = encoded(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2), "PNG")
        assert np.abs(load(with_chunk(png, *gamma_chunk(1)))[0] - expected[:, None]).max() < 0.01

    @pytest.mark.parametrize("gamma", [0.45455, 0.4545, 1 / 2.2, 0, 21474])
    def test_the_usual_and_impossible_ones_change_nothing(self, load, gamma):
        np.testing.assert_array_equal(load(with_chunk(encoded(noise(), "PNG"), *gamma_chunk(gamma))), noise())

    def test_with_an_srgb_chunk_it_does_not_count(self, load):
        png = with_chunk(with_chunk(encoded(noise(), "PNG"), b"sRGB", b"\0"), *gamma_chunk(1))
        np.testing.assert_array_equal(load(png), noise())

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "I;16"])
    def test_in_every_mode(self, load, mode):
        image = Image.new("RGB", (3, 3), (128, 128, 128))
        image = (
            Image.fromarray(np.full((3, 3), 128 * 257, np.uint16))
            if mode == "I;16"
            else image.convert(mode, palette=Image.Palette.ADAPTIVE)
        )
        assert np.abs(load(with_chunk(encoded(image, "PNG"), *gamma_chunk(1))) - 187.5).max() < 0.5


def make_tga(pixels, alpha_bits):
    height, width, channels = pixels.shape
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, width, height, 8 * channels, 0x20 | alpha_bits)
    return header + pixels[..., [2, 1, 0, 3][:channels]].tobytes()


def make_bmp(pixels, header_size, masks):
    """A BMP of 32 bits with bit masks."""
    height, width, _ = pixels.shape
    data = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    start = 14 + header_size
    header = struct.pack("<IiiHHIIiiII", header_size, width, height, 1, 32, 3, len(data), 2835, 2835, 0, 0)
    header = (header + struct.pack("<4I", *masks)).ljust(header_size, b"\0")[:header_size]
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + data


class TestUnusedAlpha:
    @pytest.fixture(params=[0, 200])
    def pixels(self, request):
        pixels = noise(4, 6, 4)
        pixels[..., 3] = request.param
        return pixels

    def test_tga_that_declares_none(self, load, pixels):
        np.testing.assert_array_equal(load(make_tga(pixels, 0)), pixels[..., :3])

    def test_tga_that_declares_it(self, load):
        pixels = noise(4, 6, 4)
        expected = 255 + (pixels[..., :3] - 255.0) * (pixels[..., 3:] / 255)
        assert np.abs(load(make_tga(pixels, 8)) - expected).max() < 0.01
        pixels[..., 3] = 0
        np.testing.assert_array_equal(load(make_tga(pixels, 8)), pixels[..., :3])

    @pytest.mark.parametrize("alpha", [0, 255])
    def test_tga_with_a_palette(self, load, alpha):
        palette = noise(1, 8, 4)[0]
        palette[:, 3] = alpha
        header = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 8, 32, 0, 0, 4, 2, 8, 0x20)
        data = header + palette[:, [2, 1, 0, 3]].tobytes() + bytes(range(8))
        np.testing.assert_array_equal(load(data), palette[:, :3].reshape(2, 4, 3))

    @pytest.mark.parametrize("size", [56, 108, 124])
    def test_bmp(self, load, size):
        masks = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
        pixels = noise(4, 6, 4)
        expected = 255 + (pixels[..., :3] - 255.0) * (pixels[..., 3:] / 255)
        assert np.abs(load(make_bmp(pixels, size, masks)) - expected).max() < 0.01
        np.testing.assert_array_equal(load(make_bmp(pixels, size, (*masks[:3], 0))), pixels[..., :3])
        pixels[..., 3] = 0
        np.testing.assert_array_equal(load(make_bmp(pixels, size, masks)), pixels[..., :3])

    def test_of_a_png_it_counts(self, load):
        assert load(encoded(Image.new("RGBA", (2, 2), (1, 2, 3, 0)), "PNG")).min() == 255


class TestShrinking:
    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16", "P"])
    def test_in_bands_as_a_whole(self, load, monkeypatch, mode):
        monkeypatch.setattr(reading, "BAND", 400)
        image = Image.fromarray(smooth(101, 77))
        image = (
            Image.fromarray(smooth(101, 77)[..., 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
        )
        png = encoded(image, "PNG")
        small = load(png, (10, 8))
        assert small.shape == (20, 16, 3)
        np.testing.assert_allclose(small, images.resize(load(png), 20, 16), atol=1e-3)

    def test_what_is_small_stays_as_it_is(self, load, monkeypatch):
        whole = load(encoded(smooth(40, 30), "PNG"), (20, 15))
        monkeypatch.setattr(reading, "BAND", 100)
        np.testing.assert_array_equal(whole, smooth(40, 30))
        np.testing.assert_array_equal(load(encoded(smooth(40, 30), "PNG")), smooth(40, 30))

    def test_a_side_at_a_time(self, load):
        assert load(encoded(smooth(60, 80), "PNG"), (40, 10)).shape == (60, 20, 3)

    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
    def test_upright(self, load, tmp_path, kind, orientation):
        exif = Image.Exif()
        exif[274] = orientation
        data = encoded(smooth(160, 240), kind, exif=exif)
        whole = load(data)
        assert images.size(tmp_path / "a") == whole.shape[:2]
        wanted = (10, 15) if whole.shape[0] < whole.shape[1] else (15, 10)
        small = load(data, wanted)
        assert small.shape[:2] == tuple(2 * side for side in wanted)
        assert np.abs(small - images.resize(whole, *small.shape[:2])).mean() < 2


MEMORY = """
import sys, psutil
from scratchnst import images
before = psutil.Process().memory_info().rss
told = images.memory_to_read(sys.argv[1], (64, 64))
images.load(sys.argv[1], (64, 64))
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(told, peak * 1024 - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells the peak")
@pytest.mark.parametrize(
    "kind", ["png", "bits.png", "jpg", "progressive.jpg", "webp", "jp2", "tif", "planes.tif", "deep.png"]
)
def test_memory_is_told_and_little(tmp_path, kind):
    """Of 9 megapixels, of which floats for all would take 108 MB and more."""
    large = np.kron(noise(30, 30), np.ones((100, 100, 1), np.uint8))
    path = tmp_path / f"a.{kind}"
    if kind == "planes.tif":
        path.write_bytes(make_tiff(large.astype(np.uint16) * 257, planar=2, rows_per_strip=100))
    elif kind == "deep.png":
        images.save(path, large, images.Finish(16))
    else:
        image = Image.fromarray(large).convert("1" if kind == "bits.png" else "RGB")
        image.save(path, **({"progressive": True} if "progressive" in kind else {}))
    done = subprocess.run([sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True)
    told, taken = map(int, done.stdout.split())
    assert taken < 1.05 * told
    assert told < {"webp": 200, "jp2": 220, "planes.tif": 280, "deep.png": 360}.get(kind, 135) * 1e6


def test_memory_to_see_whether_a_jpeg_is_whole(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEGS["baseline"])
    whole = images.memory_to_read(path, (2, 2))
    path.write_bytes(JPEGS["baseline"][:-2])
    assert whole < 11 * 60 * 80 <= images.memory_to_read(path, (2, 2))
