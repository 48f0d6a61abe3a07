"""Run an AWS on this machine during a `with` block.

    with local_aws() as aws:
        sts = boto3.client("sts", endpoint_url=aws.sts_url, ...)

SeaweedFS is the STS and S3. It checks signatures, trust policies and web identity tokens. moto is the STS for SAML,
which SeaweedFS does not support, and for everything if SeaweedFS is not installed. moto does not verify proofs. A small
web server publishes the key set of an `IdentityProvider`.

The servers belong to a separate process, the keeper, which runs this file as a script. When its standard input closes,
it stops the servers and removes their folder. The operating system closes the input when this process ends.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Literal

from attrs import Factory, field, frozen
from identity_provider import IdentityProvider

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
SAML_PROVIDER = f"arn:aws:iam::{ACCOUNT}:saml-provider/idp"
START_LIMIT, STOP_LIMIT = 60, 15  # seconds

# Trust policies of the roles.
TRUST: Mapping[str, Mapping[str, object]] = {
    "CI": {"Action": ["sts:AssumeRoleWithWebIdentity"], "Principal": {"Federated": "idp"}},
    "Alice": {
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Principal": {"Federated": "idp"},
        "Condition": {"StringEquals": {"oidc:sub": "alice"}},
    },
    # SeaweedFS puts its own users into account 0, and ignores the configuration.
    "Hub": {"Action": ["sts:AssumeRole"], "Principal": {"AWS": "arn:aws:iam::000000000000:user/developer"}},
    # SeaweedFS compares principals exactly, so only a condition can allow any session name.
    "Reports": {
        "Action": ["sts:AssumeRole"],
        "Principal": {"AWS": "*"},
        "Condition": {"StringLike": {"aws:PrincipalArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Hub/*"}},
    },
    "Deploy": {"Action": ["sts:AssumeRoleWithSAML"], "Principal": {"Federated": SAML_PROVIDER}},
}


@frozen
class LocalAWS:
    """Addresses, keys, roles and the folder of the servers. They are valid during the block."""

    folder: Path = field(converter=Path)
    sts_url: str  # and S3
    saml_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    admin_access_key_id: str
    admin_secret_access_key: str = field(repr=False)
    idp: IdentityProvider = field(
        init=False, default=Factory(lambda self: IdentityProvider.load(self.folder / "idp"), takes_self=True)
    )
    account: str = ACCOUNT
    web_role: str = ROLE + "CI"  # accepts any token of idp
    web_alice_role: str = ROLE + "Alice"  # accepts only tokens with the subject alice
    hub_role: str = ROLE + "Hub"  # accepts the user of access_key_id
    target_role: str = ROLE + "Reports"  # accepts sessions of the hub role
    saml_role: str = ROLE + "Deploy"
    saml_provider: str = SAML_PROVIDER

    @property
    def home(self) -> Path:
        """An empty folder to use as a home folder."""
        return self.folder / "home"

    @property
    def jwks_requests_log(self) -> Path:
        """A log with one line for each request to the identity provider."""
        return self.folder / "jwks-requests.log"

    @property
    def has_seaweedfs(self) -> bool:
        """True if there is an STS that verifies proofs."""
        return self.sts_url != self.saml_url


@contextmanager
def local_aws(*, seaweedfs: bool = True) -> Iterator[LocalAWS]:
    """Start the servers, with SeaweedFS if it is installed, and stop them when the block ends."""
    command = [sys.executable, __file__, *([] if seaweedfs else ["--without-seaweedfs"])]
    # The keeper has its own session, so that Ctrl-C reaches only this process.
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert keeper.stdin is not None and keeper.stdout is not None
    try:
        with keeper.stdin, keeper.stdout:
            ready = keeper.stdout.readline()
            if not ready:
                raise RuntimeError("The local AWS did not start. The reason is on standard error.")
            yield LocalAWS(**json.loads(ready))
    finally:
        keeper.terminate()  # a forked child of ours may still hold its standard input open
        keeper.wait(STOP_LIMIT)


def keep(*, with_seaweedfs: bool) -> None:
    """Be the keeper: start everything, print a line of JSON that tells where, wait, and stop everything."""
    stop = _stop_requests()
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    with TemporaryDirectory(prefix="local-aws-") as root, ExitStack() as servers:
        folder = Path(root)
        (folder / "home").mkdir()
        # The servers must not see the settings of the user: AWS_*, proxies, ~/.aws.
        os.environ.clear()
        os.environ.update(HOME=root, TMPDIR=root)
        keys = {name: "AKIA" + secrets.token_hex(8).upper() for name in ("access_key_id", "admin_access_key_id")}
        keys |= {name: secrets.token_urlsafe(30) for name in ("secret_access_key", "admin_secret_access_key")}
        idp = _serve_identity_provider(folder)
        started = servers.enter_context(_seaweedfs(weed, folder, idp, keys)) if weed and with_seaweedfs else None
        saml_url = _moto(folder)
        sts_url, process = started or (saml_url, None)
        _await_answer(sts_url, keys, process, stop)
        _fill_bucket(sts_url, keys)
        ready = {"folder": root, "sts_url": sts_url, "saml_url": saml_url, **keys}
        with suppress(BrokenPipeError):  # the parent is gone, and standard input says so too
            os.write(sys.stdout.fileno(), json.dumps(ready).encode() + b"\n")
        select.select(stop, [], [])


def _stop_requests() -> Sequence[int]:
    """File descriptors of which one becomes readable when it is time to stop."""
    signalled, signaller = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(signaller, b"."))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return sys.stdin.fileno(), signalled


def _serve_identity_provider(folder: Path) -> IdentityProvider:
    documents: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in documents else 404)
            self.end_headers()
            self.wfile.write(json.dumps(documents.get(self.path)).encode())

        def log_message(self, format: str, *args: object) -> None:
            with (folder / "jwks-requests.log").open("a") as log:
                log.write(f"{self.requestline}\n")

    (folder / "jwks-requests.log").touch()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    idp = IdentityProvider.create(f"http://127.0.0.1:{server.server_port}")
    idp.save(folder / "idp")
    documents |= {"/jwks": idp.jwks(), "/.well-known/openid-configuration": idp.discovery()}
    Thread(target=server.serve_forever, daemon=True).start()
    return idp


@contextmanager
def _seaweedfs(
    weed: str, folder: Path, idp: IdentityProvider, keys: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    command = [
        *(weed, "-logtostderr", "server", "-dir=.", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=100"),
        *("-filer", "-s3", "-s3.config=s3.json", "-s3.iam.config=iam.json", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.telemetry=false", "-master.telemetry.url=http://127.0.0.1:9/", "-master.volumeSizeLimitMB=64"),
        "-master.peers=none",  # a single server, so it does not wait to elect a leader
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    place = folder / "seaweedfs"
    place.mkdir()
    _configure(place, idp, keys)
    with (folder / "seaweedfs.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{ports['s3.port']}", process
    except Exception:
        sys.stderr.write((folder / "seaweedfs.log").read_text(errors="replace")[-2000:])
        raise
    finally:
        process.kill()  # a normal stop takes 15 seconds, to save data that is not needed
        process.wait()
        for port in ports.values():
            for left_over in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # SeaweedFS ignores TMPDIR
                left_over.unlink(missing_ok=True)


def _configure(folder: Path, idp: IdentityProvider, keys: Mapping[str, str]) -> None:
    """Write the configuration of SeaweedFS: users, roles and trust policies."""
    admin = {"accessKey": keys["admin_access_key_id"], "secretKey": keys["admin_secret_access_key"]}
    developer = {"accessKey": keys["access_key_id"], "secretKey": keys["secret_access_key"]}
    identities = [
        {"name": "admin", "credentials": [admin], "actions": ["Admin"]},
        {"name": "developer", "credentials": [developer], "actions": []},
    ]
    oidc = {"issuer": idp.issuer, "clientId": "sts.amazonaws.com", "jwksUri": f"{idp.issuer}/jwks"}
    sts = {"issuer": "local-aws", "accountId": ACCOUNT, "tokenDuration": "1h", "maxSessionLength": "12h"}
    signing_key = b64encode(secrets.token_bytes(32)).decode()
    iam = {
        "sts": {**sts, "signingKey": signing_key},
        "providers": [{"name": "idp", "type": "oidc", "enabled": True, "config": oidc}],
        "policy": {"defaultEffect": "Deny"},
        "policies": [{"name": "s3", "document": _policy({"Action": ["s3:*"], "Resource": ["*"]})}],
        "roles": [
            {"roleName": name, "roleArn": ROLE + name, "trustPolicy": _policy(trust), "attachedPolicies": ["s3"]}
            for name, trust in TRUST.items()
        ],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "iam.json").write_text(json.dumps(iam))


def _policy(statement: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def _free_ports(count: int) -> list[int]:
    """Return free ports. They are below the range for outgoing connections, which could use a port in the meantime."""
    ports: list[int] = []
    with ExitStack() as held:  # all open at the same time, so that they differ
        while len(ports) < count:
            with suppress(OSError):  # in use
                listener = socket.create_server(("127.0.0.1", 15_000 + secrets.randbelow(15_000)))
                ports.append(held.enter_context(closing(listener)).getsockname()[1])
    return ports


def _moto(folder: Path) -> str:
    """Start moto in threads of this process, and create the roles."""
    from moto.server import ThreadedMotoServer  # takes a second, so SeaweedFS starts first

    logging.basicConfig(filename=folder / "moto.log")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    iam = _client("iam", url, "any", "any")
    for name, trust in TRUST.items():
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_policy(trust)))
    return url


def _await_answer(
    url: str, keys: Mapping[str, str], process: subprocess.Popen[bytes] | None, stop: Sequence[int]
) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    sts = _client("sts", url, keys["access_key_id"], keys["secret_access_key"], attempts=1)
    deadline = time.monotonic() + START_LIMIT
    while not select.select(stop, [], [], 0.1)[0]:
        try:
            sts.get_caller_identity()
            return
        except (BotoCoreError, ClientError):
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                raise
    sys.exit(1)


def _fill_bucket(url: str, keys: Mapping[str, str]) -> None:
    s3 = _client("s3", url, keys["admin_access_key_id"], keys["admin_secret_access_key"])
    s3.create_bucket(Bucket="reports")
    s3.put_object(Bucket="reports", Key="2026/summary.txt", Body=b"All is well.\n")


def _client(service: Literal["iam", "s3", "sts"], url: str, key: str, secret: str, attempts: int = 5) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(retries={"total_max_attempts": attempts}, connect_timeout=2, read_timeout=5)
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1")
    return session.client(service, endpoint_url=url, config=config)


if __name__ == "__main__":
    try:
        keep(with_seaweedfs="--without-seaweedfs" not in sys.argv)
    except Exception as error:
        raise SystemExit(f"local_aws: {error!r}") from error
