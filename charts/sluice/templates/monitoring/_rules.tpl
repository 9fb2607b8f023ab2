{{/* The groups of a file of rules, with what the values say: its thresholds, and without alerts that nobody wants. */}}
{{- define "sluice.rules" -}}
{{- $values := .root.Values.prometheusRule }}
{{- $text := .root.Files.Get .path | replace "100000" (printf "%d" (int64 $values.queueLagMessages)) }}
{{- $groups := list }}
{{- range ($text | fromYaml).groups }}
{{- $rules := list }}
{{- range .rules }}
{{- if not (has (default "" .alert) $values.disabledAlerts) }}
{{- if and .annotations $values.runbookUrl }}
{{- $heading := splitList "#" .annotations.runbook | last }}
{{- $_ := set .annotations "runbook_url" (printf "%s#%s" $values.runbookUrl $heading) }}
{{- end }}
{{- $rules = append $rules . }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $groups = append $groups (dict "name" .name "rules" $rules) }}
{{- end }}
{{- end }}
{{- dict "groups" $groups | toYaml }}
{{- end }}
