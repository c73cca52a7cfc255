import shlex
from pathlib import Path

import pytest

from myna.errors import UserError
from myna.studies.plan import expand

CONFIGS_FOLDER = Path(__file__).parents[2] / "configs" / "studies"


@pytest.fixture
def study(tmp_path):
    (tmp_path / "attn.toml").write_text('name = "attn"\n')

    def write(runs, name="s"):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'name = "{name}"\ntitle = "T"\n{runs}')
        return path

    return write


def test_a_run_for_each_seed_and_override(study):
    runs = (
        '[[runs]]\nconfig = "attn.toml"\nseeds = [0, 1]\n'
        '[[runs]]\nconfig = "attn.toml"\nlabel = "0.3"\nset = ["teacher_forcing.ratio=0.3"]\n'
    )
    planned = expand(study(runs), ["training.epochs=2"])[1]
    assert [run.name for run in planned] == ["attn-seed0", "attn-seed1", "attn-ratio-0.3-seed0"]
    assert [run.label for run in planned] == ["attn", "attn", "0.3"]
    path_set = '[[runs]]\nconfig = "attn.toml"\nset = ["model.glove=/some/vectors 6B.txt"]\n'
    assert [run.name for run in expand(study(path_set))[1]] == ["attn-glove--some-vectors6B.txt-seed0"]
    assert [run.settings.training.seed for run in planned] == [0, 1, 0]
    assert planned[2].settings.teacher_forcing.ratio == 0.3
    assert {run.settings.training.epochs for run in planned} == {2}
    assert all(run.settings.name == run.name for run in planned)


def test_a_mistake_in_a_run_s_config_is_found_before_anything_is_trained(study):
    with pytest.raises(UserError, match=r"training.epochz: unknown; did you mean epochs"):
        expand(study('[[runs]]\nconfig = "attn.toml"\nset = ["training.epochz=3"]\n'), [])


def test_a_study_without_runs_is_refused(study):
    with pytest.raises(UserError, match="runs"):
        expand(study("runs = []\n"), [])


def test_a_missing_config_is_named(study):
    with pytest.raises(UserError, match=r"nothing.toml: no such file"):
        expand(study('[[runs]]\nconfig = "nothing.toml"\n'), [])


def test_where_a_run_starts_follows_the_seed_and_is_no_part_of_its_name(study):
    runs = (
        '[[runs]]\nconfig = "attn.toml"\nseeds = [0, 2]\nset = ["start_from=base-seed{seed}", "label_smoothing=0.1"]\n'
    )
    planned = expand(study(runs))[1]
    assert [run.name for run in planned] == ["attn-label_smoothing-0.1-seed0", "attn-label_smoothing-0.1-seed2"]
    assert [run.start_from for run in planned] == ["base-seed0", "base-seed2"]
    assert {run.label for run in planned} == {"attn-label_smoothing-0.1"}
    assert "--set start_from=base-seed2" in planned[1].command


def test_runs_of_one_name_that_differ_are_refused(study):
    one = '[[runs]]\nconfig = "attn.toml"\n'
    with pytest.raises(UserError, match="two runs would be called attn-seed0"):
        expand(study(one + one + 'set = ["start_from=other"]\n'))
    with pytest.raises(UserError, match="two runs would be called attn-seed0"):
        expand(study(one + 'label = "a"\n' + one + 'label = "b"\nset = ["start_from=other"]\n'))
    assert len(expand(study(one + one + 'label = "the same run under another label"\n'))[1]) == 2


@pytest.mark.parametrize(
    "runs",
    [
        '[[runs]]\nconfig = "attn.toml"\nlabel = "a"\nseeds = [1, 0, 1]\n',
        '[[runs]]\nconfig = "attn.toml"\nlabel = "a"\nseeds = [0, 1]\n'
        '[[runs]]\nconfig = "attn.toml"\nlabel = "a"\nseeds = [1, 2]\nset = ["label_smoothing=0.1"]\n',
    ],
)
def test_one_seed_twice_under_one_label_is_refused(study, runs):
    path = study(runs)
    with pytest.raises(UserError) as caught:
        expand(path)
    assert str(caught.value) == f"{path}: runs: label 'a': seed 1 twice; expected each seed of a label once"


def test_a_command_is_quoted_for_the_shell(study):
    runs = '[[runs]]\nconfig = "attn.toml"\nset = ["model.glove=my vectors.txt"]\n'
    (run,) = expand(study(runs))[1]
    words = shlex.split(run.command)
    assert words[:3] == ["myna", "math", "train"]
    assert [word for word in words[4:] if word != "--set"] == list(run.overrides)
    assert "model.glove=my vectors.txt" in words


@pytest.mark.parametrize("path", sorted(CONFIGS_FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_each_study_that_is_shipped_has_a_plan(path):
    if "[space]" not in path.read_text():
        planned = expand(path)[1]
        names = [run.name for run in planned]
        assert len(set(names)) == len(names)


def test_the_beam_size_study_measures_a_run_of_the_architectures():
    architectures, beams = (expand(CONFIGS_FOLDER / f"{name}.toml") for name in ("architectures", "beam-size"))
    assert [run.label for run in architectures[1]] == [
        *["lstm_lstm"] * 3,
        *["lstm_lstm_attn"] * 3,
        "bert_lstm_attn_frozen",
        "bert_lstm_attn_tuned",
        "retrieval_lstm_attn",
    ]
    by_name = {run.name: run for run in architectures[1]}
    (tuned,) = beams[1]
    assert tuned == by_name[tuned.name]
    assert tuned.start_from in by_name
    assert sorted(beams[0].beam_sizes) == [1, 10, 20]
