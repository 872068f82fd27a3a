"""Explanations of a constant factor: 1/(N M) is a mean in place of a sum, 4 a missing quarter, -1 a wrong sign."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import numpy as np

from scratchnst.verify.diagnosis.mistakes import GradientCase, InputMistakes

NUMBERS = {1.0: 0.0, 2.0: 1.0, 0.5: 1.0, 4.0: 1.0, 0.25: 1.0, 3.0: 2.0, 1 / 3: 2.0, 8.0: 2.0, 0.125: 2.0}
POWERS_OF_TWO = ("4", "8", "1/4", "1/8")  # named as numbers, too, where shapes give the same
COSTS = {1: 1.0, 2: 1.5}  # what a power adds to the complexity of an expression; NUMBERS has that of numbers
MOST_QUANTITIES = 4
MOST_COMPLEX = 4.5  # more complex expressions agree with a factor by chance
NEARLY_ONE = 1e-3  # a factor so near to 1 is not explained
MOST_READINGS = 3  # expressions that may be named; of more, none is

GENERAL = {
    -1.0: ("sign", "minus the right one: a sign is wrong"),
    2.0: ("accumulated-twice", "twice the right one: it is added up twice"),
    0.5: ("half", "half the right one: a factor 2 is missing, or one of two paths to the loss"),
}


@dataclass(frozen=True)
class Quantity:
    """A number that may be part of a factor: its meaning, its possible powers, and whether it occurs alone only."""

    value: float
    meaning: str = ""
    powers: tuple[int, ...] = (1, -1)
    alone: bool = False

    def __str__(self) -> str:
        return f"{self.value:.6g} {self.meaning}".rstrip()


def readings(factor: float, case: GradientCase, known: InputMistakes | None, tolerance: float) -> list[tuple[str, str]]:
    """Return explanations of `factor` times the right gradient: (key, words that continue "your gradient equals").

    First those known for this operation, then for any, then the simplest products of powers of the shapes; if none of
    these is the factor, ratios and products with a number, or the number alone.
    """

    def find(table):
        return [reading for value, reading in table.items() if abs(factor / value - 1) <= tolerance]

    fraction = _fraction(factor, tolerance)
    plain = [(f"factor {fraction or _decimal(factor)}", f"{number(factor, tolerance)} times the right one")]
    if abs(factor - 1) < NEARLY_ONE:
        return plain
    own = find(known.factors) if known else []
    found = own + [reading for reading in find(GENERAL) if not own or reading[0] == "accumulated-twice"]
    if known and known.any_factor and factor != -1:
        key, text = known.any_factor
        found.append((key, text.format(factor=number(factor, tolerance), inverse=number(1 / factor, tolerance))))
    if not found and fraction in POWERS_OF_TWO:
        found = plain
    found += _expressions(factor, case, known, tolerance, (1.0,), ratios=False)
    if found or fraction:
        return found or plain
    return _expressions(factor, case, known, tolerance, NUMBERS, ratios=True) or plain


def number(value: float, tolerance: float = 1e-6) -> str:
    """Return `value` as text, as a fraction, too, where it is a simple one."""
    fraction, decimal = _fraction(value, tolerance), _decimal(value)
    return decimal if fraction in (None, decimal) else f"{fraction} ({decimal})"


def _decimal(value):
    if 0 < abs(value - 1) < NEARLY_ONE:
        return f"1 {'+' if value > 1 else '-'} {abs(value - 1):.3g}"
    return f"{value:.6g}"


def _fraction(value, tolerance):
    """`value` as a fraction of small numbers, or one over an integer; None if it is neither."""
    if not np.isfinite(value) or not 1e-6 < abs(value) < 1e6 or 0 < abs(value - 1) < NEARLY_ONE:
        return None
    for fraction in (Fraction(value).limit_denominator(64), 1 / Fraction(round(1 / value) or 1)):
        if fraction and abs(value / float(fraction) - 1) <= tolerance:
            return str(fraction)
    return None


def _expressions(factor, case, known, tolerance, numbers, ratios):
    """The simplest products of one of `numbers` and powers of quantities that are equal to `factor`."""
    quantities = _quantities(case, known)
    found: list[tuple[float, str, str]] = []
    for cost, value, text, powers in _products(quantities, numbers):
        ratio = len({power > 0 for power in powers.values()}) > 1
        if abs(abs(factor / value) - 1) <= tolerance and (ratios or not ratio):
            sign = "-" if factor / value < 0 else ""
            meanings = " and ".join(f"{symbol} = {quantities[symbol]}" for symbol in powers)
            words = f"{sign}{text} times the right one ({factor:.6g}), with {meanings}{_advice(powers)}"
            found.append((cost, f"factor {sign}{text}", words))
    cheapest = min((cost for cost, _, _ in found), default=0)
    best = [(key, words) for cost, key, words in found if cost == cheapest]
    return best if len(best) <= MOST_READINGS else []


def _quantities(case, known) -> dict[str, Quantity]:
    """Symbol -> quantity that may be part of a factor."""
    quantities: dict[str, Quantity] = {}
    if known and case.x.ndim:
        powers = (1, -1, 2, -2)[: 2 * known.highest_power]
        for symbol, (value, meaning) in known.quantities(case).items():
            quantities[symbol] = Quantity(value, meaning, powers)
    elif known is None:
        quantities["size"] = Quantity(case.x.size, "elements", alone=True)
        for name, array in (("shape", case.x), ("y.shape", case.output)):
            for axis, length in enumerate(array.shape if case.x.ndim > 1 or array is case.output else ()):
                if length not in [quantity.value for quantity in quantities.values()]:
                    quantities[f"{name}[{axis}]"] = Quantity(length)
        if np.isfinite(case.right).all() and case.right.size:
            size = np.abs(case.right)
            quantities["|grad|"] = Quantity(float(np.linalg.norm(size)), "the gradient's length", (-1,), alone=True)
            quantities["max|grad|"] = Quantity(size.max(), "its largest element's size", (-1,), alone=True)
            quantities["mean|grad|"] = Quantity(size.mean(), "its elements' mean size", (-1,), alone=True)
    if not case.grad_y.ndim:
        quantities["grad_y"] = Quantity(float(case.grad_y))
    return {symbol: quantity for symbol, quantity in quantities.items() if quantity.value not in (0, 1, -1)}


def _products(
    quantities: Mapping[str, Quantity], numbers: Iterable[float]
) -> Iterator[tuple[float, float, str, dict[str, int]]]:
    """Yield (cost, value, text, powers) of every product of quantities that is not too complex."""
    for count in range(1, MOST_QUANTITIES + 1):
        for symbols in combinations(quantities, count):
            if count > 1 and any(quantities[symbol].alone for symbol in symbols):
                continue
            for chosen in product(*(quantities[symbol].powers for symbol in symbols)):
                powers = dict(zip(symbols, chosen))
                cost = sum(COSTS[abs(power)] for power in chosen)
                value = float(np.prod([quantities[symbol].value ** float(power) for symbol, power in powers.items()]))
                for plain in numbers:
                    if cost + NUMBERS[plain] <= MOST_COMPLEX:
                        yield cost + NUMBERS[plain], plain * value, _text(plain, powers), powers


def _text(plain, powers):
    """The product in symbols, "2 N/M^2"."""
    fraction = Fraction(plain).limit_denominator(64)
    above = [_power(symbol, power) for symbol, power in powers.items() if power > 0]
    below = [_power(symbol, -power) for symbol, power in powers.items() if power < 0]
    above = [str(fraction.numerator)] * (fraction.numerator > 1 or not above) + above
    below = [str(fraction.denominator)] * (fraction.denominator > 1) + below
    if not below:
        return " ".join(above)
    return f"{' '.join(above)}/{below[0] if len(below) == 1 else '(' + ' '.join(below) + ')'}"


def _power(symbol, power):
    return symbol if power == 1 else f"{symbol}^{power}"


def _advice(powers):
    """The mistake that such a product points to."""
    (symbol, power), *others = powers.items()
    if symbol == "grad_y" and not others:
        return ": grad_y is left out, multiply by it" if power < 0 else ": grad_y is multiplied in twice"
    if symbol.endswith("|grad|"):
        return ": it is divided by its own size, and is the gradient of the loss no more"
    if all(power < 0 for power in powers.values()):
        return ": a mean in the place of a sum, or a division too many"
    if all(power > 0 for power in powers.values()):
        return ": a sum in the place of a mean, or a division that is missing"
    return ""
