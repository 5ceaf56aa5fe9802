"""The page of a comparison works for models without a study."""

import itertools

import numpy as np
import pytest

from disobey import compare
from disobey.explorer.study import page_of

EXAMPLES, CLASSES = 120, 4
OF_LABELS = ("class", "judge", "outcome", "mislabelled", "wrong")


def models(number):
    """Return logits of models that share a signal, and the labels that it means."""
    rng = np.random.default_rng(7)
    signal = 2 * rng.normal(size=(EXAMPLES, CLASSES))
    return [signal + rng.normal(size=signal.shape) for _ in range(number)], signal.argmax(1)


def confidence(logits, chosen):
    """Return ln(p / (1 - p)) of the chosen classes, by its definition."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    rows = np.arange(len(p)), chosen
    own = p[rows]
    p[rows] = 0
    return np.log(own) - np.log(p.sum(1))


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of a comparison; return the browser."""

    def open_page(found):
        page = tmp_path / "explorer.html"
        page.write_text(page_of(found, "comparison.md"), encoding="utf-8")
        browser.open(page)
        return browser

    return open_page


def disabled(browser, name):
    return browser.run(f"element('controls').elements['{name}'].disabled")


def test_bare_logits_have_points_and_no_right_or_wrong(opened):
    (teacher, student), _ = models(2)
    browser = opened(compare(teacher, student))
    assert browser.text("#shown") == str(EXAMPLES)
    assert "without labels nothing is right or wrong" in browser.text("#said")
    assert all(disabled(browser, name) for name in OF_LABELS)
    assert browser.run("element('controls').elements.model.options[1].disabled")  # no reference
    assert browser.run("element('controls').elements.axes.options[1].disabled")  # no replicate
    chosen = teacher.argmax(1)
    x, y = browser.run("[[...view.x], [...view.y]]")
    np.testing.assert_allclose(x, confidence(teacher, chosen), atol=1e-3)
    np.testing.assert_allclose(y, confidence(student, chosen), atol=1e-3)
    assert browser.run("document.querySelector('a[href]').getAttribute('href')") == "comparison.md"
    assert browser.complaints == []


def test_what_is_given_is_there_in_every_view(opened):
    (*pair, reference, other), label = models(4)
    found = compare(*pair, reference=reference, replicates=[other], labels=label)
    browser = opened(found)
    assert not any(disabled(browser, name) for name in OF_LABELS)
    for model, axes in itertools.product(("student", "reference"), ("teacher", "replicate")):
        browser.run(f"change({{ model: '{model}', axes: '{axes}' }})")
        shown = {"student": pair[1], "reference": reference}[model]
        judge = {"teacher": pair[0], "replicate": other}[axes]
        np.testing.assert_allclose(
            browser.run("[...view.y]"), confidence(shown, judge.argmax(1)), atol=1e-3
        )
        wins = (shown.argmax(1) == label) & (pair[0].argmax(1) != label)
        assert browser.text("#wins") == str(wins.sum())
    assert "a further teacher" in browser.text("#about")
    assert browser.complaints == []


def test_texts_as_ids_name_the_examples(opened):
    (teacher, student), _ = models(2)
    ids = np.array([f"image-{k:03}.png" for k in range(EXAMPLES)])
    arrays = [{"test": logits, "test_example_id": ids} for logits in (teacher, student)]
    browser = opened(compare(*arrays))
    browser.run("point(17)")
    assert "image-017.png" in browser.text("#example")


def test_ids_above_2_to_the_53_are_shown_digit_by_digit(opened):
    (teacher, student), _ = models(2)
    ids = 2**53 + 1 + 2 * np.arange(EXAMPLES)
    browser = opened(compare({"test": teacher, "test_example_id": ids}, student))
    assert browser.run("[...view.id].map((id) => `${id}`)") == [str(id) for id in ids]
    assert browser.complaints == []
