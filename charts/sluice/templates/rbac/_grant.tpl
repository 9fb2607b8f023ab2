{{/*
Gives the operator's account a capability: in each watched namespace by a Role, or everywhere by a ClusterRole.
To be called with `root`, `capability` (the end of the name) and `rules` (YAML).
*/}}
{{- define "sluice.grant" -}}
{{- $root := .root }}
{{- $call := . }}
{{- if $root.Values.rbac.create }}
{{- range $root.Values.watchNamespaces }}
{{ include "sluice.role" (dict "root" $root "capability" $call.capability "rules" $call.rules "namespace" .) }}
{{- else }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ include "sluice.clusterwideName" $root }}:{{ .capability }}
  labels:
    {{- include "sluice.labels" $root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ include "sluice.clusterwideName" $root }}:{{ .capability }}
  labels:
    {{- include "sluice.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "sluice.clusterwideName" $root }}:{{ .capability }}
subjects:
  {{- include "sluice.subject" $root | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The same in one namespace. */}}
{{- define "sluice.role" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "sluice.fullname" .root }}-{{ .capability }}
  namespace: {{ .namespace }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "sluice.fullname" .root }}-{{ .capability }}
  namespace: {{ .namespace }}
  labels:
    {{- include "sluice.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "sluice.fullname" .root }}-{{ .capability }}
subjects:
  {{- include "sluice.subject" .root | nindent 2 }}
{{- end }}

{{- define "sluice.subject" -}}
- kind: ServiceAccount
  name: {{ include "sluice.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
