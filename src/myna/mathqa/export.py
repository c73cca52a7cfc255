"""A trained translator as two ONNX graphs, the encoder and a step of the decoder, which need neither torch nor Myna."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from myna.engine.onnx import export_folder, largest_difference, open_graph, write_about, write_graph
from myna.files import write_text
from myna.mathqa.batches import collate_sources
from myna.mathqa.bert import BertEncoder
from myna.mathqa.decoder import LSTMDecoder
from myna.mathqa.problems import mask
from myna.mathqa.readers import Source
from myna.mathqa.splits import generate_splits
from myna.mathqa.task import MathModel, build_translator, find_resources, is_bert
from myna.mathqa.translator import Translator
from myna.mathqa.vocabulary import END, PAD, SPECIAL_TOKENS, START, UNKNOWN

ENCODER, STEP, README = "encoder.onnx", "decoder_step.onnx", "README.md"
_BERT = ("lengths", "words", "pieces", "places")
_INPUTS = {
    "lstm_lstm": ("lengths", "words"),
    "lstm_lstm_attn": ("lengths", "words"),
    "bert_lstm_attn_frozen": _BERT,
    "bert_lstm_attn_tuned": _BERT,
    "retrieval_lstm_attn": ("lengths", "words", "tokens", "ranks", "degrees", "lefts", "rights"),
}
_AXES = {
    "lengths": ("batch",),
    "words": ("batch", "words"),
    "summary": ("batch",),
    "matches": ("batch", "hypotheses", "rows"),
    **dict.fromkeys(("pieces", "places"), ("batch", "pieces")),
    **dict.fromkeys(("tokens", "ranks", "degrees", "lefts", "rights"), ("batch", "program_tokens")),
    **dict.fromkeys(("hidden", "cell", "vector"), ("batch", "hypotheses")),
    **dict.fromkeys(("keys", "memory", "mask", "pointer_keys", "copied", "programs", "trust"), ("batch", "rows")),
}
"""Which axes of a part may have any length."""
_N_PROBLEMS, _N_RANDOM, _N_STEPS, _N_HYPOTHESES = 16, 8, 6, 3  # of the comparison with torch

Run = Callable[[Mapping[str, Tensor]], list[Tensor]]


@dataclass(frozen=True)
class Parts:
    """Names of what goes into a model's graphs and comes out of them, in order.

    Attributes:
        inputs: of the encoder.
        state: of the decoder, which a step takes and gives anew.
        memory: of the decoder, which stays.
    """

    inputs: tuple[str, ...]
    state: tuple[str, ...]
    memory: tuple[str, ...]

    @classmethod
    def of(cls, model_type: str, decoder: LSTMDecoder) -> Parts:
        """Return the names of a model's parts, as `LSTMDecoder.start` orders them."""
        state: tuple[str, ...] = ("hidden", "cell")
        memory: tuple[str, ...] = ("keys", "memory", "mask") if decoder.attention else ("summary",)
        if decoder.input_feeding:
            state += ("vector",)
        if decoder.pointer:
            memory += ("pointer_keys", "copied")
        if decoder.gate:
            state, memory = (*state, "matches"), (*memory, "programs", "trust")
        return cls(_INPUTS[model_type], state, memory)


def export(model: MathModel, folder: Path) -> float:
    """Write a model as encoder.onnx and decoder_step.onnx, with model.json and README.md, which say how to use them.

    Both graphs are run in onnxruntime on problems and on random words, in batches of several sizes, the step with one
    hypothesis and with several, fed with what it gave before.

    Args:
        model: a trained model.
        folder: to write; an earlier export is replaced.

    Returns:
        the largest difference from what torch computes, in log-probabilities and states.

    Raises:
        UserError: as `export_folder`; or the pretrained BERT is not there any more.
    """
    model_type = model.config.model.type
    translator = with_whole_bert(model) if is_bert(model.config.model) else model.translator.cpu()
    parts, sources = Parts.of(model_type, translator.decoder), _draw_sources(model)

    def write(new: Path) -> float:
        write_graphs(new, translator, parts, sources[:2])
        write_about(
            new,
            study="math",
            type=model_type,
            encoder_inputs=parts.inputs,
            encoder_outputs=(*parts.state, *parts.memory),
            state=parts.state,
            pad_id=PAD,
            start_id=START,
            end_id=END,
            unknown_id=UNKNOWN,
            words=model.vocabularies.words.tokens,
            tokens=model.vocabularies.tokens.tokens,
        )
        imports, reading = ("", _READ_WORDS) if len(parts.inputs) == 2 else (_IMPORTS, _READ_MORE)
        inputs = ", ".join(parts.inputs)
        write_text(new / README, _README.format(type=model_type, inputs=inputs, imports=imports, reading=reading))
        graphs = open_graph(new / ENCODER), open_graph(new / STEP)
        return max(compare_graphs(*graphs, translator, parts, some) for some in (sources, sources[-1:]))

    return export_folder(folder, write)


@torch.no_grad()
def write_graphs(folder: Path, translator: Translator, parts: Parts, sources: Sequence[Source]) -> None:
    """Write both graphs of a translator; the sources are examples."""
    source, lengths = collate_sources(sources)
    state, memory = translator.start(source, lengths)
    names, next_names = (*parts.state, *parts.memory), [f"next_{name}" for name in parts.state]
    inputs = dict(zip(parts.inputs, (lengths, *source), strict=True))
    write_graph(folder / ENCODER, _Encoder(translator), inputs, names, _AXES)
    step_inputs = dict(zip(names, (*_repeat(state, _N_HYPOTHESES), *memory), strict=True))
    tokens = torch.full((len(sources), _N_HYPOTHESES), START)
    axes = {name: _AXES[name] for name in names} | {
        "token_ids": ("batch", "hypotheses"),
        "log_probabilities": ("batch", "hypotheses"),
        **{f"next_{name}": _AXES[name] for name in parts.state},
    }
    outputs = ["log_probabilities", *next_names]
    write_graph(folder / STEP, _Step(translator, len(state)), {"token_ids": tokens, **step_inputs}, outputs, axes)


@torch.no_grad()
def compare_graphs(encode: Run, step: Run, translator: Translator, parts: Parts, sources: Sequence[Source]) -> float:
    """Return the largest difference between what graphs compute and what torch does, in one batch of sources."""
    source, lengths = collate_sources(sources)
    state, memory = translator.start(source, lengths)
    found = encode(dict(zip(parts.inputs, (lengths, *source), strict=True)))
    differences = [largest_difference((*state, *memory), found)]
    found_memory = dict(zip(parts.memory, found[len(state) :], strict=True))
    generator = torch.Generator().manual_seed(0)
    n_tokens = translator.decoder.output.out_features
    for k in (1, _N_HYPOTHESES):
        ours, theirs = _repeat(state, k), _repeat(found[: len(state)], k)
        tokens = torch.full((len(sources), k), START)
        for _ in range(_N_STEPS):
            expected, ours = translator.step(tokens, ours, memory)
            given = {"token_ids": tokens, **dict(zip(parts.state, theirs, strict=True)), **found_memory}
            log_probabilities, *following = step(given)
            differences.append(largest_difference((expected, *ours), (log_probabilities, *following)))
            theirs = tuple(following)
            tokens = torch.randint(n_tokens, tokens.shape, generator=generator)
    return float(torch.tensor(differences).max())


def with_whole_bert(model: MathModel) -> Translator:
    """Return a BERT model's translator with all of its BERT inside, and in full precision.

    Layers that stay as they were pretrained are otherwise no part of the encoder, and what they give is stored in half
    precision.

    Raises:
        UserError: the pretrained BERT is not there any more.
    """
    section = model.config.model
    bert = section.bert.model_copy(update={"frozen_layers": 0, "frozen_words": False})
    section = section.model_copy(update={"type": "bert_lstm_attn_tuned", "bert": bert})
    whole = build_translator(section, model.vocabularies, find_resources(section))
    encoder, trained = whole.encoder, model.translator.encoder
    assert isinstance(encoder, BertEncoder)
    assert isinstance(trained, BertEncoder)
    # The uppermost are those that were trained.
    for layer, own in zip(reversed(encoder.layers), reversed(trained.layers), strict=False):
        layer.load_state_dict(own.state_dict())
    weights = model.translator.state_dict()
    whole.load_state_dict({k: v for k, v in weights.items() if not k.startswith("encoder.layers.")}, strict=False)
    return whole.eval()


class _Encoder(nn.Module):
    """`Translator.start`, its results in a row."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator

    def forward(self, lengths: Tensor, *source: Tensor) -> tuple[Tensor, ...]:
        """Return the parts of the state, then those of the memory."""
        state, memory = self.translator.start(source, lengths)
        return (*state, *memory)


class _Step(nn.Module):
    """`Translator.step`, its arguments and results in a row."""

    def __init__(self, translator: Translator, n_state: int) -> None:
        super().__init__()
        self.translator, self.n_state = translator, n_state

    def forward(self, tokens: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        """Return log-probabilities, then the parts of the next state."""
        log_probabilities, state = self.translator.step(tokens, parts[: self.n_state], parts[self.n_state :])
        return (log_probabilities, *state)


def _repeat(state: Sequence[Tensor], k: int) -> tuple[Tensor, ...]:
    """Give each problem k hypotheses of the same state, (N, 1, ...) to (N, k, ...)."""
    return tuple(part.repeat_interleave(k, 1) for part in state)


def _draw_sources(model: MathModel) -> list[Source]:
    """Return what the model reads of some problems, and of texts of random words, the last of them long."""
    texts = [mask(problem.text).split() for problem in generate_splits().dev[:_N_PROBLEMS]]
    rng, words = random.Random(0), model.vocabularies.words.tokens[len(SPECIAL_TOKENS) :] or ["?"]
    texts += [rng.choices(words, k=9 * n + 1) for n in range(_N_RANDOM)]
    return [model.reader(text) for text in texts]


_READ_WORDS = """\
ids = {word: word_id for word_id, word in enumerate(about["words"])}
words = "a train at n0 km per hour crosses a pole in n1 seconds . how long is it ?".split()
lengths, word_ids = np.array([len(words)]), np.array([[ids.get(word, about["unknown_id"]) for word in words]])
source = {"lengths": lengths, "words": word_ids}
"""
_IMPORTS = """\

from myna.mathqa.batches import collate_sources
from myna.mathqa.task import MathModel
"""
_READ_MORE = """\
reader = MathModel.load(pathlib.Path("the folder of the model")).reader
parts, lengths = collate_sources([reader("how much is n0 percent of n1 ?".split())])
source = {name: part.numpy() for name, part in zip(about["encoder_inputs"], (lengths, *parts))}
"""
_README = """\
# A translator of word problems, as ONNX

A `{type}`. `encoder.onnx` reads problems ({inputs}) and gives what the decoder begins with: a state, and a
memory that stays. `decoder_step.onnx` takes the last token of each of some hypotheses, (batch, hypotheses), the state
and the memory, and gives the log-probabilities of what follows, and the next state. `model.json` holds the names of the
inputs and outputs, and the words and the program tokens in the order of their ids.

A problem's numbers are replaced by n0, n1, ... in order, and the text is cut at its spaces. The best program, greedily:

```python
import json
import pathlib

import numpy as np
import onnxruntime
{imports}
about = json.loads(pathlib.Path("model.json").read_text(encoding="utf-8"))
encoder, step = (onnxruntime.InferenceSession(f"{{name}}.onnx") for name in ("encoder", "decoder_step"))
{reading}
parts = dict(zip(about["encoder_outputs"], encoder.run(None, source)))
token_id, program = about["start_id"], []
while len(program) < 150:
    log_probabilities, *state = step.run(None, {{"token_ids": np.array([[token_id]]), **parts}})
    parts |= dict(zip(about["state"], state))
    token_id = int(log_probabilities.argmax())
    if token_id == about["end_id"]:
        break
    program.append(about["tokens"][token_id])
print(program)
```
"""
