{{/*
The labels of every object: whose it is.
*/}}
{{- define "pgadmin4.labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "pgadmin4.targetLabels" . }}
{{- end }}

{{/*
The labels of pgAdmin's pods, and of what cert-manager makes for it.
*/}}
{{- define "pgadmin4.targetLabels" -}}
{{ include "pgadmin4.selector" . }}
app.kubernetes.io/part-of: pgaas
pgaas.io/ins: {{ .Values.target.ins | quote }}
pgaas.io/env: {{ .Values.target.env | quote }}
pgaas.io/dc: {{ .Values.target.dc | quote }}
{{- end }}

{{/*
What tells its pods from all others.
*/}}
{{- define "pgadmin4.selector" -}}
app.kubernetes.io/name: pgadmin4
app.kubernetes.io/instance: {{ .Values.name | quote }}
{{- end }}
