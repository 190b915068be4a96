{{- define "openldap.labels" -}}
{{ include "openldap.selector" . }}
app.kubernetes.io/part-of: pgaas
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{- define "openldap.selector" -}}
app.kubernetes.io/name: openldap
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* Of every container. */ -}}
{{- define "openldap.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Passwords by the file they are in, each base64; what the directory holds is made of them at start. */ -}}
{{- define "openldap.passwords" -}}
admin: {{ .Values.adminPassword | b64enc | quote }}
config: {{ .Values.configPassword | b64enc | quote }}
{{- range .Values.users }}
{{ printf "people-%s" .uid }}: {{ .password | b64enc | quote }}
{{- end }}
{{- range .Values.services }}
{{ printf "services-%s" .cn }}: {{ .password | b64enc | quote }}
{{- end }}
{{- end -}}

{{- /*
Who may do what. The first rule that names an attribute decides, and what none names nobody may.
A password is there to log in with: nobody reads one, not even one's own, and none is changed, as it would be back to
what it was when the pod starts anew.
*/ -}}
{{- define "openldap.slapd" -}}
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload argon2
pidfile /run/slapd/slapd.pid
argsfile /run/slapd/slapd.args
password-hash {ARGON2}
disallow bind_anon
require authc
idletimeout 600

database config
rootdn "cn=admin,cn=config"
include /run/slapd/config-password.conf

database mdb
suffix {{ .Values.baseDn | quote }}
rootdn {{ printf "cn=admin,%s" .Values.baseDn | quote }}
directory /var/lib/slapd
maxsize 268435456
index objectClass eq
index uid,cn eq
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree={{ printf "ou=people,%s" .Values.baseDn | quote }}
  by dn.onelevel={{ printf "ou=services,%s" .Values.baseDn | quote }} read
  by self read
  by * none
access to * by self read by * none
{{- end -}}

{{- /* Base64 (two colons) takes any value as it is; a password is what a file holds. */ -}}
{{- define "openldap.directory" -}}
{{- $base := .Values.baseDn -}}
dn: {{ $base }}
objectClass: top
objectClass: dcObject
objectClass: organization
o:: {{ .Values.organization | b64enc }}
dc: {{ splitList "." .Values.domain | first }}

dn: cn=admin,{{ $base }}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: admin
userPassword:< file:///run/slapd/hashes/admin

dn: ou=people,{{ $base }}
objectClass: organizationalUnit
ou: people

dn: ou=services,{{ $base }}
objectClass: organizationalUnit
ou: services
{{- range .Values.users }}

dn: uid={{ .uid }},ou=people,{{ $base }}
objectClass: inetOrgPerson
uid: {{ .uid }}
cn:: {{ .cn | b64enc }}
sn:: {{ .sn | b64enc }}
mail:: {{ .mail | b64enc }}
userPassword:< file:///run/slapd/hashes/people-{{ .uid }}
{{- end }}
{{- range .Values.services }}

dn: cn={{ .cn }},ou=services,{{ $base }}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: {{ .cn }}
userPassword:< file:///run/slapd/hashes/services-{{ .cn }}
{{- end }}
{{- end -}}
