"""Files of weights that a library downloads, and those that the user has put in their place."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nars.errors import UsageError, WeightsError
from nars.files import cache_folder, sha256_of
from nars.tensors import read_tensors

__all__ = ["Download"]

_PATIENCE = 5.0
"""Seconds after which a host that has not answered counts as unreachable."""


@dataclass(frozen=True)
class Download:
    """The weights of another library's network."""

    source: str
    """``LIBRARY:NAME``."""
    url: str
    """The file to put in the place of a download; its name ends in the start of its SHA-256."""
    asked: str
    """The address that the library asks first."""

    @property
    def file(self) -> Path:
        """The file in nars' cache that takes the place of a download."""
        return cache_folder() / "parents" / f"{self.source.replace(':', '-')}.pth"

    def state(
        self, download: Callable[[], Mapping[str, Tensor]], cached: Path | None = None
    ) -> Mapping[str, Tensor]:
        """The tensors in nars' cache, else in torch's, else in `cached`, else of `download`.

        Raises `WeightsError` for a damaged or altered file, and `UsageError`, at once if the library's host
        cannot be reached, with the file to put where.
        """
        of_torch = Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]
        for file in (self.file, self.file.with_suffix(".safetensors"), of_torch, cached):
            if file is not None and file.exists():
                self._check(file)
                return _tensors(file)
        if reason := _unreachable(self.asked):
            raise self._failed(reason)
        try:
            return download()
        except Exception as error:  # a library's download can fail in any way
            raise self._failed(str(error).partition("\n")[0] or type(error).__name__) from None

    def _failed(self, reason: str) -> UsageError:
        remedy = f"put {self.url} at {self.file}"
        return UsageError(f"{self.source} cannot be downloaded ({reason}): {remedy}")

    def _check(self, file: Path) -> None:
        """Raise `WeightsError` if the file cannot be that of `url`; a safetensors file is another one."""
        published = re.search(r"-([0-9a-f]{8,})\.", self.url.rpartition("/")[2])
        if published is None or file.suffix != self.file.suffix:
            return
        try:
            actual = sha256_of(file)
        except OSError as error:
            raise WeightsError(f"cannot read {file}: {error.strerror or error}") from None
        if not actual.startswith(published[1]):
            rule = f"its SHA-256 begins with {actual[: len(published[1])]}, expected {published[1]}"
            remedy = f"delete it, or put {self.url} there again"
            raise WeightsError(f"{file} is not what was published: {rule} ({remedy})")


def _tensors(file: Path) -> Mapping[str, Tensor]:
    state = read_tensors(file)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{file}: not the tensors of a network by their names")
    return state


def _unreachable(url: str) -> str | None:
    """Why the host of an address cannot be reached; None if it answers, with whatever answer.

    Libraries try again and again in silence, for most of a minute without a network.
    """
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return None
    except urllib.error.HTTPError:
        return None
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else _told(error.reason)
    except (OSError, http.client.HTTPException) as error:  # the latter from what does not speak HTTP
        return _told(error)


def _told(reason: object) -> str:
    """The text of an exception of a connection, without its number."""
    strerror = reason.strerror if isinstance(reason, OSError) else None
    return strerror or str(reason).strip() or type(reason).__name__
