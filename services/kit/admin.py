"""The key of the admin doors: training fields of runs, training jobs, policies."""

import hmac
import ipaddress
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from wideseek.errors import KeyMissing, KeyRefused

_SCHEME = "bearer "

OptionalKey = Annotated[SecretStr | None, BeforeValidator(lambda value: value or None)]
"""A key among the settings; an empty one, as compose files fill in, is none."""


@dataclass(frozen=True)
class AdminKey:
    """Who may pass.

    Without a key everybody who reaches a loopback address may, and nobody who reaches any other.
    """

    key: str | None
    host: str
    """Address the service listens on."""

    def check(self, authorization: str | None) -> None:
        """Pass an `Authorization: Bearer <key>` header. Raises `KeyMissing` (401) or `KeyRefused` (403)."""
        if self.key is None:
            if is_loopback(self.host):
                return
            raise KeyRefused(
                "no admin key is set, so admin requests are answered on loopback only: set WIDESEEK_ADMIN_KEY"
            )
        given = authorization or ""
        if not given.lower().startswith(_SCHEME):
            raise KeyMissing("send the admin key: Authorization: Bearer <key>")
        if not hmac.compare_digest(given[len(_SCHEME) :].strip().encode(), self.key.encode()):
            raise KeyRefused("the admin key is not this deployment's")


def is_loopback(host: str) -> bool:
    """Whether a listening address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
