"""Images that stay encoded: who reads them, who decodes them, and how often."""

import gc
import io
import threading

import netCDF4
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from disobey.data import images as encoded
from disobey.data.prepared import read_prepared
from disobey.data.raw import RawData, in_memory
from disobey.data.views import views_by_slab
from disobey.provenance import spec_id
from disobey.stages.command import main
from disobey.training.inputs import AugmentedEncoded, EncodedInputs
from disobey.training.teachers import LiveTeacher

CPU = torch.device("cpu")
MODEL = {"family": "small_resnet", "stem": 16, "widths": [16]}
AUGMENT = {"crop_padding": 2, "flip": True}
SEEDS = {"initialisation": 0, "order": 0, "views": 3, "draw": 1}
TRAIN, TEST, SIZE = 20, 6, 98


def photo(seed):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 13, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((130, 110)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def photos(workplace, monkeypatch):
    """The id of a data set of 20 and 6 photos, and its store."""
    files, ids = [photo(seed) for seed in range(TRAIN + TEST)], np.arange(TRAIN + TEST)
    halves = (slice(None, TRAIN), slice(TRAIN, None))
    raw = RawData(*(in_memory(files[h], ids[h] % 2, ids[h]) for h in halves), ("a", "b"))
    data = workplace.prepare(monkeypatch, raw, size=SIZE)
    return data, workplace.path("data", data)


def test_a_batch_is_decoded_once_though_student_and_live_teacher_see_it(
    workplace, photos, monkeypatch
):
    data = photos[0]
    teacher = workplace.train(data, seeds=SEEDS, augment=AUGMENT, model=MODEL)
    distill = {"temperature": 2.0, "weight": 1.0, "teacher": teacher, "live": True}
    spec = workplace.run_spec(data, seeds=SEEDS, augment=AUGMENT, model=MODEL, distill=distill)
    run = ("train", "runs", spec_id("run", spec), spec, ("data", data), ("runs", teacher))
    decoded, whole = [], encoded.decode_square

    def counted(*args, **options):
        decoded.append(args)
        return whole(*args, **options)

    monkeypatch.setattr(encoded, "decode_square", counted)
    workplace.made(*run)
    assert len(decoded) == 2 * TRAIN  # two epochs


def test_a_live_teacher_answers_of_the_tensor_that_the_student_sees():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    teacher, shown = LiveTeacher(model), torch.randn(4, 3)
    teacher.look(shown)
    assert torch.equal(teacher(torch.arange(4)), shown @ model.weight.T + model.bias)
    with pytest.raises(RuntimeError, match="a batch that it has not seen"):
        teacher(torch.arange(3))


def test_hdf5_is_used_by_the_thread_that_asks_and_no_file_stays_open(photos, monkeypatch):
    """A dropped file would be closed by the collector, beside the reads of another thread."""
    users, opened = set(), netCDF4.Dataset

    def noted(*args, **options):
        users.add(threading.get_ident())
        return opened(*args, **options)

    monkeypatch.setattr(netCDF4, "Dataset", noted)
    data = read_prepared(photos[1], None)
    data.train.inputs.threads = 4
    images = EncodedInputs(data.train, data, CPU)
    images.ahead(torch.tensor([3, 1]))
    images.batch(torch.arange(8))
    still = [one for one in gc.get_objects() if type(one) is opened and one.isopen()]
    assert users == {threading.get_ident()} and not still
    assert data.train.inputs._pool._max_workers == 4


def test_what_was_begun_ahead_is_what_reading_it_gives(photos):
    data = read_prepared(photos[1], None)
    data.train.inputs.threads = 3
    inputs = AugmentedEncoded(data, CPU, AUGMENT, 0, 2)
    first, second = torch.tensor([5, 2, 9]), torch.tensor([7, 0])
    inputs.ahead(first)
    inputs.ahead(second)
    inputs.show(1)  # an epoch may begin between: the whole margin is decoded
    view = views_by_slab(0, TRAIN, AUGMENT, 2)[1]
    padding, mean = AUGMENT["crop_padding"], np.array(data.attributes["channel_mean"])
    for index in (second, first):
        found = inputs.batch(index).numpy()
        whole = data.train.inputs.read(index.numpy(), padding)
        for image, pixels, position in zip(found, whole, index.tolist(), strict=True):
            flipped, place = divmod(int(view[position]), (2 * padding + 1) ** 2)
            y, x = divmod(place, 2 * padding + 1)
            cut = pixels[y : y + SIZE, x : x + SIZE][:, :: -1 if flipped else 1]
            scaled = (cut / 255 - mean) / np.array(data.attributes["channel_std"])
            np.testing.assert_allclose(image, scaled.transpose(2, 0, 1), rtol=1e-4, atol=1e-4)
    assert not inputs._begun


def test_threads_that_decode_change_no_weight(workplace, photos):
    by_threads = []
    for threads in ("1", "3"):
        spec = workplace.run_spec(photos[0], model=MODEL)
        id = spec_id("run", spec)
        words = workplace.words("runs", id, spec, ("data", photos[0]))
        assert main("train", [*words, "--threads", threads]) == 0
        folder = workplace.path("runs", id)
        by_threads.append(load_file(folder / "model.safetensors"))
        folder.with_name(f"{id}.json").unlink()
    first, second = by_threads
    assert all(np.array_equal(values, second[name]) for name, values in first.items())
