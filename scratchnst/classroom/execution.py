"""A lesson's cells, run one by one in one namespace: what they print, their figures, warnings and errors."""

from __future__ import annotations

import ast
import io
import sys
import traceback
import types
import warnings
from codeop import Compile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import IO, Any

from matplotlib import pyplot

import scratchnst
from scratchnst.classroom.script import Script
from scratchnst.errors import OutputError
from scratchnst.images.plots import save_figure
from scratchnst.messages import one_line

DOTS_PER_INCH = 120


class CellError(Exception):
    """A cell has failed; the message is for the learner: the lesson's own lines, then the error."""


class Execution:
    """Runs a lesson's cells; a context manager.

    Cells run in a module ``__main__`` of their own, as in a script, and `pyplot.show` saves the figures and, if there
    are windows, opens them without waiting.

    Parameters
    ----------
    script : Script
        The lesson.
    figures : Path
        The folder for figures; created with the first one.
    windows : bool
        Whether to open windows, where Matplotlib finds a display.
    """

    def __init__(self, script: Script, figures: Path, windows: bool = False):
        self.script, self.figures = script, figures
        self._wants_windows = windows
        self._compile = Compile()  # which remembers what the lesson has imported from __future__
        self._cell = self._saved = 0
        self._shown: set[int] = set()

    def __enter__(self) -> Execution:
        if not self._wants_windows:
            pyplot.switch_backend("Agg")
        self._has_windows = self._wants_windows and _is_interactive(pyplot.get_backend())
        self._show: Callable[..., Any] = pyplot.show
        pyplot.show = lambda *_, **__: self._show_figures()
        self._module = types.ModuleType("__main__")
        self._module.__file__ = str(self.script.path)
        self._main, sys.modules["__main__"] = sys.modules["__main__"], self._module
        return self

    def __exit__(self, *_: object) -> None:
        sys.modules["__main__"] = self._main
        pyplot.close("all")
        pyplot.show = self._show

    def run(self, number: int, output: IO[str] | Recorder) -> None:
        """Run a cell.

        Parameters
        ----------
        number : int
            Of the cell, from 0.
        output : file
            What the cell prints goes here, with its warnings, the paths of its figures, and the value of its last
            line if that is an expression, as in a notebook.

        Raises
        ------
        CellError
            The cell has failed.
        """
        cell = self.script.cells[number]
        last = cell.line + cell.code.count("\n")
        statements = [node for node in self.script.tree.body if cell.line <= node.lineno <= last] if cell.code else []
        self._cell, self._saved = number, 0
        with redirect_stdout(output), warnings.catch_warnings():
            warnings.showwarning = self._show_warning
            try:
                self._run_statements(statements)
                self._show_figures()
            except (BrokenPipeError, OutputError):  # what the cell prints cannot be written
                raise
            except (Exception, SystemExit) as error:
                raise CellError(_explain(error, self.script.path)) from error

    def _run_statements(self, statements: list[ast.stmt]) -> None:
        value = statements.pop() if statements and isinstance(statements[-1], ast.Expr) else None
        self._execute(ast.Module(statements, type_ignores=[]), "exec")
        if isinstance(value, ast.Expr):
            result = self._execute(ast.Expression(value.value), "eval")
            if result is not None:
                print(repr(result))

    def _execute(self, tree: Any, mode: str) -> Any:
        """Run code under the lesson's own name and line numbers, so that tracebacks and `inspect` find its source."""
        return eval(self._compile(tree, str(self.script.path), mode), self._module.__dict__)

    def _show_figures(self) -> None:
        """Save the figures that were drawn since the last call, say where, and show them."""
        new = [number for number in pyplot.get_fignums() if number not in self._shown]
        if not new:
            return
        self.figures.mkdir(parents=True, exist_ok=True)
        for number in new:
            self._saved += 1
            again = f"-{self._saved}" if self._saved > 1 else ""
            path = self.figures / f"{self.script.path.parent.name}-cell-{self._cell + 1:02}{again}.png"
            save_figure(path, pyplot.figure(number), DOTS_PER_INCH)
            print(f"figure: {one_line(path)}")
        for number in self._shown if self._has_windows else new:  # windows stay open until there are others
            pyplot.close(number)
        self._shown = set(new) if self._has_windows else set()
        self.handle_windows()

    def handle_windows(self) -> None:
        """Show what there is to show in windows, without waiting."""
        if self._shown:
            self._show(block=False)
            for number in self._shown:
                pyplot.figure(number).canvas.flush_events()

    def _show_warning(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        place = f"line {lineno}" if filename == str(self.script.path) else f"{_short(filename)}, line {lineno}"
        print(f"{category.__name__} ({place}): {message}")


class Recorder(io.StringIO):
    """Remembers what is written, and passes it on to a target, if there is one.

    `before_first` is called before the first character is passed on.
    """

    def __init__(self, target: IO[str] | None = None, before_first: Callable[[], None] = lambda: None):
        super().__init__()
        self._target, self._before_first = target, before_first

    def write(self, text: str) -> int:
        if text and not self.tell():
            self._before_first()
        if self._target:
            self._target.write(text)
        return super().write(text)

    def flush(self) -> None:
        if self._target:
            self._target.flush()


def _explain(error: BaseException, path: Path) -> str:
    """Return the lines of the lesson that led to an error, where it happened if that was elsewhere, and the error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(path)]
    lines = [f"line {frame.lineno}: {frame.line}" for frame in own]
    if own and own[-1] is not frames[-1]:
        lines.append(f"{_short(frames[-1].filename)}, line {frames[-1].lineno}: {frames[-1].line}")
    return "\n".join([*lines, *(line.rstrip() for line in traceback.format_exception_only(error))])


def _short(filename: str) -> str:
    """Return a file's path, from the package on if it is one of its files, else from the last folder on."""
    path = Path(filename)
    home = Path(scratchnst.__file__).parents[1]
    return str(path.relative_to(home) if path.is_relative_to(home) else Path(*path.parts[-2:]))


def _is_interactive(backend: str) -> bool:
    """Whether a backend of Matplotlib opens windows."""
    return backend.lower() not in {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"} and "inline" not in backend
