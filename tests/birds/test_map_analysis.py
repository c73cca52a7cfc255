"""Measures on maps: by hand, by what must hold, and in words."""

import copy
import json

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from myna.birds.map_analysis import (
    FEWEST,
    N_STEPS,
    Sample,
    analyse_maps,
    area_under,
    box_mask,
    compare_groups,
    draw_photos,
    follow_probability,
    make_controls,
    mean_interval,
    measure_agreement,
    measure_deletion,
    measure_entropy,
    measure_places,
    measure_randomisation,
    measure_weights,
    rank_correlation,
    spread_mass,
)
from myna.birds.map_findings import describe_maps
from myna.birds.resnet import ResNet
from myna.birds.task import BirdModel, Labels, build_resnet
from myna.errors import UserError


class Brightness(nn.Module):
    """A net of two classes whose probability of class 1 is the mean over the upper half of the first colour."""

    def forward(self, photos):
        share = photos[:, 0, : photos.shape[2] // 2].mean((1, 2)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([(1 - share).log(), share.log()], 1)


def test_the_mass_of_a_map_is_counted_inside_and_outside():
    maps = np.zeros((3, 8, 8), dtype=np.float32)
    maps[0, 3, 3] = 5  # in the middle
    maps[1, 0, :] = 1  # along the edge; the third is empty
    masses, n_empty = spread_mass(maps)
    assert n_empty == 1
    np.testing.assert_allclose(masses.sum((1, 2)), 1)
    found = measure_places(maps, np.array([True, False, False]))
    assert found["n_empty"] == 1
    assert found["centre"]["even_share"] == 16 / 64
    assert found["border"]["even_share"] == 28 / 64
    assert found["centre"]["share"]["mean"] == pytest.approx((1 + 0 + 1 / 4) / 3)
    assert found["border"]["share"]["mean"] == pytest.approx((0 + 1 + 28 / 64) / 3)
    assert found["right_wrong"] is None  # of so few
    is_right = np.repeat([True, False, False], FEWEST)
    centre = measure_places(np.repeat(maps, FEWEST, axis=0), is_right)["right_wrong"]["centre_share"]
    assert (centre["right"]["mean"], centre["wrong"]["mean"]) == pytest.approx((1, 1 / 8))
    assert centre["difference"]["mean"] == pytest.approx(-7 / 8)
    for fewest in (FEWEST, FEWEST - 1):
        is_right = np.array([True] * (30 - fewest) + [False] * fewest)
        compared = measure_places(np.repeat(maps, 10, axis=0), is_right)["right_wrong"]
        assert (compared is not None) == (fewest == FEWEST)


def test_the_box_is_symmetric_and_leaves_the_margin_out():
    mask = box_mask(16, 1 / 8)
    assert mask[2:14, 2:14].all()
    assert mask.sum() == 144
    assert (mask == mask[::-1, ::-1]).all()


def test_entropy_is_1_for_an_even_map_and_0_for_a_single_pixel():
    masses = np.zeros((3, 4, 4))
    masses[0], masses[1, 2, 2], masses[2, 0] = 1 / 16, 1, 1 / 4
    np.testing.assert_allclose(measure_entropy(masses), [1, 0, 0.5], atol=1e-12)


def test_rank_correlation_is_that_of_scipy_ties_included():
    rng = np.random.default_rng(0)
    maps, others = rng.integers(0, 5, (2, 6, 4, 4)).astype(np.float32)
    expected = [spearmanr(one.ravel(), two.ravel()).statistic for one, two in zip(maps, others, strict=True)]
    np.testing.assert_allclose(rank_correlation(maps, others), expected)
    assert rank_correlation(maps, np.zeros_like(maps)).tolist() == [0] * 6


def test_the_area_under_a_line_is_its_middle():
    np.testing.assert_allclose(area_under(np.array([[1.0, 0.75, 0.5, 0.25, 0], [1, 1, 1, 1, 1]])), [0.5, 1])


def test_the_probability_follows_the_pixels_that_have_gone():
    start, end = torch.ones(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    top = np.zeros((2, 8, 8), dtype=np.float32)
    top[0, :4] = 1  # the pixels that count go first, in the second photo last
    top[1, 4:] = 1
    curves = follow_probability(Brightness(), start, end, [1, 1], top)
    ramp, flat = np.linspace(1, 0, N_STEPS // 2 + 1), np.full(N_STEPS // 2, 1.0)
    np.testing.assert_allclose(curves[0], [*ramp, *(0 * flat)], atol=1e-5)
    np.testing.assert_allclose(curves[1], [*flat, *ramp], atol=1e-5)
    np.testing.assert_allclose(follow_probability(Brightness(), start, end, [0, 0], top), 1 - curves, atol=1e-5)


def test_a_good_ranking_gains_on_a_bad_one_in_deletion_and_insertion():
    inputs = torch.zeros(5, 3, 16, 16)
    inputs[:, :, :8] = 1
    good = np.zeros((5, 16, 16), dtype=np.float32)
    good[:, :8] = 1
    found = measure_deletion(Brightness(), Sample(inputs, [1] * 5), {"good": good, "bad": 1 - good, "same": good})
    for name in ("deletion", "insertion"):
        assert found[name]["gain"]["bad"]["low"] > 0.02  # the blurred photo tells this net most already
        assert found[name]["gain"]["same"] == {"mean": 0, "low": 0, "high": 0}
        assert found[name]["shares"][0] == 0
        assert found[name]["shares"][-1] == 1
    assert found["deletion"]["area"]["good"]["mean"] == pytest.approx(0.25, abs=1e-4)
    assert found["deletion"]["area"]["bad"]["mean"] == pytest.approx(0.75, abs=1e-4)
    assert found["deletion"]["curves"]["good"][0] == pytest.approx(1, abs=1e-4)
    assert found["insertion"]["curves"]["good"][-1] == pytest.approx(1, abs=1e-4)


def test_controls_know_nothing_of_their_photo():
    maps = np.random.default_rng(0).random((4, 16, 16), dtype=np.float32)
    controls = make_controls(maps, seed=0)
    np.testing.assert_array_equal(controls["other photo"][1], maps[0])
    assert controls["centre"][2].argmax() in (7 * 16 + 7, 7 * 16 + 8, 8 * 16 + 7, 8 * 16 + 8)
    assert controls["random"].shape == maps.shape
    np.testing.assert_array_equal(controls["random"], make_controls(0 * maps, seed=0)["random"])
    assert (controls["random"] != make_controls(maps, seed=1)["random"]).any()


def test_maps_of_another_size_are_compared_at_the_smaller():
    maps = np.random.default_rng(0).random((6, 4, 4), dtype=np.float32)
    found = measure_agreement(maps, maps.repeat(2, axis=1).repeat(2, axis=2))
    assert found["same"]["mean"] == pytest.approx(1)
    assert found["other"]["high"] < 0.6


def test_intervals_hold_the_mean_and_narrow_with_more_photos():
    values = np.random.default_rng(0).normal(1, 1, 400)
    few, many = mean_interval(values[:20]), mean_interval(values)
    for found in (few, many):
        assert found["low"] < found["mean"] < found["high"]
    assert many["high"] - many["low"] == pytest.approx(4 * values.std() / 20, rel=0.1)
    assert many["high"] - many["low"] < few["high"] - few["low"]
    apart = compare_groups(np.array([0.0, 0.1, 0.9, 1.0]), np.array([True, True, False, False]))
    assert apart["difference"]["mean"] == pytest.approx(0.9)
    assert apart["difference"]["low"] > 0.7


def test_random_weights_take_the_map_away_layer_by_layer_and_leave_the_net_alone():
    torch.manual_seed(0)
    net, fresh = ResNet(1, 4, "gn").eval(), ResNet(1, 4, "gn").eval()
    sample = Sample(torch.randn(6, 3, 16, 16), [0, 1, 2, 3, 0, 1])
    before = copy.deepcopy(net.state_dict())
    found = measure_randomisation(net, fresh, sample)
    assert found["layers"] == [
        "output",
        *(f"groups.{group}.0.layer{layer}" for group in (2, 1, 0) for layer in (2, 1)),
        "layer",
    ]
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    assert len(found["correlation"]) == 8
    assert found["correlation"][-1]["mean"] < 0.9
    same = measure_randomisation(net, net, sample)
    assert [step["mean"] for step in same["correlation"]] == pytest.approx([1] * 8)


def test_before_an_instance_norm_the_weights_of_grad_cam_cancel():
    torch.manual_seed(0)
    sample = Sample(torch.randn(4, 3, 32, 32), [0, 1, 2, 3])
    net = ResNet(1, 4, "in").eval()
    cancelled, last = measure_weights(net, sample)
    assert cancelled < 0.2
    assert last == pytest.approx(1)  # the mean over the last maps has the same derivative at every pixel
    assert measure_weights(ResNet(1, 4, "nn").eval(), sample)[0] > 2 * cancelled
    assert not any(module._forward_hooks for module in net.modules())


def test_photos_are_drawn_without_replacement_and_the_same_for_a_seed(bird_splits):
    drawn = draw_photos(bird_splits.val, 8, seed=3)
    assert len({photo.path for photo in drawn}) == 8
    assert drawn == draw_photos(bird_splits.val, 8, seed=3)
    assert drawn != draw_photos(bird_splits.val, 8, seed=4)
    assert len(draw_photos(bird_splits.val, 99, seed=0)) == 12


def make_model(make_bird_config, classes, seed=0, **data):
    config = make_bird_config({"norm": "bn"}, data)
    torch.manual_seed(seed)
    return BirdModel(config, Labels(classes, (0.5,) * 3, (0.25,) * 3), build_resnet(config.model, len(classes)).eval())


@pytest.fixture
def figures(bird_splits, make_bird_config):
    model = make_model(make_bird_config, bird_splits.classes)
    others = {"itself": model, "larger": make_model(make_bird_config, bird_splits.classes, 1, size=24)}
    return analyse_maps(model, bird_splits, others, n_photos=10)


def test_all_figures_are_plain_values_that_come_again(figures, bird_splits, make_bird_config):
    assert json.loads(json.dumps(figures)) == figures
    assert figures["n_photos"] == 10
    assert set(figures) == {
        *("n_photos", "n_right", "n_empty", "seed", "centre", "border", "right_wrong", "weight_share"),
        *("deletion", "insertion", "agreement", "randomisation"),
    }
    assert [agreement["name"] for agreement in figures["agreement"]] == ["itself", "larger"]
    assert figures["agreement"][0]["same"]["mean"] == pytest.approx(1)
    again = analyse_maps(make_model(make_bird_config, bird_splits.classes), bird_splits, n_photos=10)
    assert again == {**figures, "agreement": []}


def test_a_net_of_other_classes_is_refused(bird_splits, make_bird_config):
    model, stranger = (make_model(make_bird_config, names) for names in (bird_splits.classes, ("Crow", "Dodo", "Roc")))
    with pytest.raises(UserError, match="not among both"):
        analyse_maps(model, bird_splits, {"stranger": stranger}, n_photos=4)


def interval(mean, half=0.01):
    return {"mean": mean, "low": mean - half, "high": mean + half}


def test_words_say_what_the_intervals_say_and_no_more(figures):
    gains = {"other photo": interval(0.05), "centre": interval(-0.05), "random": interval(0.005)}
    changed = figures | {
        "n_empty": 2,
        "weight_share": [0.04, 1.0],
        "centre": {"share": interval(0.4), "even_share": 0.25},
        "border": {"share": interval(0.43), "even_share": 0.4375},
        "deletion": figures["deletion"] | {"gain": gains},
        "agreement": [{"name": "gn", "same": interval(0.6), "other": interval(0.2)}],
        "randomisation": {
            "n_photos": 4,
            "layers": ["output", "groups.0.0.layer2", "layer"],
            "correlation": [interval(0.9), interval(0.4), interval(0.1)],
            "other_photo": interval(0.1),
        },
    }
    text = describe_maps(changed)
    assert "2 maps are empty" in text[0]
    assert text[1].startswith("40.0 % (39.0 to 41.0) of a map's mass lies in the middle half")
    assert "more than the 25.0 %" in text[1]
    assert "not clearly other than the 43.8 %" in text[2]
    (deletion,) = [line for line in text if line.startswith("Deleting")]
    for words in ("sooner than by another photo's map", "later than by distance", "not clearly sooner than by random"):
        assert words in deletion
    assert "correlate 0.60 (0.59 to 0.61) with those of gn: more than those of different photos" in text[-2]
    assert "by 2 of 3 layers the map is mostly another" in text[-1]
    stays = changed["randomisation"] | {"correlation": [interval(0.9)] * 3}
    assert "the map mostly stays" in describe_maps(changed | {"randomisation": stays})[-1]
    unclear = changed["randomisation"] | {"correlation": [interval(0.5, half=0.3)] * 3}
    assert "it is not clear how much of the map stays" in describe_maps(changed | {"randomisation": unclear})[-1]
    (few,) = describe_maps(changed | {"n_photos": 9})
    assert few.endswith("too few to say anything of others.")
    assert any("in 1 of the 2 layers the gradient cancels" in line for line in text)
    alone = describe_maps(changed | {"right_wrong": None})
    assert sum("too few to compare" in line for line in alone) == 1
    assert all(line.endswith(".") and "\n" not in line for line in text + alone)
