"""Runs a trained classifier on images and videos, with the reading and drawing that detectors share."""

from __future__ import annotations
