"""A lesson in the terminal, cell by cell."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.control import Control
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import ControlType
from rich.syntax import Syntax
from rich.text import Text

from scratchnst.classroom import prose
from scratchnst.classroom.execution import CellError, Execution, Recorder
from scratchnst.classroom.library import Lesson, lessons
from scratchnst.classroom.progress import ProgressFile
from scratchnst.classroom.script import Cell, read

INDENT = 4  # columns, of code
WIDEST_PROSE = 88  # columns; longer lines are hard to read
KEYS = "Enter goes on, b goes back, q quits, ? explains."
HELP = (
    "Enter  goes on",
    "b      shows the cell before this one again, with the output that it had",
    "q      quits; the next time, the lesson goes on at this cell",
    "?      shows this",
    "",
    "Going back runs nothing again: variables stay as the last cell that ran has left them.",
    "To change something and to try it, open the lesson in an editor that knows cells: {path}",
)


class _Back(Exception):
    """The learner goes back to the cell before."""


class _Quit(Exception):
    """The learner quits, or the input has ended."""


def play(
    lesson: Lesson,
    progress: ProgressFile,
    figures: Path,
    pause: bool = True,
    from_start: bool = False,
    console: Console | None = None,
) -> int:
    """Lead through a lesson.

    Parameters
    ----------
    lesson : Lesson
        Which one.
    progress : ProgressFile
        Where the lesson was left, and where to remember it.
    figures : Path
        The folder for the lesson's figures.
    pause : bool
        Wait for the learner after each cell, and remember the place; without it the lesson runs through.
    from_start : bool
        Begin with the first cell, wherever the lesson was left.
    console : rich.console.Console or None
        The terminal; standard output if there is none.

    Returns
    -------
    status : int
        0, or 1 if a cell has failed.
    """
    script = read(lesson.path)
    console = console or Console(file=sys.stdout, highlight=False)
    windows = pause and console.is_terminal and sys.stdin.isatty()
    remembered = 0 if from_start or not pause else progress.lesson(lesson.topic).cell
    with Execution(script, figures, windows) as execution:
        player = _Player(lesson, script.cells, execution, console, progress if pause else None)
        try:
            player.play(min(remembered, len(script.cells) - 1))
        except CellError as error:
            player.say(f"\n{error}", "red")
            return 1
    return 0


class _Player:
    """Leads through a lesson; without `progress` it neither waits nor remembers."""

    def __init__(
        self,
        lesson: Lesson,
        cells: tuple[Cell, ...],
        execution: Execution,
        console: Console,
        progress: ProgressFile | None,
    ):
        self.lesson, self.cells, self.execution = lesson, cells, execution
        self.console, self.progress = console, progress
        self.place = 0  # the cell that is shown
        self.outputs: list[str] = []  # of the cells that have run

    def play(self, start: int) -> None:
        """Begin at cell `start`, and follow the learner to the end, or until they quit."""
        self.place = start
        self.begin()
        try:
            while self.place < len(self.cells):
                try:
                    self.remember()
                    self.show()
                    self.wait()
                    self.place += 1
                except _Back:
                    self.place -= 1
        except _Quit:
            self.say(f"Until next time: scratchnst lesson {self.lesson.number} goes on here.")
        else:
            self.end()

    def begin(self) -> None:
        """Say what the keys do, and run the cells before the first one shown."""
        about = f"Lesson {self.lesson.number}, {len(self.cells)} cells."
        self.say(f"{about} {KEYS}" if self.progress else about)
        if self.place:
            self.say(
                f"You were at cell {self.place + 1}. The cells before it run again now, unseen, so that their "
                "variables are there; --from-start would begin anew."
            )
        for number in range(self.place):
            self.run(number, f"running cell {number + 1} of {self.place} again ...", seen=False)

    def show(self) -> None:
        """Show the cell, run it if it has not run yet, and show its output."""
        cell, number = self.cells[self.place], self.place
        again = number < len(self.outputs)
        title = f"cell {number + 1} of {len(self.cells)}{', again' if again else ''}"
        place = f" · {self.lesson.name}/{self.lesson.path.name}, line {cell.line}"
        parts: list[RenderableType] = ["", Rule(Text(title + place, "dim"), align="left", style="dim"), ""]
        if cell.prose:
            width = min(self.console.width, WIDEST_PROSE)
            parts += [Constrain(prose.render(cell.prose), width)]
        if cell.code:
            code = Syntax(cell.code, "python", theme="ansi_dark", background_color="default", word_wrap=True)
            parts += ["", Padding(code, (0, 0, 0, INDENT))]
        self.print_pages(Group(*parts))
        if not again:
            self.run(number, "running ...")
        elif self.outputs[number]:
            self.console.file.write("\n" + self.outputs[number])

    def run(self, number: int, waiting: str, seen: bool = True) -> None:
        """Run a cell; `waiting` is shown until it prints something."""
        self.say_briefly(waiting)
        recorder = Recorder(self.console.file, before_first=self.begin_output) if seen else Recorder()
        try:
            self.execution.run(number, recorder)
        finally:
            if not (seen and recorder.getvalue()):
                self.unsay()
        self.outputs.append(recorder.getvalue())

    def begin_output(self) -> None:
        """Prepare the terminal for what a cell prints."""
        self.unsay()
        self.console.file.write("\n")

    def wait(self, what: str = "") -> None:
        """Wait until the learner goes on."""
        while self.progress:
            last = self.place == len(self.cells) - 1
            answer = self.ask(what or ("Enter ends the lesson" if last else "Enter goes on"))
            if answer == "":
                return
            if answer == "q":
                raise _Quit
            if answer == "b" and self.place:
                raise _Back
            if answer == "b":
                self.say("This is the first cell.")
            elif answer == "?":
                self.say("\n".join(HELP).format(path=self.lesson.path))
            else:
                self.say(KEYS)

    def ask(self, prompt: str) -> str:
        """Ask for a key; the end of the input counts as "q"."""
        self.execution.handle_windows()
        _forget_typed_ahead()
        try:
            answer = self.console.input(Text(f"[{self.place + 1}/{len(self.cells)}] {prompt} ", "dim"))
        except EOFError:
            self.console.file.write("\n")
            return "q"
        if not sys.stdin.isatty():
            self.console.file.write("\n")  # on a terminal, Enter has done so
        elif self.console.is_terminal:  # remove the question
            self.console.control(Control((ControlType.CURSOR_UP, 1)))
            self.unsay()
        return answer.strip().lower()

    def end(self) -> None:
        """Say that it is done, and what comes next."""
        number = self.lesson.number
        if self.progress:
            self.progress.set_place(self.lesson.topic, 0, finished=True)
        self.say(f"\nThat was lesson {number}.")
        if self.lesson.has_exercise:
            self.say(f"Its exercise: write the functions in {self.lesson.exercise}, then scratchnst check {number}.")
        following = next((lesson for lesson in lessons() if lesson.number > number), None)
        if following:
            self.say(f"What comes next: scratchnst lesson {following.number}, {prose.plain(following.title)}.")

    def remember(self) -> None:
        """Store the place at once, since a window may be closed at any time."""
        if self.progress:
            self.progress.set_place(self.lesson.topic, self.place)

    def print_pages(self, what: RenderableType) -> None:
        """Print, and wait for a key after each screenful."""
        with self.console.capture() as capture:
            self.console.print(what)
        lines = [line.rstrip() for line in capture.get().splitlines()]
        room = self.console.height - 2 if self.progress and self.console.is_terminal else len(lines)
        while lines:
            count = _page(lines, max(room, 1))
            self.console.file.write("\n".join(lines[:count]) + "\n")
            lines = lines[count:]
            if lines:
                self.wait("Enter shows more")

    def say(self, sentence: str, style: str = "dim") -> None:
        """Print a message that is not part of the lesson."""
        self.console.print(Text(sentence, style))

    def say_briefly(self, sentence: str) -> None:
        """Print a message on a terminal, until `unsay` erases it."""
        if self.console.is_terminal:
            self.console.print(Text(sentence, "dim"), end="")
            self.console.file.flush()

    def unsay(self) -> None:
        """Erase the line."""
        if self.console.is_terminal:
            self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def _page(lines: list[str], room: int) -> int:
    """Return how many lines to show on one page: all, or up to an empty line in its lower half."""
    if len(lines) <= room:
        return len(lines)
    return next((count for count in range(room, room // 2, -1) if not lines[count - 1]), room)


def _forget_typed_ahead() -> None:
    """Discard what was typed while a cell ran: it answers no question."""
    with suppress(ImportError):  # no Unix
        import termios

        with suppress(termios.error, OSError, ValueError):  # no terminal
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
