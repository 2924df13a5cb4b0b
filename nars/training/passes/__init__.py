"""How the passes of a network run on a device at a good speed: recorded on GPUs, with larger maps on CPUs."""

from nars.training.passes.forward import Forward
from nars.training.passes.one_pixel import one_pixel_refused
from nars.training.passes.small_maps import widened

__all__ = ["Forward", "one_pixel_refused", "widened"]
