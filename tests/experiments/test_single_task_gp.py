"""BoTorch's model in closed form is BoTorch's model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("botorch", reason="needs the extra: pip install nars[benchmark]")

with warnings.catch_warnings(action="ignore"):  # what torch has deprecated
    from botorch.acquisition import LogExpectedImprovement
    from botorch.models import SingleTaskGP
    from botorch.optim.closures import get_loss_closure_with_grads
    from gpytorch.mlls import ExactMarginalLogLikelihood

    from experiments.search_benchmark.opponents.single_task_gp import Process, negative_likelihood

# BoTorch warns of the scale of inputs, its libraries of what torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore")


def data(n: int = 20) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, generator=generator, dtype=torch.float64)
    return x, 7 + torch.sin(3 * x[:, 0]) + x[:, 1] + 0.1 * noise


def test_likelihood_and_gradients_are_botorchs() -> None:
    x, y = data()
    model = SingleTaskGP(x, y[:, None])
    model.covar_module.lengthscale = torch.linspace(0.3, 2, 5)[None]
    whole = get_loss_closure_with_grads(
        ExactMarginalLogLikelihood(model.likelihood, model), dict(model.named_parameters())
    )
    (loss, gradients), (expected, theirs) = negative_likelihood(model)(), whole()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    for own, other in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(own.numpy(), other.numpy(), rtol=1e-6, atol=1e-9)


def test_its_acquisition_ranks_as_botorchs() -> None:
    x, y = data()
    process = Process.fitted(x, y)
    new = data(60)[0][20:, None]
    with torch.no_grad():
        own = LogExpectedImprovement(process, process.best)(new)
        theirs = LogExpectedImprovement(process.model, process.model.posterior(x).mean.max())(new)
    scale = np.log(y.std().item())  # the closed form leaves values standardized
    np.testing.assert_allclose(own.numpy() + scale, theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_a_fit_goes_on_where_the_last_one_ended() -> None:
    x, y = data()
    first = Process.fitted(x[:-1], y[:-1])
    cold, warm = Process.fitted(x, y), Process.fitted(x, y, first)
    losses = [negative_likelihood(process.model)()[0].item() for process in (cold, warm)]
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    signal = warm.model.covar_module.lengthscale[0].tolist()
    assert max(signal[:2]) < min(signal[2:])  # the first two inputs matter
