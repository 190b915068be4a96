{{- define "seaweedfs.labels" -}}
{{ include "seaweedfs.selector" . }}
app.kubernetes.io/part-of: pgaas
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{- define "seaweedfs.selector" -}}
app.kubernetes.io/name: seaweedfs
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* Of every container. */ -}}
{{- define "seaweedfs.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "seaweedfs.buckets" -}}
{{- $buckets := list -}}
{{- range .Values.clients -}}
{{- $buckets = append $buckets .bucket -}}
{{- end -}}
{{- $buckets | uniq | join "," -}}
{{- end -}}

{{- /* Who may do what. An action without a bucket is allowed in all of them. */ -}}
{{- define "seaweedfs.config" -}}
{{- $admin := dict "name" "admin" "actions" (list "Admin" "Read" "Write" "List" "Tagging") -}}
{{- $_ := set $admin "credentials" (list (pick .Values.s3 "accessKey" "secretKey")) -}}
{{- $identities := list $admin -}}
{{- range $client := .Values.clients -}}
{{- if $client.accessKey -}}
{{- $actions := list -}}
{{- range list "Read" "Write" "List" "Tagging" -}}
{{- $actions = append $actions (printf "%s:%s" . $client.bucket) -}}
{{- end -}}
{{- $keys := list (pick $client "accessKey" "secretKey") -}}
{{- $identities = append $identities (dict "name" $client.name "credentials" $keys "actions" $actions) -}}
{{- end -}}
{{- end -}}
{{ dict "identities" $identities | toPrettyJson }}
{{- end -}}
