"""``nars detect export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detector.cli.options import drop_bad_option
from nars.cli.options.formats import NETWORK_FORMATS, format_of, format_option
from nars.cli.options.reading import say_parts
from nars.cli.options.values import also_from_option, json_option, naming_source, to_json
from nars.cli.options.weights import weights_argument
from nars.foreign.parts import counted

if TYPE_CHECKING:
    from detector.deploy.quantize import Quantized

_CALIBRATED = 64
"""Images that 8 bits are calibrated on unless told otherwise."""


@click.command("export")
@weights_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="File to write.")
@format_option(NETWORK_FORMATS, "ONNX, torch.export's pt2, or TorchScript")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images at a time.")
@click.option("--int8", is_flag=True, help="8 bits for CPUs, as ONNX, calibrated on training images.")
@click.option("--calibrate", type=click.IntRange(min=1), help=f"Images for --int8, by default {_CALIBRATED}.")
@click.option(
    "--data",
    help="Images that the file is compared, calibrated and measured on; by default those that WEIGHTS was "
    "trained on, or digit-scenes if it does not say.",
)
@drop_bad_option
@also_from_option
@json_option
def export_command(
    weights: Path,
    output: Path,
    form: str | None,
    batch: int,
    int8: bool,
    calibrate: int | None,
    data: str | None,
    drop_bad: bool,
    as_json: bool,
) -> None:
    """Write the detector in WEIGHTS as a file that runs without nars.

    It takes RGB images in 0..1, resized and padded as the command prints, and gives boxes, labels, scores
    and the index of each one's image. The file is run on real images and compared with the detector before
    it is kept; --int8 prints the AP before and after.

    Example: nars detect export detection/weights/best.pt -o detector.onnx --data COCO_DIR
    """
    form = format_of(output, form, NETWORK_FORMATS)
    if int8 and (form != "onnx" or batch > 1):
        raise click.UsageError("--int8 goes with --format onnx and --batch 1")
    if calibrate is not None and not int8:
        raise click.UsageError("--calibrate is for 8 bits: give --int8")

    from detector.data.check import usable
    from detector.deploy import export
    from detector.deploy.quantize import quantize
    from detector.weights.saved import load_detector

    saved = load_detector(weights)
    with naming_source(data, weights):
        name = data or saved.data or "digit-scenes"
        records = usable(name, drop_bad=drop_bad, needs=("train", "val") if int8 else ("val",))
    say_parts(records.parts, quiet=as_json)
    if int8:
        quantized = quantize(saved, records, output, images=calibrate or _CALIBRATED)
        numbers, text = _described(quantized, output)
        contract = quantized.contract
    else:
        exported = export.export(saved, records, output, form, batch=batch)
        numbers = exported.to_dict()
        compared = f"{counted(exported.detections, 'detection')} in real images"
        text = f"largest deviation {exported.deviation:.1e} over {compared}"
        contract = exported.contract
    if as_json:
        click.echo(to_json(numbers | {"parts": [part.row() for part in records.parts]}))
    else:
        click.echo(f"written to {output}: {text}\ntakes {contract.input}")


def _described(quantized: Quantized, output: Path) -> tuple[dict[str, Any], str]:
    """The cost and the gain of 8 bits, as numbers and as a line."""
    before, after = quantized.before.ap, quantized.after.ap
    numbers = {
        "path": str(output),
        "bytes": quantized.bytes,
        "float_bytes": quantized.float_bytes,
        "ap_before": before,
        "ap_after": after,
        "contract": quantized.contract.to_dict(),
    }
    text = f"AP {before:.4f} before, {after:.4f} after"
    if quantized.masks_before is not None and quantized.masks_after is not None:
        before, after = quantized.masks_before.ap, quantized.masks_after.ap
        numbers |= {"mask_ap_before": before, "mask_ap_after": after}
        text += f", of masks {before:.4f} before, {after:.4f} after"
    sizes = f"{quantized.float_bytes / 1e6:.2f} MB in float32, {quantized.bytes / 1e6:.2f} MB in int8"
    return numbers, f"{text}; {sizes}"
