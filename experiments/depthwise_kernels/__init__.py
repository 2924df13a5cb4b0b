"""Depthwise convolutions on a GPU: would kernels of Triton's be worth it beside cuDNN's and PyTorch's?

    python -m experiments.depthwise_kernels.measure                     # on a GPU, a minute
    TRITON_INTERPRET=1 python -m experiments.depthwise_kernels.check    # equal results, on a CPU

cuDNN is fast, and compiles for each new shape; PyTorch's kernels are there at once, read maps in another
layout than the rest of a network, and take long for the gradient of the weights. Triton compiles once for a
kernel's size and stride, whatever the shape.
"""
