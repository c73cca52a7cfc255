"""Programs as text and as tokens: what is read is written again, letter for letter."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.program import (
    EmptyProgram,
    ProgramError,
    Step,
    from_tokens,
    join_tokens,
    parse,
    split_tokens,
)

ARGUMENTS = ["n0", "n12", "#0", "#10", "const_100", "const_0_25", "const_pi", "const_2.0"]


@st.composite
def token_lists(draw: st.DrawFn) -> list[str]:
    """Tokens of a well-formed program."""
    tokens: list[str] = []
    for name in draw(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=8)):
        n_args = OPERATIONS[name].n_args
        tokens += [name, *draw(st.lists(st.sampled_from(ARGUMENTS), min_size=n_args, max_size=n_args))]
    return tokens


def test_steps_and_tokens() -> None:
    program = parse("add(n1,const_100)|divide(#0,n0)|")
    assert program.steps == (Step("add", ("n1", "const_100")), Step("divide", ("#0", "n0")))
    assert program.tokens == ["add", "n1", "const_100", "divide", "#0", "n0"]
    assert program.ignored == ()


@given(token_lists())
def test_tokens_survive_text(tokens: list[str]) -> None:
    program = from_tokens(tokens)
    assert program.tokens == tokens
    assert parse(str(program)) == program
    assert split_tokens(str(program)) == tokens
    assert program.text == join_tokens(tokens)


@given(token_lists(), st.booleans())
def test_text_survives_parsing_with_and_without_a_last_bar(tokens: list[str], is_closed: bool) -> None:
    text = join_tokens(tokens)
    text = text if is_closed else text.removesuffix("|")
    assert str(parse(text)) == text
    assert parse(text).tokens == tokens


@given(st.text("adn0#(),| _x", max_size=30))
def test_any_text_is_a_program_or_an_error_and_loses_nothing(text: str) -> None:
    with suppress(ProgramError):
        assert str(parse(text)) == text


@given(st.text(max_size=30))
def test_text_of_any_letters_never_crashes(text: str) -> None:
    split_tokens(text)
    with suppress(ProgramError):
        assert str(parse(text)) == text


@given(st.lists(st.sampled_from([*ARGUMENTS, "add", "sqrt", "<unk>", "foo"]), max_size=12))
def test_any_tokens_can_be_written(tokens: list[str]) -> None:
    assert split_tokens(join_tokens(tokens)) == tokens


@pytest.mark.parametrize(
    ("text", "remarks"),
    [
        ("add(n0,n1)", []),
        ("add( n0 , n1 )||sqrt(#0)|", []),
        ("add(n0,n1,n2,n3)|", ["step 0: argument 'n2,n3' beyond the 2 of add"]),
        ("sqrt(n0)|sqrt(#0,n1)|", ["step 1: argument 'n1' beyond the 1 of sqrt"]),
        ("add(n0,n1)xyz|", ["step 0: text 'xyz' after the arguments"]),
        ("add(n0,n1))|", ["step 0: text ')' after the arguments"]),
        ("add(n0,n1(n2)|", ["step 0: text '(n2)' after the arguments"]),
        ("add(n0,n1|", ["step 0: ')' is missing"]),
        ("sqrt(n0,n1)z|", ["step 0: argument 'n1' beyond the 1 of sqrt", "step 0: text 'z' after the arguments"]),
    ],
)
def test_leniency_is_told(text: str, remarks: list[str]) -> None:
    assert list(parse(text).ignored) == remarks
    assert str(parse(text)) == text


@pytest.mark.parametrize(("text", "step"), [("add", 0), ("add(n0,n1)|divide", 1), ("add(n0,n1)| |", 1)])
def test_a_step_without_a_parenthesis_is_an_error_with_its_place(text: str, step: int) -> None:
    with pytest.raises(ProgramError, match=rf"step {step}: .* has no '\('") as caught:
        parse(text)
    assert caught.value.step == step


@pytest.mark.parametrize("text", ["", "|", "|||"])
def test_no_step_is_an_error_of_its_own(text: str) -> None:
    with pytest.raises(EmptyProgram):
        parse(text)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["add", "n0"], "step 0: add takes 2 arguments, not 1"),
        (["add", "n0", "n1", "n2"], "step 0: add takes 2 arguments, not 3"),
        (["sqrt", "n0", "sqrt"], "step 1: sqrt takes 1 arguments, not 0"),
        (["n0", "add"], "step 0: unknown operation 'n0'"),
        (["sqrt", "n0", "foo", "n1"], "step 1: unknown operation 'foo'"),
        ([], "step 0: no step"),
    ],
)
def test_ill_formed_tokens_are_an_error(tokens: list[str], message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        from_tokens(tokens)
    assert str(caught.value) == message


def test_ill_formed_tokens_are_written_as_they_stand() -> None:
    assert join_tokens(["add", "n0", "sqrt", "#0", "n1"]) == "add(n0)|sqrt(#0,n1)|"
    assert join_tokens(["n0", "add"]) == "n0()|add()|"
    assert join_tokens([]) == ""


@pytest.mark.data
def test_references_survive_text_and_tokens(data_dir: Path) -> None:
    for split in ("train", "dev", "test"):
        for item in json.loads((data_dir / "mathqa" / f"{split}.json").read_text()):
            text = item["linear_formula"]
            program = parse(text)
            assert str(program) == text
            assert not program.ignored
            assert str(from_tokens(program.tokens)).removesuffix("|") == text.removesuffix("|")
