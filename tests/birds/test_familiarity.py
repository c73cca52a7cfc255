"""What a net's answers are read by: temperature, Gaussian and threshold, against other implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from myna.birds.familiarity import (
    FAMILIARITY,
    GAUSSIAN,
    KNOWN_SHARE,
    MEASURES,
    Answer,
    Familiarity,
    Gaussian,
    choose_threshold,
    fit_temperature,
    measure_area,
)
from myna.birds.resnet import ResNet
from myna.errors import UserError


def make_familiarity(measure: str = "distance") -> Familiarity:
    features = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    return Familiarity(1.25, measure, -3.5, Gaussian.fit(features), {"n": 200})


def test_an_answer_is_the_net_s_own_and_its_features_lead_to_it() -> None:
    torch.manual_seed(0)
    net, photos = ResNet(1, 5).eval(), torch.randn(3, 3, 16, 16)
    answer = Answer.of(net, photos)
    torch.testing.assert_close(answer.logits, net(photos).detach())
    assert answer.features.shape == (3, 16 + 32 + 64)
    torch.testing.assert_close(net.output(answer.features[:, -64:]).detach(), answer.logits)


def test_distances_are_scipy_s() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(300, 4, generator=generator) @ torch.randn(4, 4, generator=generator) + 2
    gaussian = Gaussian.fit(features)
    own = np.cov(features.double().numpy().T)
    covariance = 0.95 * own + 0.05 * np.diag(np.diag(own))
    others = torch.randn(5, 4, generator=generator) * 3
    expected = [mahalanobis(row, features.double().mean(0).numpy(), np.linalg.inv(covariance)) for row in others]
    assert gaussian.distances(others).tolist() == pytest.approx(expected)


def test_a_map_that_never_changes_does_no_harm() -> None:
    features = torch.cat([torch.randn(50, 2, generator=torch.Generator().manual_seed(2)), torch.zeros(50, 1)], 1)
    distances = Gaussian.fit(features).distances(features)
    assert distances.isfinite().all()
    assert distances.max() < 10


def test_the_temperature_undoes_too_much_confidence() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(4000, 5, generator=generator) * 2
    label_ids = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    assert fit_temperature(3 * logits, label_ids) == pytest.approx(3, rel=0.05)
    assert fit_temperature(logits / 2, label_ids) == pytest.approx(0.5, rel=0.05)
    best = fit_temperature(logits, label_ids)
    losses = [float(functional.cross_entropy(logits / t, label_ids)) for t in (0.9 * best, best, 1.1 * best)]
    assert losses[1] == min(losses)


def test_the_area_is_scikit_learn_s() -> None:
    rng = np.random.default_rng(0)
    known, strange = rng.integers(2, 9, 80), rng.integers(0, 7, 60)  # with ties
    expected = roc_auc_score([1] * 80 + [0] * 60, [*known, *strange])
    assert measure_area(torch.tensor(known), torch.tensor(strange)) == pytest.approx(expected, abs=1e-4)
    assert measure_area(torch.tensor([2.0]), torch.tensor([1.0])) == 1


def test_the_threshold_lets_its_share_pass() -> None:
    scores = torch.randn(1000, generator=torch.Generator().manual_seed(4))
    assert (scores >= choose_threshold(scores)).double().mean().item() == pytest.approx(KNOWN_SHARE, abs=0.002)


def test_every_measure_is_higher_for_what_is_more_familiar() -> None:
    familiarity = make_familiarity()
    familiar = Answer(torch.tensor([[9.0, 0.0, 0.0]]), familiarity.gaussian.mean[None].float())
    strange = Answer(torch.tensor([[0.2, 0.1, 0.0]]), familiarity.gaussian.mean[None].float() + 4)
    for name, measure in MEASURES.items():
        assert measure(familiar, familiarity.gaussian) > measure(strange, familiarity.gaussian), name


def test_it_is_saved_and_read_again(tmp_path: Path) -> None:
    assert Familiarity.load(tmp_path) is None
    saved = make_familiarity()
    saved.save(tmp_path)
    read = Familiarity.load(tmp_path)
    assert read is not None
    answer = Answer(torch.randn(2, 3), torch.randn(2, 6))
    assert torch.equal(read.scores(answer), saved.scores(answer))
    assert torch.equal(read.probabilities(answer), saved.probabilities(answer))
    assert (read.threshold, read.worth) == (saved.threshold, saved.worth)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", f"expected temperature, measure, threshold and worth, and mean and precision in {GAUSSIAN}"),
        ("[1]", "expected temperature, measure, threshold and worth"),
        ('{"temperature": 0, "measure": "energy", "threshold": 1, "worth": {}}', "expected a temperature above 0"),
        ('{"temperature": 1, "measure": "magic", "threshold": 1, "worth": {}}', "a measure of probability, logit"),
    ],
)
def test_a_file_that_says_something_else_is_one_line(tmp_path: Path, content: str, reason: str) -> None:
    make_familiarity().save(tmp_path)
    (tmp_path / FAMILIARITY).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=reason):
        Familiarity.load(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"pickle?"])
def test_without_its_gaussian_it_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    make_familiarity().save(tmp_path)
    (tmp_path / GAUSSIAN).unlink()
    if content is not None:
        (tmp_path / GAUSSIAN).write_bytes(content)
    with pytest.raises(UserError, match=f"and mean and precision in {GAUSSIAN}"):
        Familiarity.load(tmp_path)
