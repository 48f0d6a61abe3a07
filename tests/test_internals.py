"""A list of all undocumented parts of botocore and boto3 that stskit uses.

The tests run with the oldest and the newest supported release and check that each part exists.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3.session
import botocore.credentials
import botocore.session
import pytest
from fake_server import Answer, fake_server
from helpers import PACKAGE

from stskit import Credentials
from stskit.sinks import BotocoreSession
from stskit.sources import Static


def refreshable() -> Any:
    keys = {"access_key": "AKIA", "secret_key": "s", "token": "t", "expiry_time": "2036-01-01T00:00:00Z"}
    return botocore.credentials.RefreshableCredentials.create_from_metadata(keys, dict, "test")


def session() -> botocore.session.Session:
    return botocore.session.Session()


# Each undocumented part, its user and its purpose, and a check that fails if the part changes.
INTERNALS: dict[str, Callable[[], object]] = {
    # sources.profile: the expiry of a profile's credentials, which has no public name (boto/botocore#2694)
    "RefreshableCredentials._expiry_time": lambda: refreshable()._expiry_time == datetime(2036, 1, 1, tzinfo=UTC),
    # sources.profile.provider_chain: the providers of the default chain, two of which are replaced, and their
    # attributes
    "the chain's providers": lambda: isinstance(session().get_component("credential_provider").providers, list),
    "the chain's get_provider": lambda: session().get_component("credential_provider").get_provider("iam-role"),
    "ProfileProviderBuilder": lambda: botocore.credentials.ProfileProviderBuilder(session()).providers("default"),
    # sts.clients: the environment variables that configure a session, and its parser of times
    "Session.SESSION_VARIABLES": lambda: botocore.session.Session.SESSION_VARIABLES["region"],
    "response_parser_factory": lambda: session().get_component("response_parser_factory").set_parser_defaults,
    # sts.clients, sinks.session: one reader of service models for all sessions, and the folder that boto3 adds to it
    "data_loader": lambda: session().get_component("data_loader").load_service_model,
    "Loader.search_paths": lambda: isinstance(session().get_component("data_loader").search_paths, list),
}


@pytest.mark.case("T4")
@pytest.mark.parametrize("name", INTERNALS)
def test_each_internal_of_botocore_exists(name: str) -> None:
    """Each undocumented part of botocore exists in the installed release."""
    assert INTERNALS[name]()


@pytest.mark.case("T4")
def test_botocore_uses_the_credentials_like_its_own() -> None:
    """Botocore uses stskit's credentials only through get_frozen_credentials and attributes that they have."""
    asked: set[str] = set()
    provider = BotocoreSession("us-east-1").attach(Static(Credentials("AKIA", "secret")))
    ours = provider.get_component("credential_provider")

    class Seen:
        """Credentials that record the attributes that botocore reads."""

        def load_credentials(self) -> Seen:
            return self

        def __getattr__(self, name: str) -> object:
            asked.add(name)
            return getattr(ours, name)

    provider.register_component("credential_provider", Seen())
    with fake_server(Answer("<ListAllMyBucketsResult/>")) as server:
        client: Any = provider.create_client("s3", endpoint_url=server.url)
        client.list_buckets()
        client.generate_presigned_url("list_buckets")
    assert "get_frozen_credentials" in asked
    assert asked <= {"get_frozen_credentials", "get_deferred_property", "account_id", "method"}


def modules_over_botocore() -> dict[str, ast.Module]:
    """Return the modules that import botocore or boto3, and the module that reads botocore's errors."""
    trees = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
    return {name: tree for name, tree in trees.items() if imports_botocore(tree) or name == "sources/profile/errors.py"}


def imports_botocore(tree: ast.Module) -> bool:
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return any((name or "").split(".")[0] in ("botocore", "boto3") for name in names)


def private_names(tree: ast.Module) -> set[str]:
    """Return the private names that a module reads from other objects, also with `getattr`."""
    found = {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("getattr", "hasattr", "setattr")
        and isinstance(node.args[1], ast.Constant)
    }
    ours = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and not is_own(node)}
    return {str(name) for name in found | ours if str(name).startswith("_") and not str(name).endswith("__")}


def is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "os", "error")  # errors of stskit


def test_no_other_private_name_is_read() -> None:
    """The modules that use botocore or boto3 read no private names except the two listed here."""
    read = {(name, private) for name, tree in modules_over_botocore().items() for private in private_names(tree)}
    assert read == {("sources/profile/__init__.py", "_expiry_time"), ("sts/wire.py", "_pool_classes_by_scheme")}


def test_no_private_name_is_written() -> None:
    """No module that uses botocore or boto3 sets an attribute of an object that is not its own."""
    for name, tree in modules_over_botocore().items():
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            assert all(is_own(target) for target in targets if isinstance(target, ast.Attribute)), name


def test_boto3_accepts_a_session_of_botocore() -> None:
    """boto3 uses the botocore session that is passed to it."""
    core = session()
    assert boto3.session.Session(botocore_session=core).get_credentials() is core.get_credentials()
