"""What the Kubernetes client decodes answers into, made so that several threads may start at once."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from pgaas.kube.resources import Kind

# msgspec ends the process when two threads meet one of its types for the first time at the same moment.
FIRST_USE = threading.Lock()


@cache
def model_of(kind: Kind) -> Any:
    """Return lightkube's class for a kind: core kinds too are dictionaries, and load no models."""
    from lightkube.core.decoders import decode_list
    from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info

    base = GenericNamespacedResource if kind.namespaced else GenericGlobalResource
    info = create_api_info(kind.group, kind.version, kind.kind, kind.plural)
    made = type(kind.kind, (base,), {"_api_info": info})
    with FIRST_USE:
        decode_list(b'{"items": []}', made)
    return made
