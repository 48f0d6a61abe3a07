"""The commands of ``stskit``. Each gets the arguments and returns the output."""

from __future__ import annotations

import os
import signal
import sys
from errno import EACCES, ENOENT
from typing import TYPE_CHECKING, Final

from attrs import asdict

from stskit import sinks
from stskit._arguments import quoted
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
from stskit.errors import ProofInvalid
from stskit.sources import SAMLFile
from stskit.sources.profile.process import mark_process

if TYPE_CHECKING:
    from argparse import Namespace

    from stskit._cli.doctor.findings import Finding

__all__ = ["assume", "doctor", "execute", "process", "roles", "whoami"]


# The fields of an assertion in the output, with their labels. Fields without a label are only in the table or in JSON.
_ASSERTION_LABELS: Final = {
    "roles": "",
    "issuer": "issuer",
    "subject": "subject",
    "audience": "audience",
    "session_name": "session name",
    "session_duration": "longest session",
    "source_identity": "source identity",
    "issued_at": "",
    "not_on_or_after": "valid until",
}
_NOT_RUN: Final = {ENOENT: "Check its path.", EACCES: "Make it executable (chmod +x), or check its path."}
_COLOURS: Final = {"ok": "green", "note": "yellow", "wrong": "red"}


def roles(args: Namespace) -> Result:
    """Show the roles that an assertion offers, also if it has expired."""
    try:
        assertion = read_assertion(SAMLFile(args.saml_file).snapshot(), args.saml_file)
    except ProofInvalid as error:
        if "--oidc-token-file" in error.cli_remedy:  # this command does not have the option
            error.cli_remedy = "Pass a file with a SAML response, because an OIDC token offers no roles."
        raise
    facts = {name: getattr(assertion, name) for name in _ASSERTION_LABELS}
    pairs = [(role.role_arn.split(":")[4], role.role_arn, role.principal_arn) for role in assertion.roles]
    listed = f"It offers no role of AWS.{assertion.similar_names('Role')}"
    if pairs:
        listed = console.table(("ACCOUNT", "ROLE", "PROVIDER"), pairs, sys.stdout)
    end = console.moment(assertion.not_on_or_after)
    shown = {
        label: end if label == "valid until" else facts[name] for name, label in _ASSERTION_LABELS.items() if label
    }
    return Result(f"{listed}\n\n{console.fields(shown)}", facts)


def assume(args: Namespace) -> Result:
    """Deliver the credentials of a role, or of a profile, to a sink."""
    check_only_one(args, "destination", if_none="invalid usage: there is no destination for the credentials.")
    recipe = build_recipe(args)
    deliver = build_delivery(args)
    credentials = recipe.fetch()
    if credentials.session_token is None:  # a copy would never expire
        raise UsageError(
            "These are long-term keys, and stskit does not copy them.",
            remedy="Pass a role ARN, or add --session-token.",
        )
    return deliver(credentials)


def execute(args: Namespace) -> Result:
    """Replace this process by the program, with the credentials in its environment. Return only if that fails."""
    from shutil import which

    if not any(args.program[:1]):
        raise UsageError(
            "There is no command to run.", remedy="Write it after two dashes: stskit exec ROLE -- aws s3 ls"
        )
    program = args.program[0]
    if program.startswith("arn:"):
        raise UsageError(
            f"{quoted(program)} is a role, not a command.",
            remedy="Write the role before the two dashes: stskit exec ROLE -- COMMAND",
        )
    recipe = build_recipe(args)
    if which(program) is None:  # checked first, so that a wrong name costs no call and no MFA code
        number = EACCES if os.path.dirname(program) and os.path.exists(program) else ENOENT
        return _not_run(args, OSError(number, os.strerror(number)))
    environment = recipe.fetch().to(sinks.Environment(os.environ, region=region_for_command(args)))
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these signals, and a program would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(program, args.program, environment)  # noqa: S606 - the caller's own command, without a shell
    except OSError as error:
        return _not_run(args, error)


def _not_run(args: Namespace, error: OSError) -> Result:
    """Write why the program could not be started, and return the exit status that a shell would return."""
    program = args.program[0]
    remedy = _NOT_RUN.get(error.errno or 0, "")
    if error.errno == ENOENT and not os.path.dirname(program):
        remedy = "Check its name, and the variable PATH."
    problem = UsageError(f"{program} could not be started: {error.strerror}.", remedy=remedy)
    console.write_error(problem, args.argv, in_json=args.json)
    return Result("", {}, 127 if isinstance(error, FileNotFoundError) else 126)


def process(args: Namespace) -> Result:
    """Print the document of a credential_process."""
    mark_process(args.argv)
    return deliver_to_process(build_recipe(args).fetch())


def whoami(args: Namespace) -> Result:
    """Show the identity that STS knows for the credentials."""
    check(args)
    identity = caller_identity(build_source_of_keys(args).fetch(), sts=build_server(args))
    facts = {"account": identity.account, "arn": identity.arn, "user_id": identity.user_id}
    return Result(console.fields({name.replace("_", " "): value for name, value in facts.items()}), facts)


def doctor(args: Namespace) -> Result:
    """Show the findings of an examination, each in one or two lines."""
    from stskit._cli.doctor.examine import examine  # imported here, because it loads botocore

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
