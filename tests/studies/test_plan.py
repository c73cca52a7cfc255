import pytest

from myna.errors import UserError
from myna.studies.plan import expand


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
