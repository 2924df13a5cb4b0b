"""Engines, the places in which workers run: this machine, a cluster of Ray, jobs of Slurm.

    from nars.engines.ray import Ray
    nars.search(data="photos/", storage="postgresql://nars@db/nars", engine=Ray("auto", gpus=0.25))

An engine starts workers, follows them and stops them. What they do is the same everywhere: each runs
``nars worker``, which asks, trains and tells until the budget is spent.
"""

from __future__ import annotations
