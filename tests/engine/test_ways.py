"""What texts go on with: the likeliest, or as often as it is likely."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speakeasy_tui.engine.rules import NEVER, Chances
from speakeasy_tui.engine.textdecoder import LINED_UP
from speakeasy_tui.engine.ways import Beam, Sampling

END = 7
TOKENS = 2 * LINED_UP


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one.float(), other.float(), atol=1e-4)


def chances(rows: int, seed: int, barred: float) -> Chances:
    """Drawn, with a share of the tokens barred in each row, of which the end is none."""
    rng = np.random.default_rng(seed)
    likely = rng.normal(-8, 3, (rows, TOKENS)).astype(np.float32)
    likely[rng.random(likely.shape) < barred] = NEVER
    likely[:, END] = -5
    less = rng.random(rows).astype(np.float32)
    return Chances(torch.from_numpy(likely), torch.from_numpy(less))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from([1, 2, 5, LINED_UP]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.5, 0.9]),
)
def test_a_beam_goes_on_with_the_likeliest_that_do_not_end(
    windows: int, width: int, first: bool, seed: int, barred: float
) -> None:
    """As if all of a window's texts with a token more were put in order."""
    texts = 1 if first else width
    found = chances(windows * texts, seed, barred)
    sums = torch.from_numpy(np.random.default_rng(seed).normal(-3, 1, (windows, width)))
    choice = Beam(width, width, END).choose(
        found, sums, torch.zeros((windows, width), dtype=torch.bool), torch.zeros(windows, width)
    )
    each = (found.likely - found.less[:, None]).view(windows, texts, TOKENS)
    every = (each + sums[:, :texts, None]).flatten(1)
    scores, codes = every.topk(2 * width)
    ends = codes % TOKENS == END
    assert close(choice.scores, scores[:, :width])
    assert torch.equal(choice.ended, choice.likeliest % TOKENS == END)
    assert close(every.gather(1, choice.likeliest), choice.scores)
    for window in range(windows):
        kept = scores[window][~ends[window]][:width]
        assert close(choice.sums[window][: len(kept)], kept)
        assert close(every[window][choice.chosen[window]], choice.sums[window])
        assert END not in choice.chosen[window] % TOKENS


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_a_token_is_drawn_as_often_as_it_is_likely(temperature: float) -> None:
    """With luck spread evenly over what there is of it."""
    draws = 4000
    found = chances(1, 3, 0.5)
    luck = ((torch.arange(draws) + 0.5) / draws)[None, :]
    over = torch.zeros((1, draws), dtype=torch.bool)
    choice = Sampling(draws, draws, END, temperature).choose(
        found, torch.zeros((1, draws)), over, luck
    )
    drawn = np.bincount((choice.chosen % TOKENS).numpy().ravel(), minlength=TOKENS)
    expected = (found.likely / temperature).softmax(dim=-1)[0].numpy()
    assert np.abs(drawn / draws - expected).max() < 2 / draws
    assert not drawn[expected == 0].any()
    gained = (found.likely - found.less[:, None])[0][choice.chosen[0] % TOKENS]
    assert close(choice.sums[0], gained)


def test_the_least_and_the_most_luck_draw_what_may_come() -> None:
    found = chances(2, 5, 0.9)
    found.likely[:, 0] = found.likely[:, -1] = NEVER
    luck = torch.tensor([[0.0], [1 - 2**-24]])
    over = torch.zeros((2, 1), dtype=torch.bool)
    choice = Sampling(1, 1, END, 1.0).choose(found, torch.zeros((2, 1)), over, luck)
    assert torch.isfinite(choice.sums).all()


def test_what_has_ended_goes_on_as_it_is() -> None:
    over = torch.tensor([[True, False]])
    sums = torch.tensor([[-3.0, -2.0]])
    choice = Sampling(2, 2, END, 1.0).choose(
        chances(2, 1, 0.0), sums, over, torch.full((1, 2), 0.5)
    )
    assert choice.chosen[0, 0] == END
    assert choice.sums[0, 0] == -3.0
    assert not choice.ended[0, 0]
    assert choice.sums[0, 1] != -2.0


def test_what_is_not_a_number_draws_a_token_that_there_is() -> None:
    """Behind the last there is none: on a GPU that would be the end of the process."""
    found = chances(2, 5, 0.5)
    found.likely[1] = float("nan")
    over = torch.zeros((2, 1), dtype=torch.bool)
    choice = Sampling(1, 1, END, 1.0).choose(
        found, torch.zeros((2, 1)), over, torch.full((2, 1), 0.5)
    )
    assert int(choice.chosen[1, 0]) < TOKENS
    assert torch.isfinite(choice.sums[:, 0]).tolist() == [True, False]
