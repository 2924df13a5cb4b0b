"""The section on candidates: the best first, failures folded below."""

from __future__ import annotations

import studies

from nars.report import candidates
from nars.report.candidates import candidates_section
from nars.searching.confirm import measured


def test_the_best_are_shown_and_the_failed_have_reasons() -> None:
    config = studies.config(32)
    trials = studies.finished(config).get_trials(deepcopy=False)
    ranked = sorted(measured(trials), key=lambda candidate: -candidate.mean[0])
    section = candidates_section(trials, config)
    assert f"Best of {len(ranked)} candidates" in section
    assert section.count("<tr>") >= candidates._BEST_SHOWN
    places = [section.index(f"{candidate.mean[0]:.4f}") for candidate in ranked[:3]]
    assert places == sorted(places)
    assert "loss is nan in epoch 1 of 8 &lt;script&gt;" in section


def test_without_failures_nothing_is_said_of_them() -> None:
    config = studies.config(8)
    trials = studies.finished(config, troubles=False).get_trials(deepcopy=False)
    assert "failed" not in candidates_section(trials, config)
