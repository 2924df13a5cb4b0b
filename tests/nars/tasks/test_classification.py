"""Searches whose photos turn out to be unreadable while candidates train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState
from PIL import Image
from stub_task import TINY

import nars
from nars.data import decoding
from nars.data.pictures import Picture, read_square
from nars.data.splits import disk
from nars.errors import DataError
from nars.runs.run import open_run
from nars.space import Space
from nars.trials import INTERRUPTED, Record

BAD = "bad.png"


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nars.SearchRequest:
    """A search on photos that are read again in each epoch, of which one breaks in the second trial."""
    rng = np.random.default_rng(0)
    for number in range(30):
        path = tmp_path / "photos" / ("a", "b")[number % 2] / (f"{number}.png" if number else BAD)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    reads = []

    def read(picture: Picture, side: int) -> object:
        reads.append(picture.name)
        if picture.name.endswith(BAD) and reads.count(picture.name) > 8:
            return DataError(f"cannot read image {picture.name}: gone")
        return read_square(picture, side)

    monkeypatch.setattr(decoding, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(disk, "read_square", read)
    (tmp_path / "space.yaml").write_text(TINY.replace("{low: 2, high: 5}", "4"))
    return nars.SearchRequest(
        data=tmp_path / "photos", space=tmp_path / "space.yaml", budget=3, sampler="random", device="cpu"
    )


def test_a_photo_that_breaks_ends_the_search_and_loses_no_trial(
    wanted: nars.SearchRequest, tmp_path: Path
) -> None:
    way = "mend the data to continue .* with --drop-bad --run NEW"
    with pytest.raises(DataError, match=f"^cannot read image a/bad.png: gone; {way}"):
        nars.search(wanted, tmp_path / "run")
    trials = open_run(tmp_path / "run").study().get_trials()
    assert [trial.state for trial in trials[:-1]] == [TrialState.COMPLETE] * (len(trials) - 2) + [
        TrialState.FAIL
    ]
    assert Record.of(trials[-2]).void == INTERRUPTED
    assert trials[-1].state == TrialState.WAITING  # its repetition


def test_a_photo_that_breaks_is_named_once_where_bad_ones_are_dropped(
    wanted: nars.SearchRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = nars.search(wanted.replace(drop_bad=True), tmp_path / "run")
    assert [trial.state for trial in result.study.get_trials()] == [TrialState.COMPLETE] * 3
    assert [record.message for record in caplog.records if BAD in record.message] == [
        "left out: cannot read image a/bad.png: gone"
    ]


def test_a_candidate_that_cannot_be_built_fails_and_the_search_continues(tmp_path: Path) -> None:
    """Without padding the second row can only have other channels than the first: it would add its input."""
    narrow = {"name": "body", "op": "mbconv", "kernel": 3, "expansion": 2, "channels": [4, 8], "padding": 0}
    stages = [[{"name": "stem", "op": "conv", "kernel": 3, "channels": 8, "stride": 2}, narrow]]
    odd = Space(resolution=16, stages=stages, recipe={"epochs": 1, "lr": {"low": 0.1, "high": 0.2}})
    (tmp_path / "odd.yaml").write_text(odd.to_yaml())
    request = nars.SearchRequest(data="digits", space=tmp_path / "odd.yaml", budget=6, device="cpu")
    nars.search(request, tmp_path / "run")
    trials = open_run(tmp_path / "run").study().get_trials()
    fails = {trial.number for trial in trials if trial.params["body.channels"] == 8}
    assert 0 < len(fails) < 6
    assert fails == {trial.number for trial in trials if trial.state == TrialState.FAIL}
    reason = "cannot be built: an mbconv that keeps stride and channels adds its input"
    assert all(str(Record.of(trials[number]).reason).startswith(reason) for number in fails)
