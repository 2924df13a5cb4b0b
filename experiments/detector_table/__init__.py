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
| ``b2_160``, ``b2_144``, ``b2_128`` | it made as fast as ``a400`` by hand |
| ``b2_96``, ``b2_80`` | it made as fast as ``a200`` by hand |
| ``c`` | ``fbnetv3a_dsmask_c4`` from scratch |
| ``d_faster`` | torchvision's ``fasterrcnn_mobilenet_v3_large_320_fpn`` from scratch |
| ``d_ssd`` | torchvision's ``ssdlite320_mobilenet_v3_large`` from scratch |
| ``e`` | the architecture of ``a400`` from scratch |
| ``first400``, ``first200`` | what the searches of ``a400`` and ``a200`` trained first, a uniform cut |
| ``f400`` | random search from the same weights, in the same time |
| ``g400`` | the winner of a search for accuracy on pictures of the objects, as many trials as ``a400`` had |

A search sees folds of the training images only; the val images are measured once, at the end of a final
training. All final trainings see the training images equally often, three seeds each. The searched rows and
those cut by hand are trained for half of it, from ``b`` after the other half: the reference of a search has
seen two thirds of the images only. A finished training is a file in ``rows/`` and its detections are kept
below ``--work``, from which the report computes intervals of differences. Costs some twenty hours of two
cores, or a quarter of an hour of a GPU (``--device cuda``) that several searches or trainings share.
"""
