"""The results as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scratchnst.bench import ladder
from scratchnst.bench.measure import OURS, SGEMM, Result
from scratchnst.bench.peer import PEERS

LOST = "lost"


def machine(facts: dict[str, Any]) -> list[str]:
    """What the figures depend on, in a line."""
    blas = ", ".join(f"{one['internal_api']} {one['version']} ({one['architecture']})" for one in facts["blas"])
    line = f"{facts['processor']}, {facts['threads']} threads; NumPy {facts['numpy']} with {blas or 'an unknown BLAS'}"
    return [line + (f"; PyTorch {facts['torch']}" if facts["torch"] else "")]


def speed(results: Sequence[Result]) -> list[str]:
    """Median seconds, peak memory, and PyTorch's better figures over ours, a row for each size."""
    names = [name for name in (OURS, *PEERS) if any(item.contender == name for item in results)]
    lines = [
        "",
        f"one evaluation of loss and gradient, seconds, median of {max(len(item.seconds) for item in results)}",
    ]
    lines += _by_size(results, names, lambda item: item.median, "{:.3f}", ("of the limit", _share_of_the_limit))
    lines += ["", "peak memory of a process that does it, MB"]
    lines += _by_size(results, names, _megabytes, "{:.0f}")
    rates = [rate / 1e9 for item in results if (rate := item.facts.get("operations_per_second"))]
    if rates:
        lines += ["", f"the limit: its matrix products at {np.median(rates):.0f} GFLOP/s, the rate of one large SGEMM"]
    return lines + _failures(results)


def whole_run(results: Sequence[Result]) -> list[str]:
    """Seconds, evaluations and loss of a run, a row for each contender."""
    side = results[0].size
    lines = ["", f"a run from white noise at {side}x{side}, each with its own L-BFGS"]
    lines.append(f"{'':<22}{'seconds':>10}{'iterations':>12}{'evaluations':>13}{'loss':>12}")
    for item in results:
        if not item.failure:
            seconds, *counts, loss = (item.facts[key] for key in ("run_seconds", "iterations", "evaluations", "loss"))
            lines.append(f"{item.contender:<22}{seconds:>10.1f}{counts[0]:>12}{counts[1]:>13}{loss:>12.4g}")
    return lines + _failures(results)


def climb(results: Sequence[Result]) -> list[str]:
    """Seconds, extra memory and error, a row for each rung."""
    side, channels = results[0].size, ladder.CHANNELS
    lines = ["", f"one convolution, 3x3, {channels} to {channels} channels, {side}x{side} pixels"]
    lines.append(f"{'':<22}{'seconds':>10}{'times faster':>14}{'extra MB':>10}{'error':>10}")
    below: float | None = None
    for item in results:
        if item.median is None:
            continue
        gain = f"{below / item.median:.1f}" if below else ""
        extra = item.facts["extra_bytes"] / 1e6
        lines.append(
            f"{item.contender:<22}{item.median:>10.4g}{gain:>14}{extra:>10.1f}{item.facts['error']:>10.1e}"
            + ("" if item.facts["computed_share"] == 1 else "   time scaled up from a few pixels")
        )
        below = item.median
    return lines + _failures(results)


def exactness(results: Sequence[Result]) -> list[str]:
    """The errors, a line each."""
    gradient, run = results
    lines = [""]
    if not gradient.failure:
        ours, textbook = (gradient.facts[key] for key in ("gradient_errors", "textbook_gradient_errors"))
        lines.append(
            f"gradient in float32 at {gradient.size}x{gradient.size}, relative error against float64: median "
            f"{np.median(ours):.1e}, worst {max(ours):.1e} of {len(ours)} (textbook {np.median(textbook):.1e}, "
            f"{max(textbook):.1e})"
        )
    if not run.failure:
        facts = run.facts
        lines.append(
            f"end of a run of {facts['iterations']} iterations at {run.size}x{run.size}: loss {facts['loss']:.5g}, "
            f"with the textbook {facts['textbook_loss']:.5g}, {100 * facts['difference']:.2f} % apart"
        )
    return lines + _failures(results)


def _by_size(
    results: Sequence[Result],
    names: Sequence[str],
    figure: Callable[[Result], float | None],
    form: str,
    last: tuple[str, Callable[[Result, Result], str]] | None = None,
) -> list[str]:
    """A table of a figure: a row for each size, a column for each name, PyTorch's better one over ours, one more."""
    peers = names[1:]
    header = f"{'size':<8}" + "".join(f"{name:>21}" for name in names) + (f"{'PyTorch/ours':>15}" if peers else "")
    lines = [header + (f"{last[0]:>15}" if last else "")]
    for size in dict.fromkeys(item.size for item in results):
        row = {item.contender: item for item in results if item.size == size}
        figures = {name: None if row[name].failure else figure(row[name]) for name in names}
        cells = [LOST if row[name].failure else _cell(figures[name], form) for name in names]
        line = f"{size:<8}" + "".join(f"{cell:>21}" for cell in cells)
        if peers:
            ratio = _ratio(figures[OURS], [figures[name] for name in peers])
            line += f"{_cell(ratio, '{:.2f}'):>15}"
        lines.append(line + (f"{last[1](row[OURS], row[SGEMM]):>15}" if last else ""))
    return lines


def _cell(figure, form):
    return "-" if figure is None else form.format(figure)


def _ratio(ours, peers):
    """The best of the peers over ours, None if there is none."""
    known = [peer for peer in peers if peer]
    return min(known) / ours if known and ours else None


def _megabytes(item):
    peak = item.facts.get("peak_bytes")
    return None if peak is None else peak / 1e6


def _share_of_the_limit(ours, sgemm):
    """The least time that the matrix products take, as a part of ours."""
    rate = sgemm.facts.get("operations_per_second")
    return f"{ours.facts['operations'] / rate / ours.median:.0%}" if rate and ours.median else "-"


def _failures(results):
    return [f"{item.contender} at {item.size}x{item.size}: {item.failure}" for item in results if item.failure]
