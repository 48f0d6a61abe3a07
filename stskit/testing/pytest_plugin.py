"""The pytest plugin of stskit: fixtures for code that calls STS, and masked secrets in failed comparisons.

Without it, pytest shows how two unequal texts differ, character by character. The wheel contains this file as the
top-level module ``pytest_stskit``, because a module inside the package would import stskit in every pytest run. stskit
is imported only when a test uses a fixture.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from stskit.testing import FakeSTS, IdentityProvider, ManualClock

_SHORTEST: Final = 4  # characters; a shorter secret would mask parts of any text
_MAX_NAMES: Final = 20  # names of parts that differ
_MAX_PARTS: Final = 10_000  # parts that are searched
_MAX_DEPTH: Final = 10


@pytest.fixture
def stskit_clock() -> ManualClock:
    """Return a `stskit.testing.ManualClock`, which does not run until the test moves it."""
    from stskit.testing import ManualClock

    return ManualClock()


@pytest.fixture
def stskit_idp(stskit_clock: ManualClock) -> IdentityProvider:
    """Return a `stskit.testing.IdentityProvider` with that clock. `stskit_sts` accepts its proofs."""
    from stskit.testing import IdentityProvider

    return IdentityProvider(clock=stskit_clock)


@pytest.fixture
def stskit_sts(stskit_clock: ManualClock, stskit_idp: IdentityProvider) -> FakeSTS:
    """Return a `stskit.testing.FakeSTS` with that clock, to pass as ``sts=``."""
    from stskit.testing import FakeSTS

    return FakeSTS(clock=stskit_clock, idp=stskit_idp)


@pytest.fixture
def stskit_aws(
    stskit_sts: FakeSTS, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeSTS]:
    """Run `stskit_sts` as a server, which this process and its children call with any AWS SDK.

    The home folder is new, and its default profile has the keys of a user. All other AWS and proxy variables are
    removed from the environment. boto3 has a new default session.
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
    """Make ``boto3.client(...)`` create a new default session, because it keeps the first one with its keys."""
    before = getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None)
    _set_default_session(None)
    try:
        yield
    finally:
        _set_default_session(before)


def _set_default_session(session: object) -> None:
    boto3 = sys.modules.get("boto3")
    if boto3 is not None:  # the test may import it later
        vars(boto3)["DEFAULT_SESSION"] = session


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Return the text of a failed comparison of stskit values, or of values that contain a stskit secret.

    pytest would show character by character how two secrets differ. Other comparisons are left to pytest.
    """
    if "stskit" not in sys.modules:
        return None
    secrets = sorted({*_secrets_in(left), *_secrets_in(right)}, key=len, reverse=True)  # one may contain another
    if not secrets and not (_is_of_stskit(left) or _is_of_stskit(right)):
        return None
    names = list(islice(_differences(left, right), _MAX_NAMES)) if op == "==" else []
    lines = [f"{left!r} {op} {right!r}", *([f"they differ in: {', '.join(names)}"] if names else [])]
    return [_masked(line, secrets) for line in lines]


def _masked(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "***") if len(secret) >= _SHORTEST else line
    return line


def _is_of_stskit(value: object) -> bool:
    return type(value).__module__.startswith("stskit.")


def _secrets_in(value: object) -> Iterator[str]:
    """Yield the plain text of each `Secret` in a container of any depth."""
    todo, seen = [value], {id(value)}
    while todo and len(seen) < _MAX_PARTS:
        each = todo.pop()
        if isinstance(each, str) and _is_of_stskit(each):
            yield str(each)
        keys = list(each) if isinstance(each, Mapping | AbstractSet) else []
        parts = [part for part in (*_parts(each).values(), *keys) if id(part) not in seen]
        seen.update(map(id, parts))
        todo += parts


def _differences(left: object, right: object, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the names of the parts that differ, for example ``[0].session_token``."""
    here, there = _parts(left), _parts(right)
    if depth < _MAX_DEPTH and here and here.keys() == there.keys() and type(left) is type(right):
        for key in here:
            yield from _differences(here[key], there[key], name + key, depth + 1)
    elif name and left != right:
        yield name.removeprefix(".")


def _parts(value: object) -> dict[str, object]:
    """Return the parts of a container by their paths, or the public attributes of another value."""
    if isinstance(value, str | bytes | type | ModuleType):
        return {}
    if isinstance(value, Mapping):
        return {f"[{key!r}]": part for key, part in value.items()}
    if isinstance(value, list | tuple):
        return {f"[{place}]": part for place, part in enumerate(value)}
    slots = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    names = {name for each in slots for name in ([each] if isinstance(each, str) else each)}
    public = sorted(str(name) for name in {*names, *getattr(value, "__dict__", ())} if not str(name).startswith("_"))
    return {f".{name}": getattr(value, name, None) for name in public}
