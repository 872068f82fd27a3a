"""What a picture keeps of the file that it is made of: colour profile, transparency; and how it lies."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from icc_files import (
    SRGB_BLUE,
    SRGB_GREEN,
    SRGB_RED,
    gamma,
    make_profile,
    only_black_counts_profile,
    rgb_profile,
    table_profile,
)
from PIL import Image, ImageCms

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.images.finish import Finish

SWAPPED = rgb_profile(SRGB_GREEN, SRGB_RED, SRGB_BLUE, 2.2)  # red is green, and green is red
GREY = make_profile(b"GRAY", {b"kTRC": gamma(1.0)})
PHOTO = np.random.default_rng(2).integers(0, 256, (12, 16, 3), dtype=np.uint8)
SUFFIXES = [".png", ".jpg", ".tif", ".webp"]


def write(path, image, **options):
    image.save(path, **options)
    return path


class TestProfile:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_shown_by_it_the_picture_is_as_it_was(self, tmp_path, suffix):
        photo = write(tmp_path / "photo.png", Image.fromarray(PHOTO), icc_profile=SWAPPED)
        picture = np.full((8, 8, 3), (200.0, 120.0, 40.0))
        finish = images.finish_of(photo, (8, 8), ["profile"])
        images.save(tmp_path / f"out{suffix}", picture, finish)
        with Image.open(tmp_path / f"out{suffix}") as written:
            assert written.info["icc_profile"] == SWAPPED
            stored = np.asarray(written, float)
            by_theirs = ImageCms.ImageCmsProfile(BytesIO(written.info["icc_profile"]))
            shown = ImageCms.profileToProfile(written, by_theirs, ImageCms.createProfile("sRGB"))
        assert stored[0, 0, 1] > stored[0, 0, 0] + 50  # where red is, there is green
        np.testing.assert_allclose(np.asarray(shown, float), picture, atol=2)
        np.testing.assert_allclose(images.load(tmp_path / f"out{suffix}"), picture, atol=2)

    def test_one_of_tables_with_8_bits(self, tmp_path):
        profile = table_profile()
        photo = write(tmp_path / "photo.png", Image.fromarray(PHOTO), icc_profile=profile)
        images.save(tmp_path / "out.png", PHOTO.astype(float), images.finish_of(photo, (12, 16), ["profile"]))
        srgb, theirs = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(BytesIO(profile))
        expected = ImageCms.profileToProfile(
            Image.fromarray(PHOTO), srgb, theirs, ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )  # fmt: skip
        with Image.open(tmp_path / "out.png") as written:
            np.testing.assert_array_equal(np.asarray(written), np.asarray(expected))

    def test_a_file_without_one(self, tmp_path):
        photo = write(tmp_path / "photo.png", Image.fromarray(PHOTO))
        assert images.finish_of(photo, (12, 16), ["profile", "alpha"], 16) == Finish(16)

    @pytest.mark.parametrize(
        ("image", "profile", "depth", "said"),
        [
            (
                "CMYK",
                only_black_counts_profile(),
                8,
                "is of CMYK colours, and a painting has RGB: leave it out of --keep.",
            ),
            ("L", GREY, 8, "is of GRAY colours, and a painting has RGB"),
            ("RGB", b"no profile", 8, "is damaged: leave it out of --keep."),
            ("RGB", table_profile(b"A2B0"), 8, "is of no use for writing: leave it out of --keep."),
            ("RGB", table_profile(), 16, "is made of tables, which are applied with 8 bits: give --depth 8"),
        ],
        ids=["CMYK", "grey", "damaged", "one way", "tables"],
    )
    def test_one_that_cannot_be_kept(self, tmp_path, image, profile, depth, said):
        photo = write(tmp_path / "photo.tif", Image.fromarray(PHOTO).convert(image), icc_profile=profile)
        with pytest.raises(UserError, match=said):
            images.finish_of(photo, (12, 16), ["profile"], depth)


class TestAlpha:
    alpha = np.linspace(0, 255, 12 * 16).reshape(12, 16).astype(np.uint8)

    @pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_as_in_the_file(self, tmp_path, suffix, mode):
        image = Image.fromarray(np.dstack([PHOTO, self.alpha])).convert(mode)
        photo = write(tmp_path / "photo.png", image)
        images.save(tmp_path / f"out{suffix}", PHOTO, images.finish_of(photo, (12, 16), ["alpha"]))
        with Image.open(tmp_path / f"out{suffix}") as written:
            assert written.mode == "RGBA"
            values = np.asarray(written)
        np.testing.assert_array_equal(values[..., 3], self.alpha)
        seen = values[..., 3] > 0  # WebP drops the colours of what is not
        np.testing.assert_array_equal(values[seen][:, :3], PHOTO[seen])

    def test_scaled(self, tmp_path):
        photo = write(tmp_path / "photo.png", Image.fromarray(np.dstack([PHOTO, self.alpha])))
        finish = images.finish_of(photo, (24, 32), ["alpha"], 16)
        expected = Image.fromarray(self.alpha.astype(np.float32)).resize((32, 24), Image.Resampling.LANCZOS)
        np.testing.assert_allclose(finish.alpha, np.clip(np.asarray(expected), 0, 255), atol=1e-3)

    def test_of_a_colour_that_is_transparent(self, tmp_path):
        deep = np.array([[7, 300]], np.uint16)
        photo = write(tmp_path / "deep.png", Image.fromarray(deep), transparency=300)
        assert images.finish_of(photo, (1, 2), ["alpha"]).alpha.tolist() == [[255, 0]]
        grey = write(tmp_path / "grey.png", Image.fromarray(deep.astype(np.uint8)), transparency=7)
        assert images.finish_of(grey, (1, 2), ["alpha"]).alpha.tolist() == [[0, 255]]

    def test_with_16_bits(self, tmp_path):
        alpha = np.linspace(0, 255, 12 * 16).reshape(12, 16)
        for name in ("photo.png", "photo.tif"):
            images.save(tmp_path / name, PHOTO, Finish(16, alpha=alpha))
            kept = images.finish_of(tmp_path / name, (12, 16), ["alpha"]).alpha
            np.testing.assert_allclose(kept, alpha, atol=0.5 / 257 + 1e-4)

    def test_upright(self, tmp_path):
        exif = Image.Exif()
        exif[274] = 6
        photo = write(tmp_path / "photo.png", Image.fromarray(np.dstack([PHOTO, self.alpha])), exif=exif)
        finish = images.finish_of(photo, (16, 12), ["alpha"])
        np.testing.assert_array_equal(finish.alpha, np.rot90(self.alpha, -1))

    def test_what_is_opaque(self, tmp_path):
        photo = write(tmp_path / "photo.jpg", Image.fromarray(PHOTO))
        assert images.finish_of(photo, (12, 16), ["alpha"]) == Finish()


@pytest.mark.parametrize("depth", [8, 16])
def test_in_bands_as_a_whole(monkeypatch, random, depth):
    image, alpha = random.uniform(0, 255, (12, 16, 3)), random.uniform(0, 255, (12, 16))
    finish = Finish(depth, SWAPPED, alpha)
    whole = finish.values(image)
    monkeypatch.setattr("scratchnst.images.finish.BAND", 5 * 16)
    np.testing.assert_array_equal(finish.values(image), whole)


@pytest.mark.parametrize(
    ("name", "finish", "said"),
    [
        ("a.jpg", Finish(16), "a.jpg cannot have 16 bits a channel: use one of the suffixes .png, .tif, .tiff."),
        ("a.webp", Finish(16), "a.webp cannot have 16 bits"),
        ("a.jpeg", Finish(alpha=np.ones((12, 16))), "a.jpeg cannot be transparent, JPEG has no alpha channel"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path, name, finish, said):
    with pytest.raises(UserError, match=said):
        images.save(tmp_path / name, PHOTO, finish)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_lies_upright(tmp_path, suffix):
    images.save(tmp_path / f"out{suffix}", PHOTO)
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.size == (16, 12)
        assert 274 not in written.getexif()
