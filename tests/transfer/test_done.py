"""Which runs are done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.transfer import done as runs
from scratchnst.transfer import job
from scratchnst.transfer.settings import Settings


@pytest.fixture
def done(folder):
    """The settings of a run that is done, and its inputs."""
    settings = Settings(
        content="content.png", styles=["style.jpg"], output="out.png", network="distilled", size=24, iterations=2
    )
    inputs = runs.fingerprints(settings)
    job.run(settings)
    assert not runs.is_done(settings, inputs), "without its inputs the record is not complete"
    runs.note_inputs(settings, inputs)
    assert runs.is_done(settings, inputs)
    return settings


def is_done(settings):
    return runs.is_done(settings, runs.fingerprints(settings))


def test_other_settings(done):
    assert not is_done(replace(done, iterations=3))
    assert is_done(replace(done, threads=1))


def test_another_picture_under_the_same_name(done):
    images.save("style.jpg", images.load("style.jpg")[::-1])
    assert not is_done(done)


def test_a_missing_picture(done):
    done.output.unlink()
    assert not is_done(done)


def test_a_run_that_was_interrupted(done):
    def interrupt(_):
        raise KeyboardInterrupt

    inputs = runs.fingerprints(done)
    job.run(done, interrupt)
    runs.note_inputs(done, inputs)
    assert not runs.is_done(done, inputs)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"inputs": {}, "result": 3, "given": []}'])
def test_a_damaged_record(done, text):
    done.record.write_text(text)
    assert not is_done(done)


def test_weights_are_an_input(done):
    assert any(name.endswith("distilled.h5") for name in runs.fingerprints(done))
    assert list(runs.fingerprints(replace(done, network="pyramid"))) == ["content.png", "style.jpg"]


def test_an_input_that_is_missing(done):
    with pytest.raises(UserError, match=r"missing\.png cannot be read"):
        runs.fingerprints(replace(done, content=Path("missing.png")))


def test_the_picture_to_start_from_is_an_input(done):
    assert "style.jpg" in runs.fingerprints(replace(done, styles=(), init="style.jpg", content_weight=1.0))
    assert done.styles[0] in runs.input_files(done)


def test_the_log_is_no_input(done):
    assert Path("run.jsonl") not in runs.input_files(replace(done, log=Path("run.jsonl")))


def test_masks_are_inputs(done):
    masked = replace(done, masks=("style.jpg#00ff00",), keep_mask="content.png")
    assert list(map(str, runs.input_files(masked)))[:4] == ["content.png", "style.jpg", "style.jpg", "content.png"]
