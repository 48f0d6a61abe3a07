"""Build what the arguments ask for from the parts of the library: source, MFA, role, STS and recipe."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from stskit._arguments import path_text, quoted
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


def build_server(args: Namespace) -> BotocoreSTS:
    """Return the STS to call."""
    return BotocoreSTS(**arguments_for(BotocoreSTS, args))


def build_source_of_keys(args: Namespace) -> Source[Credentials]:
    """Return the source of credentials, where these are the proof."""
    if args.keys_file is not None:
        return Static(read_credentials(args.keys_file))
    use_profile(args.profile)
    return Profile(**arguments_for(Profile, args))


def build_recipe(args: Namespace) -> Source[Credentials]:
    """Return the source of the credentials that are asked for. Raise `UsageError` where the arguments contradict."""
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
    if args.cache and args.session_token:  # the session of the user has the key, and the role has its identity
        return Cached(recipe, FileCache())
    return _cached(args, recipe)


def _cached(args: Namespace, source: Source[Credentials]) -> Source[Credentials]:
    return Cached(source, FileCache(), **arguments_for(Cached, args)) if args.cache else source


def _source(args: Namespace, sts: BotocoreSTS) -> Source[Proof]:
    if args.saml_file is not None:
        return SAMLFile(**arguments_for(SAMLFile, args)).snapshot()  # its roles are looked up, too
    if args.oidc_token_file is not None:
        return OIDCTokenFile(**arguments_for(OIDCTokenFile, args))
    return _session_token(args, sts) if args.session_token else build_source_of_keys(args)


def _session_token(args: Namespace, sts: BotocoreSTS) -> Source[Credentials]:
    return _cached(args, SessionToken(build_source_of_keys(args), _mfa(args), sts=sts))


def use_profile(profile: str | None) -> None:
    """Let the settings of *profile* apply to STS too, in place of the profile that the environment names.

    This is for the process of the command line, and is not undone. None changes nothing.
    """
    if profile is not None:
        os.environ["AWS_PROFILE"] = profile
        os.environ.pop("AWS_DEFAULT_PROFILE", None)  # botocore's first choice


def region_for_command(args: Namespace) -> str | None:
    """Return ``--region``, else the region of ``--profile`` where the environment has none.

    Raises what botocore raises where the profile cannot be read.
    """
    given: str | None = args.region
    if given or args.profile is None or any(map(os.environ.get, REGIONS)):
        return given
    from botocore.session import Session

    found = Session(profile=args.profile).get_scoped_config().get("region")
    return found if found and isinstance(found, str) else None  # an indented block is a mapping


# Roles ----------------------------------------------------------------------------------------------------------------


def _roles(args: Namespace, source: Source[Proof]) -> list[Role]:
    """Return the roles from left to right: the MFA code is for the first one, the other options are for the last."""
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
    if args.external_id_file is not None:
        arguments["external_id"] = _read_text(args.external_id_file, "an external ID").strip()
    if "tags" in arguments:
        arguments["tags"] = dict(arguments["tags"])
    return arguments


def _mfa_of_role(args: Namespace) -> dict[str, Any]:
    mfa = None if args.session_token else _mfa(args)
    return {} if mfa is None else {"mfa": mfa}


def _first_role_arn(args: Namespace, source: Source[Proof]) -> str:
    """Return the ARN of the first role: as it was given, or by its name among those that the assertion offers."""
    wanted: str = args.roles[0] if args.roles else ""
    for each in args.roles:
        if os.path.isfile(each):
            raise UsageError(
                f"{each} is a file, and no role", remedy="is it --saml-file, --oidc-token-file or --keys-file?"
            )
    for each in args.roles[1:]:
        if not each.startswith("arn:"):
            raise UsageError(
                f"{quoted(each)} is no role ARN. Several roles are a chain, each assumed from the one before, and only "
                "the first may be a name",
                remedy="for two roles call stskit twice",
            )
    if isinstance(source, FileSnapshot) and not wanted.startswith("arn:"):
        return _offered_role_arn(source, args.saml_file, wanted)
    if not wanted.startswith("arn:"):
        raise UsageError(
            f"{quoted(wanted)} is no role ARN" if wanted else "no role is named",
            remedy="give its ARN, such as arn:aws:iam::123456789012:role/Deploy, or say by --saml-file which response "
            "offers it: then its name is enough. Without a role, credentials are used as they are: name them by "
            "--profile or --keys-file, or ask for --session-token",
        )
    return wanted


def _offered_role_arn(source: FileSnapshot[SavedResponse, Proof], path: str, wanted: str) -> str:
    assertion = read_assertion(source, path)
    offered = [role.role_arn for role in assertion.roles]
    fitting = [arn for arn in offered if not wanted or wanted.lower() in _names(arn)]
    if len(fitting) == 1:
        return fitting[0]
    listed = "".join(f"\n  {arn}" for arn in fitting or offered) or " none"
    what = f"{'several roles' if fitting else 'no role'} called {wanted}" if wanted else f"{len(offered)} roles"
    raise RoleNotOffered(
        f"{display_name(path)} offers {what}{'' if offered else assertion.similar_names('Role')}",
        tuple(offered),
        remedy=f"name one of these:{listed}",
        path=path,
    )


def _names(arn: str) -> list[str]:
    """Return the names that can stand for a role, in small letters: in an account no two differ in case alone."""
    account, path = arn.split(":")[4], arn.split(":role/", 1)[1]
    return [each.lower() for name in (path.rsplit("/", 1)[-1], path) for each in (name, f"{account}/{name}")]


# Files that an option names; ``-`` is standard input ------------------------------------------------------------------


def read_assertion(source: FileSnapshot[SavedResponse, Proof], path: str) -> SAMLAssertion:
    """Return the assertion of *source*, the file at *path*. Raise `ProofInvalid` where its roles cannot be read."""
    assertion = source.read().assertion
    if assertion.is_encrypted:
        raise ProofInvalid(
            f"{display_name(path)}: the SAML assertion is encrypted, so that only AWS can read which roles it offers",
            remedy="ask whoever runs the identity provider, and name the ARN of the role, and of the provider with "
            "--principal-arn",
            path=path,
        )
    return assertion


def read_credentials(path: str) -> Credentials:
    """Return the credentials in the JSON file at *path*. Raise `SourceError`, which quotes nothing of the file."""
    text = _read_text(path, "credentials in JSON, as aws sts prints them")
    try:
        return Credentials.from_dict(json.loads(text))
    except ProofInvalid as error:
        problem = error.message
    except (ValueError, RecursionError):  # it holds the text, so no error may keep it
        problem = "it is no JSON"
    raise ProofInvalid(
        f"{display_name(path)} holds no credentials: {problem}", remedy="save there what aws sts prints", path=path
    )


def _read_text(path: str, what: str) -> str:
    """Return the text in the file at *path*; *what* it should be is for the errors. Raise `SourceError`."""
    remedy = "Save it in a file and write the path of that file"
    return read_proof(path_text(path, ProofInvalid, remedy=remedy), what, _MAX_INPUT_BYTES)


# MFA codes ------------------------------------------------------------------------------------------------------------


def _mfa(args: Namespace) -> MFA | None:
    """Return the MFA that the arguments ask for. Raise `UsageError` where the command for its code cannot be read."""
    if args.mfa_serial is None:
        return None
    if args.mfa_command is None:
        return MFA(args.mfa_serial, args.token_code or _ask_for_code)
    from shlex import split

    words: list[str] = []
    with suppress(ValueError):  # a quote that does not end
        words = split(args.mfa_command)
    if not words:  # the command is not quoted, because it can hold the seed of the device
        raise UsageError(
            "--mfa-command is empty, or has a quote that does not end",
            remedy="give it as a shell would read it",
            option="--mfa-command",
        )
    return MFA(args.mfa_serial, MFACommand(words))


def _ask_for_code(serial: str) -> str:
    import getpass

    with warnings.catch_warnings(), suppress(EOFError), _signals_raise_exit():
        # Without a terminal the code is read from standard input.
        warnings.simplefilter("ignore", getpass.GetPassWarning)
        return getpass.getpass(f"MFA code of {serial}: ")
    raise SignInRequired(
        f"no code was given for the MFA device {serial}", remedy="call it at a terminal, or give --mfa-command"
    )


@contextmanager
def _signals_raise_exit() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the process by an exception, so that the terminal echoes again what is typed."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
