"""Networks and weights that others published: of packages, timm and torchvision."""

from __future__ import annotations
