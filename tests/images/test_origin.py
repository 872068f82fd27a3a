"""Pictures of this program's own are told from others, which it does not replace."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.images.origin import check_replaceable, is_marked
from scratchnst.images.plots import save_figure


@pytest.mark.parametrize("suffix", images.PICTURE_SUFFIXES)
def test_own_pictures(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    images.save(path, np.zeros((4, 5, 3)))
    assert is_marked(path)
    check_replaceable(path)
    Image.new("RGB", (5, 4)).save(path)
    assert not is_marked(path)
    with pytest.raises(UserError, match=f"a{suffix} is there already"):
        check_replaceable(path)


@pytest.mark.parametrize("suffix", images.PICTURE_SUFFIXES)
def test_own_figures(tmp_path, suffix):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    save_figure(tmp_path / f"a{suffix}", figure, 50)
    assert is_marked(tmp_path / f"a{suffix}")
    assert images.load(tmp_path / f"a{suffix}").shape == (240, 320, 3)


def test_what_is_no_picture(tmp_path):
    (tmp_path / "text.png").write_text("Software scratchnst")
    with pytest.raises(UserError):
        check_replaceable(tmp_path / "text.png")
    (tmp_path / "empty.png").write_bytes(b"")
    os.symlink("text.png", tmp_path / "link.png")
    for name in ("empty.png", "link.png", "missing.png"):
        check_replaceable(tmp_path / name)
