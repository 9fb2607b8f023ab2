{{/*
Refuses to be the second operator of a namespace: both would write the same objects in turn, without end.

Only a live Kubernetes cluster tells of other releases. Whoever installs with rights in a few namespaces alone, and so without the
definitions, may not list Deployments everywhere: then only the bindings in these namespaces are looked at.
*/}}
{{- define "sluice.refuseOthers" -}}
{{- $root := . }}
{{- if not .Values.allowSharedNamespaces }}
{{- if or .Values.crds.enabled (not .Values.watchNamespaces) }}
{{- range (lookup "apps/v1" "Deployment" "" "").items | default list }}
{{- if and (include "sluice.isOther" (dict "root" $root "object" .)) (ne (toString .spec.replicas) "0") }}
{{- $shared := include "sluice.shared" (dict "ours" $root.Values.watchNamespaces "deployment" .) }}
{{- if $shared }}
{{- $who := printf "the Deployment '%s' in the namespace '%s'" .metadata.name .metadata.namespace }}
{{- include "sluice.refuseOther" (dict "object" . "who" $who "shared" $shared) }}
{{- end }}
{{- end }}
{{- end }}
{{- else if .Values.rbac.create }}
{{- range .Values.watchNamespaces }}
{{- $namespace := . }}
{{- range (lookup "rbac.authorization.k8s.io/v1" "RoleBinding" $namespace "").items | default list }}
{{- if include "sluice.isOther" (dict "root" $root "object" . "account" (first (.subjects | default (list dict)))) }}
{{- $who := printf "the RoleBinding '%s' in the namespace '%s'" .metadata.name $namespace }}
{{- include "sluice.refuseOther" (dict "object" . "who" $who "shared" $namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether an object is that of another release's operator; its namespace is that of its account, where it has one. */}}
{{- define "sluice.isOther" -}}
{{- $labels := .object.metadata.labels | default dict }}
{{- $namespace := get (.account | default .object.metadata) "namespace" }}
{{- $operator := and (eq (get $labels "app.kubernetes.io/part-of") "sluice") (eq (get $labels "app.kubernetes.io/component") "operator") }}
{{- $own := and (eq $namespace .root.Release.Namespace) (eq (get $labels "app.kubernetes.io/instance") .root.Release.Name) }}
{{- if and $operator (not $own) }}true{{ end }}
{{- end }}

{{- define "sluice.refuseOther" -}}
{{- fail (printf "the operator of the release '%s' (%s) looks after %s already, and two operators undo each other's writes without end: upgrade that release instead, give both disjoint watchNamespaces, or end it first (helm uninstall); allowSharedNamespaces=true installs it all the same" (get .object.metadata.labels "app.kubernetes.io/instance") .who .shared) }}
{{- end }}

{{/* Which namespaces this release and another Deployment of an operator both look after, in words; nothing if there are none. */}}
{{- define "sluice.shared" -}}
{{- $ours := .ours }}
{{- $theirs := list }}
{{- range .deployment.spec.template.spec.containers }}
{{- range .args }}
{{- if hasPrefix "--namespaces=" . }}
{{- $theirs = splitList "," (trimPrefix "--namespaces=" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if not (or $ours $theirs) }}all namespaces
{{- else if not $theirs }}all namespaces, and so {{ join ", " $ours }},
{{- else if not $ours }}{{ join ", " $theirs }}
{{- else }}
{{- $shared := list }}
{{- range $ours }}
{{- if has . $theirs }}
{{- $shared = append $shared . }}
{{- end }}
{{- end }}
{{- join ", " $shared }}
{{- end }}
{{- end }}
