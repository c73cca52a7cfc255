"""The generated sample, reading the real splits, and the facts of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from myna.errors import UserError
from myna.mathqa.language.program import from_tokens
from myna.mathqa.language.score import judge
from myna.mathqa.problems import SPLITS, Problem, mask, program_tokens
from myna.mathqa.splits import Splits, describe, generate_splits, load_splits


def test_generated_sample_is_the_same_whenever_it_is_made() -> None:
    assert generate_splits() == generate_splits()
    assert generate_splits(seed=1).train != generate_splits().train
    assert generate_splits().is_generated


def test_generated_splits_are_not_empty_and_do_not_overlap() -> None:
    splits = generate_splits()
    assert (len(splits.dev), len(splits.test)) == (150, 150)
    assert len(splits.train) > 1000
    texts = [problem.text for split in SPLITS for problem in splits.named(split)]
    assert len(set(texts)) == len(texts)


def test_generated_programs_run_and_give_their_answers() -> None:
    splits = generate_splits()
    for problem in splits.train + splits.dev + splits.test:
        assert problem.formula is not None
        assert problem.answer is not None
        from_tokens(program_tokens(problem))  # well-formed
        verdict = judge(problem.text, problem.answer, problem.formula, problem.formula)
        assert verdict.executes
        assert verdict.value == problem.answer
        assert not verdict.ignored


def test_generated_texts_have_one_program_each() -> None:
    splits = generate_splits()
    pairs = {(mask(problem.text), problem.formula) for problem in splits.train + splits.dev + splits.test}
    assert len(pairs) == len({text for text, _ in pairs})
    assert len({formula for _, formula in pairs}) > 10


def test_splits_by_name() -> None:
    splits = Splits([Problem("a")], [Problem("b")], [Problem("c")], "made up")
    assert [splits.named(name)[0].text for name in SPLITS] == ["a", "b", "c"]
    with pytest.raises(UserError, match="split: 'val'; choices: train, dev, test"):
        splits.named("val")


def write_splits(folder: Path, names: tuple[str, ...] = SPLITS) -> Path:
    for name in names:
        path = folder / "mathqa" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([{"Problem": f"{name} 1 + 2", "linear_formula": "add(n0,n1)", "answer": 3}]))
    return folder


def test_load_splits_reads_the_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYNA_DATA", raising=False)
    splits = load_splits(write_splits(tmp_path))
    assert [splits.named(name)[0].text for name in SPLITS] == ["train 1 + 2", "dev 1 + 2", "test 1 + 2"]
    assert not splits.is_generated
    assert "1 / 1 / 1" in splits.source


def test_load_splits_reads_the_folder_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNA_DATA", str(write_splits(tmp_path)))
    assert len(load_splits().test) == 1


def test_load_splits_generates_a_sample_where_there_is_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYNA_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    splits = load_splits()
    assert splits.is_generated
    assert "GENERATED" in splits.source


def test_load_splits_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mathqa/test\.json: no such file"):
        load_splits(write_splits(tmp_path, ("train", "dev")))
    with pytest.raises(UserError, match=r"--data: .*nowhere: no such folder"):
        load_splits(tmp_path / "nowhere")


def test_describe_counts_what_is_there() -> None:
    train = [
        Problem("Add 1 and 2 apples", "add(n0,n1)|"),
        Problem("add 3 and 4 apples", "add(n0,n1)"),  # the same but for its last bar
        Problem("take 3 from 4", "subtract(n1,n0)|"),
        Problem("take 5 from 6", "negate(n0)|add(#0,n1)|"),
    ]
    facts = describe(Splits(train, [], [Problem("add 5 and 6 pears", "power(n0,n1)|")], "made up"))
    assert facts["distinct_training_texts"] == 2
    assert facts["texts_with_several_programs"] == 1
    assert facts["words"] == facts["words_that_occur_twice"] == 7  # add n0 and n1 apples take from
    assert facts["program_tokens"] == 6  # add n0 n1 subtract negate #0
    assert facts["splits"]["train"] == {
        "problems": 4,
        "seen_share": 1.0,
        "words_mean": 4.5,
        "words_longest": 5,
        "program_tokens_mean": 3.5,
        "program_tokens_longest": 5,
        "numbers_mean": 2.0,
        "unknown_word_share": 0.0,
        "tokens_never_seen": [],
        "references_without_last_bar": 0.25,
    }
    assert facts["splits"]["dev"]["problems"] == 0
    assert facts["splits"]["test"]["seen_share"] == 0
    assert facts["splits"]["test"]["unknown_word_share"] == pytest.approx(1 / 5)
    assert facts["splits"]["test"]["tokens_never_seen"] == ["power"]


@pytest.mark.data
def test_facts_of_the_real_data(data_dir: Path) -> None:
    facts = describe(load_splits(data_dir))
    assert facts["distinct_training_texts"] == 8754
    assert facts["texts_with_several_programs"] == 259
    assert facts["words_that_occur_twice"] == 6052
    assert facts["program_tokens"] == 136
    train, dev, test = (facts["splits"][name] for name in SPLITS)
    assert [split["problems"] for split in (train, dev, test)] == [19791, 2961, 1925]
    assert (train["seen_share"], dev["seen_share"]) == (1.0, pytest.approx(0.713, abs=5e-4))
    assert test["seen_share"] == pytest.approx(0.719, abs=5e-4)
    assert (train["program_tokens_longest"], train["words_longest"]) == (147, 356)
    assert dev["tokens_never_seen"] == ["permutation", "volume_cone"]
    assert test["tokens_never_seen"] == []
