"""What counts as the same spec, the same code, the same file."""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import disobey
from disobey import provenance
from disobey.provenance import canonical, code_digest, source_digest, spec_hash, spec_id

SOURCE = Path(provenance.__file__).parent

# --- specs ----------------------------------------------------------------------------------


def test_canonical_text_is_json_without_blanks_in_the_order_of_the_keys():
    assert canonical({"b": [1, 0.5, None], "a": {"z": "é", "y": True}}) == (
        '{"a":{"y":true,"z":"\\u00e9"},"b":[1,0.5,null]}'
    )


def test_order_of_keys_does_not_move_the_hash_and_order_of_lists_does():
    spec = {"lr": 1, "decay": 2, "inner": {"p": 1, "q": 2}, "seeds": [0, 1]}
    same = {"inner": {"q": 2, "p": 1}, "seeds": [0, 1], "decay": 2, "lr": 1}
    assert spec_hash(same) == spec_hash(spec)
    assert spec_hash(spec | {"seeds": [1, 0]}) != spec_hash(spec)


def test_values_that_change_places_move_the_hash():
    assert spec_hash({"lr": 1, "decay": 2}) != spec_hash({"lr": 2, "decay": 1})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_say_is_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        canonical({"deep": [{"temperature": number}]})


def test_id_is_the_prefix_and_eight_digits_of_sha256():
    digits = hashlib.sha256(b'{"a":1}').hexdigest()[:8]
    assert spec_id("mlp8", {"a": 1}) == f"mlp8-{digits}"


def test_file_hash_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert provenance.file_sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    )


# --- the digest of one file -----------------------------------------------------------------

PLAIN = """
import math

SCALE = 2.5


class Shape:
    sides = 3

    def area(self, width, height=None):
        if width > 1 and height is not None:
            return width * height
        return [math.sqrt(side) for side in (1, 2)]
"""


def digest(text):
    return source_digest(ast.parse(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2.5", "SCALE = 2.5  # of the paper"),
        ("SCALE = 2.5", "SCALE   =   2.50"),
        ("SCALE = 2.5", "SCALE = (\n    2.5\n)"),
        ("import math\n", '"""About shapes."""\n\nimport math\n'),
        ("    sides = 3", '    """Has sides."""\n\n    sides = 3'),
        ("        if width", '        r"""Return the area."""\n        if width'),
        (
            "(self, width, height=None)",
            "(\n        self,\n        width,\n        height=None,\n    )",
        ),
        ("width > 1 and", "(width > 1) and"),
        ("            return width", "            # the product\n\n            return width"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(old, new):
    assert PLAIN.count(old) == 1
    assert digest(PLAIN.replace(old, new)) == digest(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'a'", 'x = "a"'),
        ("x = 'ab'", "x = 'a' 'b'"),
        ("x = u'a'", "x = 'a'"),
        ("x = 1000", "x = 1_000"),
        ("x = 16", "x = 0x10"),
        ("def f():\n    'one'\n    return 1", "def f():\n    'other'\n    return 1"),
        ("x: int = 1  # type: ignore", "x: int = 1"),
        ("f(a,\n  b)", "f(a, b)"),
        ("t = a, b", "t = (a, b)"),
    ],
)
def test_two_ways_of_writing_the_same_are_equal(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.5", "2.6"),
        ("SCALE", "SCALES"),
        ("sides = 3", "sides = 3.0"),
        ("sides = 3", "sides = '3'"),
        ("sides = 3", "sides = True"),
        ("height=None", "height=0"),
        ("height=None", "height"),
        ("height=None", "*, height=None"),
        ("width > 1", "width >= 1"),
        ("1 and height", "1 or height"),
        ("is not None", "is not True"),
        ("width * height", "height * width"),
        ("return width", "yield width"),
        ("math.sqrt", "math.exp"),
        ("(1, 2)]", "(2, 1)]"),
        ("(1, 2)]", "[1, 2]]"),
        ("class Shape", "class Shape(object)"),
        ("    def area", "    @property\n    def area"),
        ("    def area", "    async def area"),
        ("import math", "import math as math"),
    ],
)
def test_a_change_of_meaning_counts(old, new):
    assert PLAIN.count(old) == 1
    assert digest(PLAIN.replace(old, new)) != digest(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return None", "return"),
        (
            "x = None",
            "x = ...",
        ),
        ("x = []", "x = ()"),
        ("x = b''", "x = ''"),
        ("f(*a)", "f(**a)"),
        ("f(a=b)", "f(b=a)"),
        ("x[1:]", "x[:1]"),
        ("x[None:]", "x[:]"),
        ("{**a, 1: b}", "{1: b, **a}"),
        ("f'{x}'", "f'{x!r}'"),
        ("f'{x:.2f}'", "f'{x:.3f}'"),
        ("match x:\n    case None: pass", "match x:\n    case _: pass"),
        ("match x:\n    case a: pass", "match x:\n    case _: pass"),
        ("if a: pass\nb", "if a:\n    pass\n    b"),
        ("x = 'doc'\n'after'", "x = 'doc'\n'other'"),
    ],
)
def test_two_things_that_differ_in_meaning_are_not_equal(one, other):
    wrapped = [f"def f(x):\n    {text.replace(chr(10), chr(10) + '    ')}" for text in (one, other)]
    assert digest(wrapped[0]) != digest(wrapped[1])


# --- what is followed -----------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package called ``house``; return the digest of some of its modules."""
    monkeypatch.setattr(provenance, "PACKAGE", "house")
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**files):
        for name, text in files.items():
            path = tmp_path / "house" / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            for folder in path.parents:
                if folder == tmp_path:
                    break
                (folder / "__init__.py").touch()

    def of(*modules, **changed):
        write(**changed)
        provenance._module.cache_clear()
        provenance._file_of.cache_clear()
        return code_digest(f"house.{module}" for module in modules)

    yield of
    provenance._module.cache_clear()
    provenance._file_of.cache_clear()


@pytest.mark.parametrize(
    "imports",
    [
        "import house.tools",
        "import house.tools as t",
        "from house import tools",
        "from house.tools import cut",
        "from house.tools import cut as slice",
        "def run():\n    from house.tools import cut",
        "class Stage:\n    def run(self):\n        import house.tools",
        "if True:\n    try:\n        import house.tools\n    except ImportError:\n        pass",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import house.tools",
        "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import house.tools",
    ],
)
def test_a_module_that_is_imported_anywhere_counts(package, imports):
    before = package("stage", stage=imports, tools="cut = 1")
    assert package("stage", tools="cut = 2") != before


@pytest.mark.parametrize(
    "imports",
    [
        "import json",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.tools",
        "import typing\nif typing.TYPE_CHECKING:\n    from house.tools import cut",
        "# import house.tools",
        "name = 'house.tools'",
    ],
)
def test_a_module_that_is_not_imported_does_not_count(package, imports):
    before = package("stage", stage=imports, tools="cut = 1")
    assert package("stage", tools="cut = 2") == before


def test_imports_are_followed_to_their_end_and_round_in_circles(package):
    before = package("a", a="import house.b", b="import house.c", c="import house.a\nx = 1")
    assert package("a", c="import house.a\nx = 2") != before


def test_modules_of_a_folder_are_followed_and_its_neighbours_are_not(package):
    files = {"losses__kd": "x = 1", "losses__ce": "x = 1"}
    before = package("stage", stage="from house.losses import kd", **files)
    assert package("stage", losses__ce="x = 2") == before
    assert package("stage", losses__kd="x = 2") != before


def test_a_registry_member_counts_only_where_it_is_named(package):
    files = {
        "train": "import importlib\n\ndef run(n):\n    return importlib.import_module(n)",
        "models__mlp": "from house import layers\nwidth = 1",
        "models__resnet": "width = 1",
        "layers": "bias = True",
    }
    mlp = package("train", "models.mlp", **files)
    resnet = package("train", "models.resnet")
    assert mlp != resnet
    assert package("train", "models.mlp", models__resnet="width = 2") == mlp
    assert package("train", "models.resnet") != resnet
    assert package("train", "models.mlp", layers="bias = False") != mlp


def test_the_same_code_in_another_module_is_other_code(package):
    assert package("a", a="x = 1", b="x = 1") != package("b")


def test_order_and_repetition_of_modules_do_not_count(package):
    one = package("a", "b", a="x = 1", b="import house.a")
    assert package("b", "a", "b") == one == package("b")


def test_nothing_is_imported_to_find_out_what_is_imported(package):
    # a dry run digests every stage: it must neither wait for torch nor run a line of the code
    bomb = "raise SystemExit('imported')"
    assert package("stage", stage=f"from house.deep.tools import cut\n{bomb}", deep__tools=bomb)


def test_a_registry_member_without_its_file_is_named(package):
    with pytest.raises(ModuleNotFoundError, match=r"house\.models\.vgg: a registry member's file"):
        package("models.vgg", models__mlp="")


def test_a_relative_import_is_refused(package):
    with pytest.raises(ValueError, match=r"house\.stage: relative import"):
        package("stage", stage="from . import tools", tools="")


# --- this package ---------------------------------------------------------------------------


def test_a_dry_run_digests_the_stages_without_torch():
    code = (
        "import sys; from disobey.provenance import code_digest;"
        "code_digest(['disobey.stages.train']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=str)
def test_no_init_file_holds_code(path):
    # the digest of `import disobey.a.b` does not read disobey/a/__init__.py, though Python runs it
    allowed = {"__version__"}
    if path.parent == SOURCE:
        allowed |= FRONT_DOOR
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        name = getattr(statement, "name", None) or getattr(statement, "module", None)
        if isinstance(statement, ast.Assign):
            name = statement.targets[0].id
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        assert docstring or name in allowed, f"{path}:{statement.lineno}"


# What the package gives to notebooks when it is asked for it.
FRONT_DOOR = {"typing", "__all__", "__getattr__", "__dir__"}


def test_no_module_of_the_package_uses_its_front_door():
    # a digest does not see what is behind it: `from disobey import compare` names no module
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "disobey":
                names = {alias.name for alias in node.names}
                assert not names & set(disobey.__all__), f"{path}:{node.lineno}"


def test_versions_name_what_can_change_a_number():
    versions = provenance.versions()
    assert versions["numpy"] == __import__("numpy").__version__
    assert {"torch", "scipy", "xarray", "netCDF4"} <= versions.keys()


def git(folder, *words):
    subprocess.run(
        ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=n@example.org", *words],
        check=True,
        capture_output=True,
    )


def test_git_state_tells_a_changed_or_new_source_file(tmp_path, monkeypatch):
    source = tmp_path / "src"
    source.mkdir()
    monkeypatch.setattr(provenance, "__file__", str(source / "provenance.py"))
    assert provenance.git_state() == {"commit": None, "dirty": None}
    git(tmp_path, "init")
    (source / "a.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = provenance.git_state()
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "run.nc").write_text("a result is no change of the source")
    assert provenance.git_state() == clean
    (source / "b.py").write_text("2")
    assert provenance.git_state() == clean | {"dirty": True}


# --- other Pythons --------------------------------------------------------------------------

TRICKY = r'''
"""Module."""
from __future__ import annotations

import typing as t

A = "one" "two" f"{A!r:>{10}}" "three"
B = f"{A}{'inner' + str(1)}" f"{A=}" f"{A:{'<'}{10}.{3}}" f"{{}}" f"" f"{A:}"
C = (f"{A}"
     "tail" + b"".decode())
D = "\N{BULLET} é 中 \U0001fae8 \U0001fadc \x00"  # emoji of Unicode 15 and 16
E = 1e300, 0x_ff, 1_000, 1j, 0.1, -0.0, ..., None, True
F = lambda x=1, /, y=(2), *a, z=None, **k: (x, y)
G: t.Any
H: dict[str, list[int]] = {**{}, "a": [*E, 1], None: {1, 2}}
assert (n := 10) > 5, f"{n:,}"


@t.no_type_check
@(lambda f: f)
async def g(a, b: int = 3, *, c: str = "x", **kw) -> None:
    """Doc of g."""
    async with a as x, b:
        async for i in a:  # type: int
            await i
    return [j async for j in a if j if not j]


class K(t.Generic[t.T], metaclass=type):
    """Doc of K."""
    x: int
    def m(self):  # type: () -> None
        "doc only"
    def n(self): ...


def h(x):
    match x:
        case {"a": 1, **rest} if rest: pass
        case [1, *_, None] | (2 | 3) as y: pass
        case K(x=0) | -1 | 1+2j | "s" "t": pass
        case True | None: pass
        case _: pass
    try:
        global Q
        del x[0], x
    except* (ValueError, OSError) as e:
        raise e from None
    else:
        x[1:2, ..., ::-1] = x[*E] = 3
    finally:
        x @= 1; x //= 2; x **= 3
    while x: break
    else: yield (yield)
    with (open("a") as p, open("b") as q): pass
    return not x in y is z <= 3 != 4
'''

DIGESTS = """
import ast, importlib.util, json, sys
spec = importlib.util.spec_from_file_location("provenance", sys.argv[1])
provenance = importlib.util.module_from_spec(spec)
spec.loader.exec_module(provenance)
texts = {path: open(path, encoding="utf-8").read() for path in sys.argv[2:]}
print(json.dumps({path: provenance.source_digest(ast.parse(text)) for path, text in texts.items()}))
"""


def interpreter(version):
    """Return a Python of ``version`` that starts, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"{version}.*/bin/python")]
    for path in filter(None, found):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return path
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_digests_are_equal_on_every_python(version, tmp_path):
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip("the Python of this test run")
    other = interpreter(version)
    if other is None:
        pytest.skip(f"no python{version} on this machine")
    (tmp_path / "tricky.py").write_text(TRICKY, encoding="utf-8")
    (tmp_path / "digests.py").write_text(DIGESTS, encoding="utf-8")
    files = [tmp_path / "tricky.py", *sorted(SOURCE.rglob("*.py"))]

    def digests(python):
        command = [python, tmp_path / "digests.py", provenance.__file__, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    assert digests(other) == digests(sys.executable)
