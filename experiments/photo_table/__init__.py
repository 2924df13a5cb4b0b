"""The ways to a small network on a few thousand photos, side by side, at equal epochs of final training.

    python -m experiments.photo_table.run --data ../shared/data/cls/clothing_photos     # resumable
    python -m experiments.photo_table.report

Every row of `experiments.photo_table.rows` is trained on three seeded, stratified resplits (70 / 10 / 20 %)
of all photos, and asked about the test photos. A finished training is a file below ``rows/``, so the same
command continues. Searches use both cores, everything else one core each.
"""

from __future__ import annotations
