"""Options that several commands of ``nars detect`` share."""

from __future__ import annotations

import click

__all__ = ["DATA", "drop_bad_option", "workers_option"]

DATA = "digit-scenes, or a folder in COCO's, Pascal VOC's or YOLO's format, or with tables of boxes"
"""Kinds of data that ``--data`` names."""

drop_bad_option = click.option("--drop-bad", is_flag=True, help="Leave out images and boxes that are bad.")
workers_option = click.option(
    "--workers", type=click.IntRange(min=0), help="Processes that load images; by default chosen."
)
