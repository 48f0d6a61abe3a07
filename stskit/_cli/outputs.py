"""Deliver credentials to the destination of the arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from stskit import sinks
from stskit._cli import console
from stskit._cli.formatting import printable
from stskit._cli.options import UsageError, arguments_for

if TYPE_CHECKING:
    from argparse import Namespace

    from stskit.credentials import Credentials

__all__ = ["Delivery", "Result", "build_delivery", "deliver_to_process"]


@frozen
class Result:
    """The output of a command as text, as facts for ``--json``, and its exit status."""

    text: str = field(repr=False)
    facts: Mapping[str, object] | Sequence[object] = field(repr=False)
    status: int = 0


Delivery: TypeAlias = "Callable[[Credentials], Result]"


def build_delivery(args: Namespace) -> Delivery:
    """Return a function that delivers credentials.

    Raise `SinkError` if they could not be delivered, so that no call and no MFA code is wasted.
    """
    if args.to_shell is not None:
        return _to_shell(args)
    if args.to_process:
        return deliver_to_process
    if args.to_dotenv is not None:
        return _to_file(sinks.DotEnv(**arguments_for(sinks.DotEnv, args)), "variables", {})
    profile = args.to_profile
    if profile.startswith("arn:"):
        raise UsageError(
            "--to-profile is an ARN, not the name of a profile.",
            remedy="Write the role before the options: stskit assume ROLE --to-profile NAME",
            option="--to-profile",
        )
    options = arguments_for(sinks.CredentialsFile, args)
    if "config_path" in options and "overwrite" in options and not options.keys() & {"region", "output"}:
        raise UsageError(
            "--config-file has no effect with --overwrite and without a region or an output format.",
            remedy="Omit it.",
            option="--config-file",
        )
    sink = sinks.CredentialsFile(**options)
    return _to_file(sink, f"profile {profile}", {"profile": profile})


def deliver_to_process(credentials: Credentials) -> Result:
    """Return the document of a credential_process."""
    document = credentials.to(sinks.CredentialProcess())
    return Result(document, json.loads(document))


def _to_shell(args: Namespace) -> Delivery:
    shell = sinks.ShellExports(**arguments_for(sinks.ShellExports, args))
    variables = sinks.Environment(**arguments_for(sinks.Environment, args))
    return lambda credentials: Result(credentials.to(shell), credentials.to(variables))


def _to_file(sink: sinks.DotEnv | sinks.CredentialsFile, what: str, named: Mapping[str, str]) -> Delivery:
    sink.check()  # before a call, whose result the sink could refuse

    def write(credentials: Credentials) -> Result:
        path = credentials.to(sink)
        about = {"account": credentials.account_id, "arn": credentials.assumed_role_arn}
        shown = console.fields({**about, "expires": console.moment(credentials.expiration)})
        facts = {**named, "path": path, **about, "expiration": credentials.expiration}
        return Result(f"{printable(f'{what} in {path}')}\n{shown}", facts)

    return write
