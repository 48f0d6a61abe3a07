"""The commands: each takes the arguments, and gives what is to be shown."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from attrs import asdict, evolve, field, frozen

from stskit._cli import show
from stskit._cli.deliver import SINKS, delivery, to_process
from stskit._cli.doctor.examine import Finding, examine
from stskit._cli.recipe import keys, offer, recipe, region, server, use_profile
from stskit._cli.usage import UsageError, check, only_one
from stskit.engine import caller_identity
from stskit.sinks import Environment

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

__all__ = ["Result", "assume", "doctor", "execute", "process", "roles", "whoami"]


# What is told of an assertion, and under which heading to people; what has none is in the table.
_OF_AN_ASSERTION: Final = {
    "roles": "",
    "issuer": "from",
    "subject": "subject",
    "audience": "for",
    "session_name": "session name",
    "session_duration": "sessions of up to",
    "source_identity": "source identity",
    "issued_at": "",
    "not_on_or_after": "good until",
}


_COLOURS: Final = {"ok": "green", "note": "yellow", "wrong": "red"}


@frozen
class Result:
    """What a command has found: as text for people, and as *facts* for ``--json``."""

    text: str = field(repr=False)
    facts: Mapping[str, object] | Sequence[object] = field(repr=False)
    status: int = 0


def roles(args: Namespace) -> Result:
    """What an assertion offers, also one that has ended."""
    assertion = offer(args.saml_file)
    facts = {name: getattr(assertion, name) for name in _OF_AN_ASSERTION}
    pairs = [(role.role_arn.split(":")[4], role.role_arn, role.principal_arn) for role in assertion.roles]
    listed = show.table(("ACCOUNT", "ROLE", "PROVIDER"), pairs, sys.stdout) if pairs else "It offers no role of AWS."
    end = show.moment(assertion.not_on_or_after)
    shown = {label: end if label == "good until" else facts[name] for name, label in _OF_AN_ASSERTION.items() if label}
    return Result(f"{listed}\n\n{show.fields(shown)}", facts)


def assume(args: Namespace) -> Result:
    """Credentials, of a role or as they are, go to a sink."""
    only_one(args, SINKS, needed="say where the credentials go, by one of")
    deliver = delivery(args)
    credentials = recipe(args).fetch()
    if credentials.session_token is None:  # they would lie in one more place, and for ever
        raise UsageError("those are long-term keys, and are not copied; name a role, or add --session-token")
    return Result(*deliver(credentials))


def execute(args: Namespace) -> Result:
    """Become the program, with the credentials in its environment: signals and exit status are its own."""
    if not any(args.program[:1]):
        raise UsageError("no command is given; put it after two dashes: stskit exec ROLE -- aws s3 ls")
    environment = recipe(args).fetch().to(Environment(os.environ, region=region(args)))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program inherits that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(args.program[0], args.program, environment)  # noqa: S606 - the caller's own command, without a shell
    except OSError as error:
        show.error(UsageError(f"{args.program[0]} cannot be run: {error.strerror}"), in_json=args.json)
        return Result("", {}, 127 if isinstance(error, FileNotFoundError) else 126)


def process(args: Namespace) -> Result:
    """The document of a credential_process."""
    from stskit.sources.profile.provider_chain import mark_process

    mark_process(args.argv)
    return Result(*to_process(recipe(args).fetch()))


def whoami(args: Namespace) -> Result:
    """Whose credentials those are."""
    check(args)
    identity = caller_identity(keys(args).fetch(), sts=server(args))
    facts = {"account": identity.account, "arn": identity.arn, "user_id": identity.user_id}
    return Result(show.fields({name.replace("_", " "): value for name, value in facts.items()}), facts)


def doctor(args: Namespace) -> Result:
    """What would happen and what is wrong, in a line or two each."""
    check(args)
    only_one(args, ("run", "offline"))
    only_one(args, ("run", "saml_file", "oidc_token_file", "keys_file"))  # fetching those runs nothing
    use_profile(args.profile)
    findings = [
        evolve(each, remedy=show.in_options(each.remedy))
        for each in examine(
            saml_file=args.saml_file,
            oidc_token_file=args.oidc_token_file,
            json_field=args.json_field,
            profile=args.profile,
            keys_file=args.keys_file,
            region=args.region,
            endpoint_url=args.endpoint_url,
            use_fips=args.use_fips,
            offline=args.offline,
            run=args.run,
        )
    ]
    status = int(any(each.state == "wrong" for each in findings))
    return Result("\n".join(map(_finding, findings)), [asdict(each) for each in findings], status)


def _finding(finding: Finding) -> str:
    state = show.paint(finding.state.ljust(5), _COLOURS[finding.state], sys.stdout)
    remedy = f"\n       {finding.remedy}" if finding.remedy else ""
    return f"{state}  {finding.about}: {finding.text}{remedy}"
