"""A, G, A_z, B and the plot's fits agree with independent loops and with known truth."""

import warnings

import numpy as np
import pytest
from gathered import counts_of, inheritance, plotted, primary

from disobey.analysis.confidence import confidence_logit, quantile_bin
from disobey.analysis.names import GAPS, SUBSETS
from disobey.analysis.plots import Points, student_teacher_plot
from disobey.analysis.resampling import Resamples
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.statistics import FIDELITY, PLOTTED, PRIMARY, QUALITY

EXAMPLES, RESAMPLES = 80, 12
SUBSET_SIZE = 60  # a multiple of 20: deciles and quartiles are whole numbers of examples


@pytest.fixture
def where():
    chosen = np.zeros(EXAMPLES, bool)
    chosen[np.random.default_rng(5).permutation(EXAMPLES)[:SUBSET_SIZE]] = True
    return chosen


@pytest.fixture
def phis():
    """Confidence logits of model, teacher and replicate with a large common offset."""
    rng = np.random.default_rng(6)
    shared = 7 + 3 * rng.normal(size=EXAMPLES)
    return [scale * shared + rng.normal(size=EXAMPLES) for scale in (1.3, 1.0, 0.9)]


@pytest.fixture
def resamples():
    return Resamples(EXAMPLES, RESAMPLES, 3)


def rows_of(resamples, where):
    """Yield, for every resample, the examples of the subset as often as they were drawn."""
    for counts in counts_of(resamples):
        rows = np.repeat(np.arange(EXAMPLES), counts.astype(int))
        yield [row for row in rows if where[row]]


def ranks(values, where):
    """Rank of each example within the subset; -1 outside."""
    rank = np.full(len(values), -1)
    inside = sorted(np.flatnonzero(where), key=lambda example: values[example])
    for place, example in enumerate(inside):
        rank[example] = place
    return rank


def covariance(x, y):
    return np.cov(x, y)[0, 1]


# --- each number against another way to compute it -------------------------------------------


def test_a_is_a_ratio_of_covariances_on_the_sample_and_on_each_resample(phis, where, resamples):
    m, t, r = phis
    expected = [
        covariance(m[rows], r[rows]) / covariance(t[rows], r[rows])
        for rows in rows_of(resamples, where)
    ]
    found = primary(resamples, *phis, where)["exaggeration"]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_g_is_the_mean_gap_in_deciles_that_stay_those_of_the_full_sample(phis, where, resamples):
    m, t, r = phis
    decile = ranks(r, where) * 10 // SUBSET_SIZE
    found = primary(resamples, *phis, where)
    for q, name in enumerate(GAPS):
        expected = []
        for rows in rows_of(resamples, where):
            gaps = [m[i] - t[i] for i in rows if decile[i] == q]
            expected.append(sum(gaps) / len(gaps) if gaps else np.nan)
        np.testing.assert_allclose(found[name], expected, rtol=1e-10, err_msg=name)


def test_the_statistics_ignore_examples_outside_the_subset(phis, where, resamples):
    wild = [np.where(where, phi, 1e3 * (k + 1)) for k, phi in enumerate(phis)]
    for found, expected in (
        (primary(resamples, *wild, where), primary(resamples, *phis, where)),
        (plotted(resamples, *wild[:2], where), plotted(resamples, *phis[:2], where)),
    ):
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_inheritance_is_made_of_inner_products_of_doubly_centred_logits(where, resamples):
    rng = np.random.default_rng(7)
    shared = rng.normal(2, 3, (EXAMPLES, 4))
    models = [shared + rng.normal(size=shared.shape) + 5 * rng.normal(size=4) for _ in range(3)]

    def centred(z):
        z = np.array([row - sum(row) / 4 for row in z])
        for k in range(4):
            z[:, k] -= sum(z[i, k] for i in np.flatnonzero(where)) / SUBSET_SIZE
        return z

    m, t, r = map(centred, models)
    scale, copied = [], []
    for rows in rows_of(resamples, where):
        mr, tr, mt, tt, rr = (
            sum(float(np.dot(a[i], b[i])) for i in rows)
            for a, b in ((m, r), (t, r), (m, t), (t, t), (r, r))
        )
        scale.append(mr / tr)
        as_long = (tt / rr) ** 0.5
        copied.append((mt - as_long * mr) / (tt - as_long * tr))
    found = inheritance(resamples, *models, where)
    np.testing.assert_allclose(found["signal_scale"], scale, rtol=1e-9)
    np.testing.assert_allclose(found["inheritance"], copied, rtol=1e-9)


def test_the_plots_fits_equal_polyfit_and_sorting(phis, where, resamples):
    m, t, _ = phis
    rank = ranks(t, where)
    quarter = {i for i in range(EXAMPLES) if 0 <= rank[i] < SUBSET_SIZE // 4}
    bottom = {i for i in range(EXAMPLES) if 0 <= rank[i] < SUBSET_SIZE // 10}
    top = {i for i in range(EXAMPLES) if rank[i] >= SUBSET_SIZE - SUBSET_SIZE // 10}
    found = plotted(resamples, m, t, where)
    assert set(found) == set(PLOTTED)
    for k, rows in enumerate(rows_of(resamples, where)):
        slope, intercept = np.polyfit(t[rows], m[rows], 1)
        low = [i for i in rows if i in quarter]
        expected = {
            "plot_slope": slope,
            "plot_intercept": intercept,
            "plot_slope_bottom_quartile": np.polyfit(t[low], m[low], 1)[0],
            "plot_gap_bottom_decile": np.mean([m[i] - t[i] for i in rows if i in bottom]),
            "plot_gap_top_decile": np.mean([m[i] - t[i] for i in rows if i in top]),
            "plot_share_below_diagonal": np.mean([m[i] < t[i] for i in low]),
            "plot_sd_ratio": np.std(m[rows]) / np.std(t[rows]),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][k], value, rtol=1e-8, err_msg=name)


def test_a_resample_draws_as_many_examples_and_the_first_row_is_the_sample():
    counts = counts_of(Resamples(30, 50, 1))
    assert counts.shape == (51, 30)
    assert (counts[0] == 1).all()
    assert (counts.sum(1) == 30).all()
    rng = np.random.default_rng(np.random.SeedSequence([1, *b"resamples"]))
    drawn = rng.integers(30, size=30)
    assert counts[1].tolist() == [float((drawn == i).sum()) for i in range(30)]


def test_resamples_repeat_with_their_seed_and_differ_without():
    first, again, other = (counts_of(Resamples(30, 5, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any(1).all()


def test_quantile_bins_hold_equal_numbers_in_order():
    values = np.random.default_rng(0).permutation(100).astype(float)
    inside = quantile_bin(values, np.ones(100, bool), 10)
    assert inside.tolist() == (values.astype(int) // 10).tolist()


# --- simulated truth -------------------------------------------------------------------------

MANY = 20_000


def one(values):
    """The statistic of the full sample."""
    return float(values[0])


def two_class_models(*recipes, seed=0):
    """Simulate logits: each recipe takes (signal, fresh noise) of the log-odds; 2 classes.

    With two classes phi is linear in the logits, so that scales carry over exactly.
    """
    rng = np.random.default_rng(seed)
    signal = 3 * rng.normal(size=MANY)
    odds = [recipe(signal, rng.normal(size=MANY)) for recipe in recipes]
    return [np.column_stack([z / 2, -z / 2]) for z in odds]


def conditioned(model, teacher, replicate):
    """Primary estimates of a model, conditioned on a replicate."""
    chosen = replicate.argmax(1)
    phis = (confidence_logit(z, chosen) for z in (model, teacher, replicate))
    found = primary(Resamples(MANY, 0, 0), *phis, np.ones(MANY, bool))
    return {name: one(values) for name, values in found.items()}


def seed_of(signal, noise):
    """Return another training run: the shared signal plus its own noise."""
    return signal + noise


def test_another_seed_neither_exaggerates_nor_underfits():
    student, teacher, replicate = two_class_models(seed_of, seed_of, seed_of)
    found = conditioned(student, teacher, replicate)
    assert found["exaggeration"] == pytest.approx(1, abs=0.02)
    for name in GAPS:
        assert found[name] == pytest.approx(0, abs=0.12), name  # 3.6 standard errors


def test_the_paper_s_plot_shows_another_seed_as_underfitting():
    student, teacher = two_class_models(seed_of, seed_of)
    chosen = teacher.argmax(1)
    everything = np.ones(MANY, bool)
    phis = [confidence_logit(z, chosen) for z in (student, teacher)]
    found = plotted(Resamples(MANY, 0, 0), *phis, everything)
    # Regression to the mean: least-squares slope var(signal) / (var(signal) + var(noise)) at best.
    assert one(found["plot_slope"]) < 0.97
    assert one(found["plot_gap_top_decile"]) < -0.2
    assert (
        one(
            conditioned(student, *two_class_models(seed_of, seed_of))["exaggeration"]
            if False
            else found["plot_sd_ratio"]
        )
        > 0.95
    )  # though its spread is the same


def test_a_student_that_scales_the_shared_signal_is_seen_to_exaggerate():
    student, teacher, replicate = two_class_models(lambda x, e: 1.2 * x + e, seed_of, seed_of)
    found = conditioned(student, teacher, replicate)
    assert found["exaggeration"] == pytest.approx(1.2, abs=0.03)
    assert found[GAPS[-1]] > 0.5


def many_class_models(*recipes, classes=6, examples=4000):
    """Simulate logits; each recipe takes (signal, the teacher's deviation, fresh noise)."""
    rng = np.random.default_rng(1)
    signal, deviation = (
        2 * rng.normal(size=(examples, classes)),
        rng.normal(size=(examples, classes)),
    )
    return [recipe(signal, deviation, rng.normal(size=signal.shape)) for recipe in recipes]


@pytest.mark.parametrize(
    "student, scale, copied",
    [
        (lambda x, d, e: x + e, 1.0, 0.0),
        (lambda x, d, e: 1.2 * x + e, 1.2, 0.0),
        (lambda x, d, e: x + 0.5 * d + e, 1.0, 0.5),
        (lambda x, d, e: x + d, 1.0, 1.0),
        (lambda x, d, e: 0.8 * x + 0.5 * d + 0.3 * e, 0.8, 0.5),
    ],
)
def test_inheritance_tells_scaling_the_signal_from_copying_the_teacher(student, scale, copied):
    teacher, replicate = (lambda x, d, e: x + d), (lambda x, d, e: x + e)
    everything = np.ones(4000, bool)
    models = many_class_models(student, teacher, replicate)
    # Class offsets and offsets of single examples mean nothing.
    offset = np.random.default_rng(2)
    models = [z + 9 * offset.normal(size=6) + 9 * offset.normal(size=(4000, 1)) for z in models]
    found = inheritance(Resamples(4000, 0, 0), *models, everything)
    assert one(found["signal_scale"]) == pytest.approx(scale, abs=0.02)
    assert one(found["inheritance"]) == pytest.approx(copied, abs=0.05)


@pytest.mark.parametrize("factor", [0.5, 0.9, 0.99, 1.01, 1.1, 2.0])
def test_the_scale_of_the_replicate_says_nothing(factor):
    """A few per cent of the logits' norm are as large as a teacher's whole own deviation."""
    student, teacher, replicate = many_class_models(
        lambda x, d, e: x + 0.05 * d, lambda x, d, e: x + 0.1 * d, lambda x, d, e: x + 0.1 * e
    )
    where = np.random.default_rng(3).random(4000) < 0.6
    resamples = Resamples(4000, 30, 0)
    expected = inheritance(resamples, student, teacher, replicate, where)
    found = inheritance(resamples, student, teacher, factor * replicate, where)
    np.testing.assert_allclose(expected["inheritance"], 0.5, atol=0.05)
    for name in ("inheritance", "signal_scale"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9)


@pytest.mark.parametrize("length", [0.9, 1.0, 1.1])
def test_another_teacher_seed_inherits_nothing_however_long_its_logits_are(length):
    model, teacher, replicate = many_class_models(
        lambda x, d, e: length * (x + 0.1 * e),
        lambda x, d, e: x + 0.1 * d,
        lambda x, d, e: x + 0.1 * e,
    )
    everything = np.ones(4000, bool)
    found = inheritance(Resamples(4000, 0, 0), model, teacher, replicate, everything)
    assert one(found["inheritance"]) == pytest.approx(0, abs=0.05)


def test_a_replicate_that_is_the_teacher_leaves_nothing_to_inherit(resamples, where):
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, EXAMPLES, 4))
    found = inheritance(resamples, student, teacher, 1.1 * teacher, where)
    assert np.isnan(found["inheritance"]).all()


# --- where there is no value -----------------------------------------------------------------


def test_an_empty_subset_gives_nan_without_a_warning(phis, resamples):
    nothing = np.zeros(EXAMPLES, bool)
    logits = np.random.default_rng(0).normal(size=(EXAMPLES, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = (
            primary(resamples, *phis, nothing)
            | plotted(resamples, *phis[:2], nothing)
            | inheritance(resamples, logits, logits, logits, nothing)
        )
    assert set(found) == {*PRIMARY, *PLOTTED}
    for name, values in found.items():
        assert values.shape == (1 + RESAMPLES,), name
        assert np.isnan(values).all(), name


class Given(Resamples):
    """Resamples with chosen counts, (1 + resample, example), in one block."""

    def __init__(self, counts):
        super().__init__(counts.shape[1], len(counts) - 1, 0)
        self.counts = counts

    def blocks(self, _size=0):
        yield slice(0, self.examples), self.counts


@pytest.mark.parametrize("drawn", [0, 3])
def test_a_resample_of_a_single_example_has_no_slope_instead_of_a_ratio_of_rounding_errors(drawn):
    rng = np.random.default_rng(drawn)
    where = np.arange(EXAMPLES) < 5
    counts = np.ones((40, EXAMPLES))
    counts[1:, :5] = 0
    counts[1:, drawn] = rng.integers(1, 8, 39)
    phis = 1e3 * rng.normal(size=(3, EXAMPLES))
    resamples = Given(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = primary(resamples, *phis, where) | plotted(resamples, *phis[:2], where)
    for name in ("exaggeration", "plot_slope", "plot_intercept", "plot_sd_ratio"):
        assert np.isfinite(found[name][0]), name
        assert np.isnan(found[name][1:]).all(), name


def simulated(seeds, examples=60, classes=3, mislabelled=0):
    """Logits of a setting with ``seeds`` seeds."""
    rng = np.random.default_rng(8)
    signal = 2 * rng.normal(size=(examples, classes))
    logits = {
        role: [signal + rng.normal(size=signal.shape) for _ in range(seeds)]
        for role in ("teacher", "reference", "student")
    }
    clean = signal.argmax(1)
    label = clean.copy()
    label[:mislabelled] = (clean[:mislabelled] + 1) % classes
    return SplitLogits(logits, label, clean)


def test_one_seed_has_no_replicate_and_no_interval():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = analyse(simulated(1), 20, 0)
    for name in PRIMARY:
        assert np.isnan(found.value.sel(statistic=name)).all(), name
    assert np.isfinite(found.estimate.sel(statistic="plot_slope", model="student", subset="all"))
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()


def test_a_teacher_has_quality_but_is_not_compared_with_itself():
    found = analyse(simulated(2), 20, 0).sel(model="teacher", subset="all")
    assert np.isfinite(found.value.sel(statistic=list(QUALITY))).all()
    assert np.isnan(found.value.sel(statistic=[*PRIMARY, *PLOTTED, *FIDELITY])).all()


def test_subsets_count_their_examples_and_empty_ones_have_no_value():
    data = simulated(3, mislabelled=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = analyse(data, 200, 0)
    right = [int((z.argmax(1) == data.label).sum()) for z in data.logits["teacher"]]
    expected = {
        "all": [60] * 3,
        "teacher right": right,
        "teacher wrong": [60 - n for n in right],
        "clean": [53] * 3,
        "mislabelled": [7] * 3,
    }
    assert set(SUBSETS) == set(expected)
    for name, counts in expected.items():
        assert found.examples.sel(subset=name).values.tolist() == counts
    clean = analyse(simulated(3), 20, 0)
    assert np.isnan(clean.estimate.sel(subset="mislabelled")).all()


def test_distillation_s_effect_is_paired_by_seed():
    found = analyse(simulated(3), 20, 0)
    per_seed = found.value
    np.testing.assert_array_equal(
        per_seed.sel(model="student - reference"),
        per_seed.sel(model="student") - per_seed.sel(model="reference"),
    )


# --- the plot as counts ----------------------------------------------------------------------


def test_every_point_of_the_plot_is_counted_in_a_cell_or_outside():
    rng = np.random.default_rng(9)
    teacher, model = rng.normal(size=(2, 5000))
    teacher[0] = model[1] = 1e6
    plot = student_teacher_plot(["student"], Points(teacher, [model]))
    assert int(plot.density.sum() + plot.density_outside.sum()) == 5000
    assert int(plot.density_outside[0]) >= 2
    edges = plot.confidence_edge.values
    for cell in np.argwhere(plot.density.values[0] > 3)[:20]:
        inside = (
            (teacher >= edges[cell[0]]) & (teacher < edges[cell[0] + 1])
            & (model >= edges[cell[1]]) & (model < edges[cell[1] + 1])
        )  # fmt: skip
        assert plot.density.values[0][tuple(cell)] == inside.sum()


def test_binned_means_are_those_of_twenty_equal_groups():
    rng = np.random.default_rng(10)
    teacher, model = rng.normal(size=(2, 400))
    plot = student_teacher_plot(["student"], Points(teacher, [model]))
    order = np.argsort(teacher).reshape(20, 20)
    np.testing.assert_allclose(plot.binned_teacher[0], teacher[order].mean(1))
    np.testing.assert_allclose(plot.binned_model[0], model[order].mean(1))


def test_resampled_means_have_the_example_variance_and_share_their_draws_between_settings():
    found = analyse(simulated(3), 40, 0)
    exact = found.example_variance.sel(subset="all")
    assert found.resampled.dtype == np.float32
    np.testing.assert_allclose(found.resampled.var("resample", ddof=1), exact, rtol=1e-3, atol=1e-9)
    data = simulated(3)
    other = SplitLogits(
        data.logits | {"student": data.logits["reference"]}, data.label, data.clean_label
    )
    as_student = analyse(other, 40, 0).resampled.sel(statistic="accuracy", model="student")
    as_reference = found.resampled.sel(statistic="accuracy", model="reference")
    np.testing.assert_array_equal(as_student, as_reference)
    assert "resampled" not in analyse(simulated(3), 0, 0)
