"""``scratchnst video``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from networks import arbitrary_style
from PIL import Image

from scratchnst import ArbitraryStyle, images
from scratchnst.cli import main
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net

try:
    import video_files
except ImportError:
    video_files = None
needs_av = pytest.mark.skipif(video_files is None, reason="PyAV is not installed")


@pytest.fixture
def studio(folder, random):
    """A model of two styles."""
    network = transform_net.build(random, 2, (3, 4, 5), 1)
    FastStyle(network, (Style("the_wave"), Style("dots")), {}).save(folder / "model.h5")
    return folder


def paint(*arguments):
    return main(["video", *arguments, "--model", "model.h5", "--threads", "1"])


@needs_av
def test_a_video(studio, capsys):
    video_files.write("in.mp4", video_files.pictures(5))
    assert paint("in.mp4", "-o", "out.mp4", "--style", "dots", "--size", "32", "--strength", "0.5") == 0
    assert "out.mp4: 32x24, 5 frames" in capsys.readouterr().err
    frames, _, sound = video_files.read("out.mp4")
    assert len(frames) == 5
    assert frames[0].shape == (24, 32, 3)
    assert sound
    assert not (studio / "out.mp4.parts").exists()


@needs_av
@pytest.mark.parametrize("colors", ["content", "match"])
def test_colours_of_the_frames(studio, colors):
    """As in single pictures, but for what H.264 makes of them, which is less over 8x8 pixels."""
    video_files.write("in.mp4", video_files.pictures(2), sound=False)
    assert paint("in.mp4", "-o", "out.mp4", "--colors", colors, "--crf", "1") == 0
    (frame, *_), (painted, *_) = (video_files.read(name)[0] for name in ("in.mp4", "out.mp4"))
    model = FastStyle.load("model.h5")
    expected, plain = (images.resize(model(frame, colors=each), 6, 8) for each in (colors, "style"))
    difference = np.abs(images.resize(np.float32(painted), 6, 8) - expected).mean()
    assert difference < np.abs(expected - plain).mean() / 4


@needs_av
def test_dry_run(studio, capsys):
    video_files.write("in.mp4", video_files.pictures(5))
    assert paint("in.mp4", "-o", "out.mp4", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "64x48, 5 frames, 0.2 s" in out
    assert "aac" in out
    assert paint("in.mp4", "-o", "out.mp4", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["width"], told["height"], told["frames"], told["sound"]) == (64, 48, 5, ["aac"])
    assert not list(studio.glob("out*"))


@needs_av
def test_odd_sizes_are_told(studio, capsys):
    video_files.write("in.mp4", video_files.pictures(2, 33, 40), sound=False, pix_fmt="yuv444p")
    assert paint("in.mp4", "-o", "out.mp4") == 0
    assert "40x33 pixels are written as H.264 4:4:4" in capsys.readouterr().err


@needs_av
@pytest.mark.slow
def test_killed_it_goes_on(studio, capsys):
    """A process that is killed leaves its parts, from which the same command goes on."""
    video_files.write("in.mp4", video_files.pictures(260, 32, 32), sound=False)
    command = ["video", "in.mp4", "-o", "out.mp4", "--model", "model.h5", "--threads", "1"]
    process = subprocess.Popen([sys.executable, "-m", "scratchnst", *command], stderr=subprocess.DEVNULL)
    part = studio / "out.mp4.parts" / "000000.nut"
    end = time.monotonic() + 120
    while not part.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (studio / "out.mp4").exists()
    before = part.stat().st_mtime_ns, part.read_bytes()
    process = subprocess.Popen([sys.executable, "-m", "scratchnst", *command], stderr=subprocess.PIPE)
    second = studio / "out.mp4.parts" / "000002.nut"
    while not second.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "the same command goes on" in told
    assert (part.stat().st_mtime_ns, part.read_bytes()) == before
    assert main(command) == 0
    assert len(video_files.read("out.mp4")[0]) == 260
    assert not (studio / "out.mp4.parts").exists()


@pytest.fixture
def paintings(studio, random):
    """Two pictures, and a model of any style in the place of that of two."""
    arbitrary_style().save(studio / "model.h5")
    for name in ("wave.png", "dots.png"):
        images.save(name, random.uniform(0, 255, (40, 50, 3)))


@needs_av
def test_the_style_of_a_picture(paintings):
    video_files.write("in.mp4", video_files.pictures(2))
    assert paint("in.mp4", "-o", "plain.mp4", "--style-picture", "wave.png", "--strength", "0", "--crf", "0") == 0
    assert paint("in.mp4", "-o", "out.mp4", "--style-picture", "wave.png", "--crf", "0") == 0
    frame, painted = (video_files.read(name)[0][0] for name in ("plain.mp4", "out.mp4"))
    expected = ArbitraryStyle.load("model.h5")(frame, images.fit(images.load("wave.png"), 64))
    luminance = (painted - expected) @ [0.299, 0.587, 0.114]  # colours have a quarter of the pixels in a video
    assert np.abs(luminance).mean() < 8
    assert np.abs(painted - frame).mean() > 20


@needs_av
def test_its_picture_tells_a_run_from_others(paintings, monkeypatch):
    from scratchnst.fast import video

    video_files.write("in.mp4", video_files.pictures(2))
    settings = []
    monkeypatch.setattr(video, "paint", lambda *arguments: settings.append(arguments[3]))
    for name in ("wave.png", "wave.png", "dots.png"):
        assert paint("in.mp4", "-o", "out.mp4", "--style-picture", name) == 0
    assert settings[0] == settings[1]
    assert settings[0] != settings[2]


@needs_av
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--style-picture", "none.png"], "no file none.png"),
        (["--style-picture", "small.png"], "too small"),
        (["--style-picture", "wave.png", "--style", "dots"], "not allowed with"),
        ([], "use scratchnst arbitrary"),
    ],
    ids=" ".join,
)
def test_the_style_of_a_picture_that_cannot_be(paintings, studio, capsys, arguments, message):
    video_files.write("in.mp4", video_files.pictures(2))
    images.save("small.png", np.zeros((31, 60, 3)))
    capsys.readouterr()
    try:
        status = paint("in.mp4", "-o", "out.mp4", *arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not list(studio.glob("out*"))


def test_without_pyav(studio, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "scratchnst.fast.video", raising=False)
    monkeypatch.delattr("scratchnst.fast.video", raising=False)
    assert paint("in.mp4", "-o", "out.mp4") == 2
    assert "pip install 'scratchnst[video]'" in capsys.readouterr().err


@pytest.fixture
def bad_inputs(studio):
    """Files that are no whole videos."""
    video_files.write("in.mp4", video_files.pictures(5))
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save("picture.png")
    (studio / "text.mp4").write_text("no video at all\n" * 100)
    (studio / "empty.mp4").write_bytes(b"")
    data = (studio / "in.mp4").read_bytes()
    (studio / "cut.mp4").write_bytes(data[: len(data) // 2])
    video_files.write("in.mkv", video_files.pictures(100, 32, 32), sound=False)
    data = (studio / "in.mkv").read_bytes()
    (studio / "cut.mkv").write_bytes(data[: len(data) // 2])
    video_files.write("tone.mp4", [])
    video_files.write("old.avi", video_files.pictures(5), codec="mpeg4", tone="pcm_u8")
    return studio


@needs_av
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4", "-o", "out.mp4"], "there is no file none.mp4"),
        (["/usr", "-o", "out.mp4"], "is a directory"),
        (["/dev/null", "-o", "out.mp4"], "a device"),
        (["picture.png", "-o", "out.mp4"], "picture.png is a picture"),
        (["text.mp4", "-o", "out.mp4"], "damaged or no video"),
        (["empty.mp4", "-o", "out.mp4"], "damaged or no video"),
        (["cut.mp4", "-o", "out.mp4"], "cut.mp4 is truncated"),
        (["cut.mkv", "-o", "out.mp4"], "it is truncated"),
        (["tone.mp4", "-o", "out.mp4"], "no frames"),
        (["old.avi", "-o", "out.mp4"], "suffix .mkv"),
        (["in.mp4", "-o", "out.webm"], "no suffix"),
        (["in.mp4", "-o", "in.mp4"], "named twice"),
        (["in.mp4", "-o", "none/out.mp4"], "no directory"),
        (["in.mp4", "-o", "out.mp4", "--style", "dotz"], "did you mean dots"),
        (["in.mp4", "-o", "out.mp4", "--strength", "2"], "from 0 to 1"),
        (["in.mp4", "-o", "out.mp4", "--crf", "52"], "from 0 to 51"),
        (["in.mp4", "-o", "out.mp4", "--size", "8"], "too small"),
    ],
)
def test_what_cannot_be(bad_inputs, capsys, arguments, message):
    before = {path: path.read_bytes() for path in bad_inputs.iterdir()}
    capsys.readouterr()
    try:
        status = paint(*arguments)
    except SystemExit as error:
        status = error.code
    lines = capsys.readouterr().err.splitlines()
    assert status == 2
    assert len(lines) == 1
    assert message in lines[0]
    assert {path: path.read_bytes() for path in bad_inputs.iterdir()} == before


@needs_av
def test_a_network_that_does_not_paint(studio, capsys):
    video_files.write("in.mp4", video_files.pictures(2))
    assert main(["video", "in.mp4", "-o", "out.mp4", "--model", "distilled"]) == 2
    assert "not one that paints" in capsys.readouterr().err
    assert not list(studio.glob("out*"))


@needs_av
def test_sound_that_only_matroska_takes(studio):
    video_files.write("old.avi", video_files.pictures(5), codec="mpeg4", tone="pcm_u8")
    assert paint("old.avi", "-o", "out.mkv") == 0
    given, painted = video_files.read("old.avi"), video_files.read("out.mkv")
    assert b"".join(data for _, data in painted[2]) == b"".join(data for _, data in given[2])
    assert len(painted[0]) == 5


@needs_av
def test_a_cluster(studio, capsys):
    workers = pytest.importorskip("distributed", reason="Dask is not installed").LocalCluster
    video_files.write("in.mp4", video_files.pictures(20))
    paint = ["video", "in.mp4", "--model", "model.h5", "--style", "dots"]
    assert main([*paint, "-o", "here.mp4", "--threads", "1"]) == 0
    with workers(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as there:
        scheduler = ["--scheduler", there.scheduler_address]
        assert main([*paint, "-o", "there.mp4", *scheduler]) == 0
        assert main([*paint, "-o", "there.mp4", *scheduler, "--dry-run"]) == 0
    assert (studio / "there.mp4").read_bytes() == (studio / "here.mp4").read_bytes()
    assert "2 frames at a time" in capsys.readouterr().out
    assert not (studio / "there.mp4.parts").exists()


@needs_av
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threads", "2"], "--nthreads"),
        (["--device", "emulated"], "workers compute on the CPU"),
        ([], "no scheduler answers at nowhere"),
    ],
)
def test_a_cluster_that_cannot_be(studio, capsys, options, message):
    pytest.importorskip("distributed", reason="Dask is not installed")
    video_files.write("in.mp4", video_files.pictures(2))
    before = set(studio.iterdir())
    command = ["video", "in.mp4", "-o", "out.mp4", "--model", "model.h5", "--scheduler", "nowhere", *options]
    assert main(command) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert set(studio.iterdir()) == before


@needs_av
def test_without_dask(studio, capsys, no_dask):
    video_files.write("in.mp4", video_files.pictures(2))
    assert paint("in.mp4", "-o", "out.mp4") == 0
    assert main(["video", "in.mp4", "-o", "out.mp4", "--scheduler", "127.0.0.1:8786"]) == 2
    assert "pip install 'scratchnst[cluster]'" in capsys.readouterr().err
