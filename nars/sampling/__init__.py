"""Proposes candidates: the sampler, its acquisition functions, the evolution behind them."""

from __future__ import annotations
