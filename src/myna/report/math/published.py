"""Numbers of others to stand beside ours, as literal tables.

Shares from 0 to 1, on the course's test problems unless noted. Where a report printed exact match above
execution accuracy its columns were swapped (the references themselves execute to 100 %): they are
un-swapped here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from myna.report.math.measures import Line


@dataclass(frozen=True, slots=True)
class Published:
    """A model's scores as someone else reports them.

    Attributes:
        source: who reports it: a public repository, a paper or a package.
        model: which of the assignment's models, or what it is.
        exact_match: share of programs equal to the reference; None where not reported.
        execution_accuracy: share of programs whose value is right; None where not reported.
        beam_size: where stated.
        teacher_forcing: ratio in training, where stated.
        note: what else to know.
        is_test: whether it is stated to be on the course's test problems.
    """

    source: str
    model: str
    exact_match: float | None
    execution_accuracy: float | None
    beam_size: int | None = None
    teacher_forcing: float | None = None
    note: str = ""
    is_test: bool = True

    @property
    def kind(self) -> Literal["published", "reference"]:
        """What kind of row it makes: published by others, or run by us for comparison."""
        return "reference" if self.source == _JOEY else "published"

    @property
    def owner(self) -> str:
        """Who reports it, short enough for the end of a line."""
        return self.source.partition("/")[0].partition(",")[0]

    @property
    def is_as_assigned(self) -> bool:
        """Whether nothing stated differs from the main comparison: test, teacher forcing 0.6, beam 10."""
        return self.is_test and self.teacher_forcing in (None, 0.6) and self.beam_size in (None, 10)

    @property
    def line(self) -> Line:
        """It as a line of a score table."""
        measures = {"exact_match": self.exact_match, "execution_accuracy": self.execution_accuracy}
        return Line(self.model, self.kind, measures | {"beam_size": self.beam_size})


@dataclass(frozen=True, slots=True)
class ReferenceSpeed:
    """How fast something else decodes the same problems on one core, in problems per second.

    Measured for comparison on a machine like the one that this was written on, batch 64, loading excluded.
    """

    source: str
    beam_size: int
    n_parameters: int | None
    problems_per_second: float
    note: str = ""


_CIPHERCOOK = "CipherCook/Text-to-Math-Equation"
_PIYUSH = "PiyushC1480/COL775-Deep-Learning"
_RAJA = "raja17021998/Text-to-Math-program-COL775-A1Q2"
_JOEY = "Joey NMT 2.3, run for comparison"
_JOEY_NOTE = "on the same masked data: BiLSTM 1 x 128, decoder 256, Luong, 12 epochs; still rising"
_UNSTATED = "split not stated"

PUBLISHED = (
    Published(_CIPHERCOOK, "lstm_lstm", 0.729, 0.771, beam_size=10),
    Published(_CIPHERCOOK, "lstm_lstm_attn", 0.655, 0.682, teacher_forcing=0.3),
    Published(_CIPHERCOOK, "lstm_lstm_attn", 0.645, 0.687, teacher_forcing=0.6),
    Published(_CIPHERCOOK, "lstm_lstm_attn", 0.699, 0.737, teacher_forcing=0.9),
    Published(_CIPHERCOOK, "lstm_lstm_attn", 0.625, None, beam_size=1, note=_UNSTATED, is_test=False),
    Published(_CIPHERCOOK, "lstm_lstm_attn", 0.657, None, beam_size=10, note=_UNSTATED, is_test=False),
    Published(_CIPHERCOOK, "lstm_lstm_attn", 0.637, None, beam_size=20, note=_UNSTATED, is_test=False),
    Published(_PIYUSH, "lstm_lstm", 0.695, 0.723),
    Published(_PIYUSH, "lstm_lstm_attn", 0.649, 0.683),
    Published(_PIYUSH, "lstm_lstm_attn", 0.643, 0.681, teacher_forcing=0.3),
    Published(_PIYUSH, "lstm_lstm_attn", 0.496, 0.525, teacher_forcing=0.9),
    Published(_RAJA, "lstm_lstm", 0.436, 0.461),
    Published(_RAJA, "lstm_lstm_attn", 0.395, 0.414),
    Published(_RAJA, "bert_lstm_attn_frozen", 0.095, 0.106, note="no student repository has a working BERT model"),
    Published(_RAJA, "bert_lstm_attn_tuned", 0.112, 0.117, note="no student repository has a working BERT model"),
    Published(_JOEY, "BiLSTM, LSTM, Luong", 0.341, 0.375, beam_size=1, note=_JOEY_NOTE),
    Published(_JOEY, "BiLSTM, LSTM, Luong", 0.366, 0.405, beam_size=10, note=_JOEY_NOTE),
    Published(_JOEY, "BiLSTM, LSTM, Luong", 0.368, 0.406, beam_size=20, note=_JOEY_NOTE),
)
"""On the course's data."""

NEIGHBOURS = (
    Published("MathQA", "mBERT + LSTM", None, 0.771, note="answer accuracy"),
    Published("MathQA", "Deductive Reasoner (RoBERTa)", None, 0.786, note="answer accuracy"),
    Published("MathQA", "GeDe", None, 0.815, note="answer accuracy"),
    Published("MathQA", "Exp-Tree", None, 0.815, note="answer accuracy"),
    Published(
        "MathQA",
        "ELASTIC (RoBERTa-large)",
        0.810,
        None,
        note="strict match of whole programs, counted on its released predictions",
    ),
)
"""On the full MathQA, which is split otherwise: neighbours, and not the same measure."""

REFERENCE_SPEEDS = (
    ReferenceSpeed("Joey NMT 2.3", 1, 2_000_000, 121.0),
    ReferenceSpeed("Joey NMT 2.3", 10, 2_000_000, 19.2),
    ReferenceSpeed("Joey NMT 2.3", 20, 2_000_000, 9.1),
    ReferenceSpeed("Joey NMT 2.3", 1, 6_600_000, 98.0),
    ReferenceSpeed("Joey NMT 2.3", 10, 6_600_000, 11.8),
    ReferenceSpeed("Joey NMT 2.3", 20, 6_600_000, 5.0),
    ReferenceSpeed("transformers' generate, a T5", 1, 7_100_000, 64.0),
    ReferenceSpeed("transformers' generate, a T5", 10, 7_100_000, 8.3),
    ReferenceSpeed("transformers' generate, a T5", 20, 7_100_000, 3.8),
    ReferenceSpeed("A loop over problems and hypotheses", 10, None, 1.7, note="14 steps"),
    ReferenceSpeed("A loop over problems and hypotheses", 10, None, 0.028, note="500 steps"),
)
