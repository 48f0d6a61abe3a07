"""Build source, MFA, roles, STS and recipe from the arguments of the command line."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from re import fullmatch
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from stskit._arguments import path_text, quoted
from stskit._cli.mistakes import copied_text_problem
from stskit._cli.options import UsageError, arguments_for, check, uses_no_role
from stskit.caches import FileCache
from stskit.credentials import Credentials
from stskit.engine import AssumedRole
from stskit.errors import ProofInvalid, RoleNotOffered, SignInRequired
from stskit.mfa import MFA, MFACommand
from stskit.refresh import Cached
from stskit.roles import Role
from stskit.sinks import REGIONS
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sources.proof_file import FileSnapshot, display_name, read_proof
from stskit.sources.saml_file import SavedResponse
from stskit.sts import BotocoreSTS

if TYPE_CHECKING:
    from argparse import Namespace

    from stskit.proofs import Proof, SAMLAssertion
    from stskit.protocols import Source

__all__ = [
    "build_recipe",
    "build_server",
    "build_source_of_keys",
    "read_assertion",
    "read_credentials",
    "region_for_command",
    "use_profile",
]

_MAX_INPUT_BYTES: Final = 100_000
_ROLE_ARN_REMEDY: Final = (
    "Pass a role ARN, for example arn:aws:iam::123456789012:role/Deploy. With --saml-file, its name is enough."
)


def build_server(args: Namespace) -> BotocoreSTS:
    """Return the STS to call."""
    return BotocoreSTS(**arguments_for(BotocoreSTS, args))


def build_source_of_keys(args: Namespace) -> Source[Credentials]:
    """Return the source if the proof is AWS credentials."""
    if args.keys_file is not None:
        return Static(read_credentials(args.keys_file))
    _check_profile_name(args)
    use_profile(args.profile)
    return Profile(**arguments_for(Profile, args))


def _check_profile_name(args: Namespace) -> None:
    """Raise `UsageError` if ``--profile`` is an ARN. A profile can have such a name, so the files are read first."""
    if not (args.profile or "").startswith("arn:"):
        return
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    with suppress(BotoCoreError):  # if a file has an error, it is reported when the profile is used
        if args.profile not in Session().available_profiles:
            remedy = "Write --profile NAME"
            if hasattr(args, "roles"):
                remedy = "Write the role without an option. If it needs a profile, add --profile NAME"
            raise UsageError(
                f"--profile {quoted(args.profile)} is an ARN, not the name of a profile.",
                remedy=remedy,
                option="--profile",
            )


def build_recipe(args: Namespace) -> Source[Credentials]:
    """Return the source of the credentials. Raise `UsageError` if arguments contradict each other."""
    check(args)
    sts = build_server(args)
    if uses_no_role(args):
        return _session_token(args, sts) if args.session_token else _cached(args, build_source_of_keys(args))
    if args.from_env:
        recipe = AssumedRole.from_env(sts=sts)
        role = evolve(recipe.role, **_role_arguments(args), **_mfa_of_role(args))
        recipe = evolve(recipe, role=role, **arguments_for(AssumedRole, args))
    else:
        source = _source(args, sts)
        recipe = AssumedRole.through(*_roles(args, source), source=source, sts=sts, **arguments_for(AssumedRole, args))
    if args.cache and args.session_token:  # the session token has the key, and the role uses its identity
        return Cached(recipe, FileCache())
    return _cached(args, recipe)


def _cached(args: Namespace, source: Source[Credentials]) -> Source[Credentials]:
    return Cached(source, FileCache(), **arguments_for(Cached, args)) if args.cache else source


def _source(args: Namespace, sts: BotocoreSTS) -> Source[Proof]:
    if args.saml_file is not None:
        return SAMLFile(**arguments_for(SAMLFile, args)).snapshot()  # its roles are searched, too
    if args.oidc_token_file is not None:
        return OIDCTokenFile(**arguments_for(OIDCTokenFile, args))
    return _session_token(args, sts) if args.session_token else build_source_of_keys(args)


def _session_token(args: Namespace, sts: BotocoreSTS) -> Source[Credentials]:
    return _cached(args, SessionToken(build_source_of_keys(args), _mfa(args), sts=sts))


def use_profile(profile: str | None) -> None:
    """Make the settings of a profile apply to STS too, by setting ``AWS_PROFILE`` for this process.

    None changes nothing.
    """
    if profile is not None:
        os.environ["AWS_PROFILE"] = profile
        os.environ.pop("AWS_DEFAULT_PROFILE", None)  # botocore's first choice


def region_for_command(args: Namespace) -> str | None:
    """Return ``--region``, else the region of ``--profile`` if the environment has none.

    Raises what botocore raises if it cannot read the profile.
    """
    region: str | None = args.region
    if region or args.profile is None or any(map(os.environ.get, REGIONS)):
        return region
    from botocore.session import Session

    found = Session(profile=args.profile).get_scoped_config().get("region")
    return found if found and isinstance(found, str) else None  # an indented block is a mapping


# Roles ----------------------------------------------------------------------------------------------------------------


def _roles(args: Namespace, source: Source[Proof]) -> list[Role]:
    """Return the roles from left to right. The MFA code is for the first, and the other options are for the last."""
    arns = [_first_role_arn(args, source), *args.roles[1:]]
    arguments: list[dict[str, Any]] = [{} for _ in arns]
    arguments[-1].update(_role_arguments(args))
    arguments[0].update(_mfa_of_role(args))
    return [Role(arn, **each) for arn, each in zip(arns, arguments, strict=True)]


def _role_arguments(args: Namespace) -> dict[str, Any]:
    arguments = arguments_for(Role, args)
    arguments.pop("mfa", None)
    if "policy" in arguments:
        arguments["policy"] = str(_read_text(arguments["policy"], "a session policy in JSON"))
    for each in arguments.get("policy_arns", ()):
        if each and not each.startswith("arn:"):
            raise UsageError(
                f"--policy-arn {quoted(each)} is not a valid policy ARN.",
                remedy="Pass arn:aws:iam::aws:policy/NAME for a policy of AWS, or arn:aws:iam::ACCOUNT:policy/NAME for "
                "your own.",
                option="--policy-arn",
            )
    if args.external_id_file is not None:
        arguments["external_id"] = _read_text(args.external_id_file, "an external ID").strip()
    if "tags" in arguments:
        names = [name for name, _ in arguments["tags"]]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise UsageError(
                f"--tag has the key {quoted(repeated[0])} more than once.", remedy="Keep one of them.", option="--tag"
            )
        arguments["tags"] = dict(arguments["tags"])
    return arguments


def _mfa_of_role(args: Namespace) -> dict[str, Any]:
    mfa = None if args.session_token else _mfa(args)
    return {} if mfa is None else {"mfa": mfa}


def _first_role_arn(args: Namespace, source: Source[Proof]) -> str:
    """Return the ARN of the first role, which can be a name if the assertion offers it."""
    wanted: str = args.roles[0] if args.roles else ""
    for each in args.roles:
        if os.path.isfile(each):
            raise UsageError(
                f"{each} is a file, not a role.", remedy="Did you mean --saml-file, --oidc-token-file or --keys-file?"
            )
        if problem := copied_text_problem(each):
            raise UsageError(problem[0], remedy=problem[1])
    for each in args.roles[1:]:
        if not each.startswith("arn:"):
            remedy = "Pass the role ARN. To assume two separate roles, run stskit twice."
            if "--" in args.argv and args.command != "exec":
                remedy = "To run a command with the credentials, use: stskit exec ROLE -- COMMAND"
            raise UsageError(
                f"{quoted(each)} is not a valid role ARN. Several roles are a chain, each assumed from the one before, "
                "and only the first can be a name.",
                remedy=remedy,
            )
    if isinstance(source, FileSnapshot) and not wanted.startswith("arn:"):
        return _offered_role_arn(source, args.saml_file, wanted)
    if args.roles and not wanted:  # often an unset variable of a shell
        raise UsageError("The role is empty.", remedy="Pass a role ARN. If it is a shell variable, set the variable.")
    if not wanted:
        raise UsageError(
            "There is no role to assume.",
            remedy=f"{_ROLE_ARN_REMEDY} To use credentials without a role, pass --profile, --keys-file or "
            "--session-token.",
        )
    if not wanted.startswith("arn:"):
        raise UsageError(f"{quoted(wanted)} is {_kind_of_name(wanted)}.", remedy=_ROLE_ARN_REMEDY)
    return wanted


def _kind_of_name(role: str) -> str:
    """Return what a role is that was not typed as an ARN."""
    if fullmatch("[0-9]{12}", role):
        return "an account ID, not a role ARN"
    return "a name, not a role ARN" if fullmatch(r"(?a:[\w+=,.@/-]+)", role) else "not a valid role ARN"


def _offered_role_arn(source: FileSnapshot[SavedResponse, Proof], path: str, wanted: str) -> str:
    assertion = read_assertion(source, path)
    offered = [role.role_arn for role in assertion.roles]
    fitting = [arn for arn in offered if not wanted or wanted.lower() in _names(arn)]
    if len(fitting) == 1:
        return fitting[0]
    listed = "".join(f"\n  {arn}" for arn in fitting or offered) or " none"
    what = f"{'several roles' if fitting else 'no role'} called {wanted}" if wanted else f"{len(offered)} roles"
    raise RoleNotOffered(
        f"{display_name(path)} offers {what}.{'' if offered else assertion.similar_names('Role')}",
        tuple(offered),
        remedy=f"Pass one of these roles:{listed}",
        path=path,
    )


def _names(arn: str) -> list[str]:
    """Return the names for a role in lower case, because no two roles of an account differ only in case."""
    account, path = arn.split(":")[4], arn.split(":role/", 1)[1]
    return [each.lower() for name in (path.rsplit("/", 1)[-1], path) for each in (name, f"{account}/{name}")]


# Files of options; ``-`` is standard input ------------------------------------------------------------------------


def read_assertion(source: FileSnapshot[SavedResponse, Proof], path: str) -> SAMLAssertion:
    """Return the assertion of a file. Raise `ProofInvalid` if its roles cannot be read."""
    assertion = source.read().assertion
    if assertion.is_encrypted:
        raise ProofInvalid(
            f"{display_name(path)}: the SAML assertion is encrypted, so only AWS can read its roles.",
            remedy="Ask the administrator of the identity provider for the role ARN and the ARN of the SAML provider, "
            "and pass the latter with --principal-arn.",
            path=path,
        )
    return assertion


def read_credentials(path: str) -> Credentials:
    """Return the credentials of a JSON file. Raise `SourceError`, which does not quote the file."""
    text = _read_text(path, "credentials in JSON, as aws sts prints them")
    try:
        return Credentials.from_dict(json.loads(text))
    except ProofInvalid as error:
        problem = error.message
    except (ValueError, RecursionError):  # the exception has the text, so it must not become a cause
        problem = "It is not valid JSON."
    raise ProofInvalid(
        f"{display_name(path)} contains no credentials. {problem}",
        remedy="Save the output of an aws sts command in it.",
        path=path,
    )


def _read_text(path: str, what: str) -> str:
    """Return the text of a file. *what* names the expected content in errors. Raise `SourceError`."""
    remedy = "Save it in a file, and pass the path of the file."
    return read_proof(path_text(path, ProofInvalid, remedy=remedy), what, _MAX_INPUT_BYTES)


# MFA codes ------------------------------------------------------------------------------------------------------------


def _mfa(args: Namespace) -> MFA | None:
    """Return the MFA of the arguments. Raise `UsageError` if the command for its code is not valid."""
    if args.mfa_serial is None:
        return None
    if args.mfa_command is None:
        return MFA(args.mfa_serial, args.token_code or _ask_for_code)
    from shlex import split

    words: list[str] = []
    with suppress(ValueError):  # a quote is not closed
        words = split(args.mfa_command)
    if not words:  # not quoted, because the command can contain the seed of the device
        raise UsageError(
            "--mfa-command is empty, or has a quote that is not closed.",
            remedy="Write the command as in a shell.",
            option="--mfa-command",
        )
    return MFA(args.mfa_serial, MFACommand(words))


def _ask_for_code(serial: str) -> str:
    import getpass

    with warnings.catch_warnings(), suppress(EOFError), _signals_raise_exit():
        # without a terminal, the code is read from standard input
        warnings.simplefilter("ignore", getpass.GetPassWarning)
        return getpass.getpass(f"MFA code of {serial}: ")
    raise SignInRequired(
        f"No code was entered for the MFA device {serial}.",
        remedy="Run the command at a terminal, or pass --mfa-command.",
    )


@contextmanager
def _signals_raise_exit() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise an exception, so that the terminal shows typed characters again."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
