{{/*
The labels of every object: whose it is. Nothing here derives a name: Python made them all.
*/}}
{{- define "core.labels" -}}
app.kubernetes.io/part-of: pgaas
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{ include "core.targetLabels" . }}
{{- end }}

{{/*
The labels that the operator and cert-manager copy to what they make: Pods, Services, volumes, Secrets.
*/}}
{{- define "core.targetLabels" -}}
pgaas.io/ins: {{ .Values.target.ins | quote }}
pgaas.io/env: {{ .Values.target.env | quote }}
pgaas.io/dc: {{ .Values.target.dc | quote }}
{{- end }}

{{/*
The labels of a certificate's Secret; with cnpg.io/reload the operator serves a renewed one without a restart.
*/}}
{{- define "core.secretTemplate" -}}
labels:
  cnpg.io/reload: ""
  app.kubernetes.io/part-of: pgaas
  {{- include "core.targetLabels" . | nindent 2 }}
{{- end }}
