{{/* The Lease that replicas agree by. The operator refuses to start where its times do not fit. */}}
{{- define "sluice.leaseArguments" -}}
{{- with .Values.lease }}
{{- if ge (int .renewWithinSeconds) (int .durationSeconds) }}
{{- fail (printf "lease.renewWithinSeconds %d must be less than lease.durationSeconds %d: a leader has to stop before another begins" (int .renewWithinSeconds) (int .durationSeconds)) }}
{{- end }}
{{- if ge (int .retrySeconds) (int .renewWithinSeconds) }}
{{- fail (printf "lease.retrySeconds %d must be less than lease.renewWithinSeconds %d: a leader has to try more than once" (int .retrySeconds) (int .renewWithinSeconds)) }}
{{- end }}
{{- end }}
- --lease-name={{ include "sluice.fullname" . }}
- --lease-namespace={{ .Release.Namespace }}
- --lease-duration-seconds={{ .Values.lease.durationSeconds }}
- --lease-renew-within-seconds={{ .Values.lease.renewWithinSeconds }}
- --lease-retry-seconds={{ .Values.lease.retrySeconds }}
{{- end }}
