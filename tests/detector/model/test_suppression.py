from __future__ import annotations

import torch

from detector.model.suppression import suppress


def test_suppression_keeps_groups_apart_and_ties_in_order() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 30, 30]])
    scores = torch.tensor([0.5, 0.9, 0.5, 0.5])
    kept = suppress(boxes, scores, torch.tensor([0, 0, 1, 0]), 0.5, 30)
    assert kept.tolist() == [1, 2, 3]
    assert suppress(boxes[:0], scores[:0], torch.empty(0, dtype=torch.int64), 0.5, 30).tolist() == []
