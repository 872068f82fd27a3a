"""The whole job from Python, without a command line."""

from __future__ import annotations

import json
import re
import signal
import threading

import numpy as np
import pytest

from scratchnst import images
from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.transfer import computation, job, memory
from scratchnst.transfer.forecast import forecast
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.record import read_settings
from scratchnst.transfer.settings import Settings

SMALL = {"output": "out.png", "network": "distilled", "size": 24, "iterations": 3}


def settings(**others):
    return Settings(**{"content": "content.png", "styles": ["style.jpg"], **SMALL, **others})


def test_picture_and_record(folder):
    result = job.run(settings(seed=5))
    np.testing.assert_array_equal(images.load("out.png"), result.image.round().astype("uint8"))
    record = json.loads((folder / "out.json").read_text())
    assert (record["settings"]["seed"], record["settings"]["height"], record["settings"]["width"]) == (5, 18, 24)
    assert record["command"] == []
    assert record["result"]["loss"] == result.loss
    assert Settings.from_json(record["given"]) == settings(seed=5)
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "out.json", "out.png", "style.jpg"]


def test_what_is_told(folder):
    lines, steps, begun = [], [], []
    job.run(
        settings(scales=2, size=48),
        lambda progress: steps.append((progress.iteration, progress.scale)),
        lines.append,
        on_scale=lambda number, scales: begun.append((number, scales)),
    )
    assert lines == ["network: distilled, as asked"]
    assert steps == [(1, 1), (2, 1), (3, 2)]
    scales = [((18, 24), 2), ((36, 48), 1)]
    assert begun == [(0, scales), (1, scales)]


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"scales": 2, "size": 48},
        {"scales": 2, "size": 48, "content_weight": 1e-3},
        {"content": None, "size": 48},
        {"styles": []},
    ],
    ids=str,
)
def test_the_record_makes_the_picture_again(folder, others):
    job.run(settings(**others))
    again = Settings.from_json(read_settings("out.json"), output="again.png")
    job.run(again)
    assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()
    first, second = (json.loads((folder / name).read_text())["result"] for name in ("out.json", "again.json"))
    assert first["terms"] == second["terms"]


def test_the_record_names_the_network_that_was_chosen(folder):
    job.run(settings(network=None, iterations=1))
    assert read_settings("out.json")["network"] == "distilled"


def test_without_content_the_style_gives_the_shape(folder):
    assert job.run(settings(content=None, size=48)).image.shape == (48, 32, 3)


def test_two_styles_without_content(folder):
    result = job.run(settings(content=None, styles=["style.jpg", "content.png"], size=48))
    assert {name.partition("/")[0] for name in result.terms} - {"tv"} == {"style1", "style2"}


def test_in_a_thread(folder):
    """Only the main thread may change the handler of Ctrl-C."""
    thread = threading.Thread(target=job.run, args=[settings()])
    thread.start()
    thread.join()
    assert images.load("out.png").shape == (18, 24, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_saves_the_current_image(folder):
    def interrupt(progress):
        if progress.iteration == 2:
            raise KeyboardInterrupt

    result = job.run(settings(), interrupt)
    assert (result.complete, result.stop_reason, result.iterations) == (False, "interrupted", 2)
    assert json.loads((folder / "out.json").read_text())["result"]["complete"] is False


def test_what_fails_on_the_way_is_told_and_costs_nothing(folder):
    def fail(progress):
        raise OSError("the pipe is closed")

    warnings = []
    result = job.run(settings(), fail, warn=warnings.append)
    assert result.complete
    assert warnings == ["progress failed and is left out from now on: the pipe is closed"]


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"content": "missing.png"}, "missing.png"),
        ({"output": "out.gif"}, "suffix"),
        ({"output": "content.png"}, "named twice"),
        ({"style_layers": ["conv9_9"]}, "no layer 'conv9_9'"),
        ({"device": "cuda"}, "CuPy is not installed"),
        ({"tf32": True}, "for GPUs"),
        ({"memory_limit": 1}, "24x18 pixels need at least"),
    ],
    ids=str,
)
def test_what_is_refused_leaves_no_file(folder, others, sentence):
    with pytest.raises(UserError, match=sentence):
        job.run(settings(**others))
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "style.jpg"]


def test_too_little_memory_is_told(folder, monkeypatch):
    def fail(self, x):
        raise MemoryError

    monkeypatch.setattr(Objective, "__call__", fail)
    with pytest.raises(UserError, match="not enough memory"):
        job.run(settings())


def large_picture(side):
    """One of a megabyte or so in its file."""
    images.save("large.png", np.zeros((side, side, 3), np.uint8))


def test_memory_for_reading_is_told_and_refused_beyond_the_limit(folder):
    large_picture(3000)
    needed = memory.resident() + images.memory_to_read("large.png", (24, 24))
    found = forecast(settings(styles=["large.png"], threads=1, memory_limit=10**12))
    assert found.estimate.peak > 0.9 * needed
    sentence = r"reading large.png, 3000x3000 pixels, takes [\d.]+ [MG]B of memory, and 1 KB are there: make a smaller"
    with pytest.raises(UserError, match=sentence):
        computation.check_room_to_read("large.png", (24, 24), cpu, memory_limit=1000)
    with pytest.raises(UserError, match=r"reading large\.png"):
        job.run(settings(init="large.png", memory_limit=memory.resident() + 60_000_000))
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize(
    ("shape", "others", "sentence"),
    [
        ((24, 600), {"content": "narrow.png"}, "narrow.png has 24x1 pixels at --size 24 .* take --size 400 or more"),
        ((600, 20), {"content": "narrow.png"}, "narrow.png has 1x24 pixels at --size 24 .* take --size 480 or more"),
        ((16, 40000), {"content": "narrow.png"}, "take a part of it, or layers above it"),
        ((16, 1600), {"styles": ["narrow.png"]}, "the style narrow.png has 208x2 pixels .* --style-fit squeeze"),
    ],
)
def test_pictures_too_narrow_are_told_the_size_that_they_need(folder, shape, others, sentence):
    images.save("narrow.png", np.full((*shape, 3), 99, np.uint8))
    with pytest.raises(UserError, match=sentence):
        job.run(settings(**others))


def test_the_size_that_is_named_will_do(folder):
    images.save("narrow.png", np.full((16, 1600, 3), 99, np.uint8))
    with pytest.raises(UserError) as caught:
        job.run(settings(styles=["narrow.png"]))
    size = int(re.search(r"--size (\d+) or more", str(caught.value))[1])
    job.run(settings(styles=["narrow.png"], size=size, iterations=1))
    job.run(settings(styles=["narrow.png"], style_fit="squeeze"))


def test_a_coarse_scale_too_small_for_a_style_is_left_out(folder, monkeypatch):
    monkeypatch.setattr("scratchnst.transfer.scales.LARGEST_FIRST", 24)
    images.save("narrow.png", np.full((20, 80, 3), 99, np.uint8))
    for style, scales in (("style.jpg", 2), ("narrow.png", 1)):
        assert len(job.run(settings(styles=[style], size=48)).scales) == scales
    with pytest.raises(UserError, match=r"--scales 2 are too many: the style narrow\.png"):
        job.run(settings(styles=["narrow.png"], size=48, scales=2))


def test_forecast(folder):
    found = forecast(settings(scales=2, size=48, iterations=30, threads=1, memory_limit=10**12))
    assert found.scales == [((18, 24), 15), ((36, 48), 15)]
    assert 0 < found.estimate.peak < found.limit == 10**12
    assert found.seconds > 0
    assert found.where == "1 thread"
    assert sorted(path.name for path in folder.iterdir()) == ["content.png", "style.jpg"]


def test_a_forecast_reads_no_picture(folder, monkeypatch):
    monkeypatch.setattr(images, "load", lambda *_: pytest.fail("a picture was read"))
    assert forecast(settings(size=3000, scales=1, iterations=2, threads=1)).scales == [((2250, 3000), 2)]


def test_a_forecast_is_what_the_run_counts_at_its_finest_scale(folder, monkeypatch):
    fit, counted = computation.fit, []

    def counting(*arguments):
        counted.append(fit(*arguments))
        return counted[-1]

    monkeypatch.setattr(computation, "fit", counting)
    small = settings(size=200, scales=2, iterations=2, threads=1)
    job.run(small)
    assert forecast(small).estimate.peak == pytest.approx(counted[-1].peak, rel=0.05)


def test_a_later_scale_for_which_there_is_not_enough_memory_is_refused_before_the_first(folder, monkeypatch):
    monkeypatch.setattr(Objective, "__call__", lambda self, x: pytest.fail("a scale was run"))
    limit = memory.resident() + 100_000_000
    with pytest.raises(UserError, match="1016x766 pixels need at least"):
        job.run(settings(size=1000, scales=5, memory_limit=limit))


def test_a_scale_that_takes_too_much_memory_is_computed_in_tiles(tmp_path):
    """What is told beforehand is what is done, and the record says so."""
    for name, seed in (("content", 0), ("style", 1)):
        images.save(tmp_path / f"{name}.png", np.random.default_rng(seed).uniform(0, 255, (90, 120, 3)))
    settings = Settings(
        content=tmp_path / "content.png",
        styles=[tmp_path / "style.png"],
        output=tmp_path / "out.png",
        **{"size": 120, "scales": 2, "iterations": 2, "network": "distilled", "tile": 64},
    )
    told = []
    assert "in tiles of 64 pixels, by Adam" in forecast(settings).estimate.in_words()
    result = job.run(settings, tell=told.append)
    assert result.image.shape == (90, 120, 3)
    assert any("in tiles of 64 pixels, by Adam" in line for line in told)
    assert json.loads(settings.record.read_text())["computation"]["tile"] == 64
