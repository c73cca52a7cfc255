import pytest
import torch

from myna.mathqa.decoder import IncrementalDecoder, LSTMDecoder
from myna.mathqa.encoders import Encoded

N, S, V, M, H = 3, 5, 11, 6, 8


def make_decoder(attention, input_feeding, pointer):
    torch.manual_seed(0)
    decoder = LSTMDecoder(V, M, 4, H, attention, input_feeding=input_feeding, pointer=pointer, dropout=0.5)
    return decoder.eval()


def encoded():
    torch.manual_seed(1)
    mask = torch.arange(S) < torch.tensor([[5], [3], [1]])
    programs = torch.tensor([[0, 1, 2, 1, 2]]).expand(N, S) * mask
    return Encoded(
        torch.randn(N, S, M), mask, torch.randn(N, M), torch.randint(4, V + 1, (N, S)), programs, torch.rand(N, S)
    )


@pytest.mark.parametrize(
    ("attention", "input_feeding", "pointer"),
    [
        (None, False, None),
        ("luong", False, None),
        ("luong", False, "sum"),
        ("bahdanau", False, "sum"),
        ("luong", True, "sum"),
        ("bahdanau", True, None),
        ("luong", False, "mixture"),
        ("bahdanau", True, "mixture"),
    ],
)
@torch.inference_mode()
def test_equals_the_decoder_s_own_step_along_a_search(attention, input_feeding, pointer):
    decoder = make_decoder(attention, input_feeding, pointer)
    incremental = IncrementalDecoder(decoder)
    state, memory = decoder.start(encoded())
    fast_state, fast_memory = incremental.start(state, memory)
    generator = torch.Generator().manual_seed(2)
    for width, k in ((1, 1), (1, 4), (4, 4), (4, 4)):
        # Several hypotheses grow from one, some from none, as in a beam.
        parents = torch.randint(width, (N, k), generator=generator)

        def pick(tensor, parents=parents):
            return torch.stack([tensor[n, parents[n]] for n in range(N)])

        state, fast_state = tuple(map(pick, state)), tuple(map(pick, fast_state))
        tokens = torch.randint(V, (N, k), generator=generator)
        logits, state = decoder.step(tokens, state, memory)
        log_probs, fast_state = incremental.step(tokens, fast_state, fast_memory)
        torch.testing.assert_close(log_probs, logits.log_softmax(-1), rtol=1e-5, atol=1e-5)
