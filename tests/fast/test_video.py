"""What is read of a video, what is painted, and that times, colours, sizes and sound come out as they went in."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av", reason="PyAV is not installed")

import av
import video_files
from video_files import TICKS

from scratchnst.errors import UserError
from scratchnst.fast import video
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net

VARIABLE = [0, 700, 1100, 2900, 3000, 5111, 6000, 9000]


@pytest.fixture
def model(random):
    network = transform_net.build(random, 2, (3, 4, 5), 1)
    return FastStyle(network, (Style("wave"), Style("dots")), {})


@pytest.fixture
def paint(tmp_path, model, monkeypatch):
    """Paint the file "in.mp4", in parts of three frames, into a file of the name given; return `video_files.read`."""
    monkeypatch.setattr(video, "PART", 3)

    def paint(name="out.mp4", strength=0.0, size=None, workers=1, show=lambda frames: None):
        found = video.examine(tmp_path / "in.mp4")
        look = video.Look(model, {"wave": 1.0}, strength, video.fitted_shape(found, size), 10)
        video.paint(found, tmp_path / name, look, {"strength": strength}, video.by_processes(workers), show)
        return video_files.read(tmp_path / name)

    return paint


def error(one, other):
    """The mean difference of frames."""
    assert len(one) == len(other)
    return max(np.abs(a.astype(float) - b).mean() for a, b in zip(one, other))


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_times_and_sound_stay(tmp_path, paint, name):
    frames = video_files.pictures(8)
    video_files.write(tmp_path / "in.mp4", frames, VARIABLE)
    given, painted = video_files.read(tmp_path / "in.mp4"), paint(name)
    assert error(painted[0], frames) < 3
    starts = [painted[1][0] - given[1][0], painted[2][0][0] - given[2][0][0]]
    assert abs(starts[0] - starts[1]) < 1e-3, "sound and pictures"
    tick = 1 / 1000 if name.endswith("mkv") else 0
    for time, expected in zip(painted[1], VARIABLE):
        assert abs(time - painted[1][0] - Fraction(expected, TICKS)) <= tick
    assert [data for _, data in painted[2]] == [data for _, data in given[2]]
    assert len(painted[2]) > 20
    assert not (tmp_path / f"{name}.parts").exists()


def test_every_frame_is_painted_in_its_order(tmp_path, paint, model):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(8), sound=False)
    shown = []
    painted, times, sound = paint(strength=1.0, show=shown.append)
    expected = [model(frame, "wave") for frame in video_files.read(tmp_path / "in.mp4")[0]]
    Y = np.array([0.299, 0.587, 0.114])  # colours are stored at half the size
    painted, expected = [frame @ Y for frame in painted], [frame @ Y for frame in expected]
    assert error(painted, expected) < 3
    assert error(painted[1:], expected[:-1]) > 6
    assert times == [Fraction(number, 25) for number in range(8)]
    assert sound == []
    assert shown == list(range(9))


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_it_is_upright(tmp_path, paint, rotation):
    frames = video_files.pictures(3)
    video_files.write(tmp_path / "in.mp4", frames, rotation=rotation, sound=False)
    with av.open(str(tmp_path / "in.mp4")) as container:
        assert next(container.decode(video=0)).rotation % 360 == rotation % 360
    assert error(paint()[0], [np.rot90(frame, rotation // 90) for frame in frames]) < 3
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_mirrored_frames():
    picture = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(video._upright(picture, (-1, 0, 0, 1)), [[2, 1, 0], [5, 4, 3]])
    np.testing.assert_array_equal(video._upright(picture, (1, 0, 0, -1)), [[3, 4, 5], [0, 1, 2]])
    np.testing.assert_array_equal(video._upright(picture, (0, 1, 1, 0)), [[0, 3], [1, 4], [2, 5]])


def test_odd_sizes_stay(tmp_path, paint):
    frames = video_files.pictures(3, 33, 41)
    video_files.write(tmp_path / "in.mp4", frames, sound=False, pix_fmt="yuv444p")
    painted = paint()[0]
    assert painted[0].shape == (33, 41, 3)
    assert error(painted, frames) < 3
    assert paint("small.mp4", size=30)[0][0].shape == (24, 30, 3)


@pytest.mark.parametrize("colours", [video.BT709, video.SMPTE170M])
def test_colours_stay(tmp_path, paint, colours):
    frames = [np.full((32, 32, 3), (200, 40, 90), np.uint8)] * 2
    video_files.write(tmp_path / "in.mp4", frames, sound=False, colours=colours)
    assert error(paint()[0], frames) < 5  # another matrix makes it 10 or more
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).colorspace == colours


def test_an_interrupted_run_goes_on(tmp_path, paint, monkeypatch):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(8))
    whole = paint("whole.mp4")

    def interrupt(frames):
        if frames == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(show=interrupt)
    assert not (tmp_path / "out.mp4").exists()
    assert sorted(path.name for path in (tmp_path / "out.mp4.parts").iterdir()) == ["000000.nut", "settings.json"]
    with pytest.raises(UserError, match="other settings"):
        paint(strength=0.5)
    (tmp_path / "out.mp4.parts" / "mine.txt").write_text("not ours")
    painted, write = [], video.Look.paint
    monkeypatch.setattr(video.Look, "paint", lambda look, frame: painted.append(frame.number) or write(look, frame))
    resumed = paint(workers=1)
    assert painted == [3, 4, 5, 6, 7]
    assert error(whole[0], resumed[0]) == 0
    assert whole[1:] == resumed[1:]
    assert [path.name for path in (tmp_path / "out.mp4.parts").iterdir()] == ["mine.txt"]


def test_a_folder_of_ones_own_is_not_taken(tmp_path, paint):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(2), sound=False)
    (tmp_path / "out.mp4.parts").mkdir()
    (tmp_path / "out.mp4.parts" / "000000.nut").write_text("mine")
    with pytest.raises(UserError, match="not of an interrupted run"):
        paint()
    assert (tmp_path / "out.mp4.parts" / "000000.nut").read_text() == "mine"


def test_a_part_anywhere(tmp_path, model, monkeypatch):
    """A part is the same, whichever parts are painted with it."""
    monkeypatch.setattr(video, "PART", 3)
    video_files.write(tmp_path / "in.mp4", video_files.pictures(8), VARIABLE)
    found = video.examine(tmp_path / "in.mp4")
    look = video.Look(model, {"dots": 1.0}, 1.0, found.shape, 20)
    together = dict(video.paint_parts(found, [0, 1, 2], look, video.by_processes(2)))
    assert list(together) == [0, 1, 2]
    assert dict(video.paint_parts(found, [1], look)) == {1: together[1]}
    assert [frame.time for frame in video.frames(found, [1])] == VARIABLE[3:6]


def test_processes_paint_the_same(tmp_path, paint):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(8), VARIABLE)
    shown = []
    alone, together = paint("one.mp4"), paint("two.mp4", strength=0.0, workers=3, show=shown.append)
    assert shown == list(range(9))
    assert error(alone[0], together[0]) == 0
    assert alone[1:] == together[1:]


def test_a_process_that_is_lost(tmp_path, paint, monkeypatch):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(8))
    made, process = [], video.Process

    def remembered(*arguments, **options):
        made.append(process(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(video, "Process", remembered)

    def kill(frames):
        if frames == 2:
            made[1].process.kill()

    with pytest.raises(UserError, match=r"is lost \(killed.*same command goes on"):
        paint(workers=2, show=kill)
    assert all(each.process.poll() is not None for each in made)
    assert not (tmp_path / "out.mp4").exists()


def test_an_error_of_another_process(tmp_path, paint):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(4))
    with pytest.raises(UserError, match="strength"):
        paint(strength=2.0, workers=2)


def test_a_full_disk(tmp_path, paint, monkeypatch):
    """The parts stay, and what was there before."""
    video_files.write(tmp_path / "in.mp4", video_files.pictures(4))
    (tmp_path / "out.mp4").write_bytes(b"before")
    write = video.atomic_file

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            raise OSError(28, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

    @contextmanager
    def full(path):
        with write(path) as file:
            yield Full(file)

    with monkeypatch.context() as patch:
        patch.setattr(video, "atomic_file", full)
        with pytest.raises(UserError, match="No space left"):
            paint()
    assert (tmp_path / "out.mp4").read_bytes() == b"before"
    assert len(list((tmp_path / "out.mp4.parts").glob("*.nut"))) == 2
    assert len(paint()[0]) == 4


def test_what_a_video_holds(tmp_path):
    video_files.write(tmp_path / "in.mp4", video_files.pictures(8), VARIABLE, rotation=90)
    found = video.examine(tmp_path / "in.mp4")
    assert (found.frames, found.shape, found.sound) == (8, (64, 48), ("aac",))
    assert found.seconds == pytest.approx(9000 / TICKS)
