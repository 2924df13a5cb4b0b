"""The files that a search keeps beside its study: weights, checkpoints, the reference.

`optuna.artifacts` keeps them in a *store*: the folder or bucket that ``--artifacts`` names, by default the
folder ``artifacts`` of the run folder. The attributes of a trial or a study name each file with its size and
SHA-256 (`nars.trials.Artifact`), so a file that was cut short or replaced is not used.
"""

from __future__ import annotations
