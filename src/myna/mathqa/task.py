"""The math study as a task of the engine, and the one place where a config becomes a model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from myna.config import MathConfig, MathModelSection, TeacherForcingSection, load, save
from myna.engine.checkpoint import WEIGHTS, load_matching_weights, load_weights
from myna.engine.devices import find_device
from myna.engine.distributed import share_out
from myna.engine.optim import Pace
from myna.errors import UserError
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.batches import Batch, Example, batches_by_length, collate, encode, fold
from myna.mathqa.bert import BertEncoder, Pretrained, load_bert
from myna.mathqa.decoder import LSTMDecoder
from myna.mathqa.encoders import BiLSTMEncoder, WordEmbedding
from myna.mathqa.evaluation import judge_problem
from myna.mathqa.glove import load_glove
from myna.mathqa.index_cache import load_index
from myna.mathqa.language.score import Verdict, summarise
from myna.mathqa.prediction import VERIFIED, Prediction, predict
from myna.mathqa.problems import Problem, check_scorable, hash_problems, mask
from myna.mathqa.readers import NeighbourReader, PieceReader, Reader, Source, WordReader
from myna.mathqa.retrieval import RetrievalEncoder
from myna.mathqa.states import StateStore
from myna.mathqa.translator import Translator, sequence_loss
from myna.mathqa.verification import verify
from myna.mathqa.verifier import FILE as VERIFIER
from myna.mathqa.verifier import Verifier
from myna.mathqa.vocabulary import PAD, UNKNOWN, Vocabularies
from myna.runs import CONFIG, check_finished, find_model, runs_folder
from myna.runs import find as find_run

VOCABULARIES = "vocab.json"
_STEEPNESS = 10.0  # of the inverse sigmoid, over a whole training


@dataclass(frozen=True)
class Resources:
    """What a model is built on and does not keep in its own weights.

    Attributes:
        glove: pretrained vectors (V, D) and which are known (V,); None if weights will be loaded anyway.
        bert: the pretrained encoder of a BERT model.
        index: the training problems that a retrieval model looks up.
    """

    glove: tuple[Tensor, Tensor] | None = None
    bert: Pretrained | None = None
    index: NeighbourIndex | None = None


def is_bert(section: MathModelSection) -> bool:
    """Return whether a model's encoder is a BERT."""
    return section.type in ("bert_lstm_attn_frozen", "bert_lstm_attn_tuned")


def find_resources(section: MathModelSection, find_index: Callable[[], NeighbourIndex] = load_index) -> Resources:
    """Return the pretrained encoder or the training problems that a model needs, GloVe aside.

    Args:
        section: of the model; a hash that it names is checked.
        find_index: gives the training problems to look up.

    Raises:
        UserError: something is not there, or is not what the model was trained with.
    """
    if is_bert(section):
        bert = load_bert(section.bert.source)
        if section.bert.sha256 not in ("", bert.sha256):
            raise UserError(
                f"model.bert.source: {section.bert.source!r} holds weights of hash {bert.sha256[:12]}; the model was "
                f"trained on those of {section.bert.sha256[:12]}"
            )
        return Resources(bert=bert)
    if section.type == "retrieval_lstm_attn":
        index = find_index()
        found, expected = index.fingerprint(), section.neighbours.sha256
        if expected not in ("", found):
            raise UserError(
                f"model.neighbours: the training problems here have the hash {found[:12]}; the model looks up those of "
                f"{expected[:12]}, the ones that it was trained on: name their folder with --data or $MYNA_DATA"
            )
        return Resources(index=index)
    return Resources()


def build_reader(section: MathModelSection, vocabularies: Vocabularies, resources: Resources) -> Reader:
    """Make what turns a text into what the model's encoder reads."""
    if resources.bert is not None:
        return PieceReader(vocabularies, resources.bert.tokenizer, section.bert.numbers)
    if resources.index is not None:
        return NeighbourReader(vocabularies, resources.index, section.neighbours.n)
    return WordReader(vocabularies)


def build_translator(
    section: MathModelSection,
    vocabularies: Vocabularies,
    resources: Resources | None = None,
    *,
    initialise: bool = True,
) -> Translator:
    """Make a model of random weights, its BERT aside.

    Args:
        section: kinds and sizes.
        vocabularies: the words and tokens that it knows.
        resources: what it is built on.
        initialise: as for `Translator`.

    Raises:
        UserError: the section's settings do not go together.
    """
    resources = resources or Resources()
    if section.input_feeding and section.type == "lstm_lstm":
        raise UserError("model.input_feeding: lstm_lstm has no attention that could be fed back")
    encoder = _build_encoder(section, vocabularies, resources)
    has_attention = section.type != "lstm_lstm"
    decoder = LSTMDecoder(
        len(vocabularies.tokens),
        encoder.memory_size,
        section.token_size,
        section.decoder_size,
        attention=section.attention if has_attention else None,
        input_feeding=section.input_feeding,
        pointer=_pointer(section) if section.pointer and has_attention else None,
        dropout=section.dropout,
    )
    return Translator(encoder, decoder, initialise=initialise)


def _pointer(section: MathModelSection) -> str:
    """Return which pointer a model with attention has: where neighbours stand in its memory, one that copies."""
    return "mixture" if section.type == "retrieval_lstm_attn" else "sum"


def _build_encoder(
    section: MathModelSection, vocabularies: Vocabularies, resources: Resources
) -> BiLSTMEncoder | BertEncoder | RetrievalEncoder:
    """Make the encoder that a section names."""
    copied = torch.tensor(vocabularies.copied_tokens())
    if resources.bert is not None:
        return _build_bert(section, copied, resources.bert)
    if section.glove == "none" and not section.learned_size:
        raise UserError("model.learned_size: 0 with model.glove = 'none' leaves words without a vector")
    n_words, glove = len(vocabularies.words), resources.glove
    if glove is None and section.glove != "none":
        glove = torch.zeros(n_words, section.glove_size), torch.zeros(n_words, dtype=torch.bool)
    pretrained, known = glove or (None, None)
    embedding = WordEmbedding(n_words, section.learned_size, pretrained, known, section.glove_frozen)
    encoder = BiLSTMEncoder(embedding, section.encoder_size, section.encoder_layers, section.dropout, copied)
    if section.type != "retrieval_lstm_attn":
        return encoder
    neighbours = section.neighbours
    return RetrievalEncoder(encoder, len(vocabularies.tokens), neighbours.n, neighbours.size, section.dropout)


def _build_bert(section: MathModelSection, copied: Tensor, bert: Pretrained) -> BertEncoder:
    """Make an encoder of a BERT: all of it frozen, or the upper layers learning."""
    own = section.bert
    n_layers = len(bert.model.encoder.layer)
    n_frozen = n_layers if section.type == "bert_lstm_attn_frozen" else min(own.frozen_layers, n_layers)
    return BertEncoder(
        bert.model,
        n_frozen,
        own.frozen_words,
        copied,
        section.dropout,
        section.encoder_size,
        own.lstm_layers,
        Pace(own.rate_ratio, own.start_ratio, own.warmup_ratio),
        own.layer_decay,
        own.gradient_checkpointing,
        StateStore(runs_folder() / "cache" / f"states-{bert.sha256[:16]}-{n_frozen}"),
    )


@dataclass(frozen=True)
class MathModel:
    """A trained model with all that is needed to use it.

    Attributes:
        config: as it was trained.
        reader: what turns a masked text into what its encoder reads.
        translator: its weights.
        verifier: of a model that looks up neighbours, what ranks their programs beside its own; None if there is none.
    """

    config: MathConfig
    reader: Reader
    translator: Translator
    verifier: Verifier | None = None

    @property
    def vocabularies(self) -> Vocabularies:
        """The words and tokens that the model knows."""
        return self.reader.vocabularies

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.translator.parameters()).device

    def prepare(self, texts: Sequence[str]) -> None:
        """Store what frozen layers of a BERT make of problems that will be read more than once."""
        if isinstance(self.translator.encoder, BertEncoder):
            self.translator.encoder.prepare([self.reader(mask(text).split())[1] for text in texts])

    def predict(
        self,
        texts: Sequence[str],
        *,
        beam_size: int,
        search: str = "plain",
        n_best: int = 1,
        length_penalty: float | None = None,
        tick: Callable[[int], object] = lambda n: None,
    ) -> list[list[Prediction]]:
        """Write programs for problems.

        Args:
            texts: the problems as they were given.
            beam_size: hypotheses kept at each step; 1 is greedy.
            search: one of `myna.mathqa.prediction.SEARCHES`; or "verified", which ranks what execution guidance keeps
                and the programs of the nearest training problems by the model's verifier.
            n_best: programs returned for a problem, at most.
            length_penalty: exponent of the length that divides a log-probability; None takes the model's own.
            tick: told how many more problems are done.

        Returns:
            For each problem, in order, its best programs, best first; none if the search found none.

        Raises:
            UserError: the search is "verified", and the model has no verifier.
        """
        if length_penalty is None:
            length_penalty = self.config.decoding.length_penalty
        write = partial(
            predict, self.translator, self.reader, texts, beam_size=beam_size, length_penalty=length_penalty, tick=tick
        )
        if search != VERIFIED:
            return write(search=search, n_best=n_best)
        if self.verifier is None or not isinstance(self.reader, NeighbourReader):
            raise UserError(
                f"search: 'verified' needs a model with a {VERIFIER}, which a {self.config.model.type} has not; of a "
                "retrieval_lstm_attn, `myna math calibrate` makes one"
            )
        found = write(search="execution", n_best=beam_size)
        neighbours = self.reader.neighbours(texts)
        return [verify(self.verifier, *each)[:n_best] for each in zip(texts, found, neighbours, strict=True)]

    @classmethod
    def load(cls, folder: Path, data: Path | None = None) -> MathModel:
        """Read a model folder, or the best model of a run folder.

        Args:
            folder: of the model.
            data: the folder asked for, for a model that looks up training problems; else as `load_index` finds it.

        Raises:
            UserError: something is missing from the folder, or its parts do not fit each other.
        """
        folder = find_model(folder)
        config = load(MathConfig, folder / CONFIG)
        vocabularies = Vocabularies.load(folder / VOCABULARIES)
        resources = find_resources(config.model, lambda: load_index(data, config.data.limit))
        translator = build_translator(config.model, vocabularies, resources, initialise=False)
        load_weights(translator, folder / WEIGHTS)
        reader = build_reader(config.model, vocabularies, resources)
        return cls(config, reader, translator.eval().to(find_device()), Verifier.load(folder))


class MathTask:
    """Word problems to programs, for the engine's loop.

    Args:
        config: of the run.
        training: problems to learn from, each with its program.
        validation: problems that choose the best epoch.

    Raises:
        UserError: there are no problems, one lacks its program, one to validate on its answer, or GloVe is not there.
    """

    score_name = "exact_match"

    def __init__(self, config: MathConfig, training: Sequence[Problem], validation: Sequence[Problem]) -> None:
        if not training or not validation:
            raise UserError("no problems: expected at least one to train on and one to validate on")
        check_scorable(validation)
        training = training[: config.data.limit or None]
        if is_bert(config.model) and config.data.word_dropout:
            raise UserError("data.word_dropout: BERT reads pieces, which are not dropped; set it to 0")
        self.vocabularies = Vocabularies.build(training, config.data.min_word_count)
        resources = find_resources(config.model, lambda: NeighbourIndex(training))
        if not is_bert(config.model) and config.model.glove != "none":
            resources = replace(resources, glove=load_glove(config.model.glove, self.vocabularies.words.tokens))
        self.config = _complete(config, resources)
        torch.manual_seed(config.training.seed)
        self.translator = build_translator(self.config.model, self.vocabularies, resources)
        self.model: nn.Module = self.translator
        if config.start_from:
            self._start_from(_find_start(config.start_from))
        self.reader = build_reader(self.config.model, self.vocabularies, resources)
        self._exact: dict[Source, Source] = {}
        examples = encode(training, self.vocabularies, self._learn_neighbours(training) or self.reader)
        self.examples = fold(examples) if config.data.fold else examples
        self.training, self.validation = list(training), list(validation)
        self._validation_examples = fold(encode(validation, self.vocabularies, self.reader))
        if isinstance(self.translator.encoder, BertEncoder):
            self.translator.encoder.to(find_device())
            self.translator.encoder.prepare([e.source[1] for e in (*self.examples, *self._validation_examples)])

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the examples of each step of an epoch."""
        section = self.config.training
        return batches_by_length(self.examples, section.batch_size, section.seed, epoch)

    def loss(
        self, model: nn.Module, examples: Sequence[int], device: torch.device, progress: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return the summed loss of some training examples, and the number of tokens it is summed over."""
        chosen = self._show_exact([self.examples[index] for index in examples])
        batch = self._drop_words(collate(chosen).to(device))
        forcing = self.config.teacher_forcing
        logits = model(batch, forcing_ratio(forcing, progress), forcing.form)
        return sequence_loss(logits, batch.targets, batch.weights, self.config.label_smoothing)

    def evaluate(self, device: torch.device) -> dict[str, float]:
        """Return the loss under full teacher forcing, and the scores of greedy decoding.

        Each process answers a part of the problems.
        """
        scores = summarise(share_out(self.validation, self._judge))
        loss = self._validation_loss(device)
        return {
            **({} if loss is None else {"loss": loss}),
            "exact_match": scores.exact_match,
            "execution_accuracy": scores.execution_accuracy,
            "token_match": scores.token_match,
        }

    def fingerprint(self) -> str:
        """Return a hash of the problems that are learned from and chosen by."""
        return hash_problems(self.training, self.validation)

    def save(self, folder: Path) -> None:
        """Write config and vocabularies beside the weights."""
        save(self.config, folder / CONFIG)
        self.vocabularies.save(folder / VOCABULARIES)

    def _start_from(self, folder: Path) -> None:
        """Take up the weights of another model, where they fit.

        Raises:
            UserError: it knows other words or tokens, so that rows of its weights stand for others than they do here.
        """
        theirs = Vocabularies.load(folder / VOCABULARIES)
        kinds = ("tokens",) if is_bert(self.config.model) else ("words", "tokens")
        for kind in kinds:
            known, own = (getattr(each, kind).tokens for each in (theirs, self.vocabularies))
            if known != own:
                raise UserError(
                    f"start_from: {folder}: knows {len(known):,} {kind}, not the {len(own):,} of the training problems"
                    " here; expected a model trained on the same problems"
                )
        load_matching_weights(self.translator, folder / WEIGHTS)

    def _judge(self, problems: Sequence[Problem]) -> list[Verdict]:
        """Return the verdicts on what greedy decoding answers to some problems."""
        predictions = predict(self.translator, self.reader, [problem.text for problem in problems], beam_size=1)
        return [judge_problem(problem, found[0].text) for problem, found in zip(problems, predictions, strict=True)]

    @torch.no_grad()
    def _validation_loss(self, device: torch.device) -> float | None:
        """Return the mean loss of a token of the validation problems, without label smoothing.

        Programs with a token that training never saw are left out: nothing can predict it. None if that leaves none.
        """
        known = [e for e in self._validation_examples if UNKNOWN not in e.tokens]
        if not known:
            return None

        def compute(groups: Sequence[Sequence[int]]) -> list[Tensor]:
            parts = []
            for group in groups:
                batch = collate([known[index] for index in group]).to(device)
                parts.append(torch.stack(sequence_loss(self.translator(batch), batch.targets, batch.weights)).cpu())
            return parts

        groups = batches_by_length(known, 128, seed=0, epoch=0)
        sums = sum(share_out(groups, compute), torch.zeros(2))
        return float(sums[0] / sums[1])

    def _drop_words(self, batch: Batch) -> Batch:
        """Read a share of the words as unknown, so that the model learns to do without; numbers are never hidden."""
        share = self.config.data.word_dropout
        if not share:
            return batch
        words, *others = batch.source
        kept = torch.tensor([PAD, *self.vocabularies.number_ids()], device=words.device)
        dropped = (torch.rand(words.shape, device=words.device) < share) & ~torch.isin(words, kept)
        return replace(batch, source=(words.masked_fill(dropped, UNKNOWN), *others))

    def _learn_neighbours(self, training: Sequence[Problem]) -> Callable[[Sequence[str]], Source] | None:
        """Look up the neighbours of all training problems; return what reads them without the problem's own program.

        A text that occurs more than once would find its program even without itself: what it would see then is kept
        in `_exact`, and shown now and then.
        """
        reader = self.reader
        if not isinstance(reader, NeighbourReader):
            return None
        counts = Counter(mask(problem.text) for problem in training)
        texts = list(counts)
        others = dict(zip(texts, reader.index.ranked(texts, reader.n, without_itself=True), strict=True))
        repeated = [text for text, count in counts.items() if count > 1]
        for text, neighbours in zip(repeated, reader.index.ranked(repeated, reader.n), strict=True):
            self._exact[reader.show(text.split(), others[text])] = reader.show(text.split(), neighbours)
        return lambda words: reader.show(words, others[" ".join(words)])

    def _show_exact(self, examples: Sequence[Example]) -> Sequence[Example]:
        """Let a share of the examples whose text occurs more than once see its program among their neighbours."""
        if not self._exact:
            return examples
        shown = torch.rand(len(examples)) < self.config.model.neighbours.exact_ratio
        return [
            replace(example, source=self._exact.get(example.source, example.source)) if show else example
            for example, show in zip(examples, shown.tolist(), strict=True)
        ]


def _find_start(name: str) -> Path:
    """Return the folder of the model that a run begins with.

    Raises:
        UserError: there is none, or its run goes on: what it begins with would depend on when.
    """
    folder = find_run(name)
    model = find_model(folder)
    if model != folder:
        check_finished(folder)
    return model


def forcing_ratio(section: TeacherForcingSection, progress: float) -> float:
    """Return the probability of feeding the reference's token after a share `progress` of all steps.

    Scheduled, it comes down from 1 to `ratio`: linearly, or as the inverse sigmoid k / (k + exp(i / k)) of Bengio et
    al. 2015 (arXiv 1506.03099, section 2.4), scaled to run from 1 to `ratio` with its middle half way.
    """
    if section.schedule == "constant":
        return section.ratio
    if section.schedule == "linear":
        return 1 - progress * (1 - section.ratio)

    def sigmoid(at: float) -> float:
        return 1 / (1 + math.exp(_STEEPNESS * (at - 0.5)))

    fallen = (sigmoid(0) - sigmoid(progress)) / (sigmoid(0) - sigmoid(1))
    return 1 - fallen * (1 - section.ratio)


def _complete(config: MathConfig, resources: Resources) -> MathConfig:
    """Return a config that also says what its model is built on."""
    section = config.model
    if resources.glove is not None:
        section = section.model_copy(update={"glove_size": resources.glove[0].shape[1]})
    if resources.bert is not None:
        section = section.model_copy(update={"bert": section.bert.model_copy(update={"sha256": resources.bert.sha256})})
    if resources.index is not None:
        neighbours = section.neighbours.model_copy(update={"sha256": resources.index.fingerprint()})
        section = section.model_copy(update={"neighbours": neighbours})
    return config.model_copy(update={"model": section})
