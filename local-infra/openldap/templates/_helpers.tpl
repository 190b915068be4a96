{{- define "openldap.labels" -}}
app.kubernetes.io/name: openldap
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: pgaas
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "openldap.selector" -}}
app.kubernetes.io/name: openldap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* A value of slapd.conf, in quotes. */ -}}
{{- define "openldap.quoted" -}}
"{{ . | replace "\\" "\\\\" | replace "\"" "\\\"" }}"
{{- end -}}

{{- define "openldap.slapd" -}}
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile /run/slapd/slapd.pid
argsfile /run/slapd/slapd.args

database config
rootdn "cn=admin,cn=config"
rootpw {{ include "openldap.quoted" (required "configPassword is needed" .Values.configPassword) }}

database mdb
suffix {{ include "openldap.quoted" .Values.baseDn }}
rootdn {{ include "openldap.quoted" (printf "cn=admin,%s" .Values.baseDn) }}
rootpw {{ include "openldap.quoted" (required "adminPassword is needed" .Values.adminPassword) }}
directory /var/lib/slapd
index objectClass eq
index uid,cn eq
access to attrs=userPassword by anonymous auth by self write by * none
access to * by users read by * none
{{- end -}}

{{- /* Base64 (two colons) takes any value as it is. */ -}}
{{- define "openldap.people" -}}
{{- $base := .Values.baseDn -}}
dn:: {{ $base | b64enc }}
objectClass: top
objectClass: dcObject
objectClass: organization
o:: {{ .Values.organization | b64enc }}
dc: {{ splitList "." .Values.domain | first }}
{{- range .Values.users }}

dn:: {{ printf "uid=%s,%s" .uid $base | b64enc }}
objectClass: inetOrgPerson
uid:: {{ .uid | b64enc }}
cn:: {{ .cn | b64enc }}
sn:: {{ .sn | b64enc }}
mail:: {{ .mail | b64enc }}
userPassword:: {{ .password | b64enc }}
{{- end }}
{{- end -}}
