"""The lessons themselves: each runs, says what it should, and can be read in a terminal and built by sphinx-gallery."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docutils import nodes
from rich.cells import cell_len

from scratchnst.classroom import prose
from scratchnst.classroom.formulas import displayed, in_line
from scratchnst.classroom.script import read

FOLDER = Path(__file__).parents[2] / "lessons"
LESSONS = sorted(FOLDER.glob("[0-9]*/lesson.py"))
TIME_LIMIT = 300  # seconds, many times what a lesson takes: against one that hangs
UNKNOWN = re.compile(r"\\[A-Za-z]+")  # a macro that the terminal cannot show
AIMS = re.compile(r"^After this lesson you can.*\n\n(?P<items>(?:[*] .*\n(?:(?: .*)?\n)*)+)", re.MULTILINE)
CONF = """
extensions = ["sphinx_gallery.gen_gallery"]
exclude_patterns = ["lessons"]
sphinx_gallery_conf = {
    "examples_dirs": "lessons",
    "gallery_dirs": "built",
    "ignore_pattern": "exercise.py$",
    "plot_gallery": False,
}
"""

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.parent.name)


def environment(**variables):
    """The variables of a process without a display, and without VGG19 unless a variable names it."""
    without = ("DISPLAY", "WAYLAND_DISPLAY", "SCRATCHNST_VGG19")
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return {**inherited, "SCRATCHNST_LESSONS": "small", "MPLBACKEND": "Agg", **variables}


def run(path, **variables):
    """Run a lesson as a script, in a process of its own, where a warning is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        env=environment(**variables),
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""


@pytest.mark.slow
@each_lesson
def test_runs(path, tmp_path):
    run(path, SCRATCHNST_CACHE=str(tmp_path))


@pytest.mark.slow
@each_lesson
def test_runs_with_vgg19(path, vgg19_file):
    if "network()" not in path.read_text(encoding="utf-8"):
        pytest.skip("it uses no network")
    run(path, SCRATCHNST_VGG19=str(vgg19_file))


@each_lesson
def test_opens_with_aims_and_ends_with_exercises(path):
    lesson = read(path)
    aims = AIMS.search(lesson.cells[0].prose + "\n")
    assert len(re.findall(r"^[*] ", aims["items"], re.MULTILINE)) >= 2
    titles = [title for cell in lesson.cells for title in _titles(cell.prose)]
    assert titles[0] == lesson.title
    assert titles[-1] == "Exercises"
    assert f"scratchnst check {int(path.parent.name[:2])}" in lesson.cells[-1].prose


@each_lesson
def test_is_in_the_readme(path):
    link = f"[{read(path).title}](lessons/{path.parent.name}/lesson.py)"
    assert link in (FOLDER.parent / "README.md").read_text(encoding="utf-8")


@each_lesson
def test_every_section_asserts_what_it_claims(path):
    sections = {}
    for cell in read(path).cells:
        titles = _titles(cell.prose)
        if titles:
            section = titles[-1]
        asserts = sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.code)))
        sections[section] = sections.get(section, 0) + asserts
    assert [section for section in list(sections)[1:-1] if not sections[section]] == [], "all but aims and exercises"


@each_lesson
def test_is_well_formed(path):
    """docutils finds nothing to complain about, and the terminal can show every formula."""
    for cell in read(path).cells:
        document = prose.parse(cell.prose)
        assert [message.astext() for message in document.findall(nodes.system_message)] == []
        formulas = [node.astext() for kind in (nodes.math, nodes.math_block) for node in document.findall(kind)]
        for latex in formulas:
            assert not UNKNOWN.search(in_line(latex)), latex
            assert not UNKNOWN.search(" ".join(displayed(latex, 76))), latex
            assert max(map(cell_len, displayed(latex, 76))) <= 76, latex


@each_lesson
def test_uses_nothing_but_what_every_reader_shows(path):
    """sphinx, Jupyter and the terminal agree on these kinds of text; others would be lost in one of them."""
    known = {
        *("document", "section", "title", "paragraph", "Text", "emphasis", "strong", "literal", "math", "math_block"),
        *("bullet_list", "enumerated_list", "list_item", "literal_block", "reference", "target", "table", "tgroup"),
        *("colspec", "thead", "tbody", "row", "entry"),
    }
    for cell in read(path).cells:
        assert {type(node).__name__ for node in prose.parse(cell.prose).findall()} <= known


@pytest.mark.skipif(not LESSONS, reason="there are no lessons here")
@pytest.mark.slow
def test_sphinx_gallery_builds_them_as_they_are(tmp_path):
    pytest.importorskip("sphinx_gallery")
    shutil.copytree(FOLDER, tmp_path / "lessons", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "conf.py").write_text(CONF)
    (tmp_path / "index.rst").write_text("Lessons\n=======\n\n.. toctree::\n\n    built/index\n")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", tmp_path, tmp_path / "html"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    pages = tmp_path / "html" / "built"
    assert {path.stem for path in pages.glob("*/*.html")} == {"index", "lesson", "sg_execution_times"}
    for path in LESSONS:
        page = (pages / path.parent.name / "lesson.html").read_text(encoding="utf-8")
        assert "problematic" not in page


def _titles(text):
    return [title.astext() for title in prose.parse(text).findall(nodes.title)]
