"""The commands: each takes the arguments, and returns the output."""

from __future__ import annotations

import os
import signal
import sys
from errno import EACCES, ENOENT
from shutil import which
from typing import TYPE_CHECKING, Final

from attrs import asdict

from stskit._cli import console
from stskit._cli.options import UsageError, check, check_only_one
from stskit._cli.outputs import Result, build_delivery, deliver_to_process
from stskit._cli.recipe import (
    build_recipe,
    build_server,
    build_source_of_keys,
    read_assertion,
    region_for_command,
    use_profile,
)
from stskit.engine import caller_identity
from stskit.sinks import Environment
from stskit.sources import SAMLFile
from stskit.sources.profile.process import mark_process

if TYPE_CHECKING:
    from argparse import Namespace

    from stskit._cli.doctor.findings import Finding

__all__ = ["assume", "doctor", "execute", "process", "roles", "whoami"]


# The fields of an assertion in the output, with their labels; those without a label are in the table or in JSON only.
_ASSERTION_LABELS: Final = {
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


def roles(args: Namespace) -> Result:
    """Show what an assertion offers, also one that has expired."""
    assertion = read_assertion(SAMLFile(args.saml_file).snapshot(), args.saml_file)
    facts = {name: getattr(assertion, name) for name in _ASSERTION_LABELS}
    pairs = [(role.role_arn.split(":")[4], role.role_arn, role.principal_arn) for role in assertion.roles]
    listed = f"It offers no role of AWS{assertion.similar_names('Role')}."
    if pairs:
        listed = console.table(("ACCOUNT", "ROLE", "PROVIDER"), pairs, sys.stdout)
    end = console.moment(assertion.not_on_or_after)
    shown = {label: end if label == "good until" else facts[name] for name, label in _ASSERTION_LABELS.items() if label}
    return Result(f"{listed}\n\n{console.fields(shown)}", facts)


def assume(args: Namespace) -> Result:
    """Deliver credentials, of a role or as they are, to a sink."""
    check_only_one(args, "destination", needed="say where the credentials go, by one of")
    recipe = build_recipe(args)
    deliver = build_delivery(args)
    credentials = recipe.fetch()
    if credentials.session_token is None:  # a copy would never expire
        raise UsageError("those are long-term keys, and are not copied", remedy="name a role, or add --session-token")
    return deliver(credentials)


def execute(args: Namespace) -> Result:
    """Replace this process by the program, with the credentials in its environment; return only where that fails."""
    if not any(args.program[:1]):
        raise UsageError("no command is given", remedy="put it after two dashes: stskit exec ROLE -- aws s3 ls")
    recipe = build_recipe(args)
    program = args.program[0]
    if which(program) is None:  # a wrong name costs no call and no MFA code
        number = EACCES if os.path.dirname(program) and os.path.exists(program) else ENOENT
        return _not_run(args, OSError(number, os.strerror(number)))
    environment = recipe.fetch().to(Environment(os.environ, region=region_for_command(args)))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a program inherits that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(program, args.program, environment)  # noqa: S606 - the caller's own command, without a shell
    except OSError as error:
        return _not_run(args, error)


def _not_run(args: Namespace, error: OSError) -> Result:
    """Write why the program cannot be run; return the exit status that a shell has then."""
    problem = UsageError(f"{args.program[0]} cannot be run: {error.strerror}")
    console.write_error(problem, args.argv, in_json=args.json)
    return Result("", {}, 127 if isinstance(error, FileNotFoundError) else 126)


def process(args: Namespace) -> Result:
    """Print the document of a credential_process."""
    mark_process(args.argv)
    return deliver_to_process(build_recipe(args).fetch())


def whoami(args: Namespace) -> Result:
    """Show the caller that STS sees in the credentials."""
    check(args)
    identity = caller_identity(build_source_of_keys(args).fetch(), sts=build_server(args))
    facts = {"account": identity.account, "arn": identity.arn, "user_id": identity.user_id}
    return Result(console.fields({name.replace("_", " "): value for name, value in facts.items()}), facts)


def doctor(args: Namespace) -> Result:
    """Show what would happen and what is wrong, in a line or two each."""
    from stskit._cli.doctor.examine import examine  # it loads botocore

    check(args)
    use_profile(args.profile)
    findings = [
        *examine(
            saml_file=args.saml_file,
            oidc_token_file=args.oidc_token_file,
            json_field=args.json_field,
            profile=args.profile,
            keys_file=args.keys_file,
            region=args.region,
            endpoint_url=args.endpoint_url,
            use_fips=args.use_fips,
            allow_http=args.allow_http,
            offline=args.offline,
            run=args.run,
        )
    ]
    status = int(any(each.state == "wrong" for each in findings))
    return Result("\n".join(map(_finding, findings)), [asdict(each) for each in findings], status)


def _finding(finding: Finding) -> str:
    state = console.paint(finding.state.ljust(5), _COLOURS[finding.state], sys.stdout)
    remedy = f"\n       {finding.remedy}" if finding.remedy else ""
    return f"{state}  {finding.about}: {finding.text}{remedy}"
