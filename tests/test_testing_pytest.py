"""The fixtures of the pytest plugin, in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import boto3
import pytest

from stskit.testing import pytest_plugin

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


def test_the_fixtures_are_there_without_any_import(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its part; the one that serves points code to the fake, and leaves the environment as it was."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    pytester.makepyfile(TESTS)
    result = pytester.runpytest("-W", "error", "-W", "ignore:assertions not in test modules")
    result.assert_outcomes(passed=4)
    shown = pytester.runpytest("--fixtures").stdout.str()
    assert all(name in shown for name in ("stskit_clock", "stskit_idp", "stskit_sts", "stskit_aws"))


def test_boto3_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not there, there is no default session to replace; one that comes in with the test is forgotten."""
    monkeypatch.delitem(sys.modules, "boto3")
    with pytest_plugin._another_default_session():
        monkeypatch.setitem(sys.modules, "boto3", boto3)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", "of the test")
    assert boto3.DEFAULT_SESSION is None


def test_nothing_is_loaded_for_a_run_that_names_no_fixture(pytester: pytest.Pytester) -> None:
    """Neither the kit nor botocore."""
    pytester.makepyfile("""
        import sys

        def test_loaded():
            assert "stskit.testing.pytest_plugin" in sys.modules
            assert not [name for name in sys.modules if name.startswith(("stskit.testing", "botocore", "boto3"))]
    """)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)


def test_the_kit_loads_botocore_with_the_first_call() -> None:
    """Importing it costs no more than stskit, and a little."""
    code = (
        "import sys, stskit.testing; print([name for name in ('botocore', 'boto3', 'pytest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout == "[]\n"
