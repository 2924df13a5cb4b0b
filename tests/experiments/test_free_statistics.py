"""Scores at initialisation, and the networks that they are measured on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from experiments.search_benchmark.tasks import ofa
from experiments.zero_cost import gradient_norm, linear_regions, synaptic_flow
from nars.space.cost import count
from nars.space.genotypes import sample, to_genotypes


def test_decoded_ofa_networks_have_the_macs_of_the_table() -> None:
    """Parameters differ by 16: the biases of the stem here."""
    domain = ofa.domain()
    matrix = sample(domain, 20, np.random.default_rng(0))
    known = ofa.statistics(matrix)
    costs = [count(ofa.decode(genotype), num_classes=1000) for genotype in to_genotypes(domain, matrix)]
    np.testing.assert_array_equal([cost.macs for cost in costs], known["macs"])
    np.testing.assert_array_equal([cost.params - 16 for cost in costs], known["params"])


def test_synaptic_flow_of_a_chain_is_its_product_of_sizes() -> None:
    """Of y = b a x with x = 1: the flow through either weight is |a b|."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 1, bias=False), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -2.0, 3.0]]))
        model[2].weight.fill_(-4.0)
    assert synaptic_flow(model, side=1) == pytest.approx(np.log(2 * 6 * 4))


def test_gradient_norm_of_a_linear_classifier() -> None:
    """Two classes, no weights yet: each logit's gradient is (p - y) = +-1/2 times the input (3, 4)."""
    model = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(model.weight)
    image, label = torch.tensor([[3.0, 4.0]]), torch.tensor([0])
    assert gradient_norm(model, image, label) == pytest.approx(5 / np.sqrt(2))


def test_linear_regions_count_switches_that_differ() -> None:
    """Codes 11 and 10: agreements [[2, 1], [1, 2]], determinant 3."""
    model = nn.Sequential(nn.Flatten(), nn.Identity(), nn.ReLU())
    images = torch.tensor([[1.0, 1.0], [1.0, -1.0]]).reshape(2, 1, 1, 2)
    assert linear_regions(model, images) == pytest.approx(np.log(3))
