from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from myna.config import (
    MathConfig,
    OptimizerSection,
    ScheduleSection,
    Section,
    TrainingSection,
    check,
    find_data,
    flatten,
    load,
    save,
)
from myna.errors import UserError


class Layer(Section):
    size: int = Field(1, description="units")
    name: str | None = None


class Net(Section):
    """A schema with a list of sections, which those of the studies have too."""

    layers: list[Layer] = Field(default=[], description="from the bottom up")
    required: int = Field(description="has no default")


def write(folder: Path, text: str, name: str = "a.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def mistake(path: Path, *overrides: str) -> str:
    """Return the one line that is printed for a config."""
    with pytest.raises(UserError) as caught:
        load(MathConfig, path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Reading


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load(MathConfig, write(tmp_path, "")) == MathConfig()


def test_a_file_wins_over_the_default_and_set_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[training]\nepochs = 3\nbatch_size = 4\n")
    config = load(MathConfig, path, ["training.epochs=7"])
    assert (config.training.epochs, config.training.batch_size, config.training.accumulate) == (7, 4, 1)


def test_what_is_saved_loads_as_the_same(tmp_path: Path) -> None:
    config = load(
        MathConfig, write(tmp_path, ""), ["training.optimizer.learning_rate=1e-3", "name=a.b-1", "data.fold=false"]
    )
    save(config, tmp_path / "saved.toml")
    assert load(MathConfig, tmp_path / "saved.toml") == config
    assert "patience = 3" in (tmp_path / "saved.toml").read_text(), "defaults are written too"


def test_absent_values_are_left_out_when_saving(tmp_path: Path) -> None:
    save(Layer(size=2), tmp_path / "layer.toml")
    assert (tmp_path / "layer.toml").read_text() == "size = 2\n"


def test_a_config_cannot_change(tmp_path: Path) -> None:
    config = load(MathConfig, write(tmp_path, ""))
    with pytest.raises(ValidationError):
        config.training.epochs = 1  # type: ignore[misc]


def test_flatten_names_settings_by_their_path() -> None:
    flat = flatten(MathConfig().model_dump())
    assert flat["training.optimizer.name"] == "adamw"
    assert flat["study"] == "math"
    assert not any(isinstance(value, dict) for value in flat.values())


@pytest.mark.parametrize("schema", [MathConfig])
def test_every_setting_is_described(schema: type[Section]) -> None:
    def walk(section: type[Section]) -> None:
        for name, field in section.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, Section):
                walk(kind)
            else:
                assert field.description, f"{section.__name__}.{name}"

    walk(schema)


# Extending


def test_extends_lays_a_file_over_another_section_by_section(tmp_path: Path) -> None:
    write(tmp_path, "[training]\nepochs = 3\nbatch_size = 4\n[training.schedule]\nname = 'step'\n", "base.toml")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "extends = '../base.toml'\n[training]\nepochs = 5\n", "middle.toml")
    path = write(tmp_path / "sub", "extends = 'middle.toml'\n[training.schedule]\nfactor = 0.5\n", "top.toml")
    training = load(MathConfig, path).training
    assert (training.epochs, training.batch_size) == (5, 4)
    assert (training.schedule.name, training.schedule.factor) == ("step", 0.5)


def test_extends_that_comes_back_to_itself_is_told(tmp_path: Path) -> None:
    write(tmp_path, "extends = 'c.toml'", "b.toml")
    write(tmp_path, "extends = './b.toml'", "c.toml")
    path = write(tmp_path, "extends = 'b.toml'")
    assert "c.toml: extends: " in mistake(path)
    assert mistake(path).endswith("comes back to itself")
    assert "comes back to itself" in mistake(write(tmp_path, "extends = 'self.toml'", "self.toml"))


def test_two_files_may_share_a_base(tmp_path: Path) -> None:
    write(tmp_path, "[training]\nepochs = 3", "base.toml")
    for name in ("x.toml", "y.toml"):
        assert load(MathConfig, write(tmp_path, "extends = 'base.toml'", name)).training.epochs == 3


def test_a_missing_base_names_both_files(tmp_path: Path) -> None:
    message = mistake(write(tmp_path, "extends = 'gone.toml'"))
    assert message == f"{tmp_path}/a.toml: extends: {tmp_path}/gone.toml: no such file"


def test_extends_must_be_a_file_name(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, "extends = 3")).endswith("extends: expected a file name, not 3")


# Mistakes in a file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nam = 'x'", "nam: unknown; did you mean name?"),
        ("[training]\nepocs = 3", "training.epocs: unknown; did you mean epochs?"),
        ("[training.optimizer]\nlearn_rate = 3", "training.optimizer.learn_rate: unknown; did you mean learning_rate?"),
        ("epochs = 3", "epochs: unknown; did you mean training.epochs?"),
        ("[optimizer]\nname = 'sgd'", "optimizer: unknown; did you mean training.optimizer?"),
        ("[model.bert]\nfrozen_layer = 3", "model.bert.frozen_layer: unknown; did you mean frozen_layers?"),
        ("frozen_layers = 3", "frozen_layers: unknown; did you mean model.bert.frozen_layers?"),
        ("exact_ratio = 0.5", "exact_ratio: unknown; did you mean model.neighbours.exact_ratio?"),
        ("[model]\ntype = 'bert'", "'bert_lstm_attn_tuned' or 'retrieval_lstm_attn', not 'bert'"),
        ("[model.bert]\nnumbers = 'words'", "model.bert.numbers: Input should be 'name' or 'mask', not 'words'"),
        ("[model.bert]\nfrozen_layers = -1", "frozen_layers: Input should be greater than or equal to 0, not -1"),
        ("[model.bert]\nrate_ratio = 0.0", "model.bert.rate_ratio: Input should be greater than 0, not 0.0"),
        ("[model.bert]\nlayer_decay = 1.1", "layer_decay: Input should be less than or equal to 1, not 1.1"),
        ("[model.bert]\nlayer_decay = 0.0", "layer_decay: Input should be greater than 0, not 0.0"),
        ("[model.neighbours]\nn = 0", "model.neighbours.n: Input should be greater than 0, not 0"),
        ("[model.neighbours]\nexact_ratio = 2.0", "exact_ratio: Input should be less than or equal to 1, not 2.0"),
        ("[teacher_forcing]\nschedule = 'sigmoid'", "'constant', 'linear' or 'inverse_sigmoid', not 'sigmoid'"),
        ("start_from = 3", "start_from: Input should be a valid string, not 3"),
        ("[data]\nzzz = 1", "data.zzz: unknown; known here: fold, limit, min_word_count, word_dropout"),
        ("[training]\nepochs = 0", "training.epochs: Input should be greater than 0, not 0"),
        ("[training]\nepochs = '3'", "training.epochs: Input should be a valid integer, not '3'"),
        ("[training]\nepochs = 3.0", "training.epochs: Input should be a valid integer, not 3.0"),
        ("[training]\nepochs = true", "training.epochs: Input should be a valid integer, not True"),
        ("[training]\nseed = 2147483648", "training.seed: Input should be less than 2147483648"),
        ("[data]\nfold = 1", "data.fold: Input should be a valid boolean, not 1"),
        ("[data]\nword_dropout = 1.5", "data.word_dropout: Input should be less than or equal to 1, not 1.5"),
        ("[training.optimizer]\nname = 'adamv'", "'sgd', 'adam' or 'adamw', not 'adamv'"),
        ("[training.optimizer]\nlearning_rate = nan", "learning_rate: Input should be a finite number, not nan"),
        ("[training.optimizer]\nclip_norm = inf", "clip_norm: Input should be a finite number, not inf"),
        ("training = 3", "training: Input should be a valid dictionary or instance of TrainingSection, not 3"),
        ("name = '../elsewhere'", "name: String should match pattern"),
        ("name = '..'", "name: String should match pattern"),
        (
            "a = 1\nb = 2",
            "a: unknown; known here: data, decoding, label_smoothing, model, name, start_from, study, teacher_forcing, "
            "training",
        ),
        ("a = 1\nb = 2", "(and 1 more)"),
        ("study = 'birds'", "study: Input should be 'math', not 'birds'"),
        ("name = ", "not TOML: Invalid value (at end of document)"),
        ("name = 'a'\nname = 'b'\n", "not TOML: Cannot overwrite a value (at line 2"),
        ("x = " + "1" * 5000, "not TOML: Exceeds the limit"),
        (f"name = {['long'] * 100}", "..."),
    ],
)
def test_a_mistake_is_one_line_naming_the_file_and_the_setting(tmp_path: Path, text: str, expected: str) -> None:
    message = mistake(write(tmp_path, text))
    assert message.startswith(f"{tmp_path}/a.toml: ")
    assert expected in message
    assert len(message) < 400


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert mistake(tmp_path / "gone.toml") == f"{tmp_path}/gone.toml: no such file"


def test_mistakes_in_a_list_of_sections() -> None:
    with pytest.raises(UserError, match=r"^here: layers\.1\.sise: unknown; did you mean size\?$"):
        check(Net, {"required": 1, "layers": [{"size": 2}, {"sise": 3}]}, "here")
    with pytest.raises(UserError, match=r"^here: required: missing$"):
        check(Net, {}, "here")


# --set


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("training.epochs=3", "training.epochs", 3),
        ("training.epochs = 3", "training.epochs", 3),
        ("training.optimizer.learning_rate=1e-3", "training.optimizer.learning_rate", 0.001),
        ("training.optimizer.learning_rate=1", "training.optimizer.learning_rate", 1.0),
        ("data.fold=false", "data.fold", False),
        ("model.type=lstm_lstm", "model.type", "lstm_lstm"),
        ("model.type='lstm_lstm'", "model.type", "lstm_lstm"),
        ('model.type="lstm_lstm"', "model.type", "lstm_lstm"),
        ("model.glove=/a/b=c.txt", "model.glove", "/a/b=c.txt"),
        ("name=7", "name", "7"),
        ("name=007", "name", "007"),
        ("name=2024-05-01", "name", "2024-05-01"),
        ("name=true", "name", "true"),
        ("training.schedule={name = 'step'}", "training.schedule.name", "step"),
    ],
)
def test_set_reads_toml_or_plain_text(tmp_path: Path, override: str, key: str, value: Any) -> None:
    found = flatten(load(MathConfig, write(tmp_path, ""), [override]).model_dump())[key]
    assert found == value
    assert type(found) is type(value)


def test_set_reads_lists() -> None:
    from myna.config import _read_override

    assert _read_override(Net, "layers=[{size=1}, {size=2}]") == {"layers": [{"size": 1}, {"size": 2}]}
    assert _read_override(Layer, "name=3") == {"name": "3"}


def test_set_of_a_section_keeps_its_other_settings(tmp_path: Path) -> None:
    path = write(tmp_path, "[training.schedule]\nfactor = 0.5")
    schedule = load(MathConfig, path, ["training.schedule={name='step'}"]).training.schedule
    assert (schedule.name, schedule.factor) == ("step", 0.5)


def test_the_last_set_wins(tmp_path: Path) -> None:
    assert load(MathConfig, write(tmp_path, ""), ["name=a", "name=b"]).name == "b"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epocs=3", "--set: training.epocs: unknown; did you mean epochs?"),
        ("trainin.epochs=3", "--set: trainin: unknown; did you mean training?"),
        ("epochs=3", "--set: epochs: unknown; did you mean training.epochs?"),
        ("training.epochs=many", "--set: training.epochs: Input should be a valid integer, not 'many'"),
        ("training.epochs=3\nbatch_size=4", r"training.epochs: Input should be a valid integer, not '3\nbatch_size=4'"),
        ("training.epochs.x=3", "--set: training.epochs: Input should be a valid integer, not {'x': 3}"),
        ("training.optimizer.learning_rate=nan", "finite number, not nan"),
        ("training.optimizer.learning_rate=-1", "greater than 0, not -1"),
        ("training=3", "--set: training: Input should be a valid dictionary"),
        ("training.epochs", "--set 'training.epochs': expected key.path=value, such as training.epochs=3"),
        ("=3", "--set '=3': expected key.path=value"),
        ("training..epochs=3", "expected key.path=value"),
        ("extends=x.toml", "--set: extends: unknown"),
    ],
)
def test_a_mistake_in_set_names_it_and_not_the_file(tmp_path: Path, override: str, expected: str) -> None:
    message = mistake(write(tmp_path, ""), override)
    assert expected in message
    assert "a.toml" not in message


@given(st.text(max_size=30))
def test_set_with_any_text_is_read_or_told_in_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), "")
    for override in (text, f"name={text}", f"training.epochs={text}"):
        with suppress(UserError):
            load(MathConfig, path, [override])
            continue
        assert len(mistake(path, override).splitlines()) == 1


def test_studies_may_build_sections_themselves() -> None:
    section = TrainingSection(optimizer=OptimizerSection(name="sgd"), schedule=ScheduleSection(name="plateau"))
    assert (section.optimizer.name, section.schedule.name) == ("sgd", "plateau")


# The data folder


def test_data_is_looked_for_in_the_option_then_the_environment_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option, variable = tmp_path / "option", tmp_path / "variable"
    for folder in (option, variable, tmp_path / "data"):
        folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYNA_DATA", str(variable))
    assert find_data(option) == option
    assert find_data(None) == variable
    monkeypatch.setenv("MYNA_DATA", "")
    assert find_data(None) == Path("data")
    (tmp_path / "data").rmdir()
    assert find_data(None) is None


def test_a_data_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^--data: .*gone: no such folder$"):
        find_data(tmp_path / "gone")
    monkeypatch.setenv("MYNA_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"^\$MYNA_DATA: .*gone: no such folder$"):
        find_data(None)
