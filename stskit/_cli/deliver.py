"""Where the arguments say that credentials go."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from stskit._cli import show
from stskit._cli.formatting import printable
from stskit.sinks import CredentialProcess, CredentialsFile, DotEnv, Environment, ShellExports

if TYPE_CHECKING:
    from argparse import Namespace

    from stskit.credentials import Credentials

__all__ = ["SINKS", "Delivery", "delivery", "to_process"]

SINKS: Final = ("to_profile", "to_shell", "to_dotenv", "to_process")

Delivery: TypeAlias = "Callable[[Credentials], tuple[str, Mapping[str, object]]]"
"""Puts credentials somewhere; gives what is to be printed: as text, and for JSON."""


def delivery(args: Namespace) -> Delivery:
    """What puts credentials where *args* say. Raises `SinkError` where that is no place for any."""
    if args.to_shell is not None:
        return _to_shell(args)
    if args.to_process:
        return to_process
    return _to_file(args)


def _to_shell(args: Namespace) -> Delivery:
    shell = ShellExports(args.to_shell, region=args.set_region)
    variables = Environment(region=args.set_region)
    return lambda credentials: (credentials.to(shell), credentials.to(variables))


def to_process(credentials: Credentials) -> tuple[str, Mapping[str, object]]:
    """The document of a credential_process."""
    document = credentials.to(CredentialProcess())
    return document, json.loads(document)


def _to_file(args: Namespace) -> Delivery:
    sink: DotEnv | CredentialsFile
    if args.to_dotenv is not None:
        sink, what, named = DotEnv(args.to_dotenv, region=args.set_region, backup=args.backup), "variables", {}
    else:
        sink, what, named = _profile(args), f"profile {args.to_profile}", {"profile": args.to_profile}

    def write(credentials: Credentials) -> tuple[str, Mapping[str, object]]:
        path = credentials.to(sink)
        about = {"account": credentials.account_id, "arn": credentials.assumed_role_arn}
        shown = show.fields({**about, "expires": show.moment(credentials.expiration)})
        return f"{printable(f'{what} in {path}')}\n{shown}", {
            **named,
            "path": path,
            **about,
            "expiration": credentials.expiration,
        }

    return write


def _profile(args: Namespace) -> CredentialsFile:
    return CredentialsFile(
        args.to_profile,
        args.credentials_file,
        args.set_region,
        args.set_output,
        config_path=args.config_file,
        overwrite=args.overwrite,
        backup=args.backup,
    )
