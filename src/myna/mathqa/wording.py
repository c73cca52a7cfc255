"""What typed texts need before a model can read them, and what in them will not be read. No torch in here."""

from __future__ import annotations

import re

from myna.mathqa.language.numbers import find_numbers, strip_commas

_PUNCTUATION = re.compile(r"[^\w\s]")
_JOINED = re.compile(r"(?<=[^\W\d_])\.(?=\d)|(?<=[\w)%])[-+](?=\.?\d)")
_UNIT = (
    "(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|lakh|crore|million|billion|"
    "dozen|half)"
)
# "One" alone is mostly no number: "which one", "one of them".
_IN_WORDS = re.compile(rf"\b(?!one\b(?!-{_UNIT}\b)){_UNIT}(?:-{_UNIT})*\b|[½¼¾⅓⅔]", re.IGNORECASE)
# The hyphen of a decimal is read.
_SIGNED = re.compile(r"(?<![^\s(\[=,:])(?:-\d+(?![\d.])|−\d*\.?\d+)")


def separate(text: str) -> str:
    """Write a text as those of the data are: "$3.50/kg?" becomes "$ 3.50 / kg ?".

    Its numbers stay what they are, but where the checker would take the full stop of "Rs.500" for a decimal point or
    the dash of "10-2.5" for a sign: in the data, these stand apart.
    """
    text = _JOINED.sub(r" \g<0> ", text)
    text = strip_commas(text)
    pieces, end = [], 0
    for number in find_numbers(text):
        pieces += [_PUNCTUATION.sub(r" \g<0> ", text[end : number.start]), text[number.start : number.end]]
        end = number.end
    return "".join([*pieces, _PUNCTUATION.sub(r" \g<0> ", text[end:])])


def find_numbers_in_words(text: str) -> list[str]:
    """Return the numbers that a text writes in words, such as "three" and "twenty-five", each once, in order."""
    return list(dict.fromkeys(match.group().lower() for match in _IN_WORDS.finditer(text)))


def find_lost_signs(text: str) -> list[str]:
    """Return the numbers below zero, such as "-5", whose sign is not read (see `find_numbers`), each once, in order."""
    return list(dict.fromkeys(match.group() for match in _SIGNED.finditer(strip_commas(text))))
