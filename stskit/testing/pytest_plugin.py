"""The pytest plugin of stskit: fixtures for code that asks STS, and comparisons of secrets that show masks only.

Without it, pytest shows how two unequal texts differ, letter by letter. The wheel ships this file as the top-level
module ``pytest_stskit``, because a module inside the package would import stskit in every pytest run. Nothing of
stskit is imported until a test uses a fixture.
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
    """A `stskit.testing.ManualClock`, which stands still until the test moves it."""
    from stskit.testing import ManualClock

    return ManualClock()


@pytest.fixture
def stskit_idp(stskit_clock: ManualClock) -> IdentityProvider:
    """A `stskit.testing.IdentityProvider` with that clock, whose proofs `stskit_sts` accepts."""
    from stskit.testing import IdentityProvider

    return IdentityProvider(clock=stskit_clock)


@pytest.fixture
def stskit_sts(stskit_clock: ManualClock, stskit_idp: IdentityProvider) -> FakeSTS:
    """A `stskit.testing.FakeSTS` with that clock, to pass as ``sts=``."""
    from stskit.testing import FakeSTS

    return FakeSTS(clock=stskit_clock, idp=stskit_idp)


@pytest.fixture
def stskit_aws(
    stskit_sts: FakeSTS, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeSTS]:
    """The same STS as a server: this process and its children call it and nothing else, whatever AWS SDK they use.

    The home folder is new, and its default profile has the keys of a user. All other variables of AWS and of proxies
    are removed from the environment. boto3 has a new default session.
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
    with stskit_sts.serve() as url, _new_default_session():
        usual = {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in {**usual, "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}.items():
            monkeypatch.setenv(name, value)
        yield stskit_sts


@contextmanager
def _new_default_session() -> Iterator[None]:
    """Let ``boto3.client(...)`` make a new default session, because it keeps the first one with its keys."""
    before = getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None)
    _set_default_session(None)
    try:
        yield
    finally:
        _set_default_session(before)


def _set_default_session(session: object) -> None:
    boto3 = sys.modules.get("boto3")
    if boto3 is not None:  # the test may be the first to import it
        vars(boto3)["DEFAULT_SESSION"] = session


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Return what a failed comparison shows of the values of stskit, which may hold secrets."""
    if not (_is_of_stskit(left) or _is_of_stskit(right)):
        return None
    names = [name for name in getattr(type(left), "__slots__", ()) if _differ(left, right, name)]
    return [f"{left!r} {op} {right!r}", *([f"they differ in: {', '.join(names)}"] if names else [])]


def _is_of_stskit(value: object) -> bool:
    return type(value).__module__.startswith("stskit.")


def _differ(left: object, right: object, name: str) -> bool:
    return not name.startswith("_") and getattr(left, name, None) != getattr(right, name, None)
