"""Formulas in the characters of a terminal."""

from __future__ import annotations

from textwrap import dedent

import pytest

from scratchnst.classroom.formulas import boxes, displayed, in_line
from scratchnst.classroom.formulas.boxes import Box


@pytest.mark.parametrize(
    ("latex", "line"),
    [
        ("x_i", "xᵢ"),
        ("F^l_{ij}", "Fˡᵢⱼ"),
        ("N_l^2", "Nₗ²"),
        (r"x_{\text{new}}", "x_new"),
        ("w_c x_{i,j}", "w_c x_{i,j}"),
        ("A^T v + B^{-1}", "Aᵀ v + B⁻¹"),
        (r"x' - y'' + z'''", "x′ − y″ + z‴"),
        (r"\frac{\partial L}{\partial x_{i+1}}", "∂L/∂xᵢ₊₁"),
        (r"\frac{\partial L}{\partial y}\frac{\partial y}{\partial x}", "(∂L/∂y) ∂y/∂x"),
        (r"\frac{1}{2} \|v\|^2", "½ ‖v‖²"),
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"\frac{1}{4 N^2 M^2} F", "(1/(4 N² M²)) F"),
        (r"\frac{1}{(a + b)^2}", "1/(a + b)²"),
        (r"\frac{1}{f(x)} + \frac{h/2}{25}", "1/f(x) + (h/2)/25"),
        (r"\left(\frac{a}{b}\right)^2", "(a/b)²"),
        (r"\frac{a}{b}^2", "(a/b)²"),
        (r"\sum_{k=0}^{n-1} w_k x_{i+k}", "∑ₖ₌₀ⁿ⁻¹ wₖ xᵢ₊ₖ"),
        (r"\sum_{i,j} G_{ij}", "∑_{i,j} Gᵢⱼ"),
        (r"\langle u, A v \rangle=\langle A^T u,v\rangle", "⟨u, A v⟩ = ⟨Aᵀ u, v⟩"),
        (r"\sqrt{a^2+b^2} + \sqrt{2} + \sqrt{\langle v, v \rangle}", "√(a² + b²) + √2 + √⟨v, v⟩"),
        (r"-x + (-y) \cdot -2", "−x + (−y) · −2"),
        (r"\max(0, x) \le \log x", "max(0, x) ≤ log x"),
        (r"x[:,:,c] \in \mathbb{R}^n", "x[:, :, c] ∈ ℝⁿ"),
        (r"f: \mathbb{R}^n \to \mathbb{R}", "f: ℝⁿ → ℝ"),
        (r"\hat y_c^{(t)} \odot \bar{x}", "ŷ_c⁽ᵗ⁾ ⊙ x̄"),
        (r"786\,432 \approx 10^{6}, \dots", "786 432 ≈ 10⁶, …"),
        (r"\big((x - p) + h\big)^2", "((x − p) + h)²"),
        (r"\underset{x}{\operatorname{argmin}}\, L(x)", "argminₓ L(x)"),
        (r"\begin{pmatrix} 1 & 0 \\ 0 & -1 \end{pmatrix}", "(1 0; 0 −1)"),
        (r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{else} \end{cases}", "{x if x > 0; 0 else"),
        (r"100\,\%", "100 %"),
        (r"a \not= b", "a ≠ b"),
        ("", ""),
    ],
)
def test_in_line(latex, line):
    assert in_line(latex) == line


@pytest.mark.parametrize(
    ("latex", "rows"),
    [
        ("x_i = 2", "xᵢ = 2"),
        (
            r"\frac{\partial E_l}{\partial F^l_{ij}} = \begin{cases} (F^l - P^l)_{ij} & \text{if } F^l_{ij} > 0 \\"
            r"0 & \text{if } F^l_{ij} < 0 \end{cases}",
            """
             ∂Eₗ    ⎧ (Fˡ − Pˡ)ᵢⱼ   if Fˡᵢⱼ > 0
            ───── = ⎨
            ∂Fˡᵢⱼ   ⎩ 0             if Fˡᵢⱼ < 0
            """,
        ),
        (
            r"\frac{1}{4 N_l^2 M_l^2} \sum_{i,j} (G_{ij} - A_{ij})^2",
            """
                1
            ─────────  ∑  (Gᵢⱼ − Aᵢⱼ)²
            4 Nₗ² Mₗ² i,j
            """,
        ),
        (
            r"y_{n,c} = \sum_{i=0}^{kh-1} w_c x_{n,i}",
            """
                   kh−1
            y    =  ∑   w  x
             n,c   i=0   c  n,i
            """,
        ),
        (
            r"\begin{aligned} a &= \frac{b}{c} + d \\ &= e + \left( \frac{x}{y} \right)^2 \end{aligned}",
            """
                b
            a = ─ + d
                c

                    ⎛x⎞²
              = e + ⎜─⎟
                    ⎝y⎠
            """,
        ),
        (
            r"\nabla L = ( \frac{\partial L}{\partial x_1}, \dots )",
            """
                 ⎛∂L    ⎞
            ∇L = ⎜───, …⎟
                 ⎝∂x₁   ⎠
            """,
        ),
        (
            r"\begin{pmatrix} -1 & 0 \\ 2 & 10 \end{pmatrix} \hat{y}_c^2 \; e^{-x_c}",
            """
                           −x_c
            ⎛ −1   0 ⎞ ŷ² e
            ⎝  2  10 ⎠  c
            """,
        ),
        (
            r"\sqrt{\frac{a}{b}} \underbrace{x + y}_{\text{sum}} \tfrac12 \lim_{h \to 0} h",
            """
             ┌─
             │a
             │─ x + y ½ lim h
            ╲│b └─┬─┘   h→0
                 sum
            """,
        ),
    ],
)
def test_displayed(latex, rows):
    assert displayed(latex, 80) == dedent(rows).strip("\n").splitlines()


def test_breaks_what_is_too_wide():
    latex = r"x = a + b, \quad y = c + d"
    assert displayed(latex, 30) == ["x = a + b,  y = c + d"]
    assert displayed(latex, 20) == ["x = a + b,", "    y = c + d"]
    assert displayed("f(x + y) = f(x) + f(y) = 1", 20) == ["f(x + y)", "    = f(x) + f(y)", "    = 1"]
    assert displayed(r"f(x) \, g(y) \, h(z)", 12) == ["f(x) g(y)", "    h(z)"]
    assert displayed("f(x + y) = f(x) + f(y)", 12) == ["f(x + y)", "    = f(x)", "    + f(y)"]


def test_breaks_aligned_rows_of_their_own():
    latex = r"\begin{aligned} a + b &= c + d \\ &= e \end{aligned}"
    assert displayed(latex, 40) == ["a + b = c + d", "      = e"]
    assert displayed(latex, 12) == ["a + b", "    = c + d", "= e"]


@pytest.mark.parametrize(
    "latex", [r"\left( x", "{", r"\frac", "x^", "_", r"\begin{pmatrix} 1", r"\unknown{x}", "&", r"\\"]
)
def test_never_fails(latex):
    assert isinstance(in_line(latex), str)
    assert all(isinstance(row, str) for row in displayed(latex, 10))


def test_what_nobody_knows_is_shown_as_it_is():
    assert in_line(r"\unknown x") == r"\unknownx"
    assert in_line(r"{x") == "{x"


def test_boxes_stand_on_one_line():
    tall = Box(("a", "b", "c"), base=2)
    assert boxes.beside([tall, boxes.text("=")]) == Box(("a ", "b ", "c="), 2)
    assert boxes.fraction(boxes.text("a"), boxes.text("bcd")) == Box((" a ", "───", "bcd"), 1)
    assert boxes.bracket("{", Box(("a", "b"), 0), "").rows == ("⎧a", "⎩b")
    assert boxes.text("ŷ").width == 1
