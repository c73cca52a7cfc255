"""Nets of equal size, with random weights: ours, Joey NMT's, and a transformer of the library transformers.

Ours and Joey's are one architecture: a BiLSTM over learned embeddings, and an LSTM decoder with Luong's attention.
Random weights do not end a program where a trained net does, so a search is made to write `N_TOKENS` tokens for every
problem, on all sides: the mean length of the course's programs. Ours then gains nothing from what it does better with
problems that end early.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from myna.config import MathModelSection
from myna.mathqa.batches import Batch, Example, collate, collate_sources
from myna.mathqa.beam import beam_search
from myna.mathqa.decoder import IncrementalDecoder
from myna.mathqa.task import build_translator
from myna.mathqa.translator import Translator
from myna.mathqa.vocabulary import END, PAD, START, Vocabularies

N_TOKENS = 20
JOEY, TRANSFORMERS = "Joey NMT", "a transformer by transformers"
NO_JOEY = "not installed: `make joeynmt` adds it"
SECTION = MathModelSection(
    type="lstm_lstm_attn",
    glove="none",
    learned_size=128,
    encoder_size=192,
    decoder_size=384,
    token_size=128,
    pointer=False,
    dropout=0.2,
)
# Joey's vocabularies begin with special tokens of its own.
_OFFSET = 4


def build_ours(vocabularies: Vocabularies) -> Translator:
    """Return our net."""
    torch.manual_seed(0)
    return build_translator(SECTION, vocabularies)


def search_ours(net: Translator, examples: Sequence[Example], beam_size: int) -> Callable[[], object]:
    """Return a beam search over some problems with our net."""
    with torch.no_grad():
        net.decoder.output.bias[END] = -1e9
    net.eval()

    def run() -> None:
        with torch.inference_mode():
            decoder = IncrementalDecoder(net.decoder)
            beam_search(
                decoder.step,
                *decoder.start(*net.start(*collate_sources([e.source for e in examples]))),
                beam_size=beam_size,
                start_id=START,
                end_id=END,
                max_steps=N_TOKENS,
            )

    return run


def count_parameters(net: nn.Module) -> int:
    """Return how many numbers a net learns."""
    return sum(parameter.numel() for parameter in net.parameters())


def build_joey(vocabularies: Vocabularies) -> nn.Module | None:
    """Return Joey NMT's net, or None where it is not installed."""
    if find_spec("joeynmt") is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from joeynmt.model import build_model
        from joeynmt.vocabulary import Vocabulary

    logging.getLogger("joeynmt.model").setLevel(logging.ERROR)
    special = SimpleNamespace(
        unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None, lang_tags=[]
    )
    special.unk_id, special.pad_id, special.bos_id, special.eos_id = range(4)
    layers = {"type": "recurrent", "rnn_type": "lstm", "num_layers": 1, "dropout": SECTION.dropout}
    encoder = {"hidden_size": SECTION.encoder_size, "embeddings": {"embedding_dim": SECTION.learned_size}}
    decoder = {"hidden_size": SECTION.decoder_size, "embeddings": {"embedding_dim": SECTION.token_size}}
    torch.manual_seed(0)
    net: nn.Module = build_model(
        {
            "encoder": {**layers, **encoder, "bidirectional": True},
            "decoder": {**layers, **decoder, "attention": "luong", "input_feeding": False, "init_hidden": "bridge"},
        },
        *(
            Vocabulary([f"w{i}" for i in range(len(vocabulary))], special)
            for vocabulary in (vocabularies.words, vocabularies.tokens)
        ),
    )
    net.loss_function = ("crossentropy", 0.0)
    return net


def joey_loss(net: Any, examples: Sequence[Example]) -> Tensor:
    """Return Joey NMT's loss of a token of some examples."""
    batch = _joey_batch(net, collate(examples))
    loss = net(return_type="loss", **vars(batch))[0]
    normalised: Tensor = batch.normalize(loss, "tokens")
    return normalised


def search_joey(net: Any, examples: Sequence[Example], beam_size: int) -> Callable[[], object]:
    """Return a beam search over some problems with Joey NMT's net."""
    from joeynmt.search import beam_search, greedy

    net.eval()

    def run() -> None:
        with torch.inference_mode():
            batch = _joey_batch(net, collate(examples))
            output, hidden, _, _ = net(return_type="encode", **vars(batch))
            shared = {"encoder_output": output, "encoder_hidden": hidden, "src_mask": batch.src_mask}
            limits = {"max_output_length": N_TOKENS, "min_output_length": N_TOKENS}
            if beam_size == 1:
                greedy(model=net, **shared, **limits)
            else:
                beam_search(model=net, beam_size=beam_size, alpha=-1, **shared, **limits)

    return run


def _joey_batch(net: Any, batch: Batch) -> Any:
    """Return a batch as Joey NMT takes it, the longest problem first."""
    from joeynmt.batch import Batch as JoeyBatch

    ends = torch.full((len(batch.lengths), 1), net.eos_index)

    def shifted(ids: Tensor) -> Tensor:
        return torch.where(ids == PAD, net.pad_index, ids + _OFFSET)

    starts = torch.full_like(ends, net.bos_index)
    programs = torch.where(batch.targets == END, net.eos_index, shifted(batch.targets))
    made = JoeyBatch(
        src=shifted(batch.source[0]),
        src_length=batch.lengths,
        src_prompt_mask=None,
        trg=torch.cat([starts, programs], 1),
        trg_prompt_mask=None,
        indices=torch.arange(len(ends)),
        device=torch.device("cpu"),
        pad_index=net.pad_index,
        eos_index=net.eos_index,
    )
    made.sort_by_src_length()
    return made


def build_transformer(vocabularies: Vocabularies, n_parameters: int) -> nn.Module | None:
    """Return a Marian net of two and two layers with about as many parameters; None without transformers."""
    if find_spec("transformers") is None:
        return None
    from transformers import MarianConfig, MarianMTModel

    def build(width: int) -> nn.Module:
        return MarianMTModel(
            MarianConfig(
                vocab_size=len(vocabularies.words),
                decoder_vocab_size=len(vocabularies.tokens),
                share_encoder_decoder_embeddings=False,
                d_model=width,
                encoder_layers=2,
                decoder_layers=2,
                encoder_attention_heads=4,
                decoder_attention_heads=4,
                encoder_ffn_dim=4 * width,
                decoder_ffn_dim=4 * width,
                max_position_embeddings=512,
                pad_token_id=PAD,
                eos_token_id=END,
                decoder_start_token_id=START,
                forced_eos_token_id=None,
            )
        )

    torch.manual_seed(0)
    nets = (build(width) for width in range(64, 513, 16))
    return min(nets, key=lambda net: abs(count_parameters(net) - n_parameters)).eval()


def search_transformer(net: Any, examples: Sequence[Example], beam_size: int) -> Callable[[], object]:
    """Return a beam search over some problems by `generate`."""
    words = collate(examples).source[0]

    def run() -> None:
        net.generate(
            input_ids=words,
            attention_mask=(words != PAD).long(),
            num_beams=beam_size,
            do_sample=False,
            min_new_tokens=N_TOKENS,
            max_new_tokens=N_TOKENS,
        )

    return run
