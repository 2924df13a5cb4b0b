"""Threads that decode."""

from __future__ import annotations

import pytest
import torch

from nars.data import pictures
from nars.data.pictures import in_threads, reading_threads


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


@pytest.mark.parametrize("count", [0, 1, 64, 1000])
def test_results_come_in_order(count: int) -> None:
    assert list(in_threads(lambda number: 2 * number, range(count), "counting")) == list(
        range(0, 2 * count, 2)
    )


def test_a_long_reading_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    list(in_threads(str, range(640), "counting"))
    assert not caplog.records
    monkeypatch.setattr(pictures, "_SILENT", -1.0)
    list(in_threads(str, range(640), "counting"))
    assert [record.message.rpartition(",")[0] for record in caplog.records][:2] == [
        "counting: 64 of 640",
        "counting: 128 of 640",
    ]
