{{- /* One panel: its title, its kind (stat, timeseries, bargauge, table), its query and its legend. */ -}}
{{- define "observability.dashboard" -}}
{{- $panels := list -}}
{{- range $index, $panel := .panels -}}
{{-   $target := dict "expr" (index $panel 2) "legendFormat" (index $panel 3) "refId" "A" -}}
{{-   $place := dict "h" 8 "w" 12 "x" (mul 12 (mod $index 2)) "y" (mul 8 (div $index 2)) -}}
{{-   $source := dict "type" "prometheus" "uid" "prometheus" -}}
{{-   $panels = append $panels (dict
        "id" (add1 $index) "title" (index $panel 0) "type" (index $panel 1)
        "datasource" $source "targets" (list $target) "gridPos" $place) -}}
{{- end -}}
{{- dict "uid" .uid "title" .title "schemaVersion" 41 "refresh" "30s" "editable" false
      "time" (dict "from" "now-6h" "to" "now") "panels" $panels | toPrettyJson -}}
{{- end -}}
