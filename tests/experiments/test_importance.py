"""Ways to choose channels, and the candidates that they are compared on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments import importance, inheritance_statistic
from experiments.channel_importance import Evidence
from experiments.sliced import space


def test_evidence_is_that_of_all_batches() -> None:
    values = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    evidence = Evidence()
    for part in values.split(2):
        evidence.add(part, torch.ones_like(part))
    flat = values.transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(evidence.mean, flat.mean(dim=1))
    torch.testing.assert_close(evidence.covariance, torch.cov(flat, correction=0))
    torch.testing.assert_close(torch.cat(evidence.products), values.sum(dim=(2, 3)))


def test_candidates_are_cut_as_they_say() -> None:
    parent = importance.largest()
    names = np.array(list(space().distributions))
    for cut in ("hidden", "streams"):
        matrix = importance.candidates(cut)
        assert len(matrix) == importance.COUNTS[cut]
        changed = names[(matrix != parent).any(axis=0)]
        assert all(importance.CUTS[cut][0] in name for name in changed)
        assert len(changed) > 5
    macs = space().statistics(importance.candidates("all"))["macs"]
    assert len(macs) == 12
    assert macs.min() >= 8e6
    assert macs.max() <= 30e6


def test_a_measured_statistic_is_looked_up() -> None:
    rows = inheritance_statistic.candidates()[:4]
    values = np.array([1.0, 2.0, 3.0, 4.0])
    measured = inheritance_statistic.Measured(rows, values)
    np.testing.assert_array_equal(measured(rows[::-1])[:, 0], values[::-1])
    others = measured(inheritance_statistic.further()[:50])
    assert set(others[:, 0]) == set(values)


@pytest.mark.parametrize("experiment", [importance, inheritance_statistic])
def test_what_is_on_file_is_printed(experiment: object, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.show()  # type: ignore[attr-defined]
    assert "accuracy" in capsys.readouterr().out
