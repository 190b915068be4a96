{{- define "observability.labels" -}}
{{ include "observability.selector" . }}
app.kubernetes.io/part-of: pgaas
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{- define "observability.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "observability.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "observability.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* From an instance's pod to the labels of its series. */ -}}
{{- define "observability.instanceLabels" -}}
- {source_labels: [__meta_kubernetes_pod_container_port_number], regex: "9187", action: keep}
# A cluster restored beside its source is nobody's primary: no alert and no panel may take it for one.
- {source_labels: [__meta_kubernetes_pod_label_pgaas_io_restored_from], regex: ".+", action: drop}
- {target_label: job, replacement: cnpg}
- {source_labels: [__meta_kubernetes_pod_label_cnpg_io_cluster], target_label: cluster}
- {source_labels: [__meta_kubernetes_pod_label_pgaas_io_ins], target_label: ins}
- {source_labels: [__meta_kubernetes_pod_label_pgaas_io_env], target_label: env}
- {source_labels: [__meta_kubernetes_pod_label_pgaas_io_dc], target_label: dc}
- {source_labels: [__meta_kubernetes_pod_label_cnpg_io_instanceRole], target_label: role}
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
{{- end -}}
