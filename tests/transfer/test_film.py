"""Films of a run: their frames, what may fail on the way, and a run that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import write_atomically
from scratchnst.transfer import film, job
from scratchnst.transfer.settings import Settings

FRAMES = Path("run.gif.frames")


@pytest.fixture
def smooth(folder, random):
    """Pictures whose colours formats keep."""
    for name in ("content.png", "style.jpg"):
        images.save(name, images.resize(random.uniform(0, 255, (3, 4, 3)), 30, 40))
    return folder


def settings(**others):
    given = {"content": "content.png", "styles": ["style.jpg"], "network": "distilled", "output": "out.png"}
    return Settings(**{**given, "size": 48, "scales": 2, "iterations": 4, "video": "run.gif", **others})


def frames(path):
    """The frames of a film as arrays."""
    if path.endswith(".mp4"):
        av = pytest.importorskip("av")
        with av.open(path) as container:
            return [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    with Image.open(path) as animation:
        return [np.asarray(frame.convert("RGB"), float) for frame in ImageSequence.Iterator(animation)]


def seen(**others):
    """The image after each step, in the size of the picture, and the picture."""
    steps = []
    result = job.run(settings(**others), lambda iterate: steps.append(images.resize(iterate.image, 36, 48)))
    return steps, result.image


@pytest.mark.parametrize(("suffix", "close"), [("mp4", 12), ("gif", 25), ("webp", 12)])
def test_its_frames_are_the_iterates_in_the_size_of_the_picture(smooth, suffix, close):
    """Also those of the first scale; the formats lose something."""
    steps, picture = seen(video=f"run.{suffix}")
    found = frames(f"run.{suffix}")
    assert len(found) == (4 + 24 if suffix == "mp4" else 4)  # in the others the last one lasts
    for frame, step in zip(found, steps):
        assert frame.shape == (36, 48, 3)
        assert np.abs(frame - step).mean() < close
    assert np.abs(found[-1] - picture).mean() < close
    assert np.abs(found[0] - picture).mean() > 2 * np.abs(found[0] - steps[0]).mean()
    assert {path.name for path in smooth.iterdir()} == {
        *("content.png", "style.jpg", "out.png", "out.json", f"run.{suffix}")
    }


def test_every_third_step_and_odd_sizes(folder):
    pytest.importorskip("av")
    job.run(settings(size=25, scales=1, iterations=7, video="run.mp4", video_every=3))
    found = frames("run.mp4")
    assert len(found) == 2 + 24
    assert found[0].shape == (19, 25, 3)


def test_the_last_frame_is_the_picture_also_of_a_mean(smooth):
    _, picture = seen(average=0.5, optimizer="adam", video="run.webp")
    found = frames("run.webp")
    assert len(found) == 5
    assert np.abs(found[-1] - picture).mean() < np.abs(found[-2] - picture).mean()


def test_a_run_that_goes_on_has_a_film_of_the_whole(folder):
    job.run(settings(video="whole.gif"))

    def kill(iterate):
        if iterate.iteration == 4:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        job.run(settings(checkpoint_every=2), kill)
    assert FRAMES.exists()
    assert not Path("run.gif").exists()
    job.run(settings(checkpoint_every=2), resume=True)
    assert Path("run.gif").read_bytes() == Path("whole.gif").read_bytes()
    assert not FRAMES.exists()


def test_frames_that_are_gone(folder):
    def kill(iterate):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        job.run(settings(checkpoint_every=1), lambda iterate: iterate.iteration < 3 or kill(iterate))
    FRAMES.unlink()
    with pytest.raises(UserError, match=r"run\.gif\.frames is no longer that of the run that goes on"):
        job.run(settings(checkpoint_every=1), resume=True)


def test_after_ctrl_c_it_ends_there(folder):
    def interrupt(iterate):
        if iterate.iteration == 3:
            raise KeyboardInterrupt

    assert not job.run(settings(), interrupt).complete
    assert len(frames("run.gif")) == 3
    assert not FRAMES.exists()


def test_an_error_leaves_no_frames(folder):
    def fail(iterate):
        if iterate.iteration == 3:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        job.run(settings(), fail)
    assert {path.name for path in folder.iterdir()} == {"content.png", "style.jpg"}


def test_a_full_disk_in_the_middle_costs_the_film_but_not_the_picture(folder, monkeypatch):
    genuine, calls = film.Growing.append, []

    def append(self, data):
        calls.append(data)
        if len(calls) == 2:
            raise OSError("no space left on device")
        genuine(self, data)

    monkeypatch.setattr(film.Growing, "append", append)
    warnings = []
    assert job.run(settings(), warn=warnings.append).complete
    assert warnings == ["--video failed and is left out from now on: no space left on device"]
    assert len(calls) == 2
    assert {path.name for path in folder.iterdir()} == {"content.png", "style.jpg", "out.png", "out.json"}


def test_a_full_disk_at_the_end_leaves_the_old_film(folder, monkeypatch):
    write_atomically("run.gif", b"an old film")

    def fail(pictures, count, suffix, target):
        target.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(film, "_save", fail)
    warnings = []
    assert job.run(settings(), warn=warnings.append).complete
    assert len(warnings) == 1
    assert "--video failed" in warnings[0]
    assert Path("run.gif").read_bytes() == b"an old film"
    assert not FRAMES.exists()
    assert Path("out.png").exists()


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"video": "run.avi"}, "use one of .mp4, .gif, .webp"),
        ({"video": "no/run.gif"}, "create it first"),
        ({"video": "out.webp", "output": "out.webp"}, "out.webp is named twice"),
        ({"video": "mine.gif"}, "mine.gif.frames is there already, and holds no frames"),
        ({"video_every": 0}, "video_every must be a whole number of 1 or more"),
    ],
    ids=str,
)
def test_what_is_refused(folder, others, sentence):
    Path("mine.gif.frames").write_text("my own list of frames")
    with pytest.raises(UserError) as refused:
        job.run(settings(**others))
    assert sentence in str(refused.value)
    assert Path("mine.gif.frames").read_text() == "my own list of frames"


def test_without_pyav(folder, monkeypatch):
    monkeypatch.setattr(film, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"films as MP4 need PyAV: .* or name a \.gif or \.webp"):
        job.run(settings(video="run.mp4"))
    assert job.run(settings(video="run.gif", size=24, scales=1)).complete


def test_sizes_that_a_format_does_not_take():
    film.check_shape(Path("run.gif"), 100, 20000)
    with pytest.raises(UserError, match=r"run\.webp cannot have frames of 20000x100 pixels"):
        film.check_shape(Path("run.webp"), 100, 20000)
