"""The marks that a figure really draws."""

from collections.abc import Callable, Iterator

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


@pytest.fixture
def drawn_texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Figure], list[Text]]]:
    """Return the texts that a figure really draws: ticks beyond an axis are not among them."""
    seen: list[Text] = []
    original = Text.draw

    def recording(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            seen.append(self)
        return original(self, renderer, *args, **kwargs)

    def collect(figure: Figure) -> list[Text]:
        seen.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Text, "draw", recording)
            FigureCanvasAgg(figure).draw()
        return list(dict.fromkeys(seen))

    yield collect
