"""The pointer that copies from programs: matches and probabilities by hand, and its way through a search."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from myna.mathqa.attention import ATTENTIONS
from myna.mathqa.decoder import IncrementalDecoder, LSTMDecoder, State, follow
from myna.mathqa.encoders import Encoded
from myna.mathqa.vocabulary import START

N_TOKENS, MEMORY_SIZE, HIDDEN_SIZE = 9, 6, 5
# A word that stands for token 4, one that stands for none, and programs "5 4 2" and "5 2"; then a problem that is
# shorter in both, and one without anything to copy.
COPIED = [[4, 9, 5, 4, 2, 5, 2], [7, 9, 7, 2, 9, 9, 9], [9, 9, 9, 9, 9, 9, 9]]
PROGRAMS = [[0, 0, 1, 2, 2, 1, 2], [0, 0, 1, 2, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]]
TRUST = [[0, 0, 0.5, 0.5, 0.5, 1, 1], [0, 0, 0.25, 0.25, 0, 0, 0], [0] * 7]
MASK = [[True] * 7, [True, False, True, True, False, False, False], [True, True] + [False] * 5]


def make_decoder(attention: str = "luong", input_feeding: bool = False) -> LSTMDecoder:
    torch.manual_seed(0)
    decoder = LSTMDecoder(N_TOKENS, MEMORY_SIZE, 3, HIDDEN_SIZE, attention, input_feeding, "mixture", 0.5)
    return decoder.eval()


def make_encoded() -> Encoded:
    generator = torch.Generator().manual_seed(1)
    memory, summary = torch.randn(3, 7, MEMORY_SIZE, generator=generator), torch.randn(3, 6, generator=generator)
    programs = torch.tensor(PROGRAMS)
    trust = torch.rand(3, 7, generator=generator) * (programs != 0)
    return Encoded(memory, torch.tensor(MASK), summary, torch.tensor(COPIED), programs, trust)


def make_tokens(*shape: int) -> Tensor:
    return torch.randint(N_TOKENS, shape, generator=torch.Generator().manual_seed(2))


def test_matches_by_hand() -> None:
    state, memory = make_decoder().start(make_encoded())
    matches = state[-1]
    # Before the first token every program's first row matches, as much as an endless match would: 1 / (1 - 0.75).
    assert matches.tolist() == [[[0, 0, 4, 0, 0, 4, 0]], [[0, 0, 4, 0, 0, 0, 0]], [[0] * 7]]
    steps = [
        (START, [0, 0, 4, 0, 0, 4, 0]),
        (5, [0, 0, 0, 4, 0, 0, 4]),  # 0.75 * 4 + 1
        (4, [0, 0, 0, 0, 4, 0, 0]),  # the second program is left: its end matches no more
        (8, [0, 0, 0, 0, 0, 0, 0]),  # so is the first
        (5, [0, 0, 0, 1, 0, 0, 1]),  # found again in both
        (8, [0, 0, 0, 0, 0.75, 0, 0]),  # another token in its place
        (4, [0, 0, 0, 0, 1, 0, 0]),
    ]
    for token, expected in steps:
        matches = follow(torch.full((3, 1), token), matches, memory)
        assert matches[0, 0].tolist() == expected
        assert not matches[2].any()


def test_hypotheses_follow_on_their_own() -> None:
    state, memory = make_decoder().start(make_encoded())
    matches = follow(torch.tensor([[5, 8, START]] * 3), state[-1].expand(-1, 3, -1), memory)
    assert matches[0].tolist() == [[0, 0, 0, 4, 0, 0, 4], [0, 0, 0, 3, 0, 0, 3], [0, 0, 4, 0, 0, 4, 0]]


def test_mixture_by_hand() -> None:
    decoder = make_decoder()
    encoded = make_encoded()
    _, memory = decoder.start(encoded)
    vector, matches = torch.randn(3, 2, HIDDEN_SIZE), torch.rand(3, 2, 7)
    found = decoder.score(vector, memory, matches)
    assert decoder.pointer is not None
    assert decoder.gate is not None
    assert decoder.trust is not None
    assert encoded.trust is not None
    for n in range(2):
        for t in range(2):
            gate = decoder.gate(vector[n, t]).sigmoid().item()
            written = decoder.output(vector[n, t]).softmax(0).tolist()
            trust, scores = decoder.trust(vector[n, t]).item(), {}
            for row in range(7):
                if COPIED[n][row] < N_TOKENS:
                    likeness = (vector[n, t] @ decoder.pointer.memory_projection(encoded.memory[n, row])).item()
                    match = matches[n, t, row].item() * encoded.trust[n, row].item()
                    scores[row] = math.exp(likeness + trust * match)
            for token in range(N_TOKENS):
                copied = sum(e for row, e in scores.items() if COPIED[n][row] == token) / sum(scores.values())
                expected = gate * copied + (1 - gate) * written[token]
                assert found[n, t, token].exp().item() == pytest.approx(expected, rel=1e-4)


def test_probabilities_sum_to_one() -> None:
    decoder = make_decoder()
    log_probs, _ = decoder(make_tokens(3, 6), *decoder.start(make_encoded()))
    torch.testing.assert_close(log_probs[:2].exp().sum(-1), torch.ones(2, 6))
    assert torch.isfinite(log_probs).all()


def test_where_there_is_nothing_to_copy_no_token_gains() -> None:
    decoder, encoded, tokens = make_decoder(), make_encoded(), make_tokens(3, 4)
    found, _ = decoder(tokens, *decoder.start(encoded))
    decoder.gate.bias.data -= 100  # which leaves writing alone
    expected, _ = decoder(tokens, *decoder.start(encoded))
    torch.testing.assert_close(found[2].log_softmax(-1), expected[2].log_softmax(-1))
    assert not torch.allclose(found[0].log_softmax(-1), expected[0].log_softmax(-1))


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("first", [0, 1, 2])
@torch.inference_mode()
def test_a_trusted_program_is_copied_to_its_end(first: int, incremental: bool) -> None:
    """All that is chosen by the rest of the model is the program; from then on the match decides."""
    programs = [[5, 4, 4, 6, 2], [7, 4, 3, 2], [3, 6, 4, 5, 5, 8, 2]]
    rows = [token for program in programs for token in program]
    places = [2 if place else 1 for program in programs for place in range(len(program))]
    decoder = make_decoder()
    torch.nn.init.constant_(decoder.gate.bias, 50.0)
    torch.nn.init.constant_(decoder.trust.bias, 50.0)
    encoded = Encoded(
        torch.randn(1, len(rows), MEMORY_SIZE, generator=torch.Generator().manual_seed(1)),
        torch.ones(1, len(rows), dtype=torch.bool),
        torch.zeros(1, MEMORY_SIZE),
        torch.tensor([rows]),
        torch.tensor([places]),
        torch.ones(1, len(rows)),
    )
    state, memory = decoder.start(encoded)
    step = decoder.step
    if incremental:
        fast = IncrementalDecoder(decoder)
        state, memory = fast.start(state, memory)
        step = fast.step
    log_probs, state = step(torch.tensor([[START]]), state, memory)
    starts = log_probs[0, 0].exp()
    assert starts[[5, 7, 3]].sum().item() == pytest.approx(1)
    written = [programs[first][0]]
    while written[-1] != 2 and len(written) < 9:
        log_probs, state = step(torch.tensor([[written[-1]]]), state, memory)
        written.append(log_probs[0, 0].argmax().item())
        assert log_probs[0, 0].max().exp().item() == pytest.approx(1, abs=1e-3)
    assert written == programs[first]


def test_a_match_counts_to_begin_with() -> None:
    decoder = make_decoder()
    assert decoder.trust is not None
    assert decoder.trust.bias.item() == 3


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_step_by_step_equals_the_whole_sequence(attention: str, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
    state, memory = decoder.start(make_encoded())
    assert [part.shape[2] for part in state] == [HIDDEN_SIZE] * (2 + input_feeding) + [7]
    tokens = torch.cat([torch.full((3, 1), START), torch.tensor([[5, 4, 2]] * 3), make_tokens(3, 4)], 1)
    expected, expected_state = decoder(tokens, state, memory)
    for t in range(tokens.shape[1]):
        logits, state = decoder.step(tokens[:, t : t + 1], state, memory)
        torch.testing.assert_close(logits[:, 0], expected[:, t])
    for part, expected_part in zip(state, expected_state, strict=True):
        torch.testing.assert_close(part, expected_part)


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.inference_mode()
def test_incremental_decoder_equals_its_step_along_a_search(attention: str, input_feeding: bool) -> None:
    decoder = make_decoder(attention, input_feeding)
    incremental = IncrementalDecoder(decoder)
    state, memory = decoder.start(make_encoded())
    fast_state, fast_memory = incremental.start(state, memory)
    generator = torch.Generator().manual_seed(2)
    for number, (width, k) in enumerate(((1, 1), (1, 4), (4, 4), (4, 4), (4, 4))):
        parents = torch.randint(width, (3, k), generator=generator)

        def pick(state: State, parents: Tensor = parents) -> State:
            return tuple(torch.stack([part[n, parents[n]] for n in range(3)]) for part in state)

        state, fast_state = pick(state), pick(fast_state)
        # Tokens of the programs, so that there is something to follow.
        tokens = torch.tensor([4, 5, 7, 2])[torch.randint(4, (3, k), generator=generator)]
        tokens = torch.full_like(tokens, START) if number == 0 else tokens
        logits, state = decoder.step(tokens, state, memory)
        log_probs, fast_state = incremental.step(tokens, fast_state, fast_memory)
        torch.testing.assert_close(log_probs, logits.log_softmax(-1), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(fast_state[-1], state[-1])
    assert state[-1].any()


def test_every_weight_learns_and_padding_gets_no_gradient() -> None:
    decoder, encoded = make_decoder(), make_encoded()
    encoded.memory.requires_grad_()
    tokens = torch.tensor([[START, 5, 4, 2]] * 3)
    log_probs, _ = decoder(tokens, *decoder.start(encoded))
    log_probs[:, :, [4, 5]].sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert encoded.memory.grad is not None
    assert torch.equal(encoded.memory.grad.any(-1), encoded.mask)


@pytest.mark.parametrize("part", ["programs", "trust"])
def test_a_memory_without_programs_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match="pointer: a mixture needs programs in the memory"):
        make_decoder().start(make_encoded()._replace(**{part: None}))


def test_the_pointer_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="pointer: True; choices: sum, mixture, None"):
        LSTMDecoder(N_TOKENS, MEMORY_SIZE, 3, HIDDEN_SIZE, "luong", pointer=True)  # type: ignore[arg-type]
