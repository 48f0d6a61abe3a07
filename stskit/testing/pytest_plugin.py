"""A plugin of pytest's: where two secrets are compared and differ, it shows their masks, and not their text.

Without it pytest looks into values that are not equal, and shows how two texts differ, letter by letter. And it has
fixtures for code that asks STS; nothing of them is loaded until a test names one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stskit.testing import FakeSTS, IdentityProvider, ManualClock


@pytest.fixture
def stskit_clock() -> ManualClock:
    """A clock that stands still until the test moves it: `stskit.testing.ManualClock`."""
    from stskit.testing import ManualClock

    return ManualClock()


@pytest.fixture
def stskit_idp(stskit_clock: ManualClock) -> IdentityProvider:
    """An identity provider by that clock, whose proofs `stskit_sts` takes: `stskit.testing.IdentityProvider`."""
    from stskit.testing import IdentityProvider

    return IdentityProvider(clock=stskit_clock)


@pytest.fixture
def stskit_sts(stskit_clock: ManualClock, stskit_idp: IdentityProvider) -> FakeSTS:
    """An STS by that clock, to be passed as ``sts=``: `stskit.testing.FakeSTS`."""
    from stskit.testing import FakeSTS

    return FakeSTS(clock=stskit_clock, idp=stskit_idp)


@pytest.fixture
def stskit_aws(
    stskit_sts: FakeSTS, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeSTS]:
    """The same STS, served: this process and its children find it and nothing else, whatever AWS SDK they use.

    The home folder is new, and its default profile has the keys of a user. Nothing else in the environment speaks of
    AWS or of proxies. boto3 has a new default session.
    """
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    keys = stskit_sts.user()
    (home / ".aws").mkdir(mode=0o700)
    file = home / ".aws" / "credentials"
    file.touch(mode=0o600)
    file.write_text(
        f"[default]\naws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret_access_key}\n"
    )
    with stskit_sts.serve() as url, _another_default_session():
        usual = {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in {**usual, "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}.items():
            monkeypatch.setenv(name, value)
        yield stskit_sts


@contextmanager
def _another_default_session() -> Iterator[None]:
    """For ``boto3.client(...)``, which keeps one for the whole process, and with it the keys that it found first."""
    before = getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None)
    _set_default_session(None)
    try:
        yield
    finally:
        _set_default_session(before)


def _set_default_session(session: object) -> None:
    boto3 = sys.modules.get("boto3")
    if boto3 is not None:  # it may come in with the test
        vars(boto3)["DEFAULT_SESSION"] = session


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """What a failed comparison shows of the values of this package, which are secrets or may hold some."""
    if not (_is_discreet(left) or _is_discreet(right)):
        return None
    names = [name for name in getattr(type(left), "__slots__", ()) if _differ(left, right, name)]
    return [f"{left!r} {op} {right!r}", *([f"they differ in: {', '.join(names)}"] if names else [])]


def _is_discreet(value: object) -> bool:
    return type(value).__module__.startswith("stskit.")


def _differ(left: object, right: object, name: str) -> bool:
    return not name.startswith("_") and getattr(left, name, None) != getattr(right, name, None)
