"""Equality of code, and the code that a stage reaches."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import disobey
from disobey import code_digest as digests
from disobey.code_digest import code_digest, source_digest

SOURCE = Path(digests.__file__).parent

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


def forget():
    """Let edits be seen: sources are read once a process."""
    for cached in (digests._definition, digests._source, digests._tree, digests._file_of):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package called ``house``; return the digest of some of its modules."""
    monkeypatch.setattr(digests, "PACKAGE", "house")
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
        forget()
        return code_digest(f"house.{module}" for module in modules)

    yield of
    forget()


TOOLS = """
import math
from house.deep import DEPTH

WIDTH = 1


class Base:
    def area(self):
        return 1


class Shape(Base):
    pass


def logged(function):
    return function


@logged
def cut(x=WIDTH):
    return math.floor(x) * DEPTH


def bend():
    return 2
"""
FILES = {"tools": TOOLS, "deep": "DEPTH = 1"}


@pytest.mark.parametrize(
    "stage",
    [
        "import house.tools\ndef run(): house.tools.cut()",
        "import house.tools as t\ndef run(): t.cut()",
        "from house import tools\ndef run(): tools.cut()",
        "from house.tools import cut\ndef run(): cut()",
        "from house.tools import cut as slice\ndef run(): slice()",
        "def run():\n    from house.tools import cut\n    cut()",
        "import house.tools\nclass Stage:\n    def go(self): house.tools.cut()\ndef run(): Stage()",
        "try:\n    import house.tools as t\nexcept ImportError:\n    t = None\ndef run(): t.cut()",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    from house.tools import cut\n"
        "def run(): cut()",
        "from house import tools\ndef run(): helper()\ndef helper(): return tools.cut",
        "from house.again import cut\ndef run(): cut()",
        "from house import tools\ndef run(): getattr(tools, 'cut')()",
        "from house import tools\nDONE = tools.cut()\ndef run(): return DONE",
        "from house import tools\nassert tools.cut()\ndef run(): pass",
    ],
)
def test_a_definition_that_is_named_anywhere_counts(package, stage):
    again = "from house.tools import cut"
    before = package("stage:run", stage=stage, again=again, **FILES)
    assert package("stage:run", tools=TOOLS.replace("math.floor(x)", "math.ceil(x)")) != before


@pytest.mark.parametrize(
    "stage",
    [
        "import json\ndef run(): json.dumps(1)",
        "from house.tools import cut\ndef run(): pass",
        "from house.tools import bend\ndef run(): bend()",
        "from house.tools import cut\ndef run(): pass\ndef other(): cut()",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.tools import cut\n"
        "def run(x: 'cut'): pass",
        "def run(): return 'house.tools.cut'",
        "from house.tools import cut\ndef run(x): raise ValueError(f'{cut(x)}')",
    ],
)
def test_a_definition_that_is_not_reached_does_not_count(package, stage):
    before = package("stage:run", stage=stage, **FILES)
    assert package("stage:run", tools=TOOLS.replace("math.floor(x)", "math.ceil(x)")) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("WIDTH = 1", "WIDTH = 2"),  # a default argument
        ("    return function", "    return print"),  # a decorator
        ("@logged\n", ""),
        ("import math", "import cmath as math"),  # what a name stands for outside the package
        ("from house.deep import DEPTH", "from house.deep import DEPTH2 as DEPTH"),
    ],
)
def test_what_a_definition_is_made_of_counts(package, old, new):
    stage = "from house.tools import cut\ndef run(): cut()"
    before = package("stage:run", stage=stage, tools=TOOLS, deep="DEPTH = 1\nDEPTH2 = 1")
    assert TOOLS.count(old) == 1
    assert package("stage:run", tools=TOOLS.replace(old, new)) != before


def test_a_base_class_counts_and_a_sibling_does_not(package):
    stage = "from house.tools import Shape\ndef run(): Shape().area()"
    before = package("stage:run", stage=stage, **FILES)
    assert package("stage:run", tools=TOOLS.replace("return 2", "return 3")) == before
    assert (
        package("stage:run", tools=TOOLS.replace("        return 1", "        return 3")) != before
    )


@pytest.mark.parametrize(
    "loose", ["SIZES['a'] = 1", "import os\nos.environ['A'] = 'b'", "if True:\n    SIZES = {1: 2}"]
)
def test_what_stands_loose_in_a_module_counts_wherever_it_is_imported(package, loose):
    tools = "SIZES = {}\ndef cut(): pass\ndef bend(): pass"
    for stage in (
        "from house.tools import cut\ndef run(): cut()",
        "import house.tools\ndef run(): pass",
        "def run():\n    import house.tools",
        "import house.between\ndef run(): pass",
    ):
        before = package("stage:run", stage=stage, between="import house.tools", tools=tools)
        assert package("stage:run", tools=f"{tools}\n{loose}") != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("raise ValueError('no')", "raise ValueError('never')"),
        ("raise ValueError(f'{x} is bad')", "raise ValueError(f'bad: {x + 1}')"),
        ("print('done', file=out)", "print('made', file=out)"),
        ("logging.info('done')", "logging.info('made')"),
        ("warnings.warn(f'{x}')", "warnings.warn('of x')"),
    ],
)
def test_the_words_of_errors_and_logs_do_not_count(one, other):
    assert digest(f"def f(x, out):\n    {one}") == digest(f"def f(x, out):\n    {other}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("raise ValueError('no')", "raise KeyError('no')"),
        ("raise ValueError('no')", "return ValueError('no')"),
        ("raise Ended(x)", "raise Ended(x + 1)"),
        ("print(x.pop())", "print(x)"),
        ("logging.info('done')", "logging.error('done')"),
        ("y = print('a')", "y = print('b')"),
        ("say('a')", "say('b')"),
        ("if x:\n        raise ValueError('a')", "if not x:\n        raise ValueError('a')"),
    ],
)
def test_what_an_error_or_a_log_does_counts(one, other):
    assert digest(f"def f(x):\n    {one}") != digest(f"def f(x):\n    {other}")


def test_names_are_followed_to_their_end_and_round_in_circles(package):
    files = {
        "a": "import house.b\ndef run(): return house.b.go()\ndef more(): pass",
        "b": "import house.c\ndef go(): return house.c.end()",
        "c": "import house.a\nx = 1\ndef end(): return house.a.run(), x",
    }
    before = package("a:run", **files)
    assert package("a:run", c=files["c"].replace("x = 1", "x = 2")) != before


def test_modules_of_a_folder_are_followed_and_its_neighbours_are_not(package):
    files = {"losses__kd": "x = 1", "losses__ce": "x = 1"}
    stage = "from house.losses import kd\ndef run(): kd.x"
    before = package("stage:run", stage=stage, **files)
    assert package("stage:run", losses__ce="x = 2") == before
    assert package("stage:run", losses__kd="x = 2") != before


def test_a_name_that_a_module_makes_at_run_time_may_be_any_of_its_definitions(package):
    made = "def cut(): return 1\nglobals()['copy'] = globals()['cu' + 't']"
    before = package("stage:run", stage="from house.b import copy\ndef run(): copy()", b=made)
    assert package("stage:run", b=made.replace("1", "2")) != before


def test_one_member_of_a_file_counts_where_it_is_named_alone(package):
    losses = "def kd(): return 1\ndef dkd(): return 2"
    before = package("stage:run", "losses:kd", stage="def run(): pass", losses=losses)
    assert package("stage:run", "losses:kd", losses=losses.replace("2", "3")) == before
    assert package("stage:run", "losses:kd", losses=losses.replace("1", "3")) != before


def test_a_root_that_is_not_there_is_named(package):
    with pytest.raises(AttributeError, match=r"house\.stage defines no run"):
        package("stage:run", stage="def ran(): pass")


def test_a_registry_member_counts_only_where_it_is_named(package):
    files = {
        "train": "import importlib\n\ndef run(n):\n    return importlib.import_module(n)",
        "models__mlp": "from house import layers\nwidth = layers.bias",
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
    one = package("a", "b", a="x = 1", b="from house.a import x\ny = x")
    assert package("b", "a", "b") == one == package("b")


def test_nothing_is_imported_to_find_out_what_is_imported(package):
    # a dry run digests every stage: it must neither wait for torch nor run a line of the code
    bomb = "raise SystemExit('imported')"
    assert package("stage", stage=f"from house.deep.tools import cut\n{bomb}", deep__tools=bomb)


def test_a_registry_member_without_its_file_is_named(package):
    with pytest.raises(
        ModuleNotFoundError, match=r"house\.models\.vgg: the file of a registry's member"
    ):
        package("models.vgg", models__mlp="")


@pytest.mark.parametrize(
    ("imports", "words"),
    [("from . import tools", "relative import"), ("from house.tools import *", "import *")],
)
def test_an_import_that_is_not_followed_is_refused(package, imports, words):
    with pytest.raises(ValueError, match=re.escape(f"house.stage: {words}")):
        package("stage", stage=imports, tools="")


# --- this package ---------------------------------------------------------------------------


def test_a_dry_run_digests_the_stages_without_torch():
    code = (
        "import sys; from disobey.code_digest import code_digest;"
        "code_digest(['disobey.stages.train:run']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=str)
def test_no_init_file_holds_loose_statements(path):
    # the digest of `import disobey.a.b` does not read disobey/a/__init__.py, though Python runs it
    module = ".".join(path.relative_to(SOURCE.parent).parent.parts)
    assert digests._source(module).loose == []


def test_no_module_of_the_package_uses_its_front_door():
    # a digest does not see what is behind it: `from disobey import compare` names no module
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "disobey":
                names = {alias.name for alias in node.names}
                assert not names & set(disobey.__all__), f"{path}:{node.lineno}"


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
spec = importlib.util.spec_from_file_location("digests", sys.argv[1])
digests = importlib.util.module_from_spec(spec)
sys.modules["digests"] = digests
spec.loader.exec_module(digests)
texts = {path: open(path, encoding="utf-8").read() for path in sys.argv[2:]}
print(json.dumps({path: digests.source_digest(ast.parse(text)) for path, text in texts.items()}))
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

    def digested(python):
        command = [python, tmp_path / "digests.py", digests.__file__, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    assert digested(other) == digested(sys.executable)
