"""What users may get wrong: each line is an error of types, or a checker says so. Checked and never run."""

from __future__ import annotations

from stskit import MFA, AssumedRole, Cached, Credentials, RefreshPolicy, Role, WebIdentityToken, assume, assume_all
from stskit.caches import FileCache, MemoryCache
from stskit.sinks import Boto3Session, CredentialProcess, CredentialsFile, DotEnv, Environment, ShellExports
from stskit.sources import Profile, SAMLFile, SessionToken, Static
from stskit.testing import FakeSTS, IdentityProvider, ManualClock, check_sink

credentials = assume("arn", source=Profile("base"))
recipe = AssumedRole("arn", source=Profile("base"))

# a recipe where a value is needed
recipe.to(CredentialsFile("name"))  # type: ignore[arg-type]
recipe.to(Environment())  # type: ignore[arg-type]
recipe.to(ShellExports())  # type: ignore[arg-type]
recipe.to(DotEnv(".env"))  # type: ignore[arg-type]
recipe.to(CredentialProcess())  # type: ignore[arg-type]
CredentialsFile("name").write(recipe)  # type: ignore[arg-type]
CredentialsFile.write_all({"name": recipe})  # type: ignore[dict-item]
ShellExports("nu")  # type: ignore[arg-type]

# a value where a recipe is needed
Boto3Session().attach(credentials)  # type: ignore[arg-type]
Cached(credentials)  # type: ignore[arg-type]

# a source of another proof, where credentials are needed
Boto3Session().attach(SAMLFile("file"))  # type: ignore[arg-type]
Cached(SAMLFile("file"))  # type: ignore[arg-type]

# a proof, or a path, where a source is needed
assume("arn", source=credentials)  # type: ignore[arg-type]
assume("arn", source="file")  # type: ignore[arg-type]
AssumedRole("arn", Profile("base"))  # type: ignore[call-arg]

# values cannot be changed
credentials.access_key_id = "other"  # type: ignore[misc]
recipe.role = Role("other")  # type: ignore[misc]

# what may be None must be looked at
credentials.expiration.isoformat()  # type: ignore[union-attr]
Credentials("id")  # type: ignore[call-arg]

# a session of the user's own is had by credentials, and by no other proof
SessionToken(SAMLFile("file"))  # type: ignore[arg-type]

# a proof in memory is not a source of credentials, and other values are not a proof
Cached(Static(WebIdentityToken("token")))  # type: ignore[arg-type]
Static("token")  # type: ignore[type-var]

# options of a role that there are not, and values that are none of theirs
Role.named("name", account="123456789012", durations=900)  # type: ignore[call-arg]
Role("arn", mfa="123456")  # type: ignore[arg-type]
MFA("serial-number", 123456)  # type: ignore[arg-type]

# an outcome may be an error
next(assume_all(["arn"])).credentials.as_dict()  # type: ignore[union-attr]

# the claims of a token are read-only
WebIdentityToken("token").claims["sub"] = "other"  # type: ignore[index]

# a cache is not a source, a folder is not a cache, and a cache keeps entries
Cached(FileCache())  # type: ignore[arg-type]
Cached(recipe, "folder")  # type: ignore[arg-type]
MemoryCache().put("key", credentials)  # type: ignore[arg-type]

# spans are timedeltas, and what to do with expired credentials is one of two words
RefreshPolicy(advisory=300)  # type: ignore[arg-type]
RefreshPolicy(on_expired="ignore")  # type: ignore[arg-type]
Cached(recipe, listener=print)  # type: ignore[arg-type]

# what the test kit does not take
ManualClock().advance(minutes=5)  # type: ignore[call-arg]
FakeSTS().next("Throttling")  # type: ignore[arg-type]
IdentityProvider().oidc_token(flaw="late")  # type: ignore[arg-type]
check_sink(Boto3Session())  # type: ignore[arg-type]
