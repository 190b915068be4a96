"""Keep secrets out of what people see."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable


class Mask:
    """Replace secrets in text, plain, quoted for a shell or in base64, by three stars."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if secret:
                forms |= {secret, shlex.quote(secret), base64.b64encode(secret.encode()).decode()}
        # The longest first, or a secret that begins with another would keep its tail.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def __call__(self, text: str) -> str:
        """Return the text without any secret."""
        for form in self._forms:
            text = text.replace(form, "***")
        return text
