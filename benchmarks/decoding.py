"""How many problems a second beam search decodes: beside Joey NMT, transformers and a plain loop, and how it grows.

The plain loop is what one writes first: a problem at a time, a hypothesis at a time, for a fixed count of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import peers
import torch
from harness import Effort, Row, Speeds, Variant, compare_cores

from myna.mathqa.batches import Example, collate_sources, encode
from myna.mathqa.beam import beam_search
from myna.mathqa.decoder import IncrementalDecoder
from myna.mathqa.prediction import BATCH_SIZE, MAX_STEPS
from myna.mathqa.problems import Problem, mask
from myna.mathqa.readers import Source, WordReader
from myna.mathqa.splits import load_splits
from myna.mathqa.task import MathModel
from myna.mathqa.vocabulary import END, START, Vocabularies

MODEL = Path(__file__).parents[1] / "models/math/lstm_lstm_attn"
BEAM_SIZES = (1, 10, 20)
_N_PEER_PROBLEMS = 32
_N_LOOPED, _N_LOOP_STEPS = 2, 14


def measure(effort: Effort) -> list[Row]:
    """Compare the searches."""
    torch.set_num_threads(1)
    splits = load_splits()
    vocabularies = Vocabularies.build(splits.train, min_word_count=2)
    examples = encode(splits.train[:_N_PEER_PROBLEMS], vocabularies, WordReader(vocabularies))
    model = MathModel.load(MODEL)
    sources = read_sorted(model, splits.test[: 8 * BATCH_SIZE])
    return [*_compare_peers(vocabularies, examples, effort), *_compare_growth(model, sources, effort)]


def _compare_peers(vocabularies: Vocabularies, examples: Sequence[Example], effort: Effort) -> list[Row]:
    ours, joey = peers.build_ours(vocabularies), peers.build_joey(vocabularies)
    transformer = peers.build_transformer(vocabularies, peers.count_parameters(ours))
    searches = {f"beam {k}": peers.search_ours(ours, examples, k) for k in BEAM_SIZES}
    if joey:
        searches |= {f"{peers.JOEY}, beam {k}": peers.search_joey(joey, examples, k) for k in BEAM_SIZES}
    if transformer:
        searches[f"{peers.TRANSFORMERS}, beam 10"] = peers.search_transformer(transformer, examples, 10)
    variants = {name: Variant(run, len(examples), "problems") for name, run in searches.items()}
    speeds = Speeds("decoding", variants, effort)
    pairs = [(f"beam {k}", f"{peers.JOEY}, beam {k}", peers.NO_JOEY) for k in BEAM_SIZES]
    pairs.append(("beam 10", f"{peers.TRANSFORMERS}, beam 10", "not installed: pip install 'myna[bert]'"))
    return [
        speeds.row(name, other) if other in variants else Row("decoding", name, other, note=note)
        for name, other, note in pairs
    ]


def _compare_growth(model: MathModel, sources: Sequence[Source], effort: Effort) -> list[Row]:
    """Compare searches with a trained model, which ends its programs."""
    n = len(sources)
    short, middle, long = (sources[start : start + BATCH_SIZE] for start in (n // 10, n // 2, n - n // 10))
    searches = {
        **{f"trained, beam {k}": (search_trained(model, middle, k), len(middle)) for k in BEAM_SIZES},
        **{
            f"trained, beam {k}, a plain loop": (_loop(model, middle[:_N_LOOPED], k), _N_LOOPED) for k in BEAM_SIZES[1:]
        },
        f"beam 10, problems of {_mean_length(short):.0f} words": (search_trained(model, short, 10), len(short)),
        f"beam 10, problems of {_mean_length(long):.0f} words": (search_trained(model, long, 10), len(long)),
        "beam 10, one problem at a time": (search_trained(model, middle[:8], 10, batch_size=1), 8),
    }
    variants = {name: Variant(run, amount, "problems") for name, (run, amount) in searches.items()}
    speeds = Speeds("decoding", variants, effort)
    of_short, of_long, alone = list(variants)[-3:]
    return [
        *(speeds.row(f"trained, beam {k}", f"trained, beam {k}, a plain loop") for k in BEAM_SIZES[1:]),
        *(speeds.row(f"trained, beam {k}", "trained, beam 1") for k in BEAM_SIZES[1:]),
        speeds.row(of_long, of_short),
        speeds.row("trained, beam 10", alone),
        compare_cores(
            "decoding", "trained, beam 10", search_trained(model, middle, 10), len(middle), "problems", effort
        ),
    ]


def read_sorted(model: MathModel, problems: Sequence[Problem]) -> list[Source]:
    """Return what a model reads of problems, shortest first."""
    return sorted((model.reader(mask(p.text).split()) for p in problems), key=lambda source: len(source[0]))


def _mean_length(sources: Sequence[Source]) -> float:
    return sum(len(source[0]) for source in sources) / len(sources)


def search_trained(
    model: MathModel, sources: Sequence[Source], beam_size: int, batch_size: int = BATCH_SIZE
) -> Callable[[], None]:
    """Return what decodes problems as `predict` does, every one of them."""

    @torch.inference_mode()
    def run() -> None:
        for start in range(0, len(sources), batch_size):
            decoder = IncrementalDecoder(model.translator.decoder)
            group = collate_sources(sources[start : start + batch_size])
            beam_search(
                decoder.step,
                *decoder.start(*model.translator.start(*group)),
                beam_size=beam_size,
                start_id=START,
                end_id=END,
                max_steps=MAX_STEPS,
                length_penalty=model.config.decoding.length_penalty,
            )

    return run


def _loop(model: MathModel, sources: Sequence[Source], beam_size: int) -> Callable[[], None]:
    """Return the plain loop over problems and hypotheses."""

    @torch.inference_mode()
    def run() -> None:
        for source in sources:
            state, memory = model.translator.start(*collate_sources([source]))
            beam = [(0.0, [START], state)]
            for _ in range(_N_LOOP_STEPS):
                extended = []
                for total, tokens, own in beam:
                    log_probs, new = model.translator.step(torch.tensor([[tokens[-1]]]), own, memory)
                    for value, token in zip(*(t.tolist() for t in log_probs[0, 0].topk(beam_size)), strict=True):
                        extended.append((total + value, [*tokens, token], new))
                beam = sorted(extended, key=lambda item: -item[0])[:beam_size]

    return run
