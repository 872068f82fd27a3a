"""The record of a figure."""

from __future__ import annotations

import json
from pathlib import Path

from scratchnst.figures import progress
from scratchnst.figures.panels import Figure, Panel
from scratchnst.transfer import done, job
from scratchnst.transfer.settings import Settings


def test_record(folder):
    settings = Settings(
        content="content.png", styles=["style.jpg"], output="out.png", network="distilled", size=24, iterations=2
    )
    inputs = done.fingerprints(settings)
    job.run(settings)
    done.note_inputs(settings, inputs)
    panels = (Panel("A  content", settings.content), Panel("B  result", settings.output, settings))
    figure = Figure("a title", (panels,), "a caption")
    progress.write_record(Path("figure.png"), {"figure": 7}, figure, ["scratchnst", "figure"])
    record = json.loads((folder / "figure.json").read_text())
    assert (record["figure"], record["title"], record["command"]) == (7, "a title", ["scratchnst", "figure"])
    content, result = record["panels"]
    assert content == {"label": "A  content", "picture": "content.png"}
    assert result["result"]["iterations"] == 2
    assert Settings.from_json(result["given"]) == settings
    assert result["inputs"] == inputs
