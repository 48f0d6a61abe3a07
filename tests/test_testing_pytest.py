"""The pytest plugin in a separate pytest: its fixtures, its imports, and masked secrets."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import boto3
import pytest

import stskit
from stskit import Credentials
from stskit.sources import Profile

# In the source tree the plugin is a module of the package, and pip copies it to the place where the wheel has it.
SOURCE = Path(stskit.__file__).parent / "testing" / "pytest_plugin.py"
IN_SOURCE_TREE = pytest.mark.skipif(not SOURCE.exists(), reason="installed from a wheel, which has it in one place")

TESTS = """
    import os
    from datetime import timedelta

    import boto3
    from stskit import AssumedRole, assume, caller_identity
    from stskit.sources import Profile, Static
    from stskit.testing import FakeSTS, IdentityProvider, ManualClock

    ROLE = "arn:aws:iam::123456789012:role/Deploy"

    def test_parts(stskit_sts, stskit_idp, stskit_clock):
        assert stskit_sts.idp is stskit_idp
        assert stskit_idp.clock is stskit_clock
        given = assume(ROLE, source=Static(stskit_sts.user()), sts=stskit_sts)
        stskit_clock.advance(timedelta(hours=1))
        assert given.is_expired(now=stskit_clock.now())

    def test_served(stskit_aws, stskit_sts):
        assert stskit_aws is stskit_sts
        assert boto3.client("sts").get_caller_identity()["Arn"].endswith(":user/developer")
        assert assume(ROLE, source=Profile()).account_id == "123456789012"
        assert stskit_aws.count("AssumeRole") == 1
        assert "AWS_PROFILE" not in os.environ and "https_proxy" not in os.environ
        assert "XDG_CACHE_HOME" not in os.environ
        assert not os.listdir(os.path.expanduser("~"))[1:]
        assert os.stat(os.path.expanduser("~/.aws/credentials")).st_mode & 0o777 == 0o600

    def test_served_once_more(stskit_aws):
        assert boto3.client("sts").get_caller_identity()["Arn"].endswith(":user/developer")

    def test_gone():
        assert boto3.DEFAULT_SESSION is None
        assert "AWS_ENDPOINT_URL" not in os.environ
        assert os.environ["AWS_PROFILE"] == "mine"
"""


@pytest.fixture(params=["installed", pytest.param("source", marks=IN_SOURCE_TREE)])
def plugin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options for the installed plugin, or for the plugin of the source tree."""
    monkeypatch.delitem(sys.modules, "stskit.testing.pytest_plugin", raising=False)  # pytest rewrites it when it loads
    return [] if request.param == "installed" else ["-p", "no:stskit", "-p", "stskit.testing.pytest_plugin"]


@pytest.mark.case("P22")
def test_pytest_finds_the_fixtures(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin: list[str]
) -> None:
    """Pytest finds the fixtures, and stskit_aws points code to the fake and restores the environment."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest(*plugin, "-W", "error", "-W", "ignore:assertions not in test modules")
    result.assert_outcomes(passed=4)
    shown = pytester.runpytest(*plugin, "--fixtures").stdout.str()
    assert all(name in shown for name in ("stskit_clock", "stskit_idp", "stskit_sts", "stskit_aws"))


def test_the_default_session_of_boto3_is_removed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin: list[str]
) -> None:
    """If a test imports boto3, its default session is removed afterwards."""
    monkeypatch.delitem(sys.modules, "boto3")
    pytester.makepyfile("""
        import sys

        def test_served(stskit_aws):
            assert "boto3" not in sys.modules
            import boto3
            assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"
            assert boto3.DEFAULT_SESSION is not None

        def test_gone():
            assert sys.modules["boto3"].DEFAULT_SESSION is None
    """)
    result = pytester.runpytest(*plugin, "-W", "ignore:assertions not in test modules")
    result.assert_outcomes(passed=2)


def test_a_run_without_fixtures_loads_nothing_of_stskit(pytester: pytest.Pytester) -> None:
    """A run without its fixtures loads no module of stskit."""
    pytester.makepyfile("""
        import sys

        def test_loaded():
            assert "pytest_stskit" in sys.modules
            assert [name for name in sys.modules if name == "stskit" or name.startswith("stskit.")] == []
            assert [name for name in ("attrs", "botocore", "boto3") if name in sys.modules] == []
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest").assert_outcomes(passed=1)


@IN_SOURCE_TREE
def test_the_installed_plugin_is_current() -> None:
    """The installed plugin is equal to that of the source tree. If not, run pip install -e . again."""
    (found,) = entry_points(group="pytest11", name="stskit")
    installed = found.load().__file__
    assert installed is not None
    assert Path(installed).read_text() == SOURCE.read_text()


@pytest.mark.parametrize(
    "module", ["pytest_stskit", pytest.param("stskit.testing.pytest_plugin", marks=IN_SOURCE_TREE)]
)
def test_a_failed_comparison_names_the_attributes(module: str) -> None:
    """A failed comparison of values of stskit names the attributes that differ, with masks."""
    compare = import_module(module).pytest_assertrepr_compare
    keys = Credentials("AKIA", "canary")
    assert compare("==", "a", "b") is None
    assert compare("==", keys, keys) == [f"{keys!r} == {keys!r}"]
    differing = compare("==", keys, attrs.evolve(keys, secret_access_key="other-canary"))
    assert differing[1] == "they differ in: secret_access_key"
    assert "canary" not in "".join(differing)


ONE, TWO = (
    Credentials("AKIA", f"canary-{each}-key", f"canary-{each}-token", account_id="1") for each in ("one", "two")
)


@dataclasses.dataclass
class Job:
    """A class of a user with the attributes of an instance."""

    name: str
    keys: object


class Pair(NamedTuple):
    name: str
    keys: object


@attrs.define
class Slots:
    keys: object
    _private: object = None


class Odd:
    """A class with a single slot."""

    __slots__ = "keys"  # noqa: PLC0205 - as some do

    def __init__(self, keys: object) -> None:
        self.keys = keys


CONTAINERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "dataclass": (lambda keys: Job("a", keys), "keys.secret_access_key, keys.session_token"),
    "named tuple": (lambda keys: Pair("a", keys), "[1].secret_access_key, [1].session_token"),
    "attrs": (Slots, "keys.secret_access_key, keys.session_token"),
    "slot": (Odd, "keys.secret_access_key, keys.session_token"),
    "list": (lambda keys: [1, keys], "[1].secret_access_key, [1].session_token"),
    "dict": (lambda keys: {"k": keys.secret_access_key}, "['k']"),
    "set": (lambda keys: {keys.secret_access_key}, ""),
    "nested": (lambda keys: {"k": [Job("a", (keys,))]}, "['k'][0].keys[0].secret_access_key"),
    "lengths": (lambda keys: [keys] * (1 if keys is ONE else 2), ""),
    "as a dict": (lambda keys: keys.as_dict(), "['SecretAccessKey'], ['SessionToken']"),
    "keys of a dict": (lambda keys: {keys.secret_access_key: 1}, ""),
}


@pytest.mark.case("P46")
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_failed_comparison_of_containers_is_masked(name: str) -> None:
    """A failed comparison of containers with secrets shows masks and the parts that differ."""
    make, differing = CONTAINERS[name]
    shown = compare()("==", make(ONE), make(TWO))
    assert "canary" not in "\n".join(shown)
    assert (f"they differ in: {differing}" in "\n".join(shown)) if differing else len(shown) == 1


def test_a_text_that_contains_a_secret_is_masked() -> None:
    """A text that contains a secret is masked. Short secrets are not."""
    shown = compare()("in", f"x{ONE.secret_access_key}x", [ONE.secret_access_key])
    assert shown == ["'x***x' in [Secret('***')]"]
    assert compare()("==", "ab", [Credentials("AKIA", "a")])[0].startswith("'ab' == [<Credentials AKIA: ")


def test_other_comparisons_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other comparisons are shown as pytest shows them."""
    assert compare()("==", [Profile("a")], [Profile("b")]) is None
    assert compare()("==", [sys], [pytest]) is None
    monkeypatch.delitem(sys.modules, "stskit")
    assert compare()("==", ONE, TWO) is None


def test_a_container_that_contains_itself_is_compared_once() -> None:
    """A container that contains itself is compared once."""
    left: list[object] = [ONE]
    right: list[object] = [TWO]
    left.append(left)
    right.append(right)
    assert "canary" not in "\n".join(compare()("!=", left, right))
    left[1], right[1] = {"deep": left}, {"deep": right}
    assert "canary" not in "\n".join(compare()("!=", left, right))


def compare() -> Callable[[str, object, object], Any]:
    """Return the hook of the source tree if there is one, so that coverage sees it."""
    module = import_module("stskit.testing.pytest_plugin" if SOURCE.exists() else "pytest_stskit")
    found: Callable[[str, object, object], Any] = module.pytest_assertrepr_compare
    return found


@pytest.mark.case("P46")
@pytest.mark.parametrize("options", [["-vv"], ["-vv", "-p", "no:stskit"]], ids=["with", "without the plugin"])
def test_no_runner_shows_a_secret_letter_by_letter(
    options: list[str], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither pytest nor unittest shows a secret letter by letter."""
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile("""
        import dataclasses, unittest
        from stskit import Credentials

        ONE, TWO = (Credentials("AKIA", "can" + f"ary-{each}", "can" + f"ary-{each}-token") for each in ("one", "two"))

        @dataclasses.dataclass
        class Job:
            keys: object

        def test_dataclass():
            assert Job(ONE) == Job(TWO)

        def test_list():
            assert [Job(ONE)] == [Job(TWO)]

        def test_dict():
            assert ONE.as_dict() == TWO.as_dict()

        class TestIt(unittest.TestCase):
            def test_equal(self):
                self.assertEqual(ONE, TWO)

            def test_dict(self):
                self.assertEqual(ONE.as_dict(), TWO.as_dict())

            def test_lines(self):
                self.assertMultiLineEqual(ONE.session_token, TWO.session_token)
    """)
    result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider", "--showlocals")
    result.assert_outcomes(failed=6)
    assert "canary" not in result.stdout.str()


def test_the_test_kit_loads_botocore_with_the_first_call() -> None:
    """The test kit loads botocore with the first call."""
    code = (
        "import sys, stskit.testing; print([name for name in ('botocore', 'boto3', 'pytest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
