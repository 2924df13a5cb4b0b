"""Threads that decode."""

from __future__ import annotations

import torch

from nars.data.pictures import reading_threads


def test_each_thread_computes_by_itself() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        images = torch.rand(2, 3, 200, 200)

        def resized(_: int) -> int:
            torch.nn.functional.interpolate(images, size=(64, 64), mode="bilinear", antialias=True)
            return torch.get_num_threads()

        with reading_threads(2) as pool:
            assert set(pool.map(resized, range(4))) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
