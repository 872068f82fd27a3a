"""The grader meets every kind of file: it says kindly what is the matter, and never shows a traceback of its own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

from scratchnst.classroom.grader import Drawn, Exercise, Function, Mistake, Property, Verified, Worked, tutor
from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Careful, Complaint, Source
from scratchnst.classroom.grader.examination import (
    FAILED,
    NOT_WRITTEN,
    PASSED,
    Finding,
    arguments_of,
    examine,
    parameters_of,
)
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.grader.shown import shown
from scratchnst.classroom.grader.supervision import Grade, grade
from scratchnst.classroom.library import arguments, exercises
from scratchnst.classroom.progress import ProgressFile
from scratchnst.cli import OUTPUT_CLOSED, main
from scratchnst.errors import UserError

RIGHT = """
import numpy as np
def relu_forward(x):
    return np.maximum(x, 0)
def relu_backward(grad_y, x):
    return grad_y * (x > 0)
"""
SPECIFICATIONS = {lesson.topic: lesson.specification for lesson in exercises()}
RELU = SPECIFICATIONS["relu"]
HALF = Function(  # a function that is easy to get right
    name="half",
    reference=lambda x: x / 2,
    returns="y",
    draw=lambda random, *shape: (random.standard_normal(shape),),
    tests=(
        Worked("two numbers by hand", ([2.0, 4.0],), [1.0, 2.0]),
        Drawn("several images", (2, 3, 4)),
        Drawn("in float32", (2, 3), dtype="float32"),
    ),
    mistakes={"doubled": Mistake("Larger, not smaller?", lambda x: 2 * x)},
    hints=("one", "two", "three"),
)


NEEDS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="signals without names are Linux's")


def examined(body, function=HALF, header="def half(x):"):
    """What is found of a function with this body."""
    text = f"import numpy as np\n{header}\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
    source = Source("half.py", text)
    found = files.find(files.load(source), function.name)
    return examine(function, Careful(found, function.name, parameters_of(function), source, contextlib.nullcontext))


def written(tmp_path, text, name="mine.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


def said(grade):
    return tutor.report(load_exercise(RELU), 4, grade)


class TestFunction:
    """One function, examined in this process."""

    def test_several_results_in_the_place_of_one(self):
        assert "return only the one that is asked for" in examined("return x / 2, x").advice
        assert "np.array" in examined("return [value / 2 for value in x]").advice

    def test_right(self):
        finding = examined("return x / 2")
        assert (finding.state, len(finding.passed)) == (PASSED, 3)

    @pytest.mark.parametrize(
        ("body", "key", "words"),
        [
            ("x / 2", "returns-none", "did you forget `return`"),
            ("return [value / 2 for value in x]", "type", "y is a list, not an array"),
            ("return x / 2, x", "type", "y is a tuple, not an array"),
            ("return 'half'", "type", "of type str"),
            ("return np.sum", "type", "was it to be called"),
            ("return x / 2 + 0j", "type", "real numbers"),
            ("return (x / 2).sum()", "wrong-shape", "has the shape (); it must be (2,)"),
            ("return x[:, None] / 2", "reshaped", "(2, 1)"),
            ("return x / 0", "not-finite", "y is inf at index (0,)"),
            ("return x * np.nan", "not-finite", "y is nan"),
            ("x /= 2\nreturn x", "changed-in-place", "changes its argument x"),
            ("return 2 * x", "doubled", "y at index (1,) is 8; expected 2"),
            ("return x / 2 if x.ndim == 1 else np.sin(x)", "different", "Wrong: 24 of 24"),
            ("return (x / 2).astype(float)", "dtype", "float64 where the arguments are float32"),
            ("return y / 2", "NameError", "name 'y' is not defined"),
            ("return x.men()", "AttributeError", "no attribute 'men'"),
            ("return x + np.ones(5)", "ValueError", "broadcast"),
            ("return half(x)", "recursion", "calls itself"),
            ("return input()", "input", "asks for input"),
            ("raise SystemExit", "exit", "ends the program"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
            ("assert False, 'so'", "AssertionError", "so"),
            ("import nampy", "ModuleNotFoundError", "nampy"),
            ("raise MemoryError", "memory", "more memory"),
            ("eval('1 +')", "SyntaxError", "invalid syntax"),
            ("class E(Exception):\n    def __str__(self): raise E\nraise E", "E", "str() failed"),
            ("np.abs = 3\nreturn x / 2", "numpy-replaced", "replaces np.abs"),
        ],
    )
    def test_wrong(self, body, key, words):
        finding = examined(body)
        assert (finding.state, finding.key) == (FAILED, key)
        assert words in finding.problem

    def test_mistake_in_its_own_words(self):
        finding = examined("return 2 * x")
        assert finding.diagnosis == "Larger, not smaller?"
        assert finding.results == ("your y = [4., 8.]", "expected = [1., 2.]")

    def test_a_mistake_is_named_only_if_it_explains_every_call(self):
        assert examined("return 2 * x if x.ndim == 1 else 3 * x").key == "different"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("return x / 4", "half the right one"),
            ("return -x / 2", "Your y equals minus the right one: a sign is wrong."),
            ("return (x / 2)[::-1]", "Your y equals the right one in reverse along axis 0."),
            ("y = x / 2\ny[..., -1] = 0\nreturn y", "Your y is right but in the last index of axis 2, where it is 0"),
            ("return (x / 2).T", "values are right after .transpose(2, 1, 0)."),
        ],
    )
    def test_what_any_array_may_be_instead(self, body, words):
        assert words in examined(body, replace(HALF, tests=HALF.tests[1:])).diagnosis

    def test_a_diagnosis_speaks_of_the_test_that_is_shown(self):
        backward = load_exercise(SPECIFICATIONS["pooling"]).functions[0]
        body = "return np.repeat(np.repeat(grad_y, 2, 1), 2, 2) / 2"  # wrong in size everywhere, in shape for odd sides
        finding = examined(body, backward, "def average_pool_backward(grad_y, shape):")
        assert finding.number == 1
        assert finding.key == "average-factor or accumulated-twice"
        assert finding.diagnosis == backward.mistakes["average-factor"].words

    def test_a_place_is_told_only_if_it_is_the_same_in_every_call(self):
        backward = load_exercise(SPECIFICATIONS["style"]).functions[1]
        finding = examined("return F @ grad_G @ grad_G.T", backward, "def gram_backward(grad_G, F):")
        assert (finding.key, finding.diagnosis) == ("different", "")

    def test_a_place_is_told_of_the_call_that_is_shown(self):
        style = load_exercise(SPECIFICATIONS["style"]).functions[2]
        body = """F = np.maximum(z, 0)
G = F.reshape(-1, F.shape[2]).T @ F.reshape(-1, F.shape[2])
return grad_y / F.size**2 * (F @ (G - A)) * (z > 0) * (1 + 0.1 * (z > 1.5) * (grad_y != 1))"""
        finding = examined(body, style, "def style_backward(grad_y, z, A):")
        assert finding.number > 1
        right = style.reference(*arguments_of(style, finding.number - 1)).ravel()
        numbers = {f"{value:.6g}" for each in right for value in (each, 1.1 * each)}
        assert set(re.findall(r"-?\d+\.\d{3,}(?:e-\d+)?", finding.diagnosis)) <= numbers

    @pytest.mark.parametrize(
        ("header", "body"),
        [
            ("def relu_backward(x, grad_y):", "return grad_y * (x > 0)"),
            ("def relu_backward(a, b):", "return b * (a > 0)"),
            ("def relu_backward(x, grad_y):", "return np.where(x > 0, grad_y, np.zeros((2, 3)))"),
        ],
    )
    def test_arguments_exchanged(self, header, body):
        finding = examined(body, load_exercise(RELU).functions[1], header)
        assert finding.key == "arguments-exchanged"
        assert "grad_y and x had changed places: the call is relu_backward(grad_y, x)" in finding.diagnosis

    def test_what_another_function_has_left_behind(self):
        text = """
import numpy as np
kept, mask = {}, None
def relu_forward(x):
    global mask
    kept["x"], mask = x, x > 0
    return np.maximum(x, 0)
def relu_backward(grad_y, x):
    return grad_y * (%s)
"""
        for used, name in (("kept['x'] > 0", "kept"), ("mask", "mask")):
            source = Source("relu.py", text % used)
            module, backward = files.load(source), load_exercise(RELU).functions[1]
            module.relu_forward(np.ones((3, 4)))
            call = Careful(module.relu_backward, "relu_backward", ("grad_y", "x"), source, contextlib.nullcontext)
            finding = examine(backward, call)
            assert finding.key == "kept-between-calls"
            assert f"uses {name}, which another function changes" in finding.diagnosis
        assert files.kept_between_calls(Source("", text % "x > 0"), "relu_backward") == []

    def test_digits_lost_in_float32_only(self):
        finding = examined("return ((1e4 + x) - (1e4 - x)) / 4")
        assert finding.key == "digits-lost"
        assert "f(x + h) - f(x - h)" in finding.diagnosis

    @pytest.mark.parametrize("change", ["x.pop()", "x.append(3)", "x.reverse()", "x[0] = x[1]", "x[0][0] = 3"])
    def test_a_list_that_is_changed(self, change):
        first = Function("half", lambda x: x[0], "y", (Worked("two", ([np.zeros(1), np.ones(1)],), [0.0]),), ("",) * 3)
        finding = examined(f"y = x[0].copy()\n{change}\nreturn y", first)
        assert finding.key == "changed-in-place"
        assert "the caller's list is another afterwards" in finding.problem

    def test_the_order_of_functions_in_a_list_that_is_changed(self):
        first = Function(
            "half", lambda x: 0.0, "y", (Worked("two", ([np.sin, abs, str.lower, examined, said],), 0.0),), ("",) * 3
        )
        assert examined("x.reverse()\nreturn 0.0", first).key == "changed-in-place"
        assert examined("x[::-1]\nreturn 0.0", first).state == PASSED

    @pytest.mark.parametrize(
        ("body", "key", "words"),
        [
            ("return np.eye(len(x)) @ x / 2", "memory", "right in the 1 tests before"),
            ("return x / 2 if len(x) < 9 else half(x)", "recursion", "many more numbers"),
        ],
    )
    def test_right_but_for_many_numbers(self, body, key, words):
        def many(function, random):
            return None if function(np.ones(2_000_000)).sum() == 1e6 else "The sum is another."

        large = replace(HALF, tests=(HALF.tests[0], Property("many", many, is_large=True)))
        finding = examined(body, large)
        assert (finding.number, finding.key) == (2, key)
        assert words in finding.advice

    def test_small_numbers_are_shown_with_their_exponents(self):
        assert shown("x", np.array([2e-12, 1e-12])) == ["x = [2.e-12, 1.e-12]"]
        assert shown("x", np.array([1e-12, 1.0])) == ["x = [0., 1.]"]

    def test_only_the_learners_lines_are_shown(self):
        finding = examined("return np.linalg.inv(x)")
        assert finding.lines == ("line 3, in half:  return np.linalg.inv(x)",)

    def test_prints_of_the_failing_call_are_kept(self):
        finding = examined("print('shape', x.shape)\nreturn x")
        assert finding.printed == "shape (2,)\n"

    def test_rounding_is_no_mistake_where_zero_is_expected(self):
        difference = replace(HALF, reference=lambda x: x - x, tests=HALF.tests[1:2])
        assert examined("return (0.1 * x + 0.2 * x) - 0.3 * x", difference).state == PASSED
        assert examined("return 1e-7 * x", difference).state == FAILED

    def test_long_messages_are_cut(self):
        assert len(examined("raise ValueError(list(range(10**4)))").problem) < 1000

    def test_what_is_replaced_in_numpy_is_put_back(self):
        kept = np.isfinite
        assert examined("np.isfinite = None\nreturn 1 / 0").key == "ZeroDivisionError"
        assert np.isfinite is kept

    @pytest.mark.parametrize("right", ["(x.astype('float32') / 2)", "(x.astype('float32') / 2).astype(x.dtype)"])
    def test_float32_on_the_way(self, right):
        finding = examined(f"return {right}")
        assert finding.key == "float32-round-off"
        assert "computed in float32?" in finding.diagnosis

    def test_a_difference_is_told_with_as_many_digits_as_it_has(self):
        finding = examined("return x / 2 * (1 + 4e-9)")
        assert finding.problem.startswith("Your y at index (1,) is 2.000000008; expected 2.0.")
        assert finding.results == ()

    def test_what_is_not_finite_is_said_once(self):
        assert examined("return x / 2 if x.ndim == 1 else x * np.nan").diagnosis == ""

    def test_another_function_that_is_not_written_yet(self):
        source = Source("half.py", "def half(x): return third(x)\ndef third(x): raise NotImplementedError")
        found = files.find(files.load(source), "half")
        finding = examine(HALF, Careful(found, "half", ("x",), source, contextlib.nullcontext))
        assert finding.state == FAILED
        assert finding.problem == "Your code calls third, which is not written yet."

    def test_endless_prints_are_cut(self):
        assert len(examined("print('x' * 10**5)\nreturn x").printed) <= 2000

    def test_warnings_are_no_errors(self):
        assert examined("import warnings\nwarnings.warn('so')\nnp.log(-x)\nreturn x / 2").state == PASSED

    @pytest.mark.parametrize("header", ["def half():", "def half(x, y):", "def half(x, *, y):"])
    def test_wrong_number_of_arguments(self, header):
        finding = examined("return x / 2", header=header)
        assert finding.key == "wrong-arguments"
        assert "half(x)" in finding.problem

    def test_more_arguments_with_defaults_are_fine(self):
        assert examined("return x / y", header="def half(x, y=2):").state == PASSED

    def test_several_results(self):
        both = Function(
            "both",
            lambda x: (x.sum(), x + 1),
            ("total", "more"),
            (Worked("two", ([1.0, 2.0],), (3, [2, 3])),),
            ("",) * 3,
        )
        assert examined("return x.sum(), x + 1", both, "def both(x):").state == PASSED
        assert "must return 2: (total, more)" in examined("return x", both, "def both(x):").problem
        assert "returns 3 values" in examined("return 1, 2, 3", both, "def both(x):").problem
        assert "Your more at index (0,) is 1" in examined("return x.sum(), x", both, "def both(x):").problem
        assert "total is None" in examined("return None, x", both, "def both(x):").problem

    def test_property(self):
        def complaint(function, random):
            return None if function(np.ones(2)).sum() == 1 else "The sum is not 1."

        holds = Function("half", lambda x: x / 2, "y", (Property("sums to one", complaint),), ("",) * 3)
        assert examined("return x / 2", holds).state == PASSED
        finding = examined("return x", holds)
        assert (finding.problem, finding.call) == ("The sum is not 1.", ("half(x)", "x = [1., 1.]"))
        assert "cannot be used (AttributeError" in examined("return 3.5", holds).problem

    def test_yes_or_no(self):
        larger = Function("half", lambda x: x > 0, "mask", (Worked("two", ([1.0, -2.0],), [True, False]),), ("",) * 3)
        assert examined("return x > 0", larger).state == PASSED
        assert examined("return np.where(x > 0, 1, 0)", larger).state == PASSED
        assert "is 0; expected 1" in examined("return x < 0", larger).problem

    def test_gradient_check_names_what_other_tests_let_pass(self):
        backward = load_exercise(RELU).functions[1]
        only = replace(backward, tests=[test for test in backward.tests if isinstance(test, Verified)])
        finding = examined("return grad_y * (x < 0)", only, "def relu_backward(grad_y, x):")
        assert finding.key == "mask-inverted"
        assert "should be" in finding.problem


class TestFile:
    """What is wrong before any function is called."""

    @pytest.mark.parametrize(
        ("text", "words", "line"),
        [
            ("x = 1\ndef half(x)\n    return x", "expected ':'", "line 2:  def half(x)"),
            ("def half(x):\nreturn x", "IndentationError", "line 2:  return x"),
            ("def half(x):\n\tif x:\n        return x", "TabError", "line 3:  return x"),
            ("x = (1,\n", "'(' was never closed", "line 1:  x = (1,"),
            ("\nimport nampy", "No module named 'nampy'", "line 2:  import nampy"),
            ("print(y)", "name 'y' is not defined", "line 1:  print(y)"),
            ("import sys\nsys.exit()", "ends the program", "line 2:  sys.exit()"),
            ("x = '\u2028'\n\x0c\nprint(y)", "name 'y' is not defined", "line 3:  print(y)"),
            (
                "def half(x):\n    raise NotImplementedError\nhalf(3)",
                "calls a function that is not written yet",
                "line 3:  half(3)",
            ),
        ],
    )
    def test_cannot_be_loaded(self, text, words, line):
        with pytest.raises(Complaint) as caught:
            files.load(Source("half.py", text))
        assert words in caught.value.problem
        assert line in caught.value.lines

    def test_null_byte(self):
        with pytest.raises(Complaint, match="Python cannot read your file"):
            files.load(Source("half.py", "x = '\0'"))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("def Half(x): pass", "Did you mean Half?"),
            ("def halve(x): pass", "Did you mean halve?"),
            ("import numpy", "There is no function half in your file."),
            ("half = 3", "half is not a function in your file but of type int"),
        ],
    )
    def test_missing_function(self, text, words):
        with pytest.raises(Complaint) as caught:
            files.find(files.load(Source("half.py", text)), "half")
        assert caught.value.problem.endswith(words) or words in caught.value.problem

    @pytest.mark.parametrize(
        "text",
        [
            "import scratchnst.ops.relu",
            "from scratchnst.ops import relu as r",
            "from scratchnst.ops.relu import forward",
            "from scratchnst import ops\nops.relu.forward",
            "import scratchnst\nscratchnst.ops.relu",
        ],
    )
    def test_the_answer_imported(self, text):
        assert files.imported_answers(Source("", text), ["scratchnst.ops.relu"]) == ["scratchnst.ops.relu"]

    @pytest.mark.parametrize(
        "text", ["import numpy", "import scratchnst", "from scratchnst.ops import conv2d", "x.relu", "x = (", "\0"]
    )
    def test_the_answer_not_imported(self, text):
        assert files.imported_answers(Source("", text), ["scratchnst.ops.relu"]) == []

    def test_unreadable(self, tmp_path):
        (tmp_path / "latin.py").write_bytes(b"x = 'caf\xe9'")
        (tmp_path / "cookie.py").write_bytes(b"# coding: nonsense\n")
        (tmp_path / "large.py").write_bytes(b"#" * (2 << 20))
        for name, words in {
            "none.py": "there is no file",
            ".": "is a folder",
            "latin.py": "not text in UTF-8",
            "cookie.py": "not text in UTF-8",
            "large.py": "cannot be the file",
            "x" * 300: "cannot be read",
        }.items():
            with pytest.raises(UserError, match=words):
                files.read(tmp_path / name)

    def test_byte_order_mark_and_windows_line_ends(self, tmp_path):
        (tmp_path / "windows.py").write_bytes(b"\xef\xbb\xbfdef half(x):\r\n    return x / 2\r\n")
        assert files.find(files.load(files.read(tmp_path / "windows.py")), "half")(4) == 2


class TestProcess:
    """Files that end, stop or fill the process they run in."""

    def test_right(self, tmp_path):
        grade_ = grade(written(tmp_path, RIGHT), RELU)
        assert grade_.passed
        assert "Exercise 4 is solved" in said(grade_)

    @pytest.mark.parametrize(
        ("forward", "key", "words"),
        [
            ("import os; os._exit(0)", "exit", "ends the whole process (status 0)"),
            ("import os; os.kill(os.getpid(), 9)", "signal", "SIGKILL, as systems do when memory runs out"),
            ("import ctypes; ctypes.string_at(0)", "signal", "SIGSEGV"),
            pytest.param("import os; os.kill(os.getpid(), 40)", "signal", "signal 40", marks=NEEDS_LINUX),
        ],
    )
    def test_a_process_that_ends(self, tmp_path, forward, key, words):
        path = written(tmp_path, RIGHT.replace("return np.maximum(x, 0)", forward))
        finding = grade(path, RELU, ["relu_forward"]).findings[0]
        assert (finding.state, finding.key) == (FAILED, key)
        assert words in finding.problem
        assert finding.call[0] == "relu_forward(x)"

    def test_a_process_that_ends_costs_one_function_only(self, tmp_path):
        path = written(tmp_path, RIGHT.replace("return np.maximum(x, 0)", "import os; os._exit(0)"))
        assert [finding.state for finding in grade(path, RELU).findings] == [FAILED, PASSED]

    def test_endless_loop(self, tmp_path):
        text = RIGHT.replace(
            "return np.maximum(x, 0)", "try:\n        while True:\n            x = x + 1\n    except: pass"
        )
        finding = grade(written(tmp_path, text), RELU, ["relu_forward"], seconds=2).findings[0]
        assert finding.key == "endless"
        assert finding.problem == "A call takes longer than 2 seconds and was stopped."
        assert re.match("line [56], in relu_forward:  ", finding.lines[0])

    @pytest.mark.parametrize("stop", ["breakpoint()", "import pdb; pdb.set_trace()"])
    def test_a_debugger(self, stop, tmp_path):
        path = written(tmp_path, RIGHT.replace("return np.maximum(x, 0)", stop))
        finding = grade(path, RELU, ["relu_forward"]).findings[0]
        assert finding.key == "debugger"
        assert "breakpoint()" in finding.advice

    def test_right_but_too_slow(self, tmp_path):
        text = """
import numpy as np
def convolve_dilated(x, w, b, dilation):
    (n, height, width, _), (kh, kw, channels, outputs) = x.shape, w.shape
    y = np.zeros((n, height, width, outputs), x.dtype) + b.astype(x.dtype)
    for m, p, q, k in np.ndindex(*y.shape):
        for i, j, c in np.ndindex(kh, kw, channels):
            u, v = p + (i - kh // 2) * dilation, q + (j - kw // 2) * dilation
            if 0 <= u < height and 0 <= v < width:
                y[m, p, q, k] += x[m, u, v, c] * w[i, j, c, k]
    return y
"""
        finding = grade(written(tmp_path, text), SPECIFICATIONS["convolution"], seconds=3).findings[0]
        assert finding.key == "slow"
        assert finding.problem == "Right, but too slow: a call was stopped after 3 seconds."
        assert finding.advice.startswith("It was right in the 7 tests before")

    def test_endless_loop_while_it_is_loaded(self, tmp_path):
        problem = grade(written(tmp_path, "while True:\n    pass", "é.py"), RELU, seconds=0.5).problem
        assert problem.key == "endless"
        assert problem.lines[0].startswith("line ")
        assert "could not be loaded" in said(Grade(problem=problem))

    def test_huge_memory(self, tmp_path):
        text = RIGHT.replace("return np.maximum(x, 0)", "return np.zeros((10**5, 10**5))")
        text = text.replace("return grad_y * (x > 0)", "kept = []\n    while True: kept.append(bytes(10**7))")
        grade_ = grade(written(tmp_path, text), RELU, memory=300 << 20)
        assert [finding.key for finding in grade_.findings] == ["memory", "memory"]
        assert "(100000, 100000)" in grade_.findings[0].advice
        assert grade_.findings[1].lines[-1].startswith("line 7, in relu_backward:  while True: kept.append")

    def test_memory_is_watched_where_the_system_sets_no_limit(self, tmp_path):
        lifted = "import resource as r, time; r.setrlimit(r.RLIMIT_AS, r.getrlimit(r.RLIMIT_AS)[1:] * 2)"
        filled = f"{lifted}; kept = np.ones(6 * 10**7); time.sleep(60)"
        finding = grade(
            written(tmp_path, RIGHT.replace("return np.maximum(x, 0)", filled)),
            RELU,
            ["relu_forward"],
            memory=300 << 20,
        ).findings[0]
        assert finding.key == "memory"

    def test_prints_do_not_disturb(self, tmp_path):
        noise = (
            "import os, sys; os.write(1, b'{\"end\": true}\\n'); print('{\"end\": true}', file=sys.__stdout__)\n    "
        )
        assert grade(written(tmp_path, RIGHT.replace("return np", noise + "return np")), RELU).passed

    def test_words_put_into_the_workers_mouth(self, tmp_path):
        forged = (
            "import os\nfor number in range(3, 20):\n    try: os.write(number, b'{%s}\\n')\n    except OSError: pass\n"
        )
        with pytest.raises(UserError, match="lost touch"):
            grade(written(tmp_path, forged % '"end": 1' + RIGHT), RELU)
        assert grade(written(tmp_path, forged % "nonsense" + RIGHT), RELU).passed

    def test_what_the_grader_needs_is_taken_away(self, tmp_path):
        with pytest.raises(UserError, match="Unless your file changes what is not its own"):
            grade(written(tmp_path, "import builtins\nbuiltins.zip = None" + RIGHT), RELU)

    def test_a_thread_left_behind_does_not_keep_it_alive(self, tmp_path):
        text = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()" + RIGHT
        assert grade(written(tmp_path, text), RELU).passed

    def test_what_it_has_started_ends_with_it(self, tmp_path):
        started = f"""
import subprocess, sys
with open({str(tmp_path / "id")!r}, "w") as file:
    print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, file=file)
"""
        assert grade(written(tmp_path, started + RIGHT), RELU, ["relu_forward"]).passed
        with contextlib.suppress(psutil.NoSuchProcess):
            left = psutil.Process(int((tmp_path / "id").read_text()))
            until = time.monotonic() + 30  # for the system to do what it has been told
            while (
                left.status() != psutil.STATUS_ZOMBIE
            ):  # which a system leaves behind whose first process does not wait
                assert time.monotonic() < until
                time.sleep(0.01)

    @pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that gives orphans to the grader")
    @pytest.mark.parametrize("ends_its_parent", [False, True])
    def test_what_has_left_its_session_ends_with_it(self, ends_its_parent, tmp_path):
        leaving = f"""
    import os, time
    if not os.fork():
        os.setsid()
        if not os.fork():
            open({str(tmp_path / "new")!r}, "w").write(str(os.getpid()))
            os.replace({str(tmp_path / "new")!r}, {str(tmp_path / "id")!r})  # never empty: it may be ended at any time
            time.sleep(600)
        os._exit(0)
    while not os.path.exists({str(tmp_path / "id")!r}):
        time.sleep(0.01)
    {"os.kill(os.getppid(), 9)" if ends_its_parent else "pass"}
    return np.maximum(x, 0)"""
        path = written(tmp_path, RIGHT.replace("\n    return np.maximum(x, 0)", leaving, 1))
        assert grade(path, RELU, ["relu_forward"]).passed != ends_its_parent
        assert not psutil.pid_exists(int((tmp_path / "id").read_text()))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the process is the grader's child")
    @pytest.mark.parametrize("signal", ["9", "15", "2"])
    def test_code_that_ends_its_parent_does_not_end_the_grader(self, signal, tmp_path):
        body = f"import os, time; os.kill(os.getppid(), {signal}); time.sleep(5)"
        finding = grade(written(tmp_path, RIGHT.replace("return np.maximum(x, 0)", body)), RELU).findings[0]
        assert (finding.state, finding.key) == (FAILED, "signal")

    @pytest.mark.parametrize(
        "words",
        [
            '{"found": 3}',
            '{"found": {}}',
            '{"found": {"function": "relu_forward"}}',
            '{"found": {"function": "another", "state": "passed", "total": 5}}',
            '{"found": {"function": "relu_forward", "state": 1, "total": "5"}}',
            '{"trying": {"function": "relu_forward", "state": "failed", "total": 5, "lines": [3]}}',
            '{"trying": null, "found": null}',
            '{"problem": []}',
            '{"broken": {}}',
            '{"ready": -1}',
            '["found"]',
            "3",
            "[" * 100_000,
            "1" * 5000,
        ],
    )
    def test_only_whole_events_of_the_worker_are_read(self, words, tmp_path):
        text = f"""
import os
for number in range(3, 20):
    try: os.write(number, {words!r}.encode() + b"\\n")
    except OSError: pass
"""
        assert grade(written(tmp_path, text + RIGHT), RELU).passed

    def test_words_without_end_put_into_the_workers_mouth(self, tmp_path):
        flood = """
    import os
    for number in range(3, 20):
        try:
            while True: os.write(number, b"x" * 65536)
        except OSError: pass"""
        path = written(tmp_path, RIGHT.replace("\n    return np.maximum(x, 0)", flood))
        assert [finding.key for finding in grade(path, RELU).findings] == ["channel", ""]

    @pytest.mark.parametrize(
        "raising",
        [
            r"raise ValueError('\x1b[31mred\x07\x00 \x9b2J \u202e \ud800')",
            r"raise type('E\x1b[31m', (Exception,), {})('\x1b]0;title\x07')",
            "raise ValueError  # \x1b[31mred\x07\x7f",
            r"print('\x1b[2J\x07\x00'); return x",
            r"return '\x1b[31m'",
        ],
    )
    def test_nothing_of_a_learners_acts_on_the_terminal(self, raising, tmp_path):
        text = said(grade(written(tmp_path, RIGHT.replace("return np.maximum(x, 0)", raising)), RELU))
        assert all(each.isprintable() for each in text.replace("\n", ""))

    def test_modules_of_the_current_folder_do_not_stand_in_for_others(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        written(tmp_path, "raise RuntimeError", "json.py")
        written(tmp_path, "raise RuntimeError", "numpy.py")
        assert grade(written(tmp_path, RIGHT), RELU).passed


class TestTutor:
    def test_hints_one_after_the_other(self):
        assert "Hint 1 of 3: one" in tutor.hint(HALF, 0)
        assert "2 more hints are left" in tutor.hint(HALF, 0)
        assert "One more hint is left" in tutor.hint(HALF, 1)
        assert "Hint 3 of 3: three" in tutor.hint(HALF, 2)
        assert "no more hints" in tutor.hint(HALF, 2)
        assert "Hint 1 of 3: one" in tutor.hint(HALF, 3)

    def test_the_answer_imported_is_told_but_passes(self, tmp_path):
        text = (
            "from scratchnst.ops import relu\ndef relu_forward(x): return relu.forward(x)[0]\n"
            + RIGHT[RIGHT.index("def relu_b") :]
        )
        exercise = Exercise("halves", (HALF,))
        found = Grade((examined("return x / 2"),), None, ("scratchnst.ops.relu",))
        assert "A word about scratchnst.ops.relu" in tutor.report(exercise, 4, found)
        assert files.imported_answers(Source("", text), load_exercise(RELU).answers) == ["scratchnst.ops.relu"]

    def test_a_library_that_differentiates_is_told_but_passes(self):
        assert files.imported_derivatives(Source("", "import torch.nn as nn, numpy")) == ["torch"]
        assert files.imported_derivatives(Source("", "from jax import numpy as np")) == ["jax"]
        assert files.imported_derivatives(Source("", "import numpy as torch")) == []
        found = Grade((examined("return x / 2"),), None, (), ("torch",))
        assert "A word about torch: your file imports it" in tutor.report(Exercise("halves", (HALF,)), 4, found)

    def test_the_file_of_another_exercise(self, tmp_path):
        assert "the file of another exercise?" in said(grade(written(tmp_path, "def half(x): pass"), RELU))

    def test_large_arguments_can_be_had(self):
        finding = examined("return x / 2 if x.ndim == 1 else x / 3")
        text = tutor.report(Exercise("halves", (HALF,)), 4, Grade((finding,)))
        assert "x = float64 array of shape (2, 3, 4)" in text
        assert 'x, = arguments(4, "half", 2)' in text
        grad_y, x = arguments(4, "relu_backward", 4)
        assert grad_y.shape == x.shape == (3, 5, 7, 2)
        with pytest.raises(UserError, match="no test 9"):
            arguments(4, "relu_backward", 9)

    @pytest.mark.parametrize(
        ("value", "lines"),
        [
            (np.eye(2), ["x = [[1., 0.],", "     [0., 1.]]"]),
            (np.zeros((4, 5), "float32"), ["x = float32 array of shape (4, 5)"]),
            (0.5, ["x = 0.5"]),
            (np.float64(0.5), ["x = 0.5"]),
            ([np.ones(2), np.zeros(2)], ["x = [[1., 1.], [0., 0.]]"]),
            ([(np.ones(2), np.ones(1))] * 2, ["x = [([1., 1.], [1.]),", "     ([1., 1.], [1.])]"]),
            ([1, "conv"], ["x = [1, 'conv']"]),
            ([(np.ones(2), np.ones(1))], ["x = [([1., 1.], [1.])]"]),
            (np.ones((1, 2, 2, 1)), ["x = [[1., 1.],", "     [1., 1.]]  in the shape (1, 2, 2, 1)"]),
            (np.ones((2, 1, 1, 2)), ["x = [[1., 1.],", "     [1., 1.]]  in the shape (2, 1, 1, 2)"]),
            (np.ones((2, 2, 2)), ["x = [[[1., 1.],", "      [1., 1.]],", "     [[1., 1.],", "      [1., 1.]]]"]),
            (np.sin, None),
        ],
    )
    def test_shown(self, value, lines):
        assert lines is None or shown("x", value) == lines

    def test_shown_whatever_the_learner_has_set(self):
        with np.printoptions(formatter={"float": lambda number: "?"}):
            assert shown("x", np.ones(2)) == ["x = [1., 1.]"]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "progress.json"))

    def test_solved_is_remembered(self, tmp_path, capsys):
        written(tmp_path, RIGHT)
        assert main(["check", "04", "--file", "mine.py"]) == 0
        assert "Exercise 4 is solved" in capsys.readouterr().out
        assert main(["check"]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(" 4"))
        assert line.endswith("solved")

    def test_solved_is_not_lost_by_a_worse_file(self, tmp_path, capsys):
        written(tmp_path, RIGHT)
        assert main(["check", "4", "--file", "mine.py"]) == 0
        for worse in ("", "def relu_forward(x): raise NotImplementedError", RIGHT.replace("> 0", "< 0")):
            written(tmp_path, worse)
            assert main(["check", "4", "--file", "mine.py"]) == 1
        capsys.readouterr()
        assert main(["check"]) == 0
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(" 4"))
        assert line.endswith("solved")

    def test_not_yet(self, tmp_path, capsys):
        written(tmp_path, RIGHT.replace("grad_y * (x > 0)", "grad_y * (x < 0)"))
        assert main(["check", "4", "--file", "mine.py"]) == 1
        out = capsys.readouterr().out
        assert "relu_forward: right" in out
        assert "1 of 2 functions are right already" in out
        assert main(["check", "4", "--file", "mine.py", "--function", "relu_forward"]) == 0
        main(["check"])
        assert "1 of 2 functions right" in capsys.readouterr().out

    @pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
    def test_the_name_of_a_file_does_not_act_on_the_terminal(self, tmp_path, capsys):
        written(tmp_path, RIGHT, "\x1b[31mmine.py")
        assert main(["check", "4", "--file", "\x1b[31mmine.py"]) == 0
        assert capsys.readouterr().out.splitlines()[0].endswith(r"\x1b[31mmine.py")

    def test_hints_are_remembered(self, tmp_path, capsys, monkeypatch):
        written(tmp_path, "def relu_forward(x): raise NotImplementedError")
        found = Grade((Finding("relu_forward", NOT_WRITTEN, 5),))
        monkeypatch.setattr("scratchnst.cli.check.grade", lambda *_: found)
        for expected in ("Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "no more hints"):
            assert main(["check", "4", "--file", "mine.py", "--hint"]) == 1
            assert expected in capsys.readouterr().out

    @pytest.mark.parametrize("given", ["x", -7, None, [1]])
    def test_hints_of_a_file_that_somebody_has_changed(self, given, tmp_path, capsys, monkeypatch):
        written(tmp_path, RIGHT)
        found = Grade((Finding("relu_forward", NOT_WRITTEN, 5),))
        monkeypatch.setattr("scratchnst.cli.check.grade", lambda *_: found)
        ProgressFile.load().set_exercise("relu", {"relu_forward": {"hints": given}})
        main(["check", "4", "--file", "mine.py", "--hint"])
        assert "Hint 1 of 3" in capsys.readouterr().out

    @pytest.mark.parametrize("here", [".", "lessons", "lessons/04_relu", "lessons/05_pooling"])
    def test_the_learners_file_lies_in_the_folder_lessons(self, here, tmp_path, capsys, monkeypatch):
        for name, text in (("04_relu", RIGHT), ("05_pooling", "raise RuntimeError")):
            (tmp_path / "lessons" / name).mkdir(parents=True)
            written(tmp_path / "lessons" / name, text, "exercise.py")
        monkeypatch.chdir(tmp_path / here)
        assert main(["check", "4"]) == 0
        assert os.path.join("04_relu", "exercise.py") in capsys.readouterr().out

    def test_nobody_reads_on(self):
        command = [sys.executable, "-m", "scratchnst", "check"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() == OUTPUT_CLOSED

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["99"], "there is no exercise 99"),
            (["4", "--file", "nowhere.py"], "there is no file nowhere.py"),
            (["4", "--function", "relu"], "relu_forward, relu_backward"),
            (["x"], "a whole number"),
            (["--hint"], "which exercise?"),
        ],
    )
    def test_user_errors(self, arguments, words, capsys):
        with contextlib.suppress(SystemExit):  # of argparse
            assert main(["check", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
