"""Messages are one line, whatever they quote."""

from __future__ import annotations

import pytest

from scratchnst.messages import LONGEST, complain, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a sentence: ∂L/∂x, “ö”.", "a sentence: ∂L/∂x, “ö”."),
        ("a\nb\r\tc\x1b[31md\x00\x7f", r"a\nb\r\tc\x1b[31md\x00\x7f"),
        ("\udcff.png", r"\udcff.png"),  # a byte that is no text
        ("\u202egnp.exe", r"\u202egnp.exe"),  # written from the right to the left
        (b"bytes".decode(), "bytes"),
    ],
)
def test_one_line(text, line):
    assert one_line(text) == line


def test_long_words_keep_both_ends():
    shown = one_line("the number 1" + "0" * 5000 + "7 is too large.")
    assert len(shown) < 300
    assert shown.startswith("the number 100")
    assert shown.endswith("007 is too large.")


@pytest.mark.parametrize("text", ["word " * 5000, "\n" * 5000])
def test_everything_ends(text):
    assert len(one_line(text)) <= LONGEST + 3


def test_complain(capsys, monkeypatch):
    complain("no\nfile.")
    assert capsys.readouterr() == ("", "scratchnst: no\\nfile.\n")
    monkeypatch.setattr("sys.stderr", None)
    complain("nobody reads this.")
    assert capsys.readouterr().out == ""
