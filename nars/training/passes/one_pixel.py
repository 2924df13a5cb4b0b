"""A batch of which a batch norm sees a single pixel: an error of PyTorch's that becomes one of the trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nars.errors import TrialError

__all__ = ["one_pixel_refused"]


@contextmanager
def one_pixel_refused(images: int) -> Iterator[None]:
    """Raise `TrialError` if a batch norm in the body sees one pixel of a batch of one image."""
    try:
        yield
    except ValueError as error:  # PyTorch's
        if images > 1:
            raise
        raise TrialError(f"a batch of one image is too small for this network: {error}") from None
