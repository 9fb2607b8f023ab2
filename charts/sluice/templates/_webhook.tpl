{{/* The Secrets that the port for alerts is guarded with, each in a folder of its own, so that a change reaches the operator. */}}
{{- define "sluice.webhookSecrets" -}}
{{- $secrets := list }}
{{- with .Values.webhook }}
{{- if .enabled }}
{{- if not (or .tokenSecretRef.name .clientCaSecretRef.name) }}
{{- fail "webhook.enabled needs webhook.tokenSecretRef.name or webhook.clientCaSecretRef.name: alerts come over the network, so that the operator has to ask who sends them" }}
{{- end }}
{{- if and .clientCaSecretRef.name (not .tls.secretRef.name) }}
{{- fail "webhook.clientCaSecretRef.name needs webhook.tls.secretRef.name: certificates are shown over TLS" }}
{{- end }}
{{- with .tokenSecretRef }}
{{- if .name }}
{{- $secrets = append $secrets (dict "volume" "webhook-token" "folder" "/etc/sluice/webhook/token" "secret" .name "keys" (list .key)) }}
{{- end }}
{{- end }}
{{- with .tls.secretRef }}
{{- if .name }}
{{- $secrets = append $secrets (dict "volume" "webhook-tls" "folder" "/etc/sluice/webhook/tls" "secret" .name "keys" (list "tls.crt" "tls.key")) }}
{{- end }}
{{- end }}
{{- with .clientCaSecretRef }}
{{- if .name }}
{{- $secrets = append $secrets (dict "volume" "webhook-client-ca" "folder" "/etc/sluice/webhook/client-ca" "secret" .name "keys" (list .key)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $secrets }}
{{- end }}

{{/* What the operator is told of it. */}}
{{- define "sluice.webhookArguments" -}}
{{- with .Values.webhook }}
{{- if .enabled }}
- --webhook-listen=0.0.0.0:8090
{{- if .tokenSecretRef.name }}
- --webhook-token-file=/etc/sluice/webhook/token/{{ .tokenSecretRef.key }}
{{- end }}
{{- if .tls.secretRef.name }}
- --webhook-tls-cert=/etc/sluice/webhook/tls/tls.crt
- --webhook-tls-key=/etc/sluice/webhook/tls/tls.key
{{- end }}
{{- if .clientCaSecretRef.name }}
- --webhook-client-ca=/etc/sluice/webhook/client-ca/{{ .clientCaSecretRef.key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
