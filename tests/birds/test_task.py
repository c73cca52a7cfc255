"""Photos as a task of the engine: views, batches, metrics, resuming, and model folders."""

import json
from itertools import chain

import pytest
import torch
from safetensors.torch import load_file

from myna.birds.prediction import predict
from myna.birds.task import BirdModel, BirdTask, Labels, measure_colours, open_cache
from myna.birds.views import EvalView
from myna.engine.loop import Interrupted, Trainer
from myna.errors import UserError
from myna.runs import read_metrics

CPU = torch.device("cpu")


def test_an_epoch_has_every_photo_once_and_the_next_another_order(bird_splits, make_bird_config):
    task = BirdTask(make_bird_config(batch_size=8), bird_splits)
    first, second = ([example % 21 for example in chain(*task.batches(epoch))] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(21))
    assert first != second
    assert task.batches(1) == task.batches(1)


def test_a_last_batch_of_one_photo_is_left_out_since_it_has_no_batch_statistics(bird_splits, make_bird_config):
    assert [len(batch) for batch in BirdTask(make_bird_config(batch_size=4), bird_splits).batches(0)] == [4] * 5


def test_nets_of_all_norms_start_with_the_same_filters_and_see_the_same_views(bird_splits, make_bird_config):
    tasks = [BirdTask(make_bird_config({"norm": norm}), bird_splits) for norm in ("inbuilt", "bin", "gn", "nn")]
    weights = [{k: v for k, v in task.net.state_dict().items() if "norm" not in k} for task in tasks]
    for other in weights[1:]:
        assert all(torch.equal(other[name], tensor) for name, tensor in weights[0].items())
    examples = tasks[0].batches(3)[0]
    seen = [torch.from_numpy(task._view(example).copy()) for task in tasks for example in examples[:1]]
    assert all(torch.equal(view, seen[0]) for view in seen)


def test_a_number_of_classes_that_the_photos_do_not_have_is_refused(bird_splits, make_bird_config):
    assert BirdTask(make_bird_config({"n_classes": 3}), bird_splits).net.n_layers == 8
    with pytest.raises(UserError, match=r"^model.n_classes: 4, but the photos are of 3 classes$"):
        BirdTask(make_bird_config({"n_classes": 4}), bird_splits)


def test_a_photo_looks_another_way_in_another_epoch(bird_splits, make_bird_config):
    task = BirdTask(make_bird_config(), bird_splits)
    assert (task._view(3) != task._view(3 + len(task.photos))).any()


def test_threads_change_nothing(bird_splits, make_bird_config):
    losses = []
    for workers in (0, 3):
        task = BirdTask(make_bird_config(data={"workers": workers}), bird_splits)
        losses.append(task.loss(task.model, task.batches(0)[0], CPU)[0])
    assert torch.equal(*losses)


def test_parts_of_a_batch_add_up_without_batch_statistics(bird_splits, make_bird_config):
    task = BirdTask(make_bird_config({"norm": "gn"}), bird_splits)
    batch = task.batches(0)[0]
    whole, weight = task.loss(task.model, batch, CPU)
    parts = [task.loss(task.model, batch[:3], CPU), task.loss(task.model, batch[3:], CPU)]
    assert sum(part[0].item() for part in parts) == pytest.approx(whole.item(), rel=1e-5)
    assert sum(part[1] for part in parts) == weight == 4


def test_colours_are_measured_on_training_photos(bird_splits, make_bird_config):
    config = make_bird_config()
    mean, deviation = measure_colours(open_cache(bird_splits.train, config.data))
    assert mean == pytest.approx((100 / 255, 113 / 255, 160 / 255), abs=0.05)
    assert all(0.2 < value < 0.4 for value in deviation)
    labels = Labels(bird_splits.classes, mean, deviation)
    cache = open_cache(bird_splits.train, config.data)
    x = labels.normalise([EvalView(16)(cache[i]) for i in range(len(cache))])
    assert x.shape == (21, 3, 16, 16)
    assert x.mean().abs() < 0.1
    assert (x.std() - 1).abs() < 0.1


def test_training_learns_measures_and_resumes_to_the_same_bits(bird_splits, make_bird_config, tmp_path):
    config = make_bird_config({"norm": "bin"}, epochs=4, average_decay=0.9)

    def train(folder, stop_after=None):
        task = BirdTask(config, bird_splits)
        trainer = Trainer(task, config.training, folder, resume=True)
        if stop_after:
            loss, n_calls = task.loss, iter(range(1000))

            def stopping(*arguments):
                if next(n_calls) == stop_after:
                    raise Interrupted
                return loss(*arguments)

            task.loss = stopping
            trainer.section = config.training.model_copy(update={"checkpoint_minutes": 0.0})
        trainer.train()
        return task

    task = train(tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", stop_after=8)
    train(tmp_path / "cut")
    whole, cut = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    lines = [line for line in read_metrics(tmp_path / "whole") if line["split"] == "val"]
    assert len(lines) == 4
    for line in lines:
        assert line["accuracy"] == line["micro_f1"]
        assert {f"train_{key}" for key in ("loss", "accuracy", "micro_f1", "macro_f1")} <= line.keys()
    assert max(line["accuracy"] for line in lines) > 0.6  # three colours; chance is a third
    assert task.evaluate(CPU)["train_accuracy"] > 0.6


def test_a_run_s_best_model_predicts_files_as_the_cache_does(bird_splits, make_bird_config, tmp_path):
    config = make_bird_config()
    task = BirdTask(config, bird_splits)
    Trainer(task, config.training, tmp_path / "run").train()
    model = BirdModel.load(tmp_path / "run")
    assert model.labels.classes == ("Crow", "Egret", "Roller")
    from_files = predict(model, [photo.path for photo in bird_splits.test])
    from_cache = model.logits(open_cache(bird_splits.test, config.data))
    assert torch.equal(from_files, from_cache)
    assert predict(model, []).shape == (0, 3)


def test_limit_takes_the_first_photos_of_each_class(bird_splits, make_bird_config):
    task = BirdTask(make_bird_config(data={"limit": 2}), bird_splits)
    assert [path.name for path in task.photos.paths] == ["0.png", "1.png"] * 3
    assert task._label_ids == [0, 0, 1, 1, 2, 2]


def test_a_norm_that_does_not_divide_is_one_line(bird_splits, make_bird_config):
    with pytest.raises(UserError, match=r"model: GroupNorm: expected groups that divide 16 channels, not 7"):
        BirdTask(make_bird_config({"norm": "gn", "groups": 7}), bird_splits)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"classes": ["a"]},
        {"classes": ["a"], "mean": [0, 0], "deviation": [1, 1]},
        {"classes": ["a"], "mean": [0, 0, 0], "deviation": [1, 1, 0]},
        3,
    ],
)
def test_broken_labels_are_refused(tmp_path, values):
    (tmp_path / "classes.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"classes\.json: "):
        Labels.load(tmp_path)
