"""The files that a search keeps beside its study: weights, checkpoints, the reference.

They go through `optuna.artifacts` into a *store*: by default the folder ``artifacts`` of the run folder,
else the folder or the bucket that ``--artifacts`` names. A trial's or a study's attributes name each file
with its size and SHA-256 (`nars.trials.Artifact`), so a file that is cut short or was exchanged is not used.
"""

from __future__ import annotations
