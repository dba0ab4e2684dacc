"""Scores of synthetic tables: compared with known values, and for rows that must be detected."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browsing import CHROMIUM, OPTIONS, Opened
from scipy.stats import ks_2samp
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from zoo.data import TableData
from zoo.report.synthetic.columns import Columns
from zoo.report.synthetic.comparison import COPULA, REAL, Comparison
from zoo.report.synthetic.copula import GaussianCopula
from zoo.report.synthetic.figures import figures
from zoo.report.synthetic.likeness import likeness, shapes
from zoo.report.synthetic.page import blocks, write_report
from zoo.report.synthetic.privacy import privacy, privacy_of_real
from zoo.report.synthetic.scores import compare, real_rows, synthetic_scores
from zoo.report.synthetic.utility import CLASSIFIERS, utility


def patients(rows: int, seed: int) -> pd.DataFrame:
    """An integer, two correlated numbers, one often missing, a category, and an outcome that depends on them."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 80, rows)
    dose = rng.gamma(3, 1, rows).round(1)
    lab = (dose + rng.normal(0, 0.5, rows)).round(2)
    lab[rng.random(rows) < 0.3] = np.nan
    sick = age / 20 + dose + rng.normal(0, 1, rows) > 5.5
    sex = rng.choice(["f", "m", "x"], rows, p=[0.5, 0.4, 0.1])
    return pd.DataFrame({"age": age, "dose": dose, "lab": lab, "sex": sex, "outcome": np.where(sick, "sick", "well")})


@pytest.fixture(scope="module", autouse=True)
def small_forests() -> Iterator[None]:
    """Smaller models, which suffice here, in less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASSIFIERS, "random_forest", RandomForestClassifier(30, random_state=0))
        patch.setitem(CLASSIFIERS, "gradient_boosting", GradientBoostingClassifier(n_estimators=30, random_state=0))
        yield


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return patients(300, 0)


@pytest.fixture(scope="module")
def holdout() -> pd.DataFrame:
    return patients(150, 1)


@pytest.fixture(scope="module")
def made(real: pd.DataFrame) -> pd.DataFrame:
    return GaussianCopula(real, "outcome").sample(300, seed=3)


@pytest.fixture(scope="module")
def found(real: pd.DataFrame, made: pd.DataFrame, holdout: pd.DataFrame) -> Comparison:
    copied = real.sample(frac=1, random_state=0)
    return compare(real, {"copier": copied, COPULA: made}, holdout, "outcome")


def test_the_copula_gives_rows_like_the_real_ones(real: pd.DataFrame) -> None:
    made = GaussianCopula(real, "outcome").sample(4000, seed=1)
    assert list(made) == list(real)
    assert made.dtypes.equals(real.dtypes)
    assert made["age"].between(real["age"].min(), real["age"].max()).all()
    assert (made["dose"] == made["dose"].round(1)).all()
    assert made["lab"].isna().mean() == pytest.approx(0.3, abs=0.05)
    assert set(made["sex"]) == {"f", "m", "x"}
    for sick in ("sick", "well"):
        one, two = (rows[rows["outcome"] == sick] for rows in (real, made))
        assert one[["age", "dose", "lab"]].corr().to_numpy() == pytest.approx(
            two[["age", "dose", "lab"]].corr().to_numpy(), abs=0.12
        )
    columns = Columns.of(real, "outcome")
    assert shapes(columns.tidy(real, ""), columns.tidy(made, ""), columns).min() > 0.95


def test_the_copula_recovers_correlations_behind_categories_and_whole_numbers() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.multivariate_normal([0, 0, 0], [[1, 0.6, 0.5], [0.6, 1, 0.4], [0.5, 0.4, 1]], 5000)
    high = np.where(hidden[:, 2] > 0.5, "high", "basic")[:, None]
    real = pd.DataFrame(hidden[:, :1], columns=["x"]).assign(count=hidden[:, 1].round().astype(int), level=high)
    made = GaussianCopula(real).sample(5000)
    for one, two in ((real, made), (made, real)):
        observed = one.assign(level=one["level"] == "high").corr().to_numpy()
        assert observed == pytest.approx(two.assign(level=two["level"] == "high").corr().to_numpy(), abs=0.05)


def test_the_copula_draws_the_class_of_the_condition(
    real: pd.DataFrame, message: Callable[[Callable[[], object]], str]
) -> None:
    copula = GaussianCopula(real, "outcome")
    sick = copula.sample(200, {"outcome": "sick"}, seed=2)
    assert set(sick["outcome"]) == {"sick"}
    assert sick["dose"].mean() > real["dose"].mean() + 0.3
    pd.testing.assert_frame_equal(sick, copula.sample(200, {"outcome": "sick"}, seed=2))
    assert not sick.equals(copula.sample(200, {"outcome": "sick"}, seed=3))
    assert "did you mean sick" in message(lambda: copula.sample(1, {"outcome": "sik"}))
    assert "did you mean outcome" in message(lambda: copula.sample(1, {"outcom": "sick"}))
    assert "n must be at least 1" in message(lambda: copula.sample(0))


def test_an_unsuitable_column_is_named(real: pd.DataFrame, message: Callable[[Callable[[], object]], str]) -> None:
    names = [f"patient {i}" for i in range(len(real))]
    assert "'name'" in message(lambda: GaussianCopula(real.assign(name=names), "outcome"))
    assert "'lab' has no value" in message(lambda: GaussianCopula(real.assign(lab=np.nan), "outcome"))


def test_likeness_by_hand() -> None:
    one = pd.DataFrame({"n": [1.0, 2, 3, 4], "m": [1.0, 2, 3, 4], "c": ["a", "a", "b", "b"]})
    two = pd.DataFrame({"n": [1.0, 2, 3, 8], "m": [4.0, 3, 2, np.nan], "c": ["a", "b", "b", None]})
    columns = Columns.of(one)
    of = shapes(*(columns.tidy(rows, "") for rows in (one, two)), columns)
    assert of["n"] == pytest.approx(0.75)
    assert of["m"] == pytest.approx(1 - ks_2samp(one["m"], [4, 3, 2]).statistic)
    assert of["c"] == pytest.approx(1 - 1 / 6)
    scores = likeness(*(columns.tidy(rows, "") for rows in (one, two)), columns)
    assert scores["correlation_similarity"] == pytest.approx(0.0)  # 1 and -1
    assert scores["column_shapes"] == pytest.approx(of.mean())
    # of (n, c) three of four differ but the last bin is open: (1,a) and (3,b) agree; of (m, c) only (3,b) does
    with_n, with_m = 2 / 4, 1 / 4
    assert scores["contingency_similarity"] == pytest.approx((with_n + with_m) / 2)
    same = likeness(*(columns.tidy(one, "") for _ in range(2)), columns)
    assert set(same.values()) == {1.0}


def test_copies_of_training_rows_are_caught(found: Comparison) -> None:
    assert found.value("copier", "copies") == 300
    assert found.value("copier", "dcr_share") > 0.7  # not 1: only as many training rows as hold-out rows are looked at
    assert found.value("copier", "membership_inference") > 0.95


def test_ties_count_half() -> None:
    one, two = np.array([[0.0]]), np.array([[4.0]])
    found = privacy(one, two, np.array([[2.0], [2.0], [2.0], [1.0]]))  # three as far from both, one nearer to training
    assert found.dcr_share == (3 / 2 + 1) / 4
    assert privacy(two, one, np.array([[2.0], [2.0], [2.0], [1.0]])).dcr_share == (3 / 2) / 4
    same = np.arange(12.0).reshape(6, 2)
    nobody = privacy(same, same, np.full((3, 2), 100.0))
    assert nobody.membership_inference == 0.5  # each distance is that of a training and of a hold-out row
    assert privacy(one, one, two).dcr_share == 0.5
    assert privacy_of_real(np.zeros((4, 1)), np.zeros((4, 1))).dcr_share == 0.5


def test_independent_rows_do_not_reveal_membership(found: Comparison) -> None:
    for name in (COPULA, REAL):
        assert found.value(name, "copies") <= 5  # by chance: some rows have few digits
        assert found.value(name, "dcr_share") == pytest.approx(0.5, abs=0.08)
        assert found.value(name, "membership_inference") == pytest.approx(0.5, abs=0.08)


def test_real_rows_are_not_distinguishable_from_real_rows_and_noise_is(
    real: pd.DataFrame, holdout: pd.DataFrame, found: Comparison
) -> None:
    assert found.value(REAL, "c2st") == pytest.approx(0.5, abs=0.08)
    shuffled = pd.DataFrame({name: real[name].sample(frac=1, random_state=i).to_numpy() for i, name in enumerate(real)})
    scores = synthetic_scores(real, shuffled, holdout, "outcome")
    assert scores["c2st"] > 0.65
    assert scores["c2st"] == pytest.approx((scores["c2st_random_forest"] + scores["c2st_gradient_boosting"]) / 2)
    assert scores["column_shapes"] == 1.0  # each column is that of the training rows
    assert scores["correlation_similarity"] < 0.9
    assert scores["tstr"] < 0.65 < 0.85 < scores["trtr"]


def test_use_is_that_of_rows_to_learn_from(found: Comparison) -> None:
    assert found.value("copier", "tstr") == pytest.approx(found.value(REAL, "tstr"), abs=0.02)
    assert found.value(REAL, "tstr") - 0.05 < found.value(COPULA, "tstr")
    parts = [found.value(COPULA, f"tstr_{name}") for name in ("logistic_regression", "random_forest")]
    assert min(parts) > 0.8


def test_targets_of_other_kinds(real: pd.DataFrame, holdout: pd.DataFrame) -> None:
    def scores(target: str | None, rows: pd.DataFrame = real) -> dict[str, float]:
        columns = Columns.of(real, target)
        return utility(*(columns.tidy(some, "") for some in (rows, real, holdout)), columns)

    number = scores("dose")
    assert number["tstr"] == pytest.approx(np.mean([v for name, v in number.items() if name != "tstr"]))
    assert number["tstr_ridge_regression"] > 0.3  # R2
    assert scores("sex")["tstr"] == pytest.approx(0.5, abs=0.15)
    assert scores(None) == {}
    assert np.isnan(scores("outcome", real[real["outcome"] == "sick"])["tstr"])


def test_bad_tables_are_reported_in_one_line(
    real: pd.DataFrame, made: pd.DataFrame, holdout: pd.DataFrame, message: Callable[[Callable[[], object]], str]
) -> None:
    assert "privacy scores need hold-out rows" in message(lambda: synthetic_scores(real, made, None, "outcome"))
    assert "hold-out rows" in message(lambda: synthetic_scores(real, made, holdout.head(0), "outcome"))
    assert "'age'" in message(lambda: synthetic_scores(real, made.drop(columns="age"), holdout, "outcome"))
    assert "did you mean outcome" in message(lambda: synthetic_scores(real, made, holdout, "outcom"))
    assert "at least 4 synthetic rows" in message(lambda: synthetic_scores(real, made.head(3), holdout, "outcome"))


def test_missing_stand_ins_count_as_missing(pima: TableData) -> None:
    rows = real_rows(pima, "train")
    assert rows["insulin"].isna().sum() == (pima.samples.query("split == 'train'")["insulin"] == 0).sum() > 0
    assert set(rows["diabetes"]) == {"neg", "pos"}


@pytest.fixture(scope="module")
def page(found: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(found, "copier <on> patients", path)
    return path


def test_report_is_one_file_that_needs_no_network(found: Comparison, page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    assert "copier &lt;on&gt; patients" in text
    assert text.count("data:image/png;base64,") == len(figures(found)) == 5
    assert "http" not in text.replace("http-equiv", "")
    assert "300 synthetic rows are exact copies of training rows" in text
    assert "Gaussian copula" in text
    write_report(found, "patients", tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1200, 400])
def test_report_fits_the_screen_and_makes_no_requests(width: int, page: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        opened = Opened(browser, page, viewport={"width": width, "height": 900})
        assert opened.errors == []
        assert all(request.startswith(("file:", "data:")) for request in opened.requests)
        images = opened.page.evaluate("[...document.images].map((image) => image.naturalWidth)")
        assert len(images) == 5
        assert min(images) > 500
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()


def test_figures_of_a_table_without_a_target(real: pd.DataFrame, holdout: pd.DataFrame) -> None:
    numbers = [rows[["age", "dose", "lab"]] for rows in (real, holdout)]
    found = compare(numbers[0], {"same": numbers[0]}, numbers[1])
    drawn = figures(found)
    assert "usefulness" not in drawn
    assert all(draw(found, "title").axes for draw in drawn.values())


def test_below_a_half_is_chance_and_few_rows_are_called_few(found: Comparison, tmp_path: Path) -> None:
    changed = {"copier": 0.3, COPULA: 0.5}
    scores = [(who, part, what, changed.get(who, v) if what == "c2st" else v) for who, part, what, v in found.scores]
    assert "copier has 0.300, as good as" in blocks(replace(found, scores=scores))[1].words
    few = replace(found, holdout=found.holdout.head(30))
    for comparison, said in ((found, False), (few, True)):
        write_report(comparison, "patients", tmp_path / "report.html")
        assert ("With so few hold-out rows" in (tmp_path / "report.html").read_text(encoding="utf-8")) == said


def test_likeness_is_to_the_rows_of_the_split_that_is_named(found: Comparison) -> None:
    for split, rows in (("train", found.train), ("holdout", found.holdout)):
        expected = likeness(rows, found.tables[COPULA], found.columns)
        scores = {what: v for who, part, what, v in found.scores if (who, part) == (COPULA, split)}
        assert {what: scores[what] for what in expected} == expected
