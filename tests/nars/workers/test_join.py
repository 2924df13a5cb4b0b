"""One more worker joins a search by its storage: which search, which data, which code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

import folders
import pytest
from stub_task import StubTask, config, trials

import nars
from nars.errors import DataError, RunError, TrialError, UsageError
from nars.runs.request import SearchRequest
from nars.runs.run import config_of, start_run
from nars.searching.configure import configure
from nars.studies import data_description, write_code_version, write_foretold_samples
from nars.trials import INTERRUPTED, Record
from nars.workers.join import join
from nars.workers.turns import study_beside


def test_joining_by_storage_and_name(stub: type[StubTask], tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", config("4", sampler="random"), None)
    run.study()
    join(run.storage, "run", data=None, device="cpu", parent=None)
    assert len(stub.trained) == 4
    assert config_of(run.study()).budget == "4"


def test_a_worker_logs_what_it_does(
    stub: type[StubTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = start_run(tmp_path / "run", config("2", sampler="random"), None)
    run.study()

    def fail_second(training: int, epoch: int) -> None:
        if training == 1:
            raise TrialError("too large")

    stub.hook = fail_second
    with caplog.at_level("INFO", "nars.workers"):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("nars.")]
    assert said[0] == "joined run; 0% of its budget of 2 trials is spent"
    assert said[1] == "trial 0 begins"
    assert said[2].startswith("trial 0: accuracy 0.")
    assert said[3:] == [
        "trial 1 begins",
        "trial 1 failed: too large",
        "the budget of 2 trials is spent, and no trial is left to train again",
    ]


def test_the_time_before_the_first_trial_is_in_what_a_worker_says_is_spent(
    stub: type[StubTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = start_run(tmp_path / "run", config("100s"), None)
    write_foretold_samples(run.study(), [], 100.0)
    with caplog.at_level("INFO", "nars.workers"):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    assert "joined run; 100% of its budget of 100 seconds is spent" in caplog.text


def test_a_worker_that_nobody_supervises_says_that_it_stops(
    stub: type[StubTask], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start_run(tmp_path / "run", config("4", sampler="random"), None)
    run.study()
    stub.hook = lambda *ignored: os.kill(os.getpid(), signal.SIGTERM)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            join(run.storage, "run", data=None, device="cpu", parent=None)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    assert capfd.readouterr().err.endswith("nars: stopping; the same command goes on from here\n")


def test_joining_a_search_that_an_older_version_began(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(tmp_path / "run", config("1", sampler="random", data_fingerprint="stub:names"), None)
    run.study()
    monkeypatch.setattr(stub, "earlier_fingerprints", ("stub:names",))
    join(run.storage, "run", data=None, device="cpu", parent=None)
    assert len(stub.trained) == 1


def test_joining_what_is_not_there_or_with_other_data(stub: type[StubTask], tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", config("4"), None)
    study_beside(run.study(), "run.reference")  # nobody joins it
    with pytest.raises(UsageError, match=r"no study 'runn' in .*study\.journal; there: run$"):
        join(run.storage, "runn", data=None, device="cpu", parent=None)
    missing = tmp_path / "nosuch.journal"
    with pytest.raises(RunError, match=r"study run: its storage .*nosuch\.journal is not there"):
        join(str(missing), "run", data=None, device="cpu", parent=None)
    assert not missing.exists()
    with pytest.raises(RunError, match="the data at elsewhere are not those of study run"):
        join(run.storage, "run", data="elsewhere", device="cpu", parent=None)
    assert stub.trained == []


def test_other_data_are_refused_with_what_differs(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(tmp_path / "run", config("1", sampler="random"), None)
    run.study()
    monkeypatch.setattr(stub, "describe", lambda task: f"images of {task.fingerprint}")
    join(run.storage, "run", data=None, device="cpu", parent=None)
    refused = r"study run: it has images of stub:none; these are images of stub:elsewhere; give the same"
    with pytest.raises(RunError, match=refused):
        join(run.storage, "run", data="elsewhere", device="cpu", parent=None)
    monkeypatch.setattr(stub, "describe", lambda task: "images of stub:none")
    with pytest.raises(RunError, match="both are images of stub:none, but images or labels differ"):
        join(run.storage, "run", data="elsewhere", device="cpu", parent=None)


def test_pictures_that_broke_before_any_worker_read_them_are_named(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number in range(60):
        folders.picture(photos / ("cats", "dogs")[number % 2] / f"{number}.png", 8, 8, seed=number)
    made = configure(SearchRequest(data=str(photos), drop_bad=True, init="none", space="micro"))
    run = start_run(tmp_path / "run", made, None)
    assert data_description(run.study()) == made.description == made.open_task().describe()
    (photos / "cats" / "0.png").write_bytes(b"cut short")
    (photos / "dogs" / "1.png").unlink()
    refused = rf"study run: it has {made.description}; these are classification .* images, without 1 image "
    with pytest.raises(RunError, match=rf"{refused}\(cannot read image .*cats/0\.png.*\); bring back those"):
        join(run.storage, "run", data=None, device="cpu", parent=None)


def test_code_that_only_a_run_names_is_not_run(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strangers_code.py").write_text("raise AssertionError('it was run')")
    asked = config("3", objectives=("strangers_code:f",))
    run = start_run(tmp_path / "run", asked, None)
    run.study()
    with pytest.raises(UsageError, match="study run is scored by code, strangers_code:f: repeat --metric"):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    with pytest.raises(UsageError, match="the configured search is scored by code, strangers_code:f"):
        nars.search(asked, tmp_path / "run")
    with pytest.raises(UsageError, match="study run is scored by strangers_code:f, got --metric other:f"):
        join(run.storage, "run", data=None, device="cpu", parent=None, metric="other:f")
    assert "strangers_code" not in sys.modules
    for repeated in (
        lambda: nars.search(asked, tmp_path / "run", metric="strangers_code:f"),
        lambda: join(run.storage, "run", data=None, device="cpu", parent=None, metric="strangers_code:f"),
    ):
        with pytest.raises(UsageError, match="importing strangers_code failed: AssertionError: it was run"):
            repeated()


def test_a_worker_of_other_code_is_refused_with_what_differs(stub: type[StubTask], tmp_path: Path) -> None:
    run = start_run(tmp_path / "run", config("2", sampler="random"), None)
    write_code_version(run.study(), "0.0.9 (01234567)")
    with pytest.raises(
        RunError, match=r"study run is run by nars 0\.0\.9 \(01234567\), this worker is .*: install"
    ):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    nars.search(run.config, run.folder)  # whoever continues the search says which code it is run by
    join(run.storage, "run", data=None, device="cpu", parent=None)


def test_data_that_vanish_in_the_middle_are_waited_for(
    stub: type[StubTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "photos"
    data.mkdir()
    given = config("3", sampler="random", data=str(data), data_fingerprint=f"stub:{data}")
    run = start_run(tmp_path / "run", given, None)
    run.study()

    def vanish(nth: int, epoch: int) -> None:
        if (nth, epoch) == (1, 1):
            data.rmdir()
            raise FileNotFoundError(errno.ENOENT, "No such file", str(data / "a.png"))

    stub.hook = vanish
    monkeypatch.setattr("nars.workers.join.time.sleep", lambda seconds: data.mkdir(exist_ok=True))
    join(run.storage, "run", data=None, device="cpu", parent=None)
    study = run.study()
    assert len(trials(study)) == 3
    assert [Record.of(trial).void for trial in study.trials] == [None, INTERRUPTED, None, None]


def test_an_image_that_breaks_in_the_middle_leaves_a_way_on(stub: type[StubTask], tmp_path: Path) -> None:
    data = tmp_path / "photos"
    data.mkdir()
    given = config("3", sampler="random", data=str(data), data_fingerprint=f"stub:{data}")
    run = start_run(tmp_path / "run", given, None)
    run.study()

    def break_one(nth: int, epoch: int) -> None:
        raise DataError("cannot read image a.png: cut short", "leave it out")

    stub.hook = break_one
    way = f"or start another search with --drop-bad --run NEW .--warm-start {run.folder} lets"
    with pytest.raises(DataError, match=f"a.png: cut short; mend the data to continue study run, {way}"):
        join(run.storage, "run", data=None, device="cpu", parent=None)
    with pytest.raises(DataError, match=f"a.png: cut short; mend the data to continue {run.folder}, {way}"):
        nars.search(given, run.folder)
