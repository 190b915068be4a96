{{- define "seaweedfs.labels" -}}
app.kubernetes.io/name: seaweedfs
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: pgaas
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "seaweedfs.selector" -}}
app.kubernetes.io/name: seaweedfs
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "seaweedfs.config" -}}
{{- $credentials := dict
      "accessKey" (required "s3.accessKey is needed" .Values.s3.accessKey)
      "secretKey" (required "s3.secretKey is needed" .Values.s3.secretKey) -}}
{{- $actions := list "Admin" "Read" "Write" "List" "Tagging" -}}
{{- $identity := dict "name" "admin" "credentials" (list $credentials) "actions" $actions -}}
{{ dict "identities" (list $identity) | toPrettyJson }}
{{- end -}}
