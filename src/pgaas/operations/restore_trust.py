"""Whom a restored cluster lets in: its own CA, for its instances, and whoever signed the client's."""

from __future__ import annotations

import base64

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.resources import SECRET, Object, dig
from pgaas.kube.trust import pem_of, unique
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject
from pgaas.operations.trust import KEY, RELOAD, authorities_in
from pgaas.operations.trust_sync import OWN_SECONDS


class RestoredTrust:
    """Write the bundle that a restored cluster waits for, as soon as its own CA is there.

    It only ever gains: what the source trusts is copied, so that the bundle outlives the source.
    """

    def __init__(self, subject: Subject, source: Subject, api: Api) -> None:
        self._subject = subject
        self._source = source
        self._api = api
        self.written = False

    def __call__(self, *_: object) -> bool:
        """Do what can be done now, and return whether the bundle is there."""
        if not self.written:
            self.written = self._write()
        return self.written

    def settle(self, progress: Progress) -> None:
        """Wait for its own CA, and write the bundle: nobody else does, and without it nothing goes on."""

        def look() -> Seen:
            return Seen((Item("bundle", self()),))

        if wait_for(look, timeout=OWN_SECONDS, on_change=lambda _: None).ending is not Ending.SUCCEEDED:
            subject = self._subject
            progress.note(
                f"{subject.cluster} waits for its bundle of client CAs: {subject.command('create')} writes it"
            )

    def _write(self) -> bool:
        subject, source, api = self._subject, self._source, self._api
        certificates, theirs = subject.values.certificates, source.values.certificates
        own = authorities_in(subject, api, certificates.client_ca)
        if not own:
            return False
        name = certificates.client_ca_secret
        held = authorities_in(subject, api, name)
        trusted = [
            each
            for secret in dict.fromkeys([theirs.client_ca, theirs.replication, theirs.client_ca_secret])
            for each in authorities_in(source, api, secret)
        ]
        data = {KEY: base64.b64encode(pem_of(unique([*own, *trusted, *held])).encode()).decode()}
        bundle: Object = {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "type": "Opaque",
            "metadata": {
                "name": name,
                "namespace": subject.namespace,
                "labels": {**subject.labels, "app.kubernetes.io/part-of": "pgaas", RELOAD: ""},
            },
            "data": data,
        }
        live = api.get(SECRET, name, subject.namespace)
        if dig(live, "data", KEY) != data[KEY]:
            try:
                api.apply(bundle, force=True)
            except KubernetesError as error:
                raise KubernetesError(
                    f"the bundle of client CAs could not be written: {error.what}",
                    where=error.where,
                    next_step=f"mend that; {subject.command('create')} goes on",
                ) from error
        return True
