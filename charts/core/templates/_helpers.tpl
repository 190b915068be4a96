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
{{- if .Values.restore.enabled }}
{{- /* The datacenter under another name: nothing that looks for a client's own cluster, to count it or to delete it, may find this one. */}}
pgaas.io/restored-as: {{ .Values.cluster.name | quote }}
pgaas.io/restored-in: {{ .Values.target.dc | quote }}
pgaas.io/restored-from: {{ .Values.restore.restoredFrom | quote }}
pgaas.io/restore-target: {{ .Values.restore.target | quote }}
{{- else }}
pgaas.io/dc: {{ .Values.target.dc | quote }}
{{- end }}
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
