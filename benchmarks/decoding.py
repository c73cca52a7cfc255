"""How many problems a second beam search decodes, beside a plain loop over problems and hypotheses.

The model is a trained one (`--model`, a run or model folder), so that programs have their real lengths. Problems are
decoded one batch after the other in the order of the file, and none is decoded once for two. The loop
does the same search with one hypothesis a call, on a few problems. Both are timed in turn, on one core, as CPU seconds.

    python benchmarks/decoding.py --model models/math/lstm_lstm_attn
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from myna.mathqa.batches import collate_sources
from myna.mathqa.beam import beam_search
from myna.mathqa.decoder import IncrementalDecoder
from myna.mathqa.prediction import BATCH_SIZE, MAX_STEPS
from myna.mathqa.problems import mask
from myna.mathqa.splits import load_splits
from myna.mathqa.task import MathModel
from myna.mathqa.vocabulary import END, START

# Joey NMT 2.3 on one core of a like machine, beam 10, at 2.0 M and 6.6 M parameters; not measured in this run.
JOEY = {"2.0 M": 19.2, "6.6 M": 11.8}


def decode(model: MathModel, texts: list[str], beam_size: int) -> None:
    """Decode problems as `predict` does, every one of them."""
    sources = sorted((model.reader(mask(text).split()) for text in texts), key=lambda source: len(source[0]))
    for start in range(0, len(sources), BATCH_SIZE):
        group = sources[start : start + BATCH_SIZE]
        with torch.inference_mode():
            decoder = IncrementalDecoder(model.translator.decoder)
            start_of_group = model.translator.start(*collate_sources(group))
            beam_search(
                decoder.step,
                *decoder.start(*start_of_group),
                beam_size=beam_size,
                start_id=START,
                end_id=END,
                max_steps=MAX_STEPS,
                length_penalty=model.config.decoding.length_penalty,
            )


@torch.inference_mode()
def decode_in_a_loop(model: MathModel, texts: list[str], beam_size: int, n_steps: int = 14) -> None:
    """Search as a first attempt does: a problem at a time, a hypothesis at a time, for a fixed count of steps."""
    for text in texts:
        state, memory = model.translator.start(*collate_sources([model.reader(mask(text).split())]))
        beam = [(0.0, [START], state)]
        for _ in range(n_steps):
            extended = []
            for total, tokens, own in beam:
                log_probs, new = model.translator.step(torch.tensor([[tokens[-1]]]), own, memory)
                for value, token in zip(*(t.tolist() for t in log_probs[0, 0].topk(beam_size)), strict=True):
                    extended.append((total + value, [*tokens, token], new))
            beam = sorted(extended, key=lambda item: -item[0])[:beam_size]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/math/lstm_lstm_attn"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--problems", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = MathModel.load(options.model)
    splits = load_splits(options.data)
    texts = [problem.text for problem in splits.test[: options.problems]]
    n_parameters = sum(parameter.numel() for parameter in model.translator.parameters())
    print(
        f"{options.model}, {n_parameters / 1e6:.1f} M parameters; {splits.source}; torch {torch.__version__}, one core"
    )
    print("beam   problems/s   loop, problems/s   ratio")
    for beam_size in (1, 10, 20):
        ours, loops = [], []
        for _ in range(options.repeats):
            ours.append(_speed(decode, model, texts, beam_size))
            loops.append(_speed(decode_in_a_loop, model, texts[:8], beam_size))
        ratio = median(a / b for a, b in zip(ours, loops, strict=True))
        print(f"{beam_size:4}   {median(ours):10.1f}   {median(loops):16.2f}   {ratio:5.0f}")
    print("Joey NMT 2.3 at beam 10, from docs/findings.md:", ", ".join(f"{v} at {k}" for k, v in JOEY.items()))


def _speed(search: Callable[[MathModel, list[str], int], None], model: MathModel, texts: list[str], k: int) -> float:
    """Return problems a CPU second."""
    start = time.process_time()
    search(model, texts, k)
    return len(texts) / (time.process_time() - start)


if __name__ == "__main__":
    main()
