"""Sources, which fetch a proof: one module for each place."""

from stskit.sources.oidc_token_file import OIDCTokenFile
from stskit.sources.profile import Profile
from stskit.sources.saml_file import SAMLFile
from stskit.sources.session_token import SessionToken
from stskit.sources.static import Static

__all__ = ["OIDCTokenFile", "Profile", "SAMLFile", "SessionToken", "Static"]
