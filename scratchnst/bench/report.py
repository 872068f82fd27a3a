"""The results as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from scratchnst.bench import device_ladder, ladder
from scratchnst.bench.measure import ContenderResult
from scratchnst.bench.names import COPY, EMULATED, OURS, PEERS, PRODUCT, SGEMM, TRAINING, is_tf32, tf32

LOST = "lost"
STEPS_SHOWN = 10


def machine(facts: dict[str, Any]) -> list[str]:
    """What the figures depend on, in a line."""
    blas = ", ".join(f"{one['internal_api']} {one['version']} ({one['architecture']})" for one in facts["blas"])
    line = f"{facts['processor']}, {facts['threads']} threads; NumPy {facts['numpy']} with {blas or 'an unknown BLAS'}"
    return [line + (f"; PyTorch {facts['torch']}" if facts["torch"] else "")]


def device(facts: dict[str, Any]) -> list[str]:
    """What the figures of a GPU, if there is one, depend on besides, in a line."""
    if "device" not in facts:
        return []
    gpu = facts["device"]
    if gpu["device"] == EMULATED:
        return ["the GPU is emulated, and sizes are small: the times mean nothing, the errors do"]
    return [
        f"{gpu['gpu']}, compute capability {gpu['compute_capability']}, driver {gpu['nvidia_driver'] or 'unknown'}; "
        f"CUDA {gpu['cuda']}, CuPy {gpu['cupy']}, cuBLAS {gpu['cublas']}"
    ]


def part(name: str, results: Sequence[ContenderResult], where: str) -> list[str]:
    """Return the tables of a part of the benchmark on a device."""
    if name == "ladder" and where != "cpu":
        return climb_on_device(results, where)
    tables = {"speed": speed, "run": whole_run, "ladder": climb, "accuracy": exactness}
    return {**tables, "training": training, "fast": painting, "arbitrary": painting}[name](results)


def speed(results: Sequence[ContenderResult]) -> list[str]:
    """Median seconds, peak memory, and PyTorch's better figures over ours, a row for each size."""
    known, lines = {item.contender for item in results}, []
    for limit, every in (
        (SGEMM, [OURS, *PEERS]),
        (PRODUCT, [OURS, *PEERS]),
        (tf32(PRODUCT), [*map(tf32, (OURS, *PEERS))]),
    ):
        if limit in known:
            lines += _speed(results, [name for name in every if name in known], limit)
    for item in results:
        if item.contender in (OURS, tf32(OURS)) and item.facts.get("steps"):
            lines += _steps(item)
    return lines + _failures(results)


def _speed(results, names, limit):
    """The tables of one precision."""
    on_cpu = limit == SGEMM
    lines = [
        "",
        f"one evaluation of loss and gradient, seconds, median of {max(len(item.seconds) for item in results)}",
    ]
    last = "of the limit", partial(_share_of_the_limit, limit=limit)
    lines += _by_size(results, names, lambda item: item.median, "{:.3f}" if on_cpu else "{:.5f}", last)
    lines += ["", f"peak memory of {'a process that does it' if on_cpu else 'its arrays on the GPU'}, MB"]
    lines += _by_size(results, names, _megabytes, "{:.0f}")
    rates = [
        rate / 1e9 for item in results if item.contender == limit and (rate := item.facts.get("operations_per_second"))
    ]
    if rates:
        one = "one large SGEMM" if on_cpu else f"one {limit}"
        lines += ["", f"the limit: its matrix products at {np.median(rates):.0f} GFLOP/s, the rate of {one}"]
    return lines


def _steps(item):
    """What the GPU did in one of our evaluations, longest first."""
    steps = sorted(item.facts["steps"].items(), key=lambda step: -step[1]["seconds"])
    total = sum(step["seconds"] for _, step in steps)
    wall = f" of {1000 * item.median:.3f}" if item.median else ""
    lines = ["", f"steps of {item.contender} at {item.size}x{item.size}, together {1000 * total:.3f}{wall} ms"]
    lines += [
        f"{name:<32}{step['calls']:>5} x {1000 * step['seconds']:>10.3f} ms {step['seconds'] / total:>6.0%}"
        for name, step in steps[:STEPS_SHOWN]
    ]
    return lines


def whole_run(results: Sequence[ContenderResult]) -> list[str]:
    """Seconds, evaluations and loss of a run, a row for each contender."""
    side = results[0].size
    lines = ["", f"a run from white noise at {side}x{side}, each with its own L-BFGS"]
    lines.append(f"{'':<22}{'seconds':>10}{'iterations':>12}{'evaluations':>13}{'loss':>12}")
    for item in results:
        if not item.failure:
            seconds, *counts, loss = (item.facts[key] for key in ("run_seconds", "iterations", "evaluations", "loss"))
            lines.append(f"{item.contender:<22}{seconds:>10.1f}{counts[0]:>12}{counts[1]:>13}{loss:>12.4g}")
    return lines + _failures(results)


def training(results: Sequence[ContenderResult]) -> list[str]:
    """Crops a second, a row for each loss network, and the pieces of a step where they are measured."""
    tasks = {task: {item.contender: item for item in results if item.facts["task"] == task} for task in TRAINING}
    names = [name for name in (OURS, *PEERS) if name in tasks[TRAINING[0]]]
    first, wide = tasks[TRAINING[0]][OURS], max(map(len, TRAINING))
    lines = ["", f"crops of {first.size}x{first.size} pixels a second, median of {len(first.seconds)} batches"]
    header, last = "".join(f"{name:>21}" for name in names), "ours/PyTorch" if len(names) > 1 else ""
    lines.append(f"{'':<{wide}}{header}{last:>15}")
    for task, row in tasks.items():
        if row:
            times = [row[name].median for name in names]
            cells = [f"{_cell(seconds and row[OURS].facts['batch'] / seconds, '{:.2f}'):>21}" for seconds in times]
            ratio = _cell(_ratio(times[0], times[1:]), "{:.2f}") if last else ""
            lines.append(f"{task:<{wide}}{''.join(cells)}{ratio:>15}")
    if "pieces" in first.facts:
        lines += _pieces(tasks[TRAINING[0]])
    elif first.median:
        lines.append("what the pieces of a step take: --threads 1")
    return lines + _failures(results)


def _pieces(row):
    """Where the time of our step goes; of a convolution also how near it comes to the rate of one large product."""
    ours, peers = row[OURS], [row[name].facts["pieces"] for name in PEERS if name in row and not row[name].failure]
    rate = next((rate for item in row.values() if (rate := item.facts.get("operations_per_second"))), None)
    counts, operations = ours.facts["counts"], ours.facts["operations"]
    lines = ["", f"{TRAINING[0]}: the pieces of a step, {1000 * ours.median:.1f} ms, there and back"]
    lines.append(f"{'':<20}{'ms':>10}{'of the step':>13}{'of the limit':>14}{'PyTorch/ours' if peers else '':>15}")
    rest = ours.median
    for name, times in ours.facts["pieces"].items():
        one = float(np.median(times))
        seconds = counts[name] * one
        rest -= seconds
        limit = f"{operations[name] / rate / one:.0%}" if rate and name in operations else ""
        ratio = _cell(_ratio(one, [np.median(each[name]) for each in peers if name in each]), "{:.2f}")
        lines.append(
            f"{name:<14}{f'x {counts[name]}':>6}{1000 * seconds:>10.2f}{seconds / ours.median:>13.1%}{limit:>14}"
            f"{ratio if peers else '':>15}"
        )
    lines.append(f"{'the rest':<20}{1000 * rest:>10.2f}{rest / ours.median:>13.1%}")
    if rate:
        lines.append(f"the limit: as many operations as the definition has, at {rate / 1e9:.0f} GFLOP/s")
    return lines


def painting(results: Sequence[ContenderResult]) -> list[str]:
    """Median seconds and peak memory, a row for each size."""
    names = list(dict.fromkeys(item.contender for item in results))
    lines = ["", f"a photograph painted in one pass, seconds, median of {max(len(item.seconds) for item in results)}"]
    lines += _by_size(results, names, lambda item: item.median, "{:.4f}")
    lines += ["", "peak memory of what does it, MB", *_by_size(results, names, _megabytes, "{:.0f}")]
    return lines + _failures(results)


def climb(results: Sequence[ContenderResult]) -> list[str]:
    """Seconds, extra memory and error, a row for each rung."""
    lines = _layer(results[0].size, ladder.CHANNELS)
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


def _layer(side, channels):
    return ["", f"one convolution, 3x3, {channels} to {channels} channels, {side}x{side} pixels"]


def climb_on_device(results: Sequence[ContenderResult], where: str) -> list[str]:
    """Time, shares of what the GPU does at best, what limits it and the error, a row for each rung and its steps."""
    found = {item.contender: item for item in results}
    lines = _layer(*device_ladder.layer(where))
    lines.append(
        f"{'':<28}{'ms':>9}{'GFLOP':>9}{'MB':>9}{'arithmetic':>12}{'bandwidth':>11}{'limited by':>12}{'error':>10}"
    )
    at_best = device_rates(results)
    for name in device_ladder.RUNGS:
        if at_best and found[name].median:
            lines += _rung(found[name], device_ladder.work(name, where), *at_best)
    if at_best:
        rates, bandwidth = at_best
        lines.append(
            f"at best: products {rates[False] / 1e12:.3g} TFLOP/s, in TF32 {rates[True] / 1e12:.3g}; "
            f"copy {bandwidth / 1e9:.4g} GB/s"
        )
    return lines + _failures(results)


def device_rates(results: Sequence[ContenderResult]) -> tuple[dict[bool, float], float] | None:
    """Return operations a second of a large product, by whether it is in TF32, and bytes a second of a large copy."""
    found = {item.contender: item.facts for item in results}
    rates = {is_tf32(name): found[name].get("operations_per_second", 0.0) for name in (PRODUCT, tf32(PRODUCT))}
    bandwidth = found[COPY].get("bytes_per_second", 0.0)
    return (rates, bandwidth) if all(rates.values()) and bandwidth else None


def _rung(item, work, rates, bandwidth):
    """The rows of a rung: all of it and, if there are several, its steps."""
    steps = {name: step["seconds"] for name, step in item.facts.get("steps", {}).items()}
    busy = sum(steps.values()) / item.median if steps else 1.0
    lines = [
        _work(item.contender, work.values(), item.median, rates, bandwidth, busy) + f"{item.facts['error']:>10.1e}"
    ]
    if len(steps) > 1:
        for name, seconds in steps.items():
            short = f"  {name.removeprefix('winograd.winograd_')}"
            lines.append(_work(short, [work[name]] if name in work else [], seconds, rates, bandwidth))
    return lines


def _work(name, works, seconds, rates, bandwidth, busy=1.0):
    """A row: what was done in that time."""
    row = f"{name:<28}{1000 * seconds:>9.4g}"
    if not works:
        return row
    share = device_ladder.shares(works, seconds, rates, bandwidth, busy)
    operations, moved = sum(work.operations for work in works) / 1e9, sum(work.bytes for work in works) / 1e6
    return row + f"{operations:>9.3g}{moved:>9.4g}{share.arithmetic:>12.1%}{share.bandwidth:>11.1%}{share.limit:>12}"


def exactness(results: Sequence[ContenderResult]) -> list[str]:
    """The errors, a line each."""
    lines = [""]
    for item in results:
        if not item.failure:
            lines += _end(item) if "iterations" in item.facts else _gradient(item)
    return lines + _failures(results)


def _gradient(item):
    textbook = item.facts["textbook_gradient_errors"]
    return [
        f"gradient in {precision} at {item.size}x{item.size}, relative error against float64: median "
        f"{np.median(errors):.1e}, worst {max(errors):.1e} of {len(errors)} (textbook {np.median(textbook):.1e}, "
        f"{max(textbook):.1e})"
        for precision, key in (("float32", "gradient_errors"), ("TF32", "tf32_gradient_errors"))
        if (errors := item.facts.get(key))
    ]


def _end(item):
    facts = item.facts
    return [
        f"end of a run of {facts['iterations']} iterations at {item.size}x{item.size}{remark}: "
        f"loss {facts[f'{prefix}loss']:.5g}, with the textbook {facts['textbook_loss']:.5g}, "
        f"{100 * facts[f'{prefix}difference']:.2f} % apart"
        for prefix, remark in (("", ""), ("tf32_", ", in TF32"))
        if f"{prefix}loss" in facts
    ]


def _by_size(
    results: Sequence[ContenderResult],
    names: Sequence[str],
    figure: Callable[[ContenderResult], float | None],
    form: str,
    last: tuple[str, Callable[[dict[str, ContenderResult]], str]] | None = None,
) -> list[str]:
    """A table of a figure: a row for each size, a column for each name, PyTorch's better one over ours, one more."""
    peers = names[1:]
    wide = max(21, *(len(name) + 2 for name in names))
    header = f"{'size':<8}" + "".join(f"{name:>{wide}}" for name in names) + (f"{'PyTorch/ours':>15}" if peers else "")
    lines = [header + (f"{last[0]:>15}" if last else "")]
    for size in dict.fromkeys(item.size for item in results):
        row = {item.contender: item for item in results if item.size == size}
        figures = {name: None if row[name].failure else figure(row[name]) for name in names}
        cells = [LOST if row[name].failure else _cell(figures[name], form) for name in names]
        line = f"{size:<8}" + "".join(f"{cell:>{wide}}" for cell in cells)
        if peers:
            ratio = _ratio(figures[names[0]], [figures[name] for name in peers])
            line += f"{_cell(ratio, '{:.2f}'):>15}"
        lines.append(line + (f"{last[1](row):>15}" if last else ""))
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


def _share_of_the_limit(row, limit):
    """The least time that the matrix products take, as a part of ours."""
    ours = row[tf32(OURS) if is_tf32(limit) else OURS]
    rate = row[limit].facts.get("operations_per_second")
    return f"{ours.facts['operations'] / rate / ours.median:.0%}" if rate and ours.median else "-"


def _failures(results):
    return [f"{item.contender} at {item.size}x{item.size}: {item.failure}" for item in results if item.failure]
