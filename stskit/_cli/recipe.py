"""What the arguments ask for, as the parts that everybody has: source, role, STS, recipe."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import evolve

from stskit._cli.input_files import credentials_in, text_in
from stskit._cli.mfa_code import mfa
from stskit._cli.usage import UsageError, check, is_given, needs_no_role
from stskit.engine import AssumedRole
from stskit.errors import ProofInvalid, RoleNotOffered
from stskit.refresh import Cached
from stskit.roles import Role
from stskit.sinks.environment import REGIONS
from stskit.sources import OIDCTokenFile, Profile, SAMLFile, SessionToken, Static
from stskit.sts import BotocoreSTS

if TYPE_CHECKING:
    from argparse import Namespace

    from stskit.credentials import Credentials
    from stskit.proofs import Proof, SAMLAssertion
    from stskit.protocols import Source

__all__ = ["keys", "offer", "recipe", "region", "server", "use_profile"]


def server(args: Namespace) -> BotocoreSTS:
    """Which STS is asked."""
    return BotocoreSTS(args.region, endpoint_url=args.endpoint_url, use_fips=args.use_fips, allow_http=args.allow_http)


def keys(args: Namespace) -> Source[Credentials]:
    """Where credentials come from, which are no other proof."""
    if args.keys_file is not None:
        return Static(credentials_in(args.keys_file))
    use_profile(args.profile)
    return Profile(args.profile)


def region(args: Namespace) -> str | None:
    """For a command: the region that is given, else that of the profile that is named, where the environment has none.

    Raises what botocore raises where the profile cannot be read.
    """
    given: str | None = args.set_region
    if given or args.profile is None or any(map(os.environ.get, REGIONS)):
        return given
    from botocore.session import Session

    found = Session(profile=args.profile).get_scoped_config().get("region")
    return found if found and isinstance(found, str) else None  # an indented block is a mapping


def use_profile(profile: str | None) -> None:
    """Let the region of *profile* count too, and nothing of the one that the environment names; None: that one counts.

    This is for the process of the command line, and is not undone.
    """
    if profile is not None:
        os.environ["AWS_PROFILE"] = profile
        os.environ.pop("AWS_DEFAULT_PROFILE", None)  # botocore's first choice


def recipe(args: Namespace) -> Source[Credentials]:
    """How to get what is asked for. Raises `UsageError` where the arguments do not go together."""
    check(args)
    sts = server(args)
    if needs_no_role(args):
        return _session_token(args, sts) if args.session_token else _kept(args, keys(args))
    wait = timedelta(seconds=args.wait_for_new_role)
    if args.from_env:
        build = AssumedRole.from_env(sts=sts)
        asked = {name: value for name, value in {**_options(args), **_mfa_of_a_role(args)}.items() if is_given(value)}
        build = evolve(build, role=evolve(build.role, **asked), wait_for_new_role=wait)
    else:
        build = AssumedRole.through(*_roles(args), source=_source(args, sts), sts=sts, wait_for_new_role=wait)
    return _kept(args, build)


def _kept(args: Namespace, source: Source[Credentials]) -> Source[Credentials]:
    if not args.cache:
        return source
    from stskit.caches import FileCache

    return Cached(source, FileCache())


def _source(args: Namespace, sts: BotocoreSTS) -> Source[Proof]:
    if args.saml_file is not None:
        return SAMLFile(args.saml_file, args.principal_arn)
    if args.oidc_token_file is not None:
        return OIDCTokenFile(args.oidc_token_file, json_field=args.json_field)
    return _session_token(args, sts) if args.session_token else keys(args)


def _session_token(args: Namespace, sts: BotocoreSTS) -> Source[Credentials]:
    return _kept(args, SessionToken(keys(args), mfa(args), sts=sts))


def _roles(args: Namespace) -> list[Role]:
    arns = [_first(args), *args.roles[1:]]
    options: list[dict[str, Any]] = [{} for _ in arns]
    options[-1].update(_options(args))
    options[0].update(_mfa_of_a_role(args))
    return [Role(arn, **each) for arn, each in zip(arns, options, strict=True)]


def _mfa_of_a_role(args: Namespace) -> dict[str, Any]:
    return {} if args.session_token else {"mfa": mfa(args)}


def _options(args: Namespace) -> dict[str, Any]:
    return {
        "session_name": args.session_name,
        "duration": args.duration,
        "policy": _policy(args.policy_file),
        "policy_arns": args.policy_arn,
        "tags": dict(args.tag),
        "transitive_tag_keys": args.transitive_tag,
        "external_id": args.external_id,
        "source_identity": args.source_identity,
    }


def _policy(path: str | None) -> str | None:
    return None if path is None else str(text_in(path, "a session policy in JSON"))


def _first(args: Namespace) -> str:
    """The ARN of the first role: as it was given, or by its name among those that the assertion offers."""
    wanted: str = args.roles[0] if args.roles else ""
    for each in args.roles:
        if os.path.isfile(each):
            raise UsageError(f"{each} is a file, and no role; is it --saml-file, --oidc-token-file or --keys-file?")
    for each in args.roles[1:]:
        if not each.startswith("arn:"):
            raise UsageError(
                f"{each!r} is no role ARN. Several roles are a chain, each assumed from the one before, and only the "
                "first may be a name; for two roles call stskit twice"
            )
    if args.saml_file is not None and not wanted.startswith("arn:"):
        return _offered(args, wanted)
    if not wanted.startswith("arn:"):
        what = f"{wanted!r} is no role ARN" if wanted else "no role is named"
        raise UsageError(
            f"{what}; give its ARN, such as arn:aws:iam::123456789012:role/Deploy, or say by --saml-file "
            "which response offers it: then its name is enough. Without a role, credentials are used as they are: name "
            "them by --profile or --keys-file, or ask for --session-token"
        )
    return wanted


def offer(path: str) -> SAMLAssertion:
    """What is in the file at *path*, of which the roles can be read. Raises `ProofInvalid` where they cannot."""
    assertion = SAMLFile(path).read()
    if assertion.is_encrypted:
        raise ProofInvalid(
            f"{path}: the SAML assertion is encrypted, so that only AWS can read which roles it offers; ask "
            "whoever runs the identity provider, and name the ARN of the role, and of the provider with --principal-arn"
        )
    return assertion


def _offered(args: Namespace, wanted: str) -> str:
    offered = [role.role_arn for role in offer(args.saml_file).roles]
    fitting = [arn for arn in offered if not wanted or wanted.lower() in _names(arn)]
    if len(fitting) == 1:
        return fitting[0]
    listed = "".join(f"\n  {arn}" for arn in fitting or offered) or " none"
    what = f"{'several roles' if fitting else 'no role'} called {wanted}" if wanted else f"{len(offered)} roles"
    raise RoleNotOffered(f"{args.saml_file} offers {what}; name one of these:{listed}", tuple(offered))


def _names(arn: str) -> list[str]:
    """What a role may be called beside others, in small letters: in an account no two differ in case alone."""
    account, path = arn.split(":")[4], arn.split(":role/", 1)[1]
    return [each.lower() for name in (path.rsplit("/", 1)[-1], path) for each in (name, f"{account}/{name}")]
