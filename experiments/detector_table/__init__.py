"""The best way to a small detector on a few hundred images, at equal steps of final training.

    OMP_NUM_THREADS=1 python -m experiments.detector_table.run --data-root ../shared/data        # resumable
    OMP_NUM_THREADS=1 python -m experiments.detector_table.run --rows b c --sets raccoon         # some rows
    python -m experiments.detector_table.run --device cuda --budget 2min --only-search --rows a400
    python -m experiments.detector_table.run --device cuda --processes 8 --only-final
    OMP_NUM_THREADS=1 python -m experiments.detector_table.report --data-root ../shared/data

| row | way |
|---|---|
| ``a400``, ``a200`` | the winner of `nars search` from Lite0's weights, within 400 or 200 M MACs |
| ``b`` | EfficientNet-Lite0's C4 detector from the same weights, nothing searched |
| ``b2_160``, ``b2_144``, ``b2_128`` | it made as fast by hand, from ``b`` after half of its steps |
| ``c`` | ``fbnetv3a_dsmask_c4`` from scratch |
| ``d_faster`` | torchvision's ``fasterrcnn_mobilenet_v3_large_320_fpn`` from scratch |
| ``d_ssd`` | torchvision's ``ssdlite320_mobilenet_v3_large`` from scratch |
| ``e`` | the architecture of ``a400`` from scratch |
| ``f400`` | random search from the same weights, in the same time |
| ``g400`` | the winner of a search for accuracy on pictures of the objects, as many trials as ``a400`` had |

A search sees folds of the training images only; the val images are measured once, at the end of a final
training. All final trainings see the training images equally often, those of a reference that a row inherits
from included; three seeds each. A finished training is a file in ``rows/`` and its detections are kept below
``--work``, from which the report computes intervals of differences. Costs some twenty hours of two
cores, or a quarter of an hour of a GPU (``--device cuda``) that several searches or trainings share.
"""
