"""The math study as a task of the engine, and the one place where a config becomes a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from myna.config import MathConfig, MathModelSection, load, save
from myna.engine.checkpoint import WEIGHTS, load_weights
from myna.errors import UserError
from myna.mathqa.batches import Batch, batches_by_length, collate, encode, fold
from myna.mathqa.decoder import LSTMDecoder
from myna.mathqa.encoders import BiLSTMEncoder, WordEmbedding
from myna.mathqa.glove import load_glove
from myna.mathqa.language.score import judge, summarise
from myna.mathqa.prediction import predict
from myna.mathqa.problems import Problem
from myna.mathqa.translator import Translator, sequence_loss
from myna.mathqa.vocabulary import PAD, UNKNOWN, Vocabularies
from myna.runs import CONFIG, find_model

VOCABULARIES = "vocab.json"


def build_translator(
    section: MathModelSection, vocabularies: Vocabularies, glove: tuple[Tensor, Tensor] | None = None
) -> Translator:
    """Make a model of random weights.

    Args:
        section: kinds and sizes.
        vocabularies: the words and tokens that it knows.
        glove: pretrained vectors (V, D) and which are known (V,); None if weights will be loaded anyway.

    Raises:
        UserError: the section's settings do not go together.
    """
    if section.input_feeding and section.type == "lstm_lstm":
        raise UserError("model.input_feeding: lstm_lstm has no attention that could be fed back")
    if section.glove == "none" and not section.learned_size:
        raise UserError("model.learned_size: 0 with model.glove = 'none' leaves words without a vector")
    n_words = len(vocabularies.words)
    if glove is None and section.glove != "none":
        glove = torch.zeros(n_words, section.glove_size), torch.zeros(n_words, dtype=torch.bool)
    pretrained, known = glove or (None, None)
    has_attention = section.type == "lstm_lstm_attn"
    embedding = WordEmbedding(n_words, section.learned_size, pretrained, known, section.glove_frozen)
    encoder = BiLSTMEncoder(
        embedding,
        section.encoder_size,
        section.encoder_layers,
        section.dropout,
        torch.tensor(vocabularies.copied_tokens()),
    )
    decoder = LSTMDecoder(
        len(vocabularies.tokens),
        encoder.memory_size,
        section.token_size,
        section.decoder_size,
        attention=section.attention if has_attention else None,
        input_feeding=section.input_feeding,
        pointer=section.pointer and has_attention,
        dropout=section.dropout,
    )
    return Translator(encoder, decoder)


@dataclass(frozen=True)
class MathModel:
    """A trained model with all that is needed to use it."""

    config: MathConfig
    vocabularies: Vocabularies
    translator: Translator

    @classmethod
    def load(cls, folder: Path) -> MathModel:
        """Read a model folder, or the best model of a run folder.

        Raises:
            UserError: something is missing from the folder, or its parts do not fit each other.
        """
        folder = find_model(folder)
        config = load(MathConfig, folder / CONFIG)
        vocabularies = Vocabularies.load(folder / VOCABULARIES)
        translator = build_translator(config.model, vocabularies)
        load_weights(translator, folder / WEIGHTS)
        return cls(config, vocabularies, translator.eval())


class MathTask:
    """Word problems to programs, for the engine's loop.

    Args:
        config: of the run.
        training: problems to learn from, each with its program.
        validation: problems that choose the best epoch.

    Raises:
        UserError: there are no problems, one lacks its program, or GloVe is not there.
    """

    score_name = "exact_match"

    def __init__(self, config: MathConfig, training: Sequence[Problem], validation: Sequence[Problem]) -> None:
        if not training or not validation:
            raise UserError("no problems: expected at least one to train on and one to validate on")
        self.config = config
        training = training[: config.data.limit or None]
        self.vocabularies = Vocabularies.build(training, config.data.min_word_count)
        glove = None
        if config.model.glove != "none":
            glove = load_glove(config.model.glove, self.vocabularies.words.tokens)
            section = config.model.model_copy(update={"glove_size": glove[0].shape[1]})
            self.config = config.model_copy(update={"model": section})
        torch.manual_seed(config.training.seed)
        self.translator = build_translator(self.config.model, self.vocabularies, glove)
        self.model: nn.Module = self.translator
        examples = encode(training, self.vocabularies)
        self.examples = fold(examples) if config.data.fold else examples
        self.validation = list(validation)
        self._validation_examples = fold(encode(validation, self.vocabularies))

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the examples of each step of an epoch."""
        section = self.config.training
        return batches_by_length(self.examples, section.batch_size, section.seed, epoch)

    def loss(self, model: nn.Module, examples: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the summed loss of some training examples, and the number of tokens it is summed over."""
        batch = collate([self.examples[index] for index in examples]).to(device)
        batch = self._drop_words(batch)
        forcing = self.config.teacher_forcing
        logits = model(batch, forcing.ratio, forcing.form)
        return sequence_loss(logits, batch.targets, batch.weights, self.config.label_smoothing)

    def evaluate(self, device: torch.device) -> dict[str, float]:
        """Return the loss under full teacher forcing, and the scores of greedy decoding."""
        predictions = predict(
            self.translator, self.vocabularies, [problem.text for problem in self.validation], beam_size=1
        )
        scores = summarise(
            [
                judge(problem.text, problem.answer or 0.0, problem.formula or "", predicted[0].text)
                for problem, predicted in zip(self.validation, predictions, strict=True)
            ]
        )
        return {
            "loss": self._validation_loss(device),
            "exact_match": scores.exact_match,
            "execution_accuracy": scores.execution_accuracy,
            "token_match": scores.token_match,
        }

    def save(self, folder: Path) -> None:
        """Write config and vocabularies beside the weights."""
        save(self.config, folder / CONFIG)
        self.vocabularies.save(folder / VOCABULARIES)

    @torch.no_grad()
    def _validation_loss(self, device: torch.device) -> float:
        """Return the mean loss of a token of the validation problems, without label smoothing.

        Programs with a token that training never saw are left out: nothing can predict it.
        """
        known = [e for e in self._validation_examples if UNKNOWN not in e.tokens]
        sums = torch.zeros(2)
        for group in batches_by_length(known, 128, seed=0, epoch=0):
            batch = collate([known[index] for index in group]).to(device)
            loss, weight = sequence_loss(self.translator(batch), batch.targets, batch.weights)
            sums += torch.stack([loss, weight]).cpu()
        return float(sums[0] / sums[1])

    def _drop_words(self, batch: Batch) -> Batch:
        """Read a share of the words as unknown, so that the model learns to do without."""
        share = self.config.data.word_dropout
        if not share:
            return batch
        dropped = (torch.rand(batch.words.shape, device=batch.words.device) < share) & (batch.words != PAD)
        words = batch.words.masked_fill(dropped, UNKNOWN)
        return Batch(words, batch.lengths, batch.inputs, batch.targets, batch.weights)
