"""The operations of the program language: one table of what each takes, computes and says.

The functions follow the course's checker to the order of its floating-point steps and to its mix of Python
ints and floats (`floor`, `factorial`, `reminder`, `gcd` and `lcm` make ints): a later `floor` or `reminder`
would turn a difference in the last bit into another answer. Where the checker would multiply for hours they
raise OverflowError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Integers of more bits than this are too large; 20,000! still fits.
MAX_BITS = 2**18
# No larger factorial is begun, not even one that `choose` would cancel again: the checker multiplies its
# factorials out, and this one takes it seconds.
MAX_FACTORIAL = 100_000
# A quotient of 2^1024 is no float, and one under 2^-1075 is 0; the rest is slack for rounding.
_MAX_QUOTIENT_BITS, _MIN_QUOTIENT_BITS = 1030, -1100


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the language.

    Attributes:
        name: as programs write it.
        n_args: how many arguments a well-formed step has.
        function: takes the arguments in the order written (a, b, c).
        formula: what it computes, for people.
        words: what it does, as a sentence with places for {a}, {b} and {c}.
    """

    name: str
    n_args: int
    function: Callable[..., Any]
    formula: str
    words: str


def _factorial_of(a: Any) -> int:
    """Return the n whose factorial the checker takes for `a`.

    Raises:
        OverflowError: the checker would multiply for too long.
    """
    # Not int(a): the checker adds 1 before it cuts, and that can round up.
    n = max(int(a + 1) - 1, 0)
    if n > MAX_FACTORIAL:
        raise OverflowError(f"factorial of a number over {MAX_FACTORIAL}")
    return n


def _factorial_bits(n: int) -> float:
    """Return the logarithm of n! to base 2."""
    return math.lgamma(n + 1) / math.log(2)


def _factorial(a: Any) -> int:
    n = _factorial_of(a)
    if _factorial_bits(n) > MAX_BITS:
        raise OverflowError(f"factorial of {n}")
    return math.factorial(n)


def _factorial_quotient(n: int, k: int, m: int) -> float:
    """Return n! / (k! m!), rounded once as Python divides ints, without multiplying out what cancels."""
    n_bits = _factorial_bits(n) - _factorial_bits(k) - _factorial_bits(m)
    if n_bits > _MAX_QUOTIENT_BITS:
        raise OverflowError(f"quotient of {n}! by {k}! {m}!")
    if n_bits < _MIN_QUOTIENT_BITS:
        return 0.0
    small, large = sorted((k, m))
    if n >= large:
        return math.perm(n, n - large) / math.factorial(small)
    return 1 / (math.perm(large, large - n) * math.factorial(small))


def _choose(a: Any, b: Any) -> float:
    return _factorial_quotient(_factorial_of(a), _factorial_of(b), _factorial_of(a - b))


def _permutation(a: Any, b: Any) -> float:
    return _factorial_quotient(_factorial_of(a), _factorial_of(b), 0)


def _power(a: Any, b: Any) -> Any:
    # Only a power of ints can grow without end: floats overflow by themselves.
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and (a.bit_length() - 1) * b > MAX_BITS:
        raise OverflowError("power of whole numbers")
    return a**b


def _lcm(a: Any, b: Any) -> int:
    # Not math.lcm: of two zeros that is 0, where the checker divides by zero.
    whole_a, whole_b = int(a), int(b)
    return abs(whole_a * whole_b) // math.gcd(whole_a, whole_b)


def _heron(a: Any, b: Any, c: Any) -> float:
    half = (c + b + a) / 2
    return math.sqrt(half * (half - c) * (half - b) * (half - a))


_Row = tuple[str, Callable[..., Any], str, str]  # name, function, formula, words

# What departs from the textbook does so in the checker.
_UNARY: tuple[_Row, ...] = (
    ("negate", lambda a: -1 * a, "-a", "change the sign of {a}"),
    ("inverse", lambda a: 1 / a, "1 / a", "divide 1 by {a}"),
    ("negate_prob", lambda a: 1 - a, "1 - a", "subtract {a} from 1"),
    # Towards zero, so that -1.5 becomes -1.
    ("floor", int, "a cut towards zero", "cut {a} to a whole number"),
    ("sqrt", lambda a: a**0.5, "a^0.5", "take the square root of {a}"),
    ("log", math.log, "ln a", "take the natural logarithm of {a}"),
    # Of the whole part; 1 for all below 1, negative numbers too.
    ("factorial", _factorial, "floor(a)!", "take the factorial of {a}"),
    ("square_area", lambda a: a**2, "a²", "find the area of a square with side {a}"),
    ("square_perimeter", lambda a: 4 * a, "4 a", "find the perimeter of a square with side {a}"),
    ("rhombus_perimeter", lambda a: 4 * a, "4 a", "find the perimeter of a rhombus with side {a}"),
    ("square_edge_by_area", lambda a: a**0.5, "a^0.5", "find the side of a square with area {a}"),
    ("square_edge_by_perimeter", lambda a: a / 4, "a / 4", "find the side of a square with perimeter {a}"),
    ("circle_area", lambda a: a**2 * math.pi, "π a²", "find the area of a circle with radius {a}"),
    ("circumface", lambda a: 2 * math.pi * a, "2 π a", "find the circumference of a circle with radius {a}"),
    # The cube's surface, not a³.
    ("volume_cube", lambda a: 6 * a**2, "6 a²", "take 6 times the square of {a}"),
    ("surface_cube", lambda a: 6 * a**2, "6 a²", "find the surface of a cube with edge {a}"),
    ("cube_edge_by_volume", lambda a: a ** (1 / 3), "a^(1/3)", "find the edge of a cube with volume {a}"),
    ("surface_sphere", lambda a: 4 * math.pi * a**2,
     "4 π a²", "find the surface of a sphere with radius {a}"),
    ("volume_sphere", lambda a: 4 / 3 * math.pi * a**3,
     "4/3 π a³", "find the volume of a sphere with radius {a}"),
)  # fmt: skip
_BINARY: tuple[_Row, ...] = (
    ("add", lambda a, b: b + a, "a + b", "add {a} and {b}"),
    ("subtract", lambda a, b: a - b, "a - b", "subtract {b} from {a}"),
    ("multiply", lambda a, b: b * a, "a · b", "multiply {a} by {b}"),
    ("divide", lambda a, b: a / b, "a / b", "divide {a} by {b}"),
    ("power", _power, "a^b", "raise {a} to the power {b}"),
    ("reminder", lambda a, b: int(a) % int(b),
     "int(a) mod int(b)", "take the remainder of {a} divided by {b}"),
    ("gcd", lambda a, b: math.gcd(int(a), int(b)),
     "gcd of int(a), int(b)", "find the greatest common divisor of {a} and {b}"),
    ("lcm", _lcm, "lcm of int(a), int(b)", "find the least common multiple of {a} and {b}"),
    ("choose", _choose, "a! / (b! (a - b)!)", "count the ways to choose {b} out of {a}"),
    # Not a! / (a - b)!.
    ("permutation", _permutation, "a! / b!", "divide the factorial of {a} by that of {b}"),
    # Of equal values, or beside a NaN, Python's max and min give their first argument: b comes first.
    ("max", lambda a, b: max(b, a), "max(a, b)", "take the larger of {a} and {b}"),
    ("min", lambda a, b: min(b, a), "min(a, b)", "take the smaller of {a} and {b}"),
    ("speed", lambda a, b: a / b, "a / b", "find the speed for a distance of {a} in a time of {b}"),
    # A plain quotient: neither number is taken as a percentage.
    ("p_after_gain", lambda a, b: a / b, "a / b", "divide {a} by {b}"),
    # Takes the loss off once more, where dividing by (100 - a) / 100 would undo it.
    ("original_price_before_loss", lambda a, b: (100 - a) / 100 * b,
     "(100 - a) / 100 · b", "take {a} percent off {b}"),
    # Adds the gain once more, where dividing by (100 + a) / 100 would undo it.
    ("original_price_before_gain", lambda a, b: (100 + a) / 100 * b,
     "(100 + a) / 100 · b", "add {a} percent to {b}"),
    # Half the sum is the boat's speed in still water; the stream's is half the difference.
    ("stream_speed", lambda a, b: (b + a) / 2, "(a + b) / 2", "take the mean of {a} and {b}"),
    ("rectangle_area", lambda a, b: b * a, "a · b", "find the area of a rectangle with sides {a} and {b}"),
    ("rectangle_perimeter", lambda a, b: 2 * (b + a),
     "2 (a + b)", "find the perimeter of a rectangle with sides {a} and {b}"),
    ("triangle_area", lambda a, b: b * a / 2,
     "a b / 2", "find the area of a triangle with base {a} and height {b}"),
    # The mean of the diagonals, not half their product.
    ("rhombus_area", lambda a, b: (b + a) / 2, "(a + b) / 2", "take the mean of {a} and {b}"),
    # That of a cone; the height comes first.
    ("volume_cylinder", lambda a, b: 1 / 3 * math.pi * b**2 * a,
     "π b² a / 3", "find the volume of a cone with height {a} and radius {b}"),
    # b is read but not used: a serves as radius and as height.
    ("volume_cone", lambda a, b: math.pi * a**2 / 3 * a,
     "π a³ / 3", "find the volume of a cone with radius and height {a}"),
    # Here the radius comes first.
    ("surface_cylinder", lambda a, b: math.pi * 2 * b * a + 2 * math.pi * a**2,
     "2 π a b + 2 π a²", "find the surface of a cylinder with radius {a} and height {b}"),
)  # fmt: skip
_TERNARY: tuple[_Row, ...] = (
    ("quadrilateral_area", lambda a, b, c: (b + c) / 2 * a,
     "(b + c) / 2 · a", "find the area of a quadrilateral with diagonal {a} and heights {b} and {c}"),
    ("triangle_perimeter", lambda a, b, c: c + b + a,
     "a + b + c", "find the perimeter of a triangle with sides {a}, {b} and {c}"),
    ("triangle_area_three_edges", _heron,
     "√(s (s - a) (s - b) (s - c)), s = (a + b + c) / 2",
     "find the area of a triangle with sides {a}, {b} and {c}"),
    ("volume_rectangular_prism", lambda a, b, c: b * a * c,
     "a b c", "find the volume of a box with edges {a}, {b} and {c}"),
    ("surface_rectangular_prism", lambda a, b, c: 2 * (c * b + b * a + a * c),
     "2 (ab + bc + ca)", "find the surface of a box with edges {a}, {b} and {c}"),
)  # fmt: skip

OPERATIONS: dict[str, Operation] = {
    name: Operation(name, n_args, function, formula, words)
    for n_args, rows in ((1, _UNARY), (2, _BINARY), (3, _TERNARY))
    for name, function, formula, words in rows
}
