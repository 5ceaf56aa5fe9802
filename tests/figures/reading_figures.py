"""What tests read off a figure: its title, its artists by name, where its texts stand."""

import itertools

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
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    assert len(boxes) > 3
    for text, box in boxes:
        inside = box.x0 >= 0 and box.y0 >= 0
        inside &= box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{text!r} leaves the canvas: {box}"
    # Boxes hold the blank above and below letters: let those touch by half a point.
    slack = 0.5 * figure.dpi * style.POINT
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        tall = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 0 or tall <= slack, f"{one!r} and {other!r} overlap"
