"""Readings of a figure for tests: its title, its artists by name, the places of its texts."""

import numpy as np

from disobey.figures import style


def title(figure):
    """The first text of a figure is its title."""
    return figure.texts[0].get_text().replace("\u00a0", " ")


def artists(figure, prefix):
    return {
        artist.get_gid(): artist
        for artist in figure.findobj()
        if (artist.get_gid() or "").startswith(prefix)
    }


def assert_texts_are_apart_and_inside(figure, texts):
    """A title is one line; what was found is said on the page."""
    assert not any("\n" in text.get_text() for text in figure.texts[:1])
    words = [text.get_text() for text in texts]
    assert len(words) > 3
    x0, y0, x1, y1 = np.array([text.get_window_extent().extents for text in texts]).T
    outside = (x0 < 0) | (y0 < 0) | (x1 > figure.bbox.x1) | (y1 > figure.bbox.y1)
    assert not outside.any(), (
        f"these leave the canvas: {[words[i] for i in np.flatnonzero(outside)]}"
    )
    # Boxes hold the blank above and below letters: let those touch by half a point.
    slack = 0.5 * figure.dpi * style.POINT
    wide = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0)
    tall = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    over = np.argwhere(np.triu((wide > 0) & (tall > slack), k=1))
    assert not len(over), f"these overlap: {[(words[i], words[j]) for i, j in over]}"
