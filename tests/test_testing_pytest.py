"""The pytest plugin, in a pytest of its own: its fixtures, what it imports, and what it shows of secrets."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import attrs
import boto3
import pytest

import stskit
from stskit import Credentials

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
def plugin(request: pytest.FixtureRequest) -> list[str]:
    """Options for the plugin as it is installed, and for the one in the source tree."""
    return [] if request.param == "installed" else ["-p", "no:stskit", "-p", "stskit.testing.pytest_plugin"]


def test_the_fixtures_are_there_without_any_import(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin: list[str]
) -> None:
    """Each has its part; the one that serves points code to the fake, and leaves the environment as it was."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest(*plugin, "-W", "error", "-W", "ignore:assertions not in test modules")
    result.assert_outcomes(passed=4)
    shown = pytester.runpytest(*plugin, "--fixtures").stdout.str()
    assert all(name in shown for name in ("stskit_clock", "stskit_idp", "stskit_sts", "stskit_aws"))


def test_boto3_may_come_in_with_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, plugin: list[str]
) -> None:
    """Then there is no default session to replace, and the one that the test made is forgotten."""
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


def test_nothing_of_stskit_is_loaded_for_a_run_without_its_fixtures(pytester: pytest.Pytester) -> None:
    """Although the plugin is there: it is a module outside of the package."""
    pytester.makepyfile("""
        import sys

        def test_loaded():
            assert "pytest_stskit" in sys.modules
            assert [name for name in sys.modules if name == "stskit" or name.startswith("stskit.")] == []
            assert [name for name in ("attrs", "botocore", "boto3") if name in sys.modules] == []
    """)
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest").assert_outcomes(passed=1)


@IN_SOURCE_TREE
def test_the_installed_plugin_is_the_one_of_the_source_tree() -> None:
    """An editable install has a copy; where this fails, install it again: pip install -e ."""
    (found,) = entry_points(group="pytest11", name="stskit")
    installed = found.load().__file__
    assert installed is not None
    assert Path(installed).read_text() == SOURCE.read_text()


@pytest.mark.parametrize(
    "module", ["pytest_stskit", pytest.param("stskit.testing.pytest_plugin", marks=IN_SOURCE_TREE)]
)
def test_a_comparison_names_the_attributes_that_differ(module: str) -> None:
    """Of values of stskit, by their masked repr; other comparisons are left alone."""
    compare = import_module(module).pytest_assertrepr_compare
    keys = Credentials("AKIA", "canary")
    assert compare("==", "a", "b") is None
    assert compare("==", keys, keys) == [f"{keys!r} == {keys!r}"]
    differing = compare("==", keys, attrs.evolve(keys, secret_access_key="other-canary"))
    assert differing[1] == "they differ in: secret_access_key"
    assert "canary" not in "".join(differing)


def test_the_kit_loads_botocore_with_the_first_call() -> None:
    """Importing it costs no more than stskit, and a little."""
    code = (
        "import sys, stskit.testing; print([name for name in ('botocore', 'boto3', 'pytest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
