"""Types of option values, options that several commands share, and the choice of a command's data."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from nars.errors import DataError, UsageError, closest
from nars.foreign import quantities
from nars.foreign.quantities import Quantity

__all__ = [
    "AMOUNT",
    "DURATION",
    "Choice",
    "Names",
    "also_from_option",
    "artifacts_option",
    "data_option",
    "data_to_use",
    "device_option",
    "drop_bad_option",
    "init_option",
    "init_or_auto_option",
    "is_file",
    "json_option",
    "metric_option",
    "naming_source",
    "quiet_optuna",
    "run_option",
    "seed_option",
    "storage_option",
    "to_json",
]

F = TypeVar("F", bound=Callable[..., Any])


class _Quantity(click.ParamType[float]):
    """A positive number with a suffix."""

    def __init__(self, quantity: Quantity) -> None:
        self.quantity = quantity
        self.name = quantity.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return self.quantity.parse(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


AMOUNT = _Quantity(quantities.AMOUNT)
"""A count such as ``60M``."""

DURATION = _Quantity(quantities.DURATION)
"""A time such as ``5ms``, in seconds."""


class Choice(click.Choice[str]):
    """One of several words; a mistake is answered with the closest of them."""

    def __init__(self, what: str, words: Sequence[str]) -> None:
        super().__init__(words)
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        hint = closest(str(value), self.choices)
        if value not in self.choices and hint.startswith("did you mean"):
            self.fail(f"no {self.what.replace('_', ' ')} {value!r}: {hint}", param, ctx)
        return super().convert(value, param, ctx)


class Names(click.ParamType[Any]):
    """Words between commas."""

    name = "a,b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        return tuple(word.strip() for word in value.split(",")) if isinstance(value, str) else value


json_option = click.option("--json", "as_json", is_flag=True, help="Print numbers as JSON.")
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N; auto is CUDA if there is a GPU.",
)
drop_bad_option = click.option("--drop-bad", is_flag=True, help="Leave out images that cannot be read.")
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Start of every random draw of the training.",
)
_PARENTS = (
    "Parent to inherit weights from: efficientnet_lite0, _lite1 or _lite2, timm:NAME, torchvision:NAME, "
    "a .pt or .safetensors file, a run folder, "
)
init_option = click.option("--init", default="none", show_default=True, help=f"{_PARENTS}or none.")
init_or_auto_option = click.option(
    "--init",
    default="none",
    show_default=True,
    help=f"{_PARENTS}none, or auto, which is what `nars search` would take.",
)
artifacts_option = click.option(
    "--artifacts",
    metavar="FOLDER|s3://...",
    help="Store of weights and checkpoints for all machines; by default in the run folder.",
)
metric_option = click.option(
    "--metric",
    default="accuracy",
    show_default=True,
    help="Score: accuracy, balanced_accuracy, macro_f1, auroc, or module:function for a function of your own "
    "of labels [N] and probabilities [N, K], larger is better.",
)
run_option = click.option(
    "--run", "folder", type=click.Path(path_type=Path), help="Run folder; by default the latest in runs/."
)


def _allowed(context: click.Context, parameter: click.Parameter, folders: tuple[Path, ...]) -> None:
    """Let files of the data name files in these folders."""
    from nars.foreign.paths import allow

    allow(folders)


also_from_option = click.option(
    "--also-from",
    multiple=True,
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_allowed,
    help="A folder that paths in COCO files, lists, tables and data.yaml may lead to; may be repeated.",
)


storage_option = click.option(
    "--storage",
    help="The storage of the run, if it is outside of the run folder; or @FILE with its URL. NARS_STORAGE is "
    "the same without showing a password.",
)


def data_option(source: str) -> Callable[[F], F]:
    """The option ``--data`` of a command that otherwise takes the data recorded in its argument `source`."""
    kinds = (
        "digits, clothing, a folder of class folders, an .npz file, a .csv or .parquet table of paths and "
        "labels, a torchvision set as cifar10:PATH, or hf:NAME"
    )
    return click.option("--data", help=f"{kinds}; by default the data named in {source}.")


def data_to_use(given: str | None, recorded: str | None, source: str | Path) -> str:
    """The data given with ``--data``, or else those that the file `source` records.

    Raises `click.UsageError` if there are neither.
    """
    name = given if given is not None else recorded
    if name is None:
        raise click.UsageError(f"{source} does not say which data it is for: name them with --data")
    return name


def is_file(output: Path, suffixes: Sequence[str]) -> bool:
    """Whether an output is a file with one of these suffixes; otherwise it is a folder, new or not.

    Raises `click.UsageError` for any other suffix that looks like a file's, and for a folder that is a file.
    """
    suffix = output.suffix.lower()
    if suffix in suffixes:
        if output.is_dir():
            raise click.UsageError(f"-o {output} is a folder: give the name of a file, or of another folder")
        return True
    valid = f"a file ends in {' or '.join(suffixes)}, a folder in no suffix"
    if output.is_file():
        raise click.UsageError(f"-o {output} is a file: {valid}")
    if re.fullmatch(r"\.[a-z]\w*", suffix) and not output.is_dir():
        raise click.UsageError(f"-o {output}: {closest(suffix, suffixes)} ({valid})")
    return False


@contextlib.contextmanager
def naming_source(given: str | None, source: str | Path) -> Iterator[None]:
    """Add to a `DataError` that its data were not given but recorded in the file `source`."""
    try:
        yield
    except DataError as error:
        if given is not None:
            raise
        raise DataError(f"{error}; {source} records these data, name others with --data") from None


def to_json(value: Any) -> str:
    """JSON with numpy numbers as numbers, and null for a number that is not finite."""
    import json
    import math

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {str(key): plain(value) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [plain(value) for value in item]
        if hasattr(item, "item"):
            item = item.item()
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(plain(value), indent=2)


def quiet_optuna() -> None:
    """Keep Optuna from logging what the command line shows itself."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
