from __future__ import annotations

import pickle
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from myna.engine import checkpoint
from myna.engine.checkpoint import (
    WEIGHTS,
    check_replaceable,
    find_folder,
    load_matching_weights,
    load_state,
    load_weights,
    recover_folder,
    replace_folder,
    save_state,
    save_weights,
)
from myna.errors import UserError


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def one_line(caught: pytest.ExceptionInfo[UserError]) -> str:
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# Folders


def writer(text: str) -> Any:
    def write(folder: Path) -> None:
        (folder / "a").write_text(text)
        (folder / "b").write_text(text)

    return write


def test_a_folder_is_made_then_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "last"
    replace_folder(folder, writer("one"))
    (folder / "stray").touch()
    replace_folder(folder, writer("two"))
    assert names_in(folder) == ["a", "b"]
    assert (folder / "b").read_text() == "two"
    assert names_in(tmp_path / "runs") == ["last"]


def test_a_write_that_fails_leaves_the_old_folder_and_no_scraps(tmp_path: Path) -> None:
    folder = tmp_path / "last"
    replace_folder(folder, writer("one"))

    def fail(new: Path) -> None:
        writer("two")(new)
        raise UserError("the disk is full")

    with pytest.raises(UserError, match="the disk is full"):
        replace_folder(folder, fail)
    assert names_in(tmp_path) == ["last"]
    assert (folder / "a").read_text() == "one"


class Killed(BaseException):
    """Stands for a kill: nothing of ours runs after it."""


@pytest.mark.parametrize("n_before", range(8))
def test_a_kill_anywhere_leaves_the_old_folder_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_before: int
) -> None:
    """Whichever of the operations on the disk is the last one done."""
    folder = tmp_path / "last"
    replace_folder(folder, writer("old"))
    n_done = 0

    def dying(operation: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal n_done
            if n_done == n_before:
                raise Killed
            n_done += 1
            return operation(*arguments, **options)

        return run

    with monkeypatch.context() as patch:
        for name in ("rename", "mkdir", "write_text"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(checkpoint.shutil, "rmtree", dying(shutil.rmtree))
        with pytest.raises(Killed):
            replace_folder(folder, writer("new"))
    recover_folder(folder)
    assert names_in(tmp_path) == ["last"]
    text = (folder / "a").read_text()
    assert (folder / "b").read_text() == text
    assert text in ("old", "new")
    replace_folder(folder, writer("newest"))
    assert (folder / "a").read_text() == "newest"
    assert names_in(tmp_path) == ["last"]


def test_what_a_user_names_is_replaced_if_it_is_of_its_kind_alone(tmp_path: Path) -> None:
    new, empty, older, other, file = (tmp_path / name for name in ("new", "empty", "older", "other", "file"))
    for folder in (empty, older, other):
        folder.mkdir()
    for path in (older / "mark", other / "thesis", file):
        path.touch()
    for folder in (new, empty, older):
        check_replaceable(folder, "mark", "a model")
    for folder in (other, file):
        with pytest.raises(UserError, match=f"{folder.name}: holds something else than a model"):
            check_replaceable(folder, "mark", "a model")


def test_killed_between_its_renames_the_old_folder_comes_back(tmp_path: Path) -> None:
    replace_folder(tmp_path / ".last.myna-old", writer("old"))
    replace_folder(tmp_path / ".last.myna-new", writer("new"))
    recover_folder(tmp_path / "last")
    assert (tmp_path / "last" / "a").read_text() == "old"
    assert names_in(tmp_path) == ["last"]


def test_a_folder_of_the_users_beside_it_stays(tmp_path: Path) -> None:
    for name in ("bin.old", "bin.new"):
        (tmp_path / name).mkdir()
    replace_folder(tmp_path / "bin", writer("first"))
    replace_folder(tmp_path / "bin", writer("second"))
    assert names_in(tmp_path) == ["bin", "bin.new", "bin.old"]


def test_killed_after_its_renames_the_new_folder_stays(tmp_path: Path) -> None:
    replace_folder(tmp_path / "last", writer("new"))
    replace_folder(tmp_path / ".last.myna-old", writer("old"))
    recover_folder(tmp_path / "last")
    assert (tmp_path / "last" / "a").read_text() == "new"
    assert names_in(tmp_path) == ["last"]


# Weights


def small_model(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(width, 2), nn.BatchNorm1d(2))


def test_weights_come_back(tmp_path: Path) -> None:
    model, other = small_model(), small_model()
    save_weights(tmp_path / "w", model.state_dict())
    load_weights(other, tmp_path / "w")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_half_precision_is_for_floating_point_and_loads_as_single(tmp_path: Path) -> None:
    model, other = small_model(), small_model()
    save_weights(tmp_path / "w", model.state_dict(), half=True)
    found = load_file(tmp_path / "w")
    assert found["0.weight"].dtype == torch.float16
    assert found["1.num_batches_tracked"].dtype == torch.int64
    load_weights(other, tmp_path / "w")
    assert other.state_dict()["0.weight"].dtype == torch.float32
    assert torch.equal(other.state_dict()["0.weight"], model.state_dict()["0.weight"].half().float())


def test_saved_weights_are_for_all_who_may_read_the_folder(tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    save_weights(tmp_path / "w", small_model().state_dict())
    assert (tmp_path / "w").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_weights_of_another_size_are_told_with_both(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", small_model(width=4).state_dict())
    with pytest.raises(UserError, match=r"w: of another model or size: 0\.weight is \(2, 4\), expected \(2, 3\)$"):
        load_weights(small_model(), tmp_path / "w")


def test_weights_of_another_model_are_told(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", {"other": torch.zeros(1)})
    model = small_model()
    before = model.state_dict()["0.weight"].clone()
    with pytest.raises(UserError) as caught:
        load_weights(model, tmp_path / "w")
    assert "0.bias is missing, expected (2,) (and 7 more)" in one_line(caught)
    assert torch.equal(before, model.state_dict()["0.weight"])
    save_weights(tmp_path / "w", {**model.state_dict(), "extra": torch.zeros(1)})
    with pytest.raises(UserError, match=r"extra is \(1,\), expected nothing of that name$"):
        load_weights(model, tmp_path / "w")


def test_weights_that_are_not_there_or_broken_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_weights(small_model(), tmp_path / "w")
    save_weights(tmp_path / "w", small_model().state_dict())
    whole = (tmp_path / "w").read_bytes()
    for content in (b"", b"text", whole[:-3], whole[:20], b"\xff" * 40):
        (tmp_path / "w").write_bytes(content)
        with pytest.raises(UserError) as caught:
            load_weights(small_model(), tmp_path / "w")
        assert "w: not a safetensors file: " in one_line(caught)


def test_weights_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    with pytest.raises(UserError) as caught:
        save_weights(tmp_path / "w", small_model().state_dict())
    assert "w: cannot be written" in one_line(caught)


# State


def test_state_comes_back(tmp_path: Path) -> None:
    state = {"a": torch.arange(3), "b": [1, 2.5, None, "x", True, float("-inf")], "c": {"d": (1, 2)}}
    save_state(tmp_path / "s", state)
    found = load_state(tmp_path / "s")
    assert torch.equal(found.pop("a"), state.pop("a"))  # type: ignore[call-overload]
    assert found == state


class Attack:
    """What an attacker would put into a checkpoint: reading it runs a command."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("plain", [False, True])
def test_a_strangers_checkpoint_runs_no_code(tmp_path: Path, plain: bool, protocol: int) -> None:
    target = tmp_path / "attacked"
    state = {"position": {}, "optimizer": Attack(target)}
    if plain:
        (tmp_path / "s").write_bytes(pickle.dumps(state, protocol))
    else:
        torch.save(state, tmp_path / "s", pickle_protocol=protocol)
    with pytest.raises(UserError) as caught:
        load_state(tmp_path / "s")
    assert "not a checkpoint" in one_line(caught)
    assert not target.exists()
    with suppress(RuntimeError):
        torch.load(tmp_path / "s", weights_only=False)
    assert target.exists(), "the attack works where it is let"


def test_state_that_is_not_there_or_no_state_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; the run has no checkpoint to resume from"):
        load_state(tmp_path / "s")
    torch.save([1, 2], tmp_path / "s")
    with pytest.raises(UserError, match="not a checkpoint: holds a list"):
        load_state(tmp_path / "s")


def test_a_broken_state_is_one_line_however_it_is_broken(tmp_path: Path) -> None:
    save_state(tmp_path / "s", {"a": torch.zeros(9), "b": {"c": [1, "text"]}})
    whole = (tmp_path / "s").read_bytes()
    chance = random.Random(0)
    contents = [b"", b"hello world", bytes(range(256)), whole[:-10], whole[: len(whole) // 2]]
    for _ in range(40):
        wrong = bytearray(whole)
        for _ in range(3):
            wrong[chance.randrange(len(wrong))] = chance.randrange(256)
        contents.append(bytes(wrong))
    n_told = 0
    for content in contents:
        (tmp_path / "s").write_bytes(content)
        try:
            load_state(tmp_path / "s")
        except UserError as error:
            n_told += str(error).startswith(f"{tmp_path}/s: ") and len(str(error).splitlines()) == 1
        else:
            n_told += 1  # the wrong bytes hit nothing that matters
    assert n_told == len(contents)


def test_state_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as caught:
        save_state(tmp_path / "file" / "s", {})
    assert "cannot be written" in one_line(caught)


# Weights where they fit


def test_weights_that_fit_are_taken_and_the_others_left(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 5), "gone": nn.Linear(1, 1)})
    model = nn.ModuleDict({"same": nn.Linear(2, 3), "wider": nn.Linear(2, 4), "new": nn.Linear(1, 1)})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_weights(tmp_path / "a.safetensors", source.state_dict())
    assert load_matching_weights(model, tmp_path / "a.safetensors") == ["same.bias", "same.weight"]
    for name, tensor in model.state_dict().items():
        expected = source.state_dict()[name] if name.startswith("same.") else before[name]
        assert torch.equal(tensor, expected), name
    assert not torch.equal(before["same.weight"], source["same"].weight)


def test_weights_of_which_none_fits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(path, nn.Linear(2, 3).state_dict())
    with pytest.raises(UserError) as caught:
        load_matching_weights(nn.Linear(3, 2), path)
    assert one_line(caught).startswith(f"{path}: none of its weights fits this model")
    for content, reason in ((None, "no such file"), (b"{", "not a safetensors file")):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            load_matching_weights(nn.Linear(2, 3), path)
        assert one_line(caught).startswith(f"{path}: {reason}")


@pytest.mark.parametrize("name", ["other.safetensors", "absent/model.safetensors"])
def test_a_model_is_named_by_its_folder_or_its_weights_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "other.safetensors").touch()
    (tmp_path / WEIGHTS).touch()
    assert find_folder(tmp_path) == find_folder(tmp_path / WEIGHTS) == tmp_path
    with pytest.raises(UserError, match=f"{name}: expected the folder of a model, or the {WEIGHTS} in it"):
        find_folder(tmp_path / name)
