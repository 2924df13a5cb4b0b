"""The Gaussian process that is told what it predicts itself."""

from __future__ import annotations

import numpy as np
from stub_task import SPACE

from nars.predictors.gaussian import GaussianPredictor
from nars.space.genotypes import sample


def test_what_is_believed_changes_no_mean_and_is_certain() -> None:
    rng = np.random.default_rng(0)
    drawn = sample(SPACE, 60, rng)
    fitted = GaussianPredictor(SPACE).fit(drawn[:20], rng.normal(size=20))
    told = fitted.believing(drawn[20:24])
    mean, std = fitted.predict(drawn, return_std=True)
    believed, left = told.predict(drawn, return_std=True)
    np.testing.assert_allclose(believed, mean, atol=1e-9)
    assert (left[20:24] < 0.05 * std[20:24]).all()
    assert (left <= std + 1e-9).all()
    assert left[24:].mean() < std[24:].mean()
