from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import optuna
import pytest
import studies
from optuna.distributions import BaseDistribution, IntDistribution
from PIL import Image

from nars.files import write_whole
from nars.report import html
from nars.report.insights import calibration, importance, recipes_by_size
from nars.report.page import phases, write_report
from nars.report.winner import winner_section
from nars.runs.run import Run
from nars.searching.results import winner
from nars.trials import Record


class Page(HTMLParser):
    """Collects the text, images and links of a document, and checks that its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def report(folder: Path, n: int | None, objectives: tuple[str, ...] = ("accuracy",), **options: bool) -> Page:
    search = studies.config(32, objectives)
    study = studies.finished(search, n, **options)
    path = write_report(Run(folder, search, "unused", folder.name), study)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return report(tmp_path_factory.mktemp("search") / "a <b> run", None)


def test_report_has_every_part_and_needs_no_other_file(page: Page) -> None:
    text = " ".join(page.text)
    parts = ["Winner", "Search", "Front", "Best of", "What matters", "Recipes that suit"]
    for part in [*parts, "How far the predictor can be trusted", "Training curves", "To repeat it"]:
        assert part in text
    assert page.open == []
    assert all(link.startswith("data:") for link in page.links)
    assert len(page.images) == 4
    for image in page.images:
        with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2]))) as picture:
            picture.load()


def test_report_states_the_winner_and_how_to_repeat_it(page: Page) -> None:
    search = studies.config(32)
    found = winner(studies.finished(search), search)
    text = " ".join(page.text)
    assert f"val accuracy {found.mean[0]:.2%} (mean of {len(found.runs)} runs" in text
    assert search.to_yaml() in page.text
    assert re.search(r"rank correlation 0\.\d\d \(0\.\d\d to 0\.\d\d, \d+ pairs\)", text)
    assert optuna.__version__ in page.text


def test_a_score_of_a_function_is_no_percentage() -> None:
    search = studies.config(32, ("mine:profit",))
    study = studies.finished(search)
    best = winner(study, search)
    section = winner_section(study, search)
    assert (
        f"val mine:profit {best.mean[0]:.4f} (mean of {len(best.runs)} runs, sd {best.spread[0]:.4f};"
        in section
    )


def test_text_is_escaped(page: Page) -> None:
    assert any("<script>" in text for text in page.text)  # a failed trial's reason, as text
    assert any("a <b> run" in text for text in page.text)  # the name of the folder


@pytest.mark.parametrize("n", [0, 1, 6])
def test_few_trials(tmp_path: Path, n: int) -> None:
    page = report(tmp_path, n)
    assert page.open == []
    assert ("No candidate has been trained" in " ".join(page.text)) == (n == 0)


def test_a_front_has_a_picture_for_each_cost(tmp_path: Path) -> None:
    page = report(tmp_path, 8, ("accuracy", "macs", "latency"))
    assert len(page.images) == 5
    assert "accuracy, macs, latency" in page.text


def test_only_failures(tmp_path: Path) -> None:
    search = studies.config(32)
    study = studies.finished(search, 0)
    failed = optuna.create_trial(state=optuna.trial.TrialState.FAIL, user_attrs={"reason": "out of memory"})
    study.add_trial(failed)
    write_report(Run(tmp_path, search, "unused", "unused"), study)
    assert "out of memory" in (tmp_path / "report.html").read_text()


def test_phases_of_a_search() -> None:
    search = studies.config(32)
    trials = studies.trials(studies.finished(search, 32))
    found = phases(trials, search)
    assert list(found) == ["first batch", "predictor", "confirmation"]
    assert found["first batch"] == 0
    assert found["predictor"] == min(t.number for t in trials if Record.of(t).predicted is not None) == 8
    assert found["confirmation"] == min(t.number for t in trials if Record.of(t).confirms is not None)
    assert list(phases(trials, search.replace(sampler="tpe"))) == ["tpe", "confirmation"]


def study_of(dimension: str, n: int = 40) -> optuna.Study:
    """Make a study whose scores follow one dimension alone."""
    search = studies.config(n)
    study = studies.finished(search, n, troubles=False)
    choices = search.space.distributions[dimension]
    fresh = optuna.create_study(direction="maximize")
    for trial in studies.trials(study):
        score = choices.to_internal_repr(trial.params[dimension])
        fresh.add_trial(
            optuna.create_trial(params=trial.params, distributions=trial.distributions, value=float(score))
        )
    return fresh


@pytest.mark.parametrize("dimension", ["recipe.dropout", "stage4.depth"])
def test_importance_finds_the_dimension_that_matters(dimension: str) -> None:
    found = importance(study_of(dimension))
    assert found is not None
    first, share = next(iter(found.shares.items()))
    assert first == dimension
    assert share > 0.8 > found.chance  # it explains everything, as seen by a forest of 40 trials
    assert sum(found.shares.values()) == pytest.approx(1)
    assert (found.recipe > 0.8) == dimension.startswith("recipe.")


def test_importance_of_a_search_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that was completed after the first look at the study ended the report."""
    study = study_of("recipe.dropout")
    all_of_them = study.get_trials(deepcopy=False)
    monkeypatch.setattr(study, "get_trials", lambda **options: all_of_them[:-1])
    found = importance(study)
    assert found is not None
    assert found.trials == len(all_of_them) - 1


def test_importance_needs_trials_that_differ() -> None:
    assert importance(study_of("stage4.depth", 9)) is None
    constant = studies.finished(studies.config(), 0, troubles=False)
    for trial in studies.trials(study_of("stage4.depth", 12)):
        constant.add_trial(
            optuna.create_trial(params=trial.params, distributions=trial.distributions, value=0.5)
        )
    assert importance(constant) is None


@pytest.mark.parametrize("distributions", [{}, {"x": IntDistribution(0, 3)}])
def test_importance_needs_dimensions_that_differ(distributions: dict[str, BaseDistribution]) -> None:
    same = optuna.create_study(direction="maximize")
    for number in range(12):  # scores differ by their seeds alone
        params = dict.fromkeys(distributions, 1)
        same.add_trial(optuna.create_trial(params=params, distributions=distributions, value=float(number)))
    assert importance(same) is None


def test_a_name_that_utf8_lacks_is_escaped(tmp_path: Path) -> None:
    write_whole(tmp_path / "page.html", html.page("run \udcff", [html.heading("run \udcff")]))
    assert "<h1>run \\udcff</h1>" in (tmp_path / "page.html").read_text("utf-8")


def test_recipes_by_size() -> None:
    search = studies.config(60)
    trials = studies.trials(studies.finished(search, 60, troubles=False))
    table = recipes_by_size(trials, search.space)
    assert table is not None
    assert list(table.index) == search.space.recipe_names
    assert [column.partition(":")[0] for column in table.columns] == ["small", "medium", "large"]
    assert set(table.loc["recipe.optimizer"]) <= {"sgd", "rmsprop", "adamw"}
    # the scores are best at 0.1; the range is 0.02 to 0.6
    assert all(0.05 < lr < 0.25 for lr in table.loc["recipe.lr"])
    assert recipes_by_size(trials[:17], search.space) is None


def test_calibration_of_normal_errors() -> None:
    errors = np.random.default_rng(0).normal(size=4000)
    one, two = calibration(np.zeros(4000), errors, np.ones(4000))
    assert one == pytest.approx(0.683, abs=0.03)  # 4 standard errors of 4000 draws
    assert two == pytest.approx(0.954, abs=0.015)


def test_cells() -> None:
    text = html.table(["a", "b"], [["<x>", 1234567], [True, 0.123456], [None, float("nan")]])
    for cell in ("<td>&lt;x&gt;</td>", '<td class="number">1,234,567</td>', "<td>True</td>"):
        assert cell in text
    assert '<td class="number">0.1235</td>' in text
    assert text.count("<td></td>") == 2


def test_only_one_module_writes_tags() -> None:
    sources = [path for path in Path(html.__file__).parent.glob("*.py") if path.name != "html.py"]
    assert len(sources) > 5
    assert not [path.name for path in sources if re.search(r"</?[a-z]\w*[ >]", path.read_text("utf-8"))]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\"><img src=x onerror='f()'>", "a &amp; b"])
def test_every_element_escapes_what_it_is_given(text: str) -> None:
    body = [
        html.heading(text),
        html.paragraph(text),
        html.section(text, html.note(text), html.code(text)),
        html.table([text, "n"], [[text, 1]]),
        html.bars({text: 0.5}),
        html.folded(text, html.figure(b"", text)),
    ]
    found = Page(html.page(text, body))
    assert not {"script", "iframe"} & set(found.open)
    assert [link for link in found.links if not link.startswith("data:")] == []
    assert "".join(found.text).count(text) == 10
