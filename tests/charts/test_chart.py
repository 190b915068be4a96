"""The chart prints: no template derives a name, and none runs what stands in the values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.charts.support import CHART, TARGETS, of_kind, rendered

SUBCHART = CHART / "charts" / "pgadmin4"
TEMPLATES = sorted((CHART / "templates").glob("*"))
SUBCHART_TEMPLATES = sorted((SUBCHART / "templates").glob("*"))
ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)
# A value, quoted or as a whole number; a truth; a list or map; labels; and what is there or repeated.
PRINTED = r"\$?(?:\.[A-Za-z0-9]+)*|\$?\.|\.Release\.Service"
ALLOWED = [
    rf"(?:{PRINTED}) \| (?:quote|int|b64enc \| quote)",
    rf"toYaml (?:{PRINTED}) \| nindent [0-9]+",
    r'include "core\.[A-Za-z]+" [.$](?: \| nindent [0-9]+)?',
    rf"(?:if|range|with) (?:{PRINTED})",
    r'\.Files\.Get "files/monitoring-queries\.yaml" \| nindent 4',
    r'define "core\.[A-Za-z]+"',
    # pgAdmin's files: JSON, whose quoting also Python and pgAdmin read, and what makes a change a new pod.
    r'(?:include|define) "pgadmin4\.[A-Za-z]+"(?: \.)?(?: \| nindent [0-9]+)?',
    r"\$?(?:\.[A-Za-z0-9]+)+ \| toJson",
    r"\$connection(?:\.[A-Za-z0-9]+)+ \| toJson",
    r"range \$number, \$connection := \.Values\.database\.connections",
    r"if \$number",
    r"add1 \$number \| toString \| toJson",
    r'\.Files\.Get "files/config_(?:local|distro)\.py" \| nindent 4',
    r'include \(print \$\.Template\.BasePath "/(?:configmap|secret)\.yaml"\) \. \| sha256sum \| quote',
    r"range \$name, \$value := (?:\.[A-Za-z0-9]+)+",
    r"\$(?:name|value) \| quote",
    r"end|else",
]
# Printed as they are, because the schema lets them be nothing but true, false or one of a few words.
BARE = {
    *(
        f".{name}"
        for name in ("login", "superuser", "createdb", "createrole", "replication", "bypassrls", "inherit")
    ),
    ".isWALArchiver",
    ".Values.cluster.enablePDB",
    ".Values.monitoring.disableDefaultQueries",
    ".Values.monitoring.tls",
    ".Values.scheduledBackup.immediate",
    ".method",
    # A name and a host, of letters, digits, dots and dashes.
    ".service",
    ".host",
}


@pytest.mark.parametrize(
    "path",
    [path for path in [*TEMPLATES, *SUBCHART_TEMPLATES] if path.suffix in (".yaml", ".tpl")],
    ids=lambda p: f"{p.parts[-3]}-{p.name}",
)
def test_a_template_prints_and_does_nothing_else(path: Path) -> None:
    actions = [action for action in ACTION.findall(path.read_text()) if not COMMENT.fullmatch(action)]
    odd = [
        action
        for action in actions
        if action not in BARE and not any(re.fullmatch(pattern, action) for pattern in ALLOWED)
    ]
    assert odd == []


def test_there_is_a_template_for_each_kind_and_no_other() -> None:
    assert {path.name for path in TEMPLATES} == {
        "NOTES.txt",
        "_helpers.tpl",
        "certificates.yaml",
        "cluster.yaml",
        "databases.yaml",
        "dnsendpoint.yaml",
        "imagecatalog.yaml",
        "monitoring-queries-cm.yaml",
        "networkpolicy.yaml",
        "objectstore.yaml",
        "rbac.yaml",
        "s3-credentials-secret.yaml",
        "scheduled-backup.yaml",
    }
    assert {path.name for path in SUBCHART_TEMPLATES} == {
        "_helpers.tpl",
        "certificate.yaml",
        "configmap.yaml",
        "deployment.yaml",
        "networkpolicy.yaml",
        "secret.yaml",
        "service.yaml",
        "serviceaccount.yaml",
    }


# CloudNativePG 1.30's own: an equal key of ours would replace it.
DEFAULT_QUERIES = {
    "backends",
    "backends_waiting",
    "pg_database",
    "pg_extensions",
    "pg_postmaster",
    "pg_replication",
    "pg_replication_slots",
    "pg_settings",
    "pg_stat_archiver",
    "pg_stat_bgwriter",
    "pg_stat_checkpointer",
    "pg_stat_database",
    "pg_stat_replication",
}


def test_the_custom_queries_replace_no_default_one_and_name_all_their_columns() -> None:
    (found,) = [each for each in of_kind(rendered(TARGETS[0]), "ConfigMap") if "queries" in each["data"]]
    queries = yaml.safe_load(found["data"]["queries"])
    assert queries == yaml.safe_load((CHART / "files/monitoring-queries.yaml").read_text())
    assert not set(queries) & DEFAULT_QUERIES
    assert found["metadata"]["labels"]["cnpg.io/reload"] == ""
    for query in queries.values():
        for metric in query["metrics"]:
            ((column, described),) = metric.items()
            assert re.search(rf"\b{column}\b", query["query"])
            assert described["usage"] in ("LABEL", "GAUGE", "COUNTER")
            assert described["description"]
