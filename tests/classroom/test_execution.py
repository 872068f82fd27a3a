"""Cells as they run: their output, figures, warnings and mistakes."""

from __future__ import annotations

import sys
from io import StringIO

import numpy as np
import pytest

from scratchnst.classroom import execution
from scratchnst.classroom.execution import CellError, Execution, Recorder
from scratchnst.classroom.script import read

HEAD = '"""\nTitle\n=====\n"""\n'


@pytest.fixture
def lesson(tmp_path):
    """Return what makes an execution of cells, each a string of code."""

    def make(*cells, windows=False):
        path = tmp_path / "01_slopes" / "lesson.py"
        path.parent.mkdir()
        path.write_text(HEAD + "".join(f"\n# %%\n# text\n\n{cell}\n" for cell in cells))
        return Execution(read(path), tmp_path / "figures", windows)

    return make


def outputs(lesson):
    """Run all cells and return what each of them prints."""
    printed = []
    with lesson as running:
        for number in range(1, len(lesson.script.cells)):
            recorder = Recorder()
            running.run(number, recorder)
            printed.append(recorder.getvalue())
    return printed


def test_names_live_on_and_last_values_are_shown(lesson):
    cells = lesson("x = [1, 2]", "x.append(3)\nx", "print(x[0])\nNone", "def f():\n    return x", "f()", "'text'")
    assert outputs(cells) == ["", "[1, 2, 3]\n", "1\n", "", "[1, 2, 3]\n", "'text'\n"]


def test_is_a_main_module_of_its_own(lesson):
    before = sys.modules["__main__"]
    cells = lesson(
        "import sys, inspect, dataclasses, pickle\n\n\n@dataclasses.dataclass\nclass Point:\n    x: int = 2",
        "def f():\n    return 'source'",
        "print(__name__, __file__ == sys.modules['__main__'].__file__)\nprint(inspect.getsource(f), end='')\n"
        "print(inspect.getsource(Point))\npickle.loads(pickle.dumps(Point(3)))",
    )
    *_, last = outputs(cells)
    assert last == (
        "__main__ True\ndef f():\n    return 'source'\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int = 2\n\nPoint(x=3)\n"
    )
    assert sys.modules["__main__"] is before


def test_future_imports_hold_for_all_cells(lesson):
    cells = lesson("from __future__ import annotations", "def f(x: unknown):\n    pass", "f.__annotations__")
    assert outputs(cells)[-1] == "{'x': 'unknown'}\n"


def test_does_not_inherit_our_own_future_imports(lesson):
    assert outputs(lesson("def f(x: int):\n    pass", "f.__annotations__"))[-1] == "{'x': <class 'int'>}\n"


def test_mistake_in_the_lesson(lesson, tmp_path):
    cells = lesson("def f(x):\n    assert x == 2, 'x is not 2'", "f(3)")
    with cells as running:
        running.run(1, StringIO())
        with pytest.raises(CellError) as caught:
            running.run(2, StringIO())
    assert str(caught.value).splitlines() == [
        "line 15: f(3)",
        "line 10: assert x == 2, 'x is not 2'",
        "AssertionError: x is not 2",
    ]


def test_mistake_in_what_the_lesson_calls(lesson):
    cells = lesson("from scratchnst.ops import relu", "relu.forward(None)")
    with cells as running:
        running.run(1, StringIO())
        with pytest.raises(CellError) as caught:
            running.run(2, StringIO())
    said = str(caught.value).splitlines()
    assert said[0] == "line 14: relu.forward(None)"
    assert said[1].startswith("scratchnst/ops/relu.py, line ")
    assert len(said) == 3


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "return 1", "1 / 0"])
def test_every_mistake_is_a_mistake_of_the_cell(lesson, code):
    with lesson(code) as running, pytest.raises(CellError):
        running.run(1, StringIO())


def test_ctrl_c_is_none(lesson):
    with lesson("raise KeyboardInterrupt") as running, pytest.raises(KeyboardInterrupt):
        running.run(1, StringIO())


def test_warnings_are_shown_where_they_arise(lesson):
    (printed,) = outputs(lesson("import warnings\nwarnings.simplefilter('always')\nwarnings.warn('mind the gap')"))
    assert printed == "UserWarning (line 11): mind the gap\n"


def test_figures_are_saved_in_their_place(lesson, tmp_path):
    first, second, third = outputs(
        lesson(
            "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('before')\nplt.show()\nprint('after')",
            "plt.figure()\nplt.figure()\nplt.show()",
            "plt.plot([1])\nNone",  # never shown, as in a notebook
        )
    )
    folder = tmp_path / "figures"
    assert first == f"before\nfigure: {folder / '01_slopes-cell-02.png'}\nafter\n"
    assert second == f"figure: {folder / '01_slopes-cell-03.png'}\nfigure: {folder / '01_slopes-cell-03-2.png'}\n"
    assert third == f"figure: {folder / '01_slopes-cell-04.png'}\n"
    assert (folder / "01_slopes-cell-02.png").read_bytes().startswith(b"\x89PNG")


def test_without_figures_no_folder(lesson, tmp_path):
    outputs(lesson("x = 1"))
    assert not (tmp_path / "figures").exists()


def test_windows_stay_until_there_are_others(lesson, monkeypatch):
    """With a display: windows open without waiting, and each figure is saved once."""
    from matplotlib import pyplot

    opened = []
    monkeypatch.setattr(execution, "_is_interactive", lambda backend: True)
    monkeypatch.setattr(pyplot, "show", lambda block: opened.append((block, pyplot.get_fignums())))
    pyplot.switch_backend("Agg")
    cells = lesson("import matplotlib.pyplot as plt\nplt.figure()\nplt.show()", "x = 1", "plt.figure()", windows=True)
    first, second, third = outputs(cells)
    assert (first.count("figure:"), second, third.count("figure:")) == (1, "", 1)
    assert opened == [(False, [1]), (False, [2])]
    assert pyplot.get_fignums() == []


def test_pyplot_is_as_it_was(lesson):
    from matplotlib import pyplot

    before = pyplot.show
    with lesson("x = 1"):
        assert pyplot.show is not before
    assert pyplot.show is before


@pytest.mark.parametrize(("backend", "interactive"), [("Agg", False), ("QtAgg", True), ("TkAgg", True), ("svg", False)])
def test_interactive_backends(backend, interactive):
    assert execution._is_interactive(backend) is interactive


def test_recorder(capsys):
    started = []
    target = StringIO()
    recorder = Recorder(target, before_first=lambda: started.append(target.getvalue()))
    print("a", file=recorder)
    print(np.arange(2), file=recorder, flush=True)
    assert recorder.getvalue() == target.getvalue() == "a\n[0 1]\n"
    assert started == [""]
