"""Show the main features of stskit, step by step.

Without arguments, the tour runs on this machine only: an STS and an S3 on free ports of 127.0.0.1, an identity
provider, and a home folder that is removed at the end. It does not change your own ~/.aws.

With --role-arn and one of --profile, --saml-file and --token-file, the tour uses your role on AWS.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill

import boto3
from attrs import define, evolve, frozen
from local_aws import LocalAWS, local_aws

from stskit import AssumedRole, Cached, Credentials, Role, StskitError, assume, caller_identity
from stskit.proofs import Proof
from stskit.protocols import STS, Source
from stskit.sinks import Boto3Session, CredentialsFile, Environment
from stskit.sources import OIDCTokenFile, Profile, SAMLFile
from stskit.sts import BotocoreSTS

REGION = "us-east-1"
CHILD = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


@frozen
class Way:
    """A source, the roles to assume with it, and the STS."""

    source: Source[Proof]
    roles: Sequence[str]
    endpoint_url: str | None = None  # the STS of AWS, if None
    bucket: str | None = None  # a bucket to list with the credentials

    @property
    def sts(self) -> BotocoreSTS:
        return BotocoreSTS(endpoint_url=self.endpoint_url)

    @property
    def arguments(self) -> str:
        return ", ".join([*map(repr, self.roles), f"source={self.source!r}".replace(", principal_arn=None", "")])


@frozen
class Row:
    """A line of the table at the end."""

    proof: str
    role: str
    went_to: str
    account: str
    time_left: str


@define
class MovableClock:
    """The time of this machine, moved ahead."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()


@frozen
class STSOfThatTime:
    """An STS with the same moved clock. Without it, all its credentials would have expired by that clock."""

    sts: STS
    clock: MovableClock

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        credentials = self.sts.exchange(proof, role)
        return evolve(credentials, expiration=credentials.expiration and credentials.expiration + self.clock.ahead)


def to_a_profile(way: Way, folder: Path) -> Row:
    """Write a profile. This replaces `aws sts assume-role-with-saml ... | awk ... >> ~/.aws/credentials`."""
    code(f"assume({way.arguments}).to(CredentialsFile('deploy', region={REGION!r}))")
    credentials = assume(*way.roles, source=way.source, sts=way.sts)
    file = credentials.to(CredentialsFile("deploy", folder / "credentials", REGION, config_path=folder / "config"))
    row = introduce(way, credentials, "credentials file")
    fact(
        "profiles in the file",
        f"{sum(line.startswith('[') for line in Path(file).read_text().splitlines())}, and its mode is 0600",
    )
    files = {"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_CONFIG_FILE": str(folder / "config")}
    command = ["awscli", "sts", "get-caller-identity", "--profile", "deploy", "--query", "Arn", "--output", "text"]
    fact("identity (AWS CLI)", run(way, ["-m", *command], {**os.environ, **files}))
    return row


def to_a_child(way: Way) -> Row:
    """Run a child process with credentials. This replaces three copied `export` lines."""
    code(f"subprocess.run(..., env=assume({way.arguments}).to(Environment(os.environ)))")
    credentials = assume(*way.roles, source=way.source, sts=way.sts)
    row = introduce(way, credentials, "environment of a child")
    fact("identity of child", run(way, ["-c", CHILD], credentials.to(Environment(os.environ))))
    return row


def to_a_session(way: Way) -> Row:
    """Use a session that refreshes itself. This replaces refresh code of your own."""
    code(f"session = AssumedRole.through({way.arguments}).to(Boto3Session({REGION!r}))")
    clock = MovableClock()
    recipe = AssumedRole.through(*way.roles, source=way.source, sts=STSOfThatTime(way.sts, clock))
    credentials = Cached(recipe, clock=clock)  # Boto3Session creates one too; here the tour also reads it
    session = credentials.to(Boto3Session(REGION))
    introduce(way, credentials.fetch(), "", clock)
    first = use(way, session)
    left = credentials.fetch().expires_in(now=clock.now())
    clock.ahead += (left or timedelta(0)) + timedelta(seconds=1)
    fact("clock", f"moved ahead by {minutes(clock.ahead)}, so the keys have expired")
    second = use(way, session)
    fact("refreshed", "yes: new keys in the same session" if second != first else "no, which is an error")
    return introduce(way, credentials.fetch(), "refreshing boto3 session", clock)


def use(way: Way, session: boto3.Session) -> str:
    """Use a session, and return the ID of its key."""
    if way.bucket:
        answer = session.client("s3", endpoint_url=way.endpoint_url).list_objects_v2(Bucket=way.bucket)
        done = f"bucket {way.bucket}: {', '.join(each['Key'] for each in answer['Contents'])}"
    else:
        done = session.client("sts", endpoint_url=way.endpoint_url).get_caller_identity()["Arn"]
    keys = session.get_credentials()
    assert keys is not None
    key_id = keys.get_frozen_credentials().access_key
    fact("session reads", f"{done} (with key {key_id})")
    return str(key_id)


def introduce(way: Way, credentials: Credentials, went_to: str, clock: MovableClock | None = None) -> Row:
    """Print the identity of credentials, and how long they are valid."""
    who = caller_identity(credentials, sts=way.sts)
    left = minutes(credentials.expires_in(now=clock.now() if clock else None) or timedelta(0))
    fact("identity", f"{who.arn} in account {who.account}, {left} left")
    return Row(
        type(way.source).__name__, " -> ".join(role.split("/")[-1] for role in way.roles), went_to, who.account, left
    )


def run(way: Way, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the output of another Python process, which uses the region and the STS of the tour."""
    there = {"AWS_DEFAULT_REGION": REGION} | ({"AWS_ENDPOINT_URL": way.endpoint_url} if way.endpoint_url else {})
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**environment, **there},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def on_this_machine(aws: LocalAWS) -> Iterator[Row]:
    """Run the three steps, each with its own proof, in a temporary home folder."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(HOME=str(aws.home), AWS_EC2_METADATA_DISABLED="true")
    os.chdir(aws.home)
    if not aws.has_seaweedfs:
        say(
            "SeaweedFS is not installed (it has no wheel for some platforms), so moto is the STS. It does not "
            "verify proofs."
        )

    title(1, "SAML file -> role -> profile in a credentials file")
    Path("samlresponse.log").write_text(aws.idp.saml_response(roles=[(aws.saml_role, aws.saml_provider)]))
    fact("proof", "samlresponse.log, signed by an identity provider (moto is the STS, and does not verify it)")
    yield to_a_profile(Way(SAMLFile("samlresponse.log"), [aws.saml_role], aws.saml_url), aws.home)

    title(2, "OIDC token file -> role -> environment of a child process")
    Path("token").write_text(aws.idp.oidc_token())
    Path("token").chmod(0o600)
    fact("proof", f"token, an RS256 JWT of the issuer {aws.idp.issuer}")
    yield to_a_child(Way(OIDCTokenFile("token"), [aws.web_role], aws.sts_url))
    if aws.has_seaweedfs:
        fact("STS read from issuer", ", ".join(sorted(set(aws.jwks_requests_log.read_text().splitlines()))))

    title(3, "base profile -> hub role -> target role -> refreshing boto3 session")
    keys = Credentials(aws.access_key_id, aws.secret_access_key)
    fact("proof", f"profile 'base' in {keys.to(CredentialsFile('base'))}")
    yield to_a_session(Way(Profile("base"), [aws.hub_role, aws.target_role], aws.sts_url, "reports"))


def on_aws(source: Source[Proof], role: str, folder: Path) -> Iterator[Row]:
    """Run the three steps with one proof and one role on AWS."""
    way = Way(source, [role])
    title(1, "role -> profile in a credentials file, in a temporary folder")
    yield to_a_profile(way, folder)
    title(2, "role -> environment of a child process")
    yield to_a_child(way)
    title(3, "role -> refreshing boto3 session")
    yield to_a_session(way)


def title(number: int, text: str) -> None:
    print(f"\n{number}  {text}\n", flush=True)


def say(text: str) -> None:
    print(fill(text, 110), flush=True)


def code(text: str) -> None:
    print(fill(text, 110, initial_indent="   >>> ", subsequent_indent="       ", break_on_hyphens=False), flush=True)


def fact(name: str, text: str) -> None:
    print(f"   {name:<22}{text}", flush=True)


def minutes(time_left: timedelta) -> str:
    return f"{round(time_left.total_seconds() / 60)} min"


def table(rows: Sequence[Row]) -> None:
    lines = [("source", "role", "sink", "account", "time left")]
    lines += [(row.proof, row.role, row.went_to, row.account, row.time_left) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print()
    for number, line in enumerate(lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--role-arn", help="role to assume on AWS (default: run on this machine only)")
    proof = parser.add_mutually_exclusive_group()
    proof.add_argument("--profile", type=Profile, dest="source", help="profile whose credentials assume the role")
    proof.add_argument("--saml-file", type=SAMLFile, dest="source", help="file with a SAML response")
    proof.add_argument("--token-file", type=OIDCTokenFile, dest="source", help="file with an OIDC token")
    parser.add_argument(
        "--without-seaweedfs",
        action="store_true",
        help="use moto as the only server, for platforms without a SeaweedFS wheel",
    )
    args = parser.parse_args(argv)
    if (args.role_arn is None) != (args.source is None):
        parser.error(
            "--role-arn needs one of --profile, --saml-file and --token-file, and each of them needs --role-arn"
        )
    if args.role_arn and args.without_seaweedfs:
        parser.error("--without-seaweedfs has no effect with --role-arn. Omit one of them.")
    return args


@contextmanager
def rows(args: argparse.Namespace) -> Iterator[Iterator[Row]]:
    """Yield the steps. Their servers and files are removed at the end."""
    if args.role_arn:
        with TemporaryDirectory(prefix="stskit-tour-") as folder:
            yield on_aws(args.source, args.role_arn, Path(folder))
    else:
        say("Starting SeaweedFS and moto on 127.0.0.1. This takes about 10 seconds, and the tour about 30.")
        with local_aws(seaweedfs=not args.without_seaweedfs) as aws:
            say(f"The servers are ready. The home folder of this tour is {aws.home}.")
            yield on_this_machine(aws)


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):  # clean up, as after Ctrl-C
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup sets this
            signal.signal(number, signal.default_int_handler)
    try:
        with rows(args) as jobs:
            table(list(jobs))
    except (StskitError, RuntimeError) as error:
        print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The servers are stopped and the temporary folder is removed.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
