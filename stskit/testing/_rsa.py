"""RSA with numbers, so that proofs can be signed without a library for it; and two keys that everybody knows.

They are for tests alone: whoever reads this can sign with them.

https://www.rfc-editor.org/rfc/rfc8017#section-8.2
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from textwrap import wrap
from typing import Final

from attrs import field, frozen

__all__ = ["KEY", "OTHER_KEY", "RSAKey"]

_EXPONENT: Final = 65537
_SHA256: Final = bytes.fromhex("3031300d060960864801650304020105000420")  # what says that a SHA-256 digest follows


@frozen
class RSAKey:
    """A private key, by its two primes, and the certificate (DER, base64) that others know it by."""

    p: int = field(repr=False)
    q: int = field(repr=False)
    certificate: str = field(repr=False)

    @property
    def modulus(self) -> int:
        """What everybody may know, and what verifies."""
        return self.p * self.q

    @property
    def key_id(self) -> str:
        """A name for the key, from its certificate."""
        return sha256(self.certificate.encode()).hexdigest()[:16]

    @property
    def pem(self) -> str:
        """The certificate as a file has it."""
        return "\n".join(["-----BEGIN CERTIFICATE-----", *wrap(self.certificate, 64), "-----END CERTIFICATE-----", ""])

    def sign(self, data: bytes) -> bytes:
        """The signature of *data* by RSASSA-PKCS1-v1_5 with SHA-256, which JSON Web Tokens call RS256."""
        private = pow(_EXPONENT, -1, (self.p - 1) * (self.q - 1))
        return pow(self._padded(data), private, self.modulus).to_bytes(self._size, "big")

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Whether *signature* is one of this key for *data*."""
        return pow(int.from_bytes(signature, "big"), _EXPONENT, self.modulus) == self._padded(data)

    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key."""
        numbers = {"n": self.modulus, "e": _EXPONENT}
        public = {
            name: base64url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for name, number in numbers.items()
        }
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.key_id, **public}

    @property
    def _size(self) -> int:
        return (self.modulus.bit_length() + 7) // 8

    def _padded(self, data: bytes) -> int:
        digest = _SHA256 + sha256(data).digest()
        return int.from_bytes(b"\x00\x01" + b"\xff" * (self._size - len(digest) - 3) + b"\x00" + digest, "big")


def base64url(data: bytes) -> str:
    """*data* as JSON Web Tokens have it: without padding."""
    return b64encode(data, b"-_").decode().rstrip("=")


KEY: Final = RSAKey(
    p=int(
        "c5a990a6cd8a952dcbc0475ef402d09d01a2b441f6ffc46aadc06f13419c920bebca375933173bb08fe5aef7c07179527031"
        "df20ebecabbda975aa168f155f508635a8de605df38e4c448eb86ef9894148042fd16626c36ef958f96c6bc70702e5a61861"
        "d846923bbfc07c35839ff34a348b83ecd53186ce24ad26eec22da2f1",
        16,
    ),
    q=int(
        "c220a48f3975da85c5e5359320a5f9723819147d43d183e52f57b3b117ec910633c3183d034632db35bfd5b996decac7048d"
        "f1106a42dbac6b848ec4280c8d9a5674ed0f4823a138bd18a8cfd92071f3b5bdea444364c36690dfb23595d880f9af7bd45f"
        "e3434e19e8a1dd63576c9f58dc5bca81ddf1d6321b38ce2dd439014d",
        16,
    ),
    certificate=(
        "MIICrTCCAZWgAwIBAgIBATANBgkqhkiG9w0BAQsFADAZMRcwFQYDVQQDDA5zdHNraXQudGVzdGluZzAgFw0yMDAxMDEwMDAwMDBaGA8y"
        "MTIwMDEwMTAwMDAwMFowGTEXMBUGA1UEAwwOc3Rza2l0LnRlc3RpbmcwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCV47Pf"
        "s10fpuEuTNWBJTbxH2v8I6JtUa2yuwrLdihoAZB7D1IeIWP3Q2BedpEHlpWTQ0RLtrHhlf1f3xMQavoiZEtGwAcAYZLRqavD13YCTDi4"
        "BHwAm5gFhrBoSF6l2zoxicKzT4xpFxSqd2oyScnuQcMzMUtJlfU8yBgqEyQ6pnsJp7NkTln3MltcVorZ/gvel2fjdLHsL3EHoCuNjVwT"
        "S7DPDeUUDcnzmlFiCTvsrU2q5pPq1W8MDXk/e63Kr9Kjd+45rGjT1yK1SThVSasW5ajUpywjn4KABvQAG3pSQFShOm/79rXcf+nRQfNv"
        "8Dz455x8Cyt0ZwQOPghxBfN9AgMBAAEwDQYJKoZIhvcNAQELBQADggEBADU3sguKNnDPYNqOezxFB4rRZH1nLuElGjj1Gp/8RqqO7yGh"
        "sblGkc3W0+/tgyUpzTCBr8umDanvAz1IG5jMOPCcLbbIq9dZrpkblaHHZILgvqwomE1wqO91D04luMxzxfn9iVBGBfdrVPk67Mgzf/VQ"
        "45rtfSA9AxEKf0ma21t9xNDz3FJPIqJT3J4EGu5BZ6Ha6qOOEkhXdd8UVOg46ktuXmJov6NPY17H8xBoxhnoTkdxl15AvGldGIxWRYaX"
        "l5GKMAea09oMZXRwntLcrWclVD3/hcVvwPWx4PRNOAmbLFR2qS+3tR8Np+GaQXmbJlK+1VBz/jrZbMqF8/kMgA8="
    ),
)

OTHER_KEY: Final = RSAKey(
    p=int(
        "e8b33075e92928cc5ed9edde5919138f3ea8a2ddc69ffc73375892c392a4d6cd23c81d60b4eb93f0e099ada0e02999914ffd"
        "a36a4ac0f887f0f330295a6727a2612bcfbc106bd799991e0e105f4544aca6fd573da82ffe208f60f767baabbdda62d657cf"
        "ce7b5ecea2222b3f29f25f0d766de7e3261744b1312250f670592cb7",
        16,
    ),
    q=int(
        "c155903066d6671b0d989d7e538897a14557747bb11d7ef648eeeec7967cf4245b7a72ac6491f561e470d3658ba7a1d1a22c"
        "7070274742bc05133759b9f790b66baeb7fb88bcbff204ec18755812367dfe2710f99e663f249545ad95a0af4af695e37f4b"
        "00c3c294879fee535bdddcd5b30730484f7137fb85d9a905de391651",
        16,
    ),
    certificate=(
        "MIICrTCCAZWgAwIBAgIBATANBgkqhkiG9w0BAQsFADAZMRcwFQYDVQQDDA5zdHNraXQudGVzdGluZzAgFw0yMDAxMDEwMDAwMDBaGA8y"
        "MTIwMDEwMTAwMDAwMFowGTEXMBUGA1UEAwwOc3Rza2l0LnRlc3RpbmcwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCvvN4Y"
        "xkQkgatBFUklvsLSSIwIyWHCusRc9C1aEZqEewjjr7tQ+mTFnDSMliCbTpeItx2wCZhFglv13Q8t2j08AMgTjljnB1UX5+OrId1fPKbD"
        "sj+T/RYUPP7Plr+gvBuIMkuLnkaRqFCSgnvyUsgFzkfpLnGU4iy+bvQwU8zVDMAM4hWfIfZ1KVMnOUZuWIV/njSW484iGg0iX6EAPpAz"
        "+QRaYFPFFUpQBP+v5q2CKVkhGDhxXFsMUxWj6s/1PiMQ4xd/S32tAUU11CpV3JdaYZruEPWiT2E+O+sq8bDb9jATnZl3fKTCiJFc1EXL"
        "VsC/y6tVzYamXUV+0tXczd/nAgMBAAEwDQYJKoZIhvcNAQELBQADggEBAAUr4Wm/YbbDDHUvITFNrotJjER/aarlSQlfY8H8p49JLUjG"
        "lNQCoXalIdplLWYYVAy/cRnup6v9a0U3g7bX+N6aP0T8COi3bqY0e5MR0yrZLiIJTQ+Dk7g0a++p5lVk49zVdbInxmmACI/E5s/P2Qj/"
        "sw9IjRpNOIvjuaKVtioPgblRmZ7AyW6JoggdU0qH2V8rDQr6/x1Xs1C+jmOtpCL2zbq6SRA5zKPxLE5qCQzlP4ptdBtlfzMFOeT6Hh0/"
        "WimxTRtXJxrYjfRiKXVVxsVPodJTVp+PX9hKojUNpGo1JKvhkblh03vHbRFoPoqkrtbEIGxaOFrq6NF5/xhNnC8="
    ),
)
