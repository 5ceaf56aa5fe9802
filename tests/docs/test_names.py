"""The reference of statistics and stores agrees with the names in the code."""

import pytest
from disobey_docs import stores
from disobey_docs.figures import caption_of
from disobey_docs.stores import Made, Variable

from disobey.analysis.bias import STATISTICS as OF_BIAS
from disobey.analysis.statistics import GROUPS, STATISTICS
from disobey.study.figures import FIGURES


def test_no_two_statistics_share_a_name_and_each_has_words_and_a_unit():
    assert len(STATISTICS) == sum(map(len, GROUPS))
    assert all(one.words and one.unit for one in (*STATISTICS.values(), *OF_BIAS))


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_has_a_caption_below_a_heading(kind):
    words, caption = caption_of(kind)
    assert words and not caption.startswith("=") and "Our choice" in caption


def made(**changed):
    empty = {head: [] for head in stores.STORES}
    return Made(empty, empty, {}, set())._replace(**changed)


def test_a_variable_of_both_splits_is_one_row(monkeypatch):
    both = [
        Variable(f"/{split}", "logits", ("example", "class"), "f4") for split in ("train", "test")
    ]
    found = made(variables=made().variables | {"Logits": both})
    monkeypatch.setattr(stores, "made", lambda: found)
    assert stores.page().count("| `logits` | example, class | f4 | train, test |") == 1


def test_a_key_of_manifests_that_nobody_explains_is_refused(monkeypatch):
    monkeypatch.setattr(stores, "made", lambda: made(keys={"stage", "mood"}))
    with pytest.raises(ValueError, match="says nothing of mood"):
        stores.manifest()
