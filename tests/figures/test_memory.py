"""The memory of a page with many crowds does not grow by a page image per crowd."""

import numpy as np
from matplotlib.backends.backend_pdf import RendererPdf
from matplotlib.figure import Figure

from disobey.figures import style


def test_a_pdf_keeps_the_images_of_crowds_and_not_the_pages_around_them(tmp_path, monkeypatch):
    drawn = []
    draw_image = RendererPdf.draw_image

    def noted(self, gc, x, y, image, *more):
        drawn.append((image.nbytes, image.base))
        return draw_image(self, gc, x, y, image, *more)

    monkeypatch.setattr(RendererPdf, "draw_image", noted)
    figure = Figure(figsize=(2, 6))
    points = np.random.default_rng(0).normal(size=(2, style.MOST_VECTOR_POINTS + 1))
    for axes in figure.subplots(3):
        axes.scatter(*points)
    style.save(figure, tmp_path / "f.pdf", tmp_path / "f.png")
    page = 4 * (2 * style.DPI) * (6 * style.DPI)
    assert len(drawn) == 3
    assert all(size < page / 3 and base is None for size, base in drawn)
    assert RendererPdf.draw_image is noted
