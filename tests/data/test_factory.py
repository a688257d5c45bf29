import sys

import pytest

from hormesis.errors import DataError, SettingError
from hormesis.settings.factory import call_factory, is_factory, load_factory, users_code

MODULE = """
from os.path import sep
NUMBER = 7
def build():
    import nets_helper
    return nets_helper.VALUE
def broken():
    raise KeyError("no such layer")
class Made:
    pass
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A user's module in the current directory, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets_user.py").write_text(MODULE)
    (tmp_path / "nets_helper.py").write_text("VALUE = 42\n")
    (tmp_path / "nets_syntax.py").write_text("def (:\n")
    (tmp_path / "nets_needs.py").write_text("import package_that_is_not_there\n")
    (tmp_path / "nets_raises.py").write_text("\n\nraise OSError('no licence\\nfile')\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("nets_")]:
        del sys.modules[name]


def test_the_current_directory_is_on_the_path_and_only_meanwhile(nets):
    before = list(sys.path)
    assert load_factory("nets_user:NUMBER", "model") == 7
    assert call_factory("nets_user:build", "model") == 42
    assert sys.path == before


def test_what_can_be_called_is_called_and_anything_else_returned(nets):
    assert call_factory("nets_user:NUMBER", "data set") == 7
    assert type(call_factory("nets_user:Made", "data set")).__name__ == "Made"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nets_user", "Expected a model as `package.module:attribute`, got 'nets_user'"),
        ("nets_user:", "as `package.module:attribute`"),
        ("nets-user:build", "as `package.module:attribute`"),
        ("nets_absent:build", "There is no module 'nets_absent', named by the model"),
        ("nets_user.inner:build", "no module 'nets_user.inner'"),
        ("nets_user:bulid", "'nets_user' has no 'bulid', .* Did you mean build\\?"),
        ("nets_user:xyz", r"has no 'xyz', named by the model 'nets_user:xyz'\.$"),
        ("nets_needs:build", "failed: ModuleNotFoundError: .*package_that_is_not_there.*line 1"),
        ("nets_syntax:build", "failed: SyntaxError: .*nets_syntax.py, line 1"),
        ("nets_raises:build", r"failed: OSError: no licence file \(nets_raises.py, line 3\)"),
        ("nets_user:broken", r"failed: KeyError: 'no such layer' \(nets_user.py, line 8\)"),
    ],
)
def test_what_goes_wrong_is_named(nets, spec, message):
    before = list(sys.path)
    with pytest.raises(SettingError, match=message):
        call_factory(spec, "model")
    assert sys.path == before


def test_our_own_errors_pass_unchanged():
    with pytest.raises(DataError, match=r"^plain$"), users_code("a:b", "data set"):
        raise DataError("plain")


def test_a_path_is_no_factory():
    assert is_factory("pkg.sub.mod:name")
    assert not any(map(is_factory, ["C:\\data", "a/b:c", ":x", "x:", "a..b:c", "1a:b", "a:b:c"]))
