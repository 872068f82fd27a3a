"""Which panels are kept, and the record of a figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.figures import progress
from scratchnst.figures.panels import Figure, Panel
from scratchnst.transfer import job
from scratchnst.transfer.settings import Settings


@pytest.fixture
def done(folder):
    """The settings of a run that is done, and its inputs."""
    settings = Settings(
        content="content.png", styles=["style.jpg"], output="out.png", network="distilled", size=24, iterations=2
    )
    inputs = progress.fingerprints(settings)
    job.run(settings)
    assert not progress.is_done(settings, inputs), "without its inputs the record is not complete"
    progress.note_inputs(settings, inputs)
    assert progress.is_done(settings, inputs)
    return settings


def is_done(settings):
    return progress.is_done(settings, progress.fingerprints(settings))


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

    inputs = progress.fingerprints(done)
    job.run(done, interrupt)
    progress.note_inputs(done, inputs)
    assert not progress.is_done(done, inputs)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"inputs": {}, "result": 3, "given": []}'])
def test_a_damaged_record(done, text):
    done.record.write_text(text)
    assert not is_done(done)


def test_weights_are_an_input(done):
    assert any(name.endswith("distilled.h5") for name in progress.fingerprints(done))
    assert list(progress.fingerprints(replace(done, network="pyramid"))) == ["content.png", "style.jpg"]


def test_an_input_that_is_missing(done):
    with pytest.raises(UserError, match=r"missing\.png cannot be read"):
        progress.fingerprints(replace(done, content=Path("missing.png")))


def test_record(done, folder):
    panels = (Panel("A  content", done.content), Panel("B  result", done.output, done))
    progress.write_record(Path("figure.png"), 7, Figure("a title", (panels,), "a caption"), ["scratchnst", "figure"])
    record = json.loads((folder / "figure.json").read_text())
    assert (record["figure"], record["title"], record["command"]) == (7, "a title", ["scratchnst", "figure"])
    content, result = record["panels"]
    assert content == {"label": "A  content", "picture": "content.png"}
    assert result["result"]["iterations"] == 2
    assert Settings.from_json(result["given"]) == done
    assert result["inputs"] == progress.fingerprints(done)
