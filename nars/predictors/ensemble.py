"""The accuracy predictor: an ensemble of heads on the pretrained encoder, and the recipe.

From few labels, `AccuracyPredictor` learns what a candidate will score (FBNetV3, CVPR 2021,
section 3.2). It is a scikit-learn regressor on genotype matrices (see `nars.space.genotypes`); any
other `nars.predictors.Predictor` can replace it, such as
`nars.predictors.gaussian.GaussianPredictor`.
"""

from __future__ import annotations

import copy
import math
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from nars.predictors.encoder import Encoder, pretrain, untrained
from nars.predictors.scores import LabelScale, check_labels, check_matrix
from nars.space.genotypes import Domain, is_architecture_feature

__all__ = ["AccuracyPredictor"]

_LEARNING_RATE = 1e-2
"""Learning rate of the heads at the start, before cosine decay."""

_ENCODER_LEARNING_RATE = 1e-3
"""Learning rate of the encoder, which is trained already."""

_WEIGHT_DECAY = 0.3
"""Weight decay of the heads: labels are few."""

_SKIP_SCALE = 1 / 3
"""Factor on the inputs of the linear path, such that it learns slower than the layers next to it."""

_OUT_SCALE = 0.3
"""Factor on the last layer's start: members differ, and still begin near the linear path alone."""

_CHUNK = 4096
"""Rows predicted at a time: their activations stay in the processor's cache."""

Floats = NDArray[np.float64]


class AccuracyPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the score of genotypes [n, d] of `domain`; `return_std` adds the ensemble's spread.

    - `encoder`: a pretrained one; by default that of `pretrain(domain)`, from the cache.
    - `pretrained`: False starts from a random encoder instead, trained from the first step on.
    - `members`: heads, each with its own start and its own bootstrap of the labels.
    - `hidden`: units of a head.
    - `steps`: fine-tuning steps, on all labels at once; the encoder joins in for the second half.
    - `scaled`: labels are on a `nars.predictors.scores.LabelScale` already, and predictions are as well.

    Without an open architecture dimension, or without statistics to learn, there is no encoder.
    """

    def __init__(
        self,
        domain: Domain,
        encoder: Encoder | None = None,
        pretrained: bool = True,
        members: int = 8,
        hidden: int = 32,
        steps: int = 150,
        seed: int = 0,
        scaled: bool = False,
    ) -> None:
        self.domain = domain
        self.encoder = encoder
        self.pretrained = pretrained
        self.members = members
        self.hidden = hidden
        self.steps = steps
        self.seed = seed
        self.scaled = scaled

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        matrix = check_matrix(self.domain, X)
        labels = check_labels(y, len(matrix))
        self.n_features_in_ = matrix.shape[1]
        self.scale_ = LabelScale.unit() if self.scaled else LabelScale.of(labels)
        self.encoder_ = self._start()
        x = torch.from_numpy(self.domain.dimensions.features(matrix))
        generator = torch.Generator().manual_seed(self.seed)
        self.architecture_ = torch.from_numpy(is_architecture_feature(self.domain))
        self.heads_ = _Heads(*self._widths(), self.members, self.hidden, generator)
        self._tune(x, torch.from_numpy(self.scale_.forward(labels)).float(), generator)
        return self

    @torch.no_grad()
    def predict(self, X: ArrayLike, return_std: bool = False, return_cov: bool = False) -> Any:  # noqa: N803 - scikit-learn's name
        """Scores [n]; with their standard deviations [n], or covariances [n, n], over the members."""
        check_is_fitted(self)
        x = self.domain.dimensions.features(check_matrix(self.domain, X))
        chunks = [self.heads_(*self._embed(part)) for part in torch.from_numpy(x).split(_CHUNK)]
        each = torch.cat(chunks)  # [n, members]
        z = each.mean(dim=1).double().numpy()
        if return_cov:
            away = each.double().numpy() - z[:, None]
            away *= self.scale_.inverse_std(z, np.ones(len(z)))[:, None]
            return self.scale_.inverse(z), away @ away.T / away.shape[1]
        if not return_std:
            return self.scale_.inverse(z)
        std = each.std(dim=1, correction=0).double().numpy()
        return self.scale_.inverse(z), self.scale_.inverse_std(z, std)

    def _start(self) -> Encoder | None:
        if self.encoder is not None:
            return copy.deepcopy(self.encoder)
        if not is_architecture_feature(self.domain).any():
            return None
        if not self.pretrained:
            return untrained(self.domain, self.seed)
        origin = self.domain.dimensions.from_unit(np.zeros((1, len(self.domain.distributions))))
        return pretrain(self.domain) if self.domain.statistics(origin) else None

    def _widths(self) -> tuple[int, int]:
        """The number of inputs of the heads' layers, and of their linear path."""
        n = len(self.architecture_)
        if self.encoder_ is None:
            return n, n
        recipe = int((~self.architecture_).sum())
        return self.encoder_.embedding.out_features + recipe, n + len(self.encoder_.names)

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of the heads for features [n, f]: embedding and recipe; features and statistics."""
        centred = 2 * x - 1
        if self.encoder_ is None:
            return centred, centred
        embedding, statistics = self.encoder_(x[:, self.architecture_])
        embedded = torch.cat([embedding, centred[:, ~self.architecture_]], dim=1)
        return embedded, torch.cat([centred, statistics], dim=1)

    def _tune(self, x: Tensor, z: Tensor, generator: torch.Generator) -> None:
        """Huber loss; the encoder is frozen for the first half and released for the second."""
        n = len(z)
        drawn = torch.randint(n, (n, self.members), generator=generator)
        weights = torch.zeros(n, self.members).scatter_add_(0, drawn, torch.ones(n, self.members))
        groups = self.heads_.groups()
        encoder = self.encoder_
        if encoder is not None:
            parameters = list(encoder.parameters())
            groups.append({"params": parameters, "lr": _ENCODER_LEARNING_RATE, "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(groups)
        cosine = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / self.steps))
        )
        release = self.steps // 2 if self.pretrained else 0
        frozen = tuple(part.detach() for part in self._embed(x))
        for step in range(self.steps):
            inputs = frozen if step < release else self._embed(x)
            loss = F.huber_loss(self.heads_(*inputs), z[:, None].expand_as(weights), reduction="none")
            optimizer.zero_grad()
            (loss * weights).sum().div(n).backward()
            optimizer.step()
            cosine.step()


class _Heads(nn.Module):
    """`members` two-layer networks with a linear path around them, evaluated as one.

    At a few dozen labels the linear path carries the ranking, because the layers overfit.
    """

    def __init__(
        self, inputs: int, skips: int, members: int, hidden: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.shape = (members, hidden)
        layer = torch.randn(inputs, members * hidden, generator=generator) / math.sqrt(max(inputs, 1))
        out = torch.randn(members, hidden, generator=generator) / math.sqrt(hidden)
        self.layer = nn.Parameter(layer)
        self.layer_bias = nn.Parameter(torch.zeros(members * hidden))
        self.out = nn.Parameter(_OUT_SCALE * out)
        self.skip = nn.Parameter(torch.zeros(skips, members))
        self.bias = nn.Parameter(torch.zeros(members))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Predictions [n, members] of inputs [n, i] and [n, s]."""
        hidden = F.silu(torch.addmm(self.layer_bias, x, self.layer)).unflatten(1, self.shape)
        linear = torch.addmm(self.bias, skip, self.skip, alpha=_SKIP_SCALE)
        return torch.einsum("nmh,mh->nm", hidden, self.out) + linear

    def groups(self) -> list[dict[str, object]]:
        """Parameter groups of the optimizer; biases do not decay."""
        weights, biases = [self.layer, self.out, self.skip], [self.layer_bias, self.bias]
        return [
            {"params": weights, "lr": _LEARNING_RATE, "weight_decay": _WEIGHT_DECAY},
            {"params": biases, "lr": _LEARNING_RATE, "weight_decay": 0.0},
        ]
